//! Recovery at every start: copies and empties the outboxes, counts the records, and finds the merges that were interrupted.
//!
//! Runs before the store accepts commits, so nothing changes meanwhile.

use sled::Tree;

use super::committer::Disk;
use super::engine::SledEngine;
use crate::store::codec::customer::CustomerValue;
use crate::store::codec::outbox::Outbox;
use crate::store::contract::error::StoreError;
use crate::store::keys::customer_of_key;

/// Number of customers read at once.
const PAGE_LEN: usize = 256;

/// Findings of the recovery in a customer's value.
struct Recovered {
    has_outbox: bool,
    is_merging: bool,
}

impl SledEngine {
    /// Copies the entries in all outboxes, makes the copies durable, and only then drops the entries. Counts the records.
    pub fn recover_outboxes(&self, disk: &mut Disk) -> Result<(), StoreError> {
        self.counters.events.add(self.len(&self.trees.history)? + self.len(&self.trees.anonymous)?);
        self.counters.decisions.add(self.len(&self.trees.decisions)?);
        self.counters.products.add(self.len(&self.trees.products)?);
        let copied = self.copy_outboxes()?;
        if copied.is_empty() {
            return Ok(());
        }
        disk.sync().map_err(|error| StoreError::Failed { detail: error.to_string() })?;
        for key in copied {
            self.drop_outbox(&key)?;
        }
        Ok(())
    }

    /// Copies all outboxes and returns the keys of the customers that have one; counts the customers.
    fn copy_outboxes(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut copied = Vec::new();
        let mut unfinished_merges = Vec::new();
        let mut customers = 0;
        let mut last = None;
        loop {
            let page = self.page(&self.trees.customers, last.as_ref(), PAGE_LEN)?;
            for (key, bytes) in &page.records {
                customers += 1;
                match self.recover_customer(key, bytes) {
                    Ok(Recovered { has_outbox, is_merging }) => {
                        if has_outbox {
                            copied.push(key.to_vec());
                        }
                        unfinished_merges.extend(customer_of_key(key).filter(|_| is_merging));
                    }
                    // One damaged customer must not keep the store from opening; loading that customer fails.
                    Err(StoreError::Damaged { what, detail }) => {
                        tracing::error!(what, detail, "outbox recovery skipped a damaged customer");
                    }
                    Err(error) => return Err(error),
                }
            }
            last = page.last_key();
            if last.is_none() {
                self.counters.customers.add(customers);
                self.unfinished_merges.get_or_init(|| unfinished_merges);
                return Ok(copied);
            }
        }
    }

    fn recover_customer(&self, key: &[u8], bytes: &[u8]) -> Result<Recovered, StoreError> {
        let value = CustomerValue::parse(bytes)?;
        for entry in &value.outbox.0 {
            self.copy_entry(key, entry)?;
        }
        Ok(Recovered { has_outbox: !value.outbox.0.is_empty(), is_merging: value.merge_state()?.is_in_progress() })
    }

    fn drop_outbox(&self, key: &[u8]) -> Result<(), StoreError> {
        let Some(current) = self.check(self.trees.customers.get(key))? else { return Ok(()) };
        let emptied = CustomerValue::parse(&current)?.with_outbox(&Outbox::default())?;
        self.swap(key, Some(&current), emptied)?;
        Ok(())
    }

    fn len(&self, tree: &Tree) -> Result<u64, StoreError> {
        let mut count = 0;
        for key in tree.iter().keys() {
            self.check(key)?;
            count += 1;
        }
        Ok(count)
    }
}

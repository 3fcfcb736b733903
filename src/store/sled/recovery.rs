//! What happens once at every start: outboxes are emptied and everything is counted.
//!
//! Runs before anybody can commit, so nothing moves underneath.

use sled::Tree;

use super::committer::Disk;
use super::inner::Inner;
use crate::store::codec::customer::CustomerValue;
use crate::store::codec::outbox::Outbox;
use crate::store::contract::error::StoreError;

/// Customers read at once.
const PAGE_LEN: usize = 256;

impl Inner {
    /// Copies what outboxes hold, makes the copies durable, and only then drops the entries. Counts on the way.
    pub fn recover_outboxes(&self, disk: &mut Disk) -> Result<(), StoreError> {
        self.counters.events.add(self.len(&self.trees.history)? + self.len(&self.trees.anonymous)?);
        self.counters.decisions.add(self.len(&self.trees.decisions)?);
        self.counters.products.add(self.len(&self.trees.products)?);
        let waiting = self.copy_outboxes()?;
        if waiting.is_empty() {
            return Ok(());
        }
        disk.sync().map_err(|detail| StoreError::Failed { detail })?;
        for key in waiting {
            self.drop_outbox(&key)?;
        }
        Ok(())
    }

    /// Copies all outboxes and returns the customers that have one; counts the customers.
    fn copy_outboxes(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut waiting = Vec::new();
        let mut customers = 0;
        let mut last = None;
        loop {
            let page = self.page(&self.trees.customers, last.as_ref(), PAGE_LEN)?;
            for (key, bytes) in &page.records {
                customers += 1;
                match self.copy_all(key, bytes) {
                    Ok(true) => waiting.push(key.to_vec()),
                    Ok(false) => {}
                    // One damaged customer must not keep all others from being served; reading it fails.
                    Err(StoreError::Damaged { what, detail }) => {
                        tracing::error!(what, detail, "a stored customer is damaged and stays as it is");
                    }
                    Err(error) => return Err(error),
                }
            }
            last = page.last_key();
            if last.is_none() {
                self.counters.customers.add(customers);
                return Ok(waiting);
            }
        }
    }

    fn copy_all(&self, key: &[u8], bytes: &[u8]) -> Result<bool, StoreError> {
        let value = CustomerValue::parse(bytes)?;
        for entry in &value.outbox.0 {
            self.copy_entry(key, entry)?;
        }
        Ok(!value.outbox.0.is_empty())
    }

    fn drop_outbox(&self, key: &[u8]) -> Result<(), StoreError> {
        let Some(current) = self.healthy(self.trees.customers.get(key))? else { return Ok(()) };
        let emptied = CustomerValue::parse(&current)?.with_outbox(&Outbox::default())?;
        self.swap(key, Some(&current), emptied)?;
        Ok(())
    }

    fn len(&self, tree: &Tree) -> Result<u64, StoreError> {
        let mut count = 0;
        for key in tree.iter().keys() {
            self.healthy(key)?;
            count += 1;
        }
        Ok(count)
    }
}

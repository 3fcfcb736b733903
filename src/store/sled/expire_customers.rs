//! Removal of idle customers, of whom nothing but old decisions is known.
//!
//! Decisions are removed before the customer, so a crash in between leaves a customer that the next sweep removes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sled::{IVec, Tree};

use super::engine::SledEngine;
use super::failpoint::failpoint;
use super::scan::blocking;
use crate::store::codec::customer::CustomerValue;
use crate::store::codec::outbox::OutboxItem;
use crate::store::contract::error::StoreError;
use crate::store::contract::maintenance::IdleCustomer;

/// Number of customers examined before the sweep yields to other tasks.
const PAGE_LEN: usize = 256;

impl SledEngine {
    /// Removes idle customers, each under its exclusive lock.
    pub async fn expire_customers(self: &Arc<Self>, is_idle: IdleCustomer) -> Result<u64, StoreError> {
        let (mut removed, mut last): (u64, Option<IVec>) = (0, None);
        loop {
            let rule = Arc::clone(&is_idle);
            let examine = move |engine: &Self| {
                let page = engine.page(&engine.trees.customers, last.as_ref(), PAGE_LEN)?;
                let idle = page.records.iter().filter(|(_, bytes)| is_idle_value(bytes, &rule));
                Ok((page.last_key(), idle.map(|(key, _)| key.clone()).collect::<Vec<IVec>>()))
            };
            let (next, idle) = blocking(self, examine).await?;
            for key in idle {
                let _lock = self.customer_locks.exclusive(&key).await;
                let rule = Arc::clone(&is_idle);
                removed += u64::from(blocking(self, move |engine| engine.remove_idle(&key, &rule)).await?);
            }
            if next.is_none() {
                return Ok(removed);
            }
            last = next;
        }
    }

    /// Removes a customer if it is still idle and has no events. The caller holds its exclusive lock.
    fn remove_idle(&self, key: &[u8], is_idle: &IdleCustomer) -> Result<bool, StoreError> {
        let _write = self.committer.begin_write();
        let Some(current) = self.check(self.trees.customers.get(key))? else { return Ok(false) };
        let has_history = self.trees.history.scan_prefix(key).next().transpose();
        if !is_idle_value(&current, is_idle) || self.check(has_history)?.is_some() {
            return Ok(false);
        }
        let version = CustomerValue::parse(&current)?.version;
        let decisions = self.remove_with_prefix(&self.trees.decisions, key)?;
        self.counters.decisions.subtract(decisions);
        self.check(self.trees.cached_rankings.remove(key))?;
        failpoint!("store::idle_decisions_removed", |_| Err(StoreError::Failed {
            detail: "stopped by a failpoint".to_owned()
        }));
        // Raised first: from the removal on, a commit may store the customer anew.
        self.version_floor.fetch_max(version, Ordering::SeqCst);
        // Another customer's commit may have emptied the outbox meanwhile; then the next sweep removes the customer.
        let swapped = self.trees.customers.compare_and_swap(key, Some(&current), None::<&[u8]>);
        let is_removed = self.check(swapped)?.is_ok();
        if is_removed {
            self.outbox_progress.forget(key, u64::MAX);
            self.counters.customers.subtract_if(true);
        }
        Ok(is_removed)
    }

    fn remove_with_prefix(&self, tree: &Tree, prefix: &[u8]) -> Result<u64, StoreError> {
        let mut removed = 0;
        for key in tree.scan_prefix(prefix).keys() {
            removed += u64::from(self.check(tree.remove(self.check(key)?))?.is_some());
        }
        Ok(removed)
    }
}

/// Whether the value is that of an idle customer without an event in its outbox. A damaged one stays.
fn is_idle_value(bytes: &[u8], is_idle: &IdleCustomer) -> bool {
    let Ok(value) = CustomerValue::parse(bytes) else { return false };
    let has_events = value.outbox.0.iter().any(|entry| matches!(entry.item, OutboxItem::Event(_)));
    !has_events && value.customer().is_ok_and(|customer| is_idle(&customer.value))
}

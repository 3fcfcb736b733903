//! Retention sweep: removes events and decisions older than their retention period.

use std::sync::Arc;

use sled::{IVec, Tree};

use super::engine::SledEngine;
use super::scan::blocking;
use super::trees::SWEEP_WATERMARK_KEY;
use crate::domain::time::Timestamp;
use crate::store::codec::decision::decode_decision;
use crate::store::codec::event::decode_event;
use crate::store::contract::counts::ExpiredRecords;
use crate::store::contract::error::StoreError;

/// Number of records examined before the sweep yields to other tasks.
const PAGE_LEN: usize = 256;

impl SledEngine {
    /// Removes events and decisions dated before these moments.
    pub async fn expire_records(
        self: &Arc<Self>,
        events: Option<Timestamp>,
        decisions: Option<Timestamp>,
    ) -> Result<ExpiredRecords, StoreError> {
        let mut expired = ExpiredRecords::default();
        let event_at = |bytes: &[u8]| Ok(decode_event(bytes)?.at);
        if let Some(before) = events {
            for tree in [&self.trees.history, &self.trees.anonymous] {
                expired.events += self.expire_in(tree, before, event_at, Self::record_sweep).await?;
            }
            self.counters.events.subtract(expired.events);
        }
        if let Some(before) = decisions {
            let decision_at = |bytes: &[u8]| Ok(decode_decision(bytes)?.at);
            expired.decisions = self.expire_in(&self.trees.decisions, before, decision_at, |_, _| Ok(())).await?;
            self.counters.decisions.subtract(expired.decisions);
        }
        Ok(expired)
    }

    /// Stores the sweep watermark. sled's log keeps the order of writes, so after a crash it covers every removed event.
    fn record_sweep(&self, before: Timestamp) -> Result<(), StoreError> {
        if let Some(value) = self.sweep_watermark.advance(before)? {
            self.check(self.trees.meta.insert(SWEEP_WATERMARK_KEY, value))?;
        }
        Ok(())
    }

    async fn expire_in(
        self: &Arc<Self>,
        tree: &Tree,
        before: Timestamp,
        at: impl Fn(&[u8]) -> Result<Timestamp, StoreError> + Copy + Send + 'static,
        before_removal: fn(&Self, Timestamp) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let (mut removed, mut last): (u64, Option<IVec>) = (0, None);
        loop {
            let tree = tree.clone();
            let expire_page = move |engine: &Self| {
                let _write = engine.committer.begin_write();
                let page = engine.page(&tree, last.as_ref(), PAGE_LEN)?;
                let mut removed = 0;
                for (key, bytes) in &page.records {
                    if at(bytes)? < before {
                        before_removal(engine, before)?;
                        removed += u64::from(engine.check(tree.remove(key))?.is_some());
                    }
                }
                Ok((page.last_key(), removed))
            };
            let (next, removed_from_page) = blocking(self, expire_page).await?;
            removed += removed_from_page;
            if next.is_none() {
                return Ok(removed);
            }
            last = next;
        }
    }
}

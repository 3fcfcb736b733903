//! Pages of the export of a customer.

use std::ops::Bound;
use std::sync::Arc;

use sled::Tree;

use super::engine::SledEngine;
use super::scan::blocking;
use crate::domain::customer_export::ExportedRecord;
use crate::domain::ids::CustomerId;
use crate::store::codec::customer::CustomerValue;
use crate::store::codec::decision::decode_decision;
use crate::store::codec::event::decode_event;
use crate::store::codec::outbox::OutboxItem;
use crate::store::contract::customer_export::{CustomerExportPage, CustomerExportPosition};
use crate::store::contract::error::StoreError;
use crate::store::keys::{customer_key, decision_key, event_key};

impl SledEngine {
    /// Reads a page of the export of a customer.
    pub async fn load_customer_export(
        self: &Arc<Self>,
        customer: &CustomerId,
        position: CustomerExportPosition,
        page_len: usize,
    ) -> Result<CustomerExportPage, StoreError> {
        let key = customer_key(customer);
        blocking(self, move |engine| match position {
            CustomerExportPosition::Customer => engine.export_customer_value(&key),
            CustomerExportPosition::Events { after } => {
                let after = after.map(|event| event_key(&key, &event));
                let events = engine.export_tree(&engine.trees.history, &key, after, page_len, decode_event)?;
                let last = events.last().filter(|_| events.len() == page_len).map(|event| event.id.clone());
                let next = match last {
                    Some(id) => CustomerExportPosition::Events { after: Some(id) },
                    None => CustomerExportPosition::Decisions { after: None },
                };
                let records = events.into_iter().map(ExportedRecord::Event).collect();
                Ok(CustomerExportPage { records, next: Some(next) })
            }
            CustomerExportPosition::Decisions { after } => {
                let after = after.map(|decision| decision_key(&key, decision));
                let decisions = engine.export_tree(&engine.trees.decisions, &key, after, page_len, decode_decision)?;
                let last = decisions.last().filter(|_| decisions.len() == page_len).map(|decision| decision.id);
                let next = last.map(|id| CustomerExportPosition::Decisions { after: Some(id) });
                let records = decisions.into_iter().map(|it| ExportedRecord::Decision(Box::new(it))).collect();
                Ok(CustomerExportPage { records, next })
            }
        })
        .await
    }

    /// Reads the customer, the cached ranking, and the outbox entries that are not yet copied.
    fn export_customer_value(&self, key: &[u8]) -> Result<CustomerExportPage, StoreError> {
        let next = Some(CustomerExportPosition::Events { after: None });
        let Some(bytes) = self.check(self.trees.customers.get(key))? else {
            return Ok(CustomerExportPage { records: Vec::new(), next });
        };
        let value = CustomerValue::parse(&bytes)?;
        let mut records = vec![ExportedRecord::Customer(Box::new(value.customer()?.value))];
        records.extend(self.load_cached_ranking(key)?.map(ExportedRecord::CachedRanking));
        for entry in &value.outbox.0 {
            let (tree, copy_key) = self.copy_target(key, entry)?;
            if !self.check(tree.contains_key(copy_key))? {
                records.push(match &entry.item {
                    OutboxItem::Event(bytes) => ExportedRecord::Event(decode_event(bytes)?),
                    OutboxItem::Decision(bytes) => ExportedRecord::Decision(Box::new(decode_decision(bytes)?)),
                });
            }
        }
        Ok(CustomerExportPage { records, next })
    }

    /// Reads at most `page_len` records of a customer after a key.
    fn export_tree<Record>(
        &self,
        tree: &Tree,
        customer_key: &[u8],
        after: Option<Vec<u8>>,
        page_len: usize,
        decode: impl Fn(&[u8]) -> Result<Record, StoreError>,
    ) -> Result<Vec<Record>, StoreError> {
        let start = after.map_or_else(|| Bound::Included(customer_key.to_vec()), Bound::Excluded);
        let mut records = Vec::new();
        for record in tree.range::<Vec<u8>, _>((start, Bound::Unbounded)).take(page_len) {
            let (key, bytes) = self.check(record)?;
            if !key.starts_with(customer_key) {
                break;
            }
            records.push(decode(&bytes)?);
        }
        Ok(records)
    }
}

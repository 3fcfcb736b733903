//! Pages of a customer export from memory.

use super::store::Contents;
use crate::domain::customer_export::ExportedRecord;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::ids::CustomerId;
use crate::store::contract::customer_export::{CustomerExportPage, CustomerExportPosition};

impl Contents {
    /// Reads a page of the export of a customer.
    pub fn load_customer_export(
        &self,
        customer: &CustomerId,
        position: CustomerExportPosition,
        page_len: usize,
    ) -> CustomerExportPage {
        match position {
            CustomerExportPosition::Customer => {
                let stored = self.customers.get(customer).map(|stored| Box::new(stored.value.clone()));
                let ranking = self.cached_rankings.get(customer).cloned();
                let records = stored.map(ExportedRecord::Customer).into_iter();
                let records = records.chain(ranking.map(ExportedRecord::CachedRanking)).collect();
                CustomerExportPage { records, next: Some(CustomerExportPosition::Events { after: None }) }
            }
            CustomerExportPosition::Events { after } => {
                let events = self.events.iter().filter(|((owner, _), _)| owner.as_ref() == Some(customer));
                let events = events.filter(|((_, id), _)| after.as_ref().is_none_or(|after| id > after));
                let page: Vec<Event> = events.map(|(_, event)| event.clone()).take(page_len).collect();
                let next = match page.last().filter(|_| page.len() == page_len) {
                    Some(last) => CustomerExportPosition::Events { after: Some(last.id.clone()) },
                    None => CustomerExportPosition::Decisions { after: None },
                };
                let records = page.into_iter().map(ExportedRecord::Event).collect();
                CustomerExportPage { records, next: Some(next) }
            }
            CustomerExportPosition::Decisions { after } => {
                let decisions = self.decisions.iter().filter(|((owner, _), _)| owner == customer);
                let decisions = decisions.filter(|((_, id), _)| after.is_none_or(|after| *id > after));
                let page: Vec<Decision> = decisions.map(|(_, decision)| decision.clone()).take(page_len).collect();
                let last = page.last().filter(|_| page.len() == page_len).map(|decision| decision.id);
                let next = last.map(|id| CustomerExportPosition::Decisions { after: Some(id) });
                let records = page.into_iter().map(|it| ExportedRecord::Decision(Box::new(it))).collect();
                CustomerExportPage { records, next }
            }
        }
    }
}

//! The pages of a customer's export.

use super::store::Contents;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::ids::CustomerId;
use crate::store::codec::held::{customer_as_json, decision_as_json, event_as_json, prepared_as_json};
use crate::store::contract::customer_export::{HeldPage, HeldPlace};
use crate::store::contract::error::StoreError;

impl Contents {
    /// Reads a page of everything that is stored about a customer.
    pub fn load_held(&self, customer: &CustomerId, place: HeldPlace, page_len: usize) -> Result<HeldPage, StoreError> {
        match place {
            HeldPlace::Profile => {
                let stored = self.customers.get(customer).map(|stored| customer_as_json(&stored.value));
                let prepared = self.prepared.get(customer).map(prepared_as_json);
                let records = stored.into_iter().chain(prepared).collect::<Result<_, _>>()?;
                Ok(HeldPage { records, next: Some(HeldPlace::Events { after: None }) })
            }
            HeldPlace::Events { after } => {
                let events = self.events.iter().filter(|((whose, _), _)| whose.as_ref() == Some(customer));
                let events = events.filter(|((_, id), _)| after.as_ref().is_none_or(|after| id > after));
                let page: Vec<&Event> = events.map(|(_, event)| event).take(page_len).collect();
                let last = page.last().filter(|_| page.len() == page_len).map(|event| event.id.clone());
                let next =
                    last.map_or(HeldPlace::Decisions { after: None }, |id| HeldPlace::Events { after: Some(id) });
                let records = page.into_iter().map(event_as_json).collect::<Result<_, _>>()?;
                Ok(HeldPage { records, next: Some(next) })
            }
            HeldPlace::Decisions { after } => {
                let decisions = self.decisions.iter().filter(|((whose, _), _)| whose == customer);
                let decisions = decisions.filter(|((_, id), _)| after.is_none_or(|after| *id > after));
                let page: Vec<&Decision> = decisions.map(|(_, decision)| decision).take(page_len).collect();
                let last = page.last().filter(|_| page.len() == page_len).map(|decision| decision.id);
                let records = page.into_iter().map(decision_as_json).collect::<Result<_, _>>()?;
                Ok(HeldPage { records, next: last.map(|id| HeldPlace::Decisions { after: Some(id) }) })
            }
        }
    }
}

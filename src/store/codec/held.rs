//! What is held of a customer as JSON: the stored shapes themselves, so that nothing that is stored can be left out.
//!
//! Names are those of the stored fields, moments are milliseconds after 1970 (or after the moment named beside them where
//! the shape says so), ids of decisions and requests are in hexadecimal.

use serde::Serialize;
use serde_json::{Map, Value};

use super::cached_ranking::StoredCachedRanking;
use super::decision::StoredDecision;
use super::event::StoredEvent;
use super::profile::StoredCustomer;
use crate::domain::cached_ranking::CachedRanking;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::store::contract::StoreError;

/// A customer.
pub fn customer_as_json(customer: &Customer) -> Result<Value, StoreError> {
    as_json("customer", &StoredCustomer::from(customer))
}

/// An event.
pub fn event_as_json(event: &Event) -> Result<Value, StoreError> {
    as_json("event", &StoredEvent::from(event))
}

/// A decision.
pub fn decision_as_json(decision: &Decision) -> Result<Value, StoreError> {
    as_json("decision", &StoredDecision::of(decision).map_err(|error| error.into_store_error("decision"))?)
}

/// Prepared candidates.
pub fn prepared_as_json(prepared: &CachedRanking) -> Result<Value, StoreError> {
    as_json("prepared_candidates", &StoredCachedRanking::from(prepared))
}

fn as_json(what: &'static str, shape: &impl Serialize) -> Result<Value, StoreError> {
    let value = serde_json::to_value(shape);
    let value = value.map_err(|error| StoreError::Damaged { what, detail: error.to_string() })?;
    let mut record = Map::from_iter([("record".to_owned(), Value::from(what))]);
    merge(value, &mut record);
    Ok(Value::Object(record))
}

/// Later formats hold the earlier ones inside; that is of no interest outside.
fn merge(value: Value, into: &mut Map<String, Value>) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        if ["first", "second", "third", "fourth"].contains(&name.as_str()) {
            merge(value, into);
        } else {
            into.insert(name, value);
        }
    }
}

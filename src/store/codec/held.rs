//! What is held of a customer as JSON: the stored shapes themselves, so that nothing that is stored can be left out.
//!
//! Names are those of the stored fields, moments are milliseconds after 1970 (or after the moment named beside them where
//! the shape says so), ids of decisions and requests are in hexadecimal.

use serde::Serialize;
use serde_json::{Map, Value};

use super::cached_ranking::StoredCachedRankingV1;
use super::decision::StoredDecisionV1;
use super::event::StoredEventV1;
use super::profile::StoredCustomerV1;
use crate::domain::cached_ranking::CachedRanking;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::store::contract::error::StoreError;

/// A customer.
pub fn customer_as_json(customer: &Customer) -> Result<Value, StoreError> {
    as_json("customer", &StoredCustomerV1::from(customer))
}

/// An event.
pub fn event_as_json(event: &Event) -> Result<Value, StoreError> {
    as_json("event", &StoredEventV1::from(event))
}

/// A decision.
pub fn decision_as_json(decision: &Decision) -> Result<Value, StoreError> {
    as_json("decision", &StoredDecisionV1::try_from(decision).map_err(|error| error.into_store_error("decision"))?)
}

/// Prepared candidates.
pub fn prepared_as_json(prepared: &CachedRanking) -> Result<Value, StoreError> {
    as_json("prepared_candidates", &StoredCachedRankingV1::from(prepared))
}

fn as_json(what: &'static str, shape: &impl Serialize) -> Result<Value, StoreError> {
    let value = serde_json::to_value(shape);
    let value = value.map_err(|error| StoreError::Damaged { what, detail: error.to_string() })?;
    let mut record = Map::from_iter([("record".to_owned(), Value::from(what))]);
    if let Value::Object(fields) = value {
        record.extend(fields);
    }
    Ok(Value::Object(record))
}

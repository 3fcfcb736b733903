//! Rows and the records in them.

use tokio_postgres::Row;
use uuid::Uuid;

use super::error::store_error;
use crate::domain::ids::{CustomerId, DecisionId};
use crate::store::contract::error::StoreError;
use crate::store::erasure::{ErasureKey, HASH_BYTES};

/// Key of events without a customer.
pub(super) const ANONYMOUS: Uuid = Uuid::nil();
/// Length of the part of a hash that is the key.
const KEY_BYTES: usize = 16;

/// Key of a customer's rows, and the rest of the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CustomerHash {
    /// The first half.
    pub key: Uuid,
    /// The second half, which the row of an erased customer keeps: other backends know erasures by the whole hash.
    pub rest: [u8; HASH_BYTES - KEY_BYTES],
}

impl CustomerHash {
    /// Hashes the id of a customer.
    pub fn of(customer: &CustomerId, erasure_key: &ErasureKey) -> Self {
        Self::from_bytes(erasure_key.hash(customer))
    }

    /// Splits a hash.
    pub fn from_bytes(hash: [u8; HASH_BYTES]) -> Self {
        let (mut key, mut rest) = ([0; KEY_BYTES], [0; HASH_BYTES - KEY_BYTES]);
        key.copy_from_slice(&hash[..KEY_BYTES]);
        rest.copy_from_slice(&hash[KEY_BYTES..]);
        Self { key: Uuid::from_bytes(key), rest }
    }
}

/// Key of a decision within its customer.
pub(super) fn decision_uuid(decision: DecisionId) -> Uuid {
    Uuid::from_u128(decision.bits())
}

/// Reads a column.
pub(super) fn column<'row, T: tokio_postgres::types::FromSql<'row>>(
    row: &'row Row,
    index: usize,
) -> Result<T, StoreError> {
    row.try_get(index).map_err(|error| store_error(&error))
}

/// A count or version as the database stores it.
pub(super) fn to_bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count or version as it is used here; never negative in a table that only this program writes.
pub(super) fn from_bigint(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

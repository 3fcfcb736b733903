//! The tombstone of an erased customer, stored under the keyed hash of the id.

use serde::{Deserialize, Serialize};

use super::frame::{self, CodecError};
use super::scalar::timestamp;
use crate::store::contract::erasure::Erasure;
use crate::store::contract::error::StoreError;

const VERSION: u8 = 1;
const RECORD: &str = "erasure";

#[derive(Serialize, Deserialize)]
struct StoredErasureV1 {
    at: i64,
    was_opted_out: bool,
    is_complete: bool,
}

/// Encodes an erasure and whether all of the customer's records are removed.
pub fn encode_erasure(erasure: &Erasure, is_complete: bool) -> Result<Vec<u8>, StoreError> {
    let Erasure { at, was_opted_out } = *erasure;
    let stored = StoredErasureV1 { at: at.unix_ms(), was_opted_out, is_complete };
    frame::encode(VERSION, &stored).map_err(|error| error.into_store_error(RECORD))
}

/// Decodes an erasure and whether all of the customer's records are removed.
pub fn decode_erasure(bytes: &[u8]) -> Result<(Erasure, bool), StoreError> {
    let read = || {
        let StoredErasureV1 { at, was_opted_out, is_complete } = frame::decode(VERSION, bytes)?;
        Ok((Erasure { at: timestamp(at)?, was_opted_out }, is_complete))
    };
    read().map_err(|error: CodecError| error.into_store_error(RECORD))
}

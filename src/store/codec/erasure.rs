//! What stays of an erased customer beside the keyed hash.

use serde::{Deserialize, Serialize};

use super::frame::{self, Unfit};
use super::scalar::moment;
use crate::store::contract::{Erasure, StoreError};

const VERSION: u8 = 1;
const WHAT: &str = "erasure";

#[derive(Serialize, Deserialize)]
struct StoredErasure {
    at: i64,
    was_opted_out: bool,
    is_complete: bool,
}

/// Writes an erasure, and whether everything of the customer is gone.
pub fn encode_erasure(erasure: &Erasure, is_complete: bool) -> Result<Vec<u8>, StoreError> {
    let Erasure { at, was_opted_out } = *erasure;
    let stored = StoredErasure { at: at.unix_ms(), was_opted_out, is_complete };
    frame::encode(VERSION, &stored).map_err(|unfit| unfit.of(WHAT))
}

/// Reads an erasure, and whether everything of the customer is gone.
pub fn decode_erasure(bytes: &[u8]) -> Result<(Erasure, bool), StoreError> {
    let read = || {
        let StoredErasure { at, was_opted_out, is_complete } = frame::decode(VERSION, bytes)?;
        Ok((Erasure { at: moment(at)?, was_opted_out }, is_complete))
    };
    read().map_err(|unfit: Unfit| unfit.of(WHAT))
}

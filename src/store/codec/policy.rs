//! Policy versions: the document as text, and the log of activations.

use serde::{Deserialize, Serialize};

use super::frame::{self, CodecError};
use super::scalar::timestamp;
use crate::store::contract::error::StoreError;
use crate::store::contract::stored_policy::{Activation, StoredPolicy};

const VERSION: u8 = 1;
const RECORD: &str = "policy";

#[derive(Serialize, Deserialize)]
struct StoredPolicyV1 {
    version: String,
    text: String,
    created_at: i64,
}

#[derive(Serialize, Deserialize)]
struct StoredActivationV1 {
    policy: String,
    at: i64,
    is_roll_back: bool,
}

/// Encodes a policy.
pub fn encode_policy(policy: &StoredPolicy) -> Result<Vec<u8>, StoreError> {
    let StoredPolicy { version, text, created_at } = policy;
    let stored = StoredPolicyV1 { version: version.clone(), text: text.clone(), created_at: created_at.unix_ms() };
    frame::encode(VERSION, &stored).map_err(|error| error.into_store_error(RECORD))
}

/// Decodes a policy.
pub fn decode_policy(bytes: &[u8]) -> Result<StoredPolicy, StoreError> {
    let read = || {
        let StoredPolicyV1 { version, text, created_at } = frame::decode(VERSION, bytes)?;
        Ok(StoredPolicy { version, text, created_at: timestamp(created_at)? })
    };
    read().map_err(|error: CodecError| error.into_store_error(RECORD))
}

/// Encodes an activation.
pub fn encode_activation(activation: &Activation) -> Result<Vec<u8>, StoreError> {
    let Activation { policy, at, is_roll_back } = activation;
    let stored = StoredActivationV1 { policy: policy.clone(), at: at.unix_ms(), is_roll_back: *is_roll_back };
    frame::encode(VERSION, &stored).map_err(|error| error.into_store_error(RECORD))
}

/// Decodes an activation.
pub fn decode_activation(bytes: &[u8]) -> Result<Activation, StoreError> {
    let read = || {
        let StoredActivationV1 { policy, at, is_roll_back } = frame::decode(VERSION, bytes)?;
        Ok(Activation { policy, at: timestamp(at)?, is_roll_back })
    };
    read().map_err(|error: CodecError| error.into_store_error(RECORD))
}

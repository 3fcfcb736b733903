//! Versions of the policy as they are stored: the document as text, and which came into force when.

use serde::{Deserialize, Serialize};

use super::frame;
use super::scalar::moment;
use crate::store::contract::{Activation, StoreError, StoredPolicy};

const VERSION: u8 = 1;
const WHAT: &str = "policy";

#[derive(Serialize, Deserialize)]
struct PolicyShape {
    version: String,
    text: String,
    created_at: i64,
}

#[derive(Serialize, Deserialize)]
struct ActivationShape {
    policy: String,
    at: i64,
}

/// Writes a policy.
pub fn encode_policy(policy: &StoredPolicy) -> Result<Vec<u8>, StoreError> {
    let StoredPolicy { version, text, created_at } = policy;
    let shape = PolicyShape { version: version.clone(), text: text.clone(), created_at: created_at.unix_ms() };
    frame::encode(VERSION, &shape).map_err(|unfit| unfit.of(WHAT))
}

/// Reads a policy.
pub fn decode_policy(bytes: &[u8]) -> Result<StoredPolicy, StoreError> {
    let read = || {
        let PolicyShape { version, text, created_at } = frame::decode(VERSION, bytes)?;
        Ok(StoredPolicy { version, text, created_at: moment(created_at)? })
    };
    read().map_err(|unfit: frame::Unfit| unfit.of(WHAT))
}

/// Writes an activation.
pub fn encode_activation(activation: &Activation) -> Result<Vec<u8>, StoreError> {
    let Activation { policy, at } = activation;
    let shape = ActivationShape { policy: policy.clone(), at: at.unix_ms() };
    frame::encode(VERSION, &shape).map_err(|unfit| unfit.of(WHAT))
}

/// Reads an activation.
pub fn decode_activation(bytes: &[u8]) -> Result<Activation, StoreError> {
    let read = || {
        let ActivationShape { policy, at } = frame::decode(VERSION, bytes)?;
        Ok(Activation { policy, at: moment(at)? })
    };
    read().map_err(|unfit: frame::Unfit| unfit.of(WHAT))
}

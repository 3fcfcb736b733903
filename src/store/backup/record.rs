//! Records of a backup: keys and values as the store on disk has them.

use serde::{Deserialize, Serialize};

use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::ids::OfferId;
use crate::store::codec::customer::decode_customer;
use crate::store::codec::decision::decode_decision;
use crate::store::codec::erasure::decode_erasure;
use crate::store::codec::event::decode_event;
use crate::store::codec::explicit_offer::{decode_explicit_offer, decode_volume};
use crate::store::codec::model::{decode_model_chunk, decode_model_pointer};
use crate::store::codec::policy::{decode_activation, decode_policy};
use crate::store::codec::product::decode_product;
use crate::store::codec::sweep_watermark::decode_sweep_watermark;
use crate::store::contract::error::StoreError;
use crate::store::erasure::{ErasureKey, HASH_BYTES};
use crate::store::keys::{customer_key, decision_key, event_key};

/// Kind of a record. Cached rankings are not backed up: they are computed again.
///
/// Encoded by position: append new kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RecordKind {
    /// A customer with an empty outbox.
    Customer,
    /// An event of a customer.
    Event,
    /// An event without a customer.
    AnonymousEvent,
    /// A decision.
    Decision,
    /// A product.
    Product,
    /// An explicit offer.
    ExplicitOffer,
    /// Units taken of an explicit offer's volume. The key is the offer's id.
    Volume,
    /// A policy.
    Policy,
    /// An activation of a policy. The key is its sequence number, 8 bytes big endian.
    Activation,
    /// A chunk of the current model.
    ModelChunk,
    /// The pointer to the current model, after all of its chunks.
    ModelPointer,
    /// The key of the hashes of erased customers.
    ErasureKey,
    /// The tombstone of an erased customer. The key is the keyed hash.
    Erasure,
    /// The time before which events were removed by the retention sweep.
    SweepWatermark,
}

impl RecordKind {
    /// Every kind, in the order of the variants.
    pub const ALL: [Self; 14] = [
        Self::Customer,
        Self::Event,
        Self::AnonymousEvent,
        Self::Decision,
        Self::Product,
        Self::ExplicitOffer,
        Self::Volume,
        Self::Policy,
        Self::Activation,
        Self::ModelChunk,
        Self::ModelPointer,
        Self::ErasureKey,
        Self::Erasure,
        Self::SweepWatermark,
    ];
}

/// One stored value and its key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRecord {
    /// The kind of the value.
    pub kind: RecordKind,
    /// The key among the records of its kind.
    pub key: Vec<u8>,
    /// The value in its stored format.
    pub value: Vec<u8>,
}

impl std::fmt::Debug for BackupRecord {
    /// Formats kind and size only: contents are personal data, and one record is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} of {} bytes", self.kind, self.value.len())
    }
}

impl BackupRecord {
    /// Length of key and value, in bytes.
    pub fn len(&self) -> usize {
        self.key.len() + self.value.len()
    }

    /// Whether key and value are empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Decodes the value as its kind and compares the key with the one that follows from it.
    ///
    /// # Errors
    /// When the value cannot be decoded, or belongs under another key.
    pub fn check(&self) -> Result<(), StoreError> {
        let value = &self.value;
        let own_key = match self.kind {
            RecordKind::Customer => Some(customer_key(&decode_customer(value)?.value.id)),
            RecordKind::Event => {
                let event = decode_event(value)?;
                event.customer.map(|customer| event_key(&customer_key(&customer), &event.id))
            }
            RecordKind::AnonymousEvent => Some(decode_event(value)?.id.as_str().into()),
            RecordKind::Decision => {
                let decision = decode_decision(value)?;
                Some(decision_key(&customer_key(&decision.customer), decision.id))
            }
            RecordKind::Product => Some(decode_product(value)?.id.as_str().into()),
            RecordKind::ExplicitOffer => Some(decode_explicit_offer(value)?.id.as_str().into()),
            RecordKind::Volume => decode_volume(&self.offer()?, value).map(|_| Some(self.key.clone()))?,
            RecordKind::Policy => Some(decode_policy(value)?.version.into()),
            RecordKind::Activation => decode_activation(value).map(|_| self.with_key_of(8))?,
            RecordKind::ModelChunk => decode_model_chunk(value).map(|_| self.with_key_of(12))?,
            RecordKind::ModelPointer => decode_model_pointer(value).map(|_| self.with_key_of(0))?,
            RecordKind::ErasureKey => self.erasure_key().map(|_| self.with_key_of(0))?,
            RecordKind::Erasure => decode_erasure(value).map(|_| self.with_key_of(HASH_BYTES))?,
            RecordKind::SweepWatermark => decode_sweep_watermark(value).map(|_| self.with_key_of(0))?,
        };
        match own_key {
            Some(own_key) if own_key == self.key => Ok(()),
            _ => {
                Err(StoreError::Damaged { what: "record", detail: "stored under the key of another record".to_owned() })
            }
        }
    }

    /// Returns the key when it has this length.
    fn with_key_of(&self, bytes: usize) -> Option<Vec<u8>> {
        Some(self.key.clone()).filter(|key| key.len() == bytes)
    }

    /// Decodes the event of a record of an event; `None` for other kinds.
    ///
    /// # Errors
    /// When the value cannot be decoded.
    pub fn event(&self) -> Result<Option<Event>, StoreError> {
        let is_event = matches!(self.kind, RecordKind::Event | RecordKind::AnonymousEvent);
        is_event.then(|| decode_event(&self.value)).transpose()
    }

    /// Decodes the decision of a record of a decision; `None` for other kinds.
    ///
    /// # Errors
    /// When the value cannot be decoded.
    pub fn decision(&self) -> Result<Option<Decision>, StoreError> {
        (self.kind == RecordKind::Decision).then(|| decode_decision(&self.value)).transpose()
    }

    /// Returns the offer of a record of a volume.
    pub(in crate::store) fn offer(&self) -> Result<OfferId, StoreError> {
        let damaged = |detail| StoreError::Damaged { what: "volume", detail };
        let id = String::from_utf8(self.key.clone()).map_err(|error| damaged(error.to_string()))?;
        OfferId::new(id).map_err(|error| damaged(error.to_string()))
    }

    /// Returns the key of a record of the erasure key.
    pub(in crate::store) fn erasure_key(&self) -> Result<ErasureKey, StoreError> {
        let damaged = || StoreError::Damaged { what: "erasure key", detail: "wrong length".to_owned() };
        ErasureKey::from_bytes(&self.value).ok_or_else(damaged)
    }
}

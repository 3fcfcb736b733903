//! The records of a backup: every stored value under a key, both as the store on disk has them.

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
use crate::store::contract::StoreError;
use crate::store::erasure::{ErasureKey, HASH_BYTES};
use crate::store::keys::{customer_key, decision_key, event_key};

/// What a record is. Candidates prepared for customers are none: they are made again.
///
/// Written by position: add to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RecordKind {
    /// A customer, nothing waiting in its outbox.
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
    /// What is gone of an explicit offer's volume. Its key is the offer's id.
    Volume,
    /// A policy.
    Policy,
    /// A policy came into force. Its key is the number of the activation, as 8 bytes, highest first.
    Activation,
    /// A part of the current model.
    ModelChunk,
    /// The pointer to the current model; comes after all of its parts.
    ModelPointer,
    /// The key under which erased customers are hashed.
    ErasureKey,
    /// What stays of an erased customer. Its key is the keyed hash.
    Erasure,
}

impl RecordKind {
    /// All kinds.
    pub const ALL: [Self; 13] = [
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
    ];
}

/// One stored value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRecord {
    /// What it is.
    pub kind: RecordKind,
    /// Under which key it lies among its kind.
    pub key: Vec<u8>,
    /// The value in its stored format.
    pub value: Vec<u8>,
}

impl std::fmt::Debug for BackupRecord {
    /// Without the contents: they are customers' data, and one of them is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} of {} bytes", self.kind, self.value.len())
    }
}

impl BackupRecord {
    /// What it counts as on the way: its bytes.
    pub fn len(&self) -> usize {
        self.key.len() + self.value.len()
    }

    /// True for a record of no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads the value as its kind, and looks whether it lies under its own key.
    ///
    /// # Errors
    /// When it does not.
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
        };
        match own_key {
            Some(own_key) if own_key == self.key => Ok(()),
            _ => Err(StoreError::Damaged { what: "record", detail: "lies under the key of another".to_owned() }),
        }
    }

    /// The key, when it has this many bytes.
    fn with_key_of(&self, bytes: usize) -> Option<Vec<u8>> {
        Some(self.key.clone()).filter(|key| key.len() == bytes)
    }

    /// The event, when it is one.
    ///
    /// # Errors
    /// When it does not read.
    pub fn event(&self) -> Result<Option<Event>, StoreError> {
        let is_event = matches!(self.kind, RecordKind::Event | RecordKind::AnonymousEvent);
        is_event.then(|| decode_event(&self.value)).transpose()
    }

    /// The decision, when it is one.
    ///
    /// # Errors
    /// When it does not read.
    pub fn decision(&self) -> Result<Option<Decision>, StoreError> {
        (self.kind == RecordKind::Decision).then(|| decode_decision(&self.value)).transpose()
    }

    /// The offer whose volume it is.
    pub(in crate::store) fn offer(&self) -> Result<OfferId, StoreError> {
        let damaged = |detail| StoreError::Damaged { what: "volume", detail };
        let id = String::from_utf8(self.key.clone()).map_err(|error| damaged(error.to_string()))?;
        OfferId::new(id).map_err(|error| damaged(error.to_string()))
    }

    /// The key that it is.
    pub(in crate::store) fn erasure_key(&self) -> Result<ErasureKey, StoreError> {
        let damaged = || StoreError::Damaged { what: "erasure key", detail: "is of another length".to_owned() };
        ErasureKey::from_bytes(&self.value).ok_or_else(damaged)
    }
}

//! Conversion between the contents of the in-memory store and backup records.

use std::sync::OnceLock;

use tokio::sync::mpsc;

use super::store::Contents;
use crate::domain::explicit_offer::Volume;
use crate::store::backup::record::{BackupRecord, RecordKind};
use crate::store::codec::customer::{CustomerBody, decode_customer, encode_customer};
use crate::store::codec::decision::{decode_decision, encode_decision};
use crate::store::codec::erasure::{decode_erasure, encode_erasure};
use crate::store::codec::event::{decode_event, encode_event};
use crate::store::codec::explicit_offer::{decode_explicit_offer, decode_volume, encode_explicit_offer, encode_volume};
use crate::store::codec::model::{
    CHUNK_BYTES, ModelPointer, decode_model_chunk, decode_model_pointer, encode_model_chunk, encode_model_pointer,
};
use crate::store::codec::outbox::Outbox;
use crate::store::codec::policy::{decode_activation, decode_policy, encode_activation, encode_policy};
use crate::store::codec::product::{decode_product, encode_product};
use crate::store::codec::sweep_watermark::{decode_sweep_watermark, encode_sweep_watermark};
use crate::store::contract::error::StoreError;
use crate::store::contract::stored_model::StoredModel;
use crate::store::erasure::{ErasureKey, HASH_BYTES};
use crate::store::keys::{chunk_key, customer_key, decision_key, event_key};

/// Generation of the model: only the current one is stored.
const GENERATION: u64 = 1;
/// Number of records sent at once.
const PAGE_LEN: usize = 256;

/// Sends all contents as pages of backup records.
pub(super) async fn send(
    contents: Contents,
    erasure_key: &ErasureKey,
    pages: &mpsc::Sender<Vec<BackupRecord>>,
) -> Result<(), StoreError> {
    let records = records_of(contents, erasure_key)?;
    for page in records.chunks(PAGE_LEN) {
        if pages.send(page.to_vec()).await.is_err() {
            break;
        }
    }
    Ok(())
}

fn records_of(contents: Contents, erasure_key: &ErasureKey) -> Result<Vec<BackupRecord>, StoreError> {
    let Contents {
        customers,
        events,
        decisions,
        cached_rankings: _,
        products,
        erased,
        offers,
        volumes,
        model,
        training_marker: _,
        policies,
        activations,
        version_floor: _,
        events_swept_before,
    } = contents;
    let mut records = Vec::new();
    let mut add = |kind, key: &[u8], value: Vec<u8>| records.push(BackupRecord { kind, key: key.to_vec(), value });
    // First, because a store that keys its records with the hash needs it before them.
    add(RecordKind::ErasureKey, b"", erasure_key.bytes().to_vec());
    for (version, policy) in policies {
        add(RecordKind::Policy, version.as_bytes(), encode_policy(&policy)?);
    }
    for (number, activation) in (1_u64..).zip(&activations) {
        add(RecordKind::Activation, &number.to_be_bytes(), encode_activation(activation)?);
    }
    for (id, product) in products {
        add(RecordKind::Product, id.as_str().as_bytes(), encode_product(&product)?);
    }
    for (id, offer) in offers {
        add(RecordKind::ExplicitOffer, id.as_str().as_bytes(), encode_explicit_offer(&offer)?);
    }
    if let Some(StoredModel { version, bytes }) = model {
        for (index, chunk) in (0_u32..).zip(bytes.chunks(CHUNK_BYTES)) {
            add(RecordKind::ModelChunk, &chunk_key(GENERATION, index), encode_model_chunk(chunk));
        }
        let pointer = ModelPointer::to_artifact(version, GENERATION, &bytes);
        add(RecordKind::ModelPointer, b"", encode_model_pointer(&pointer)?);
    }
    for (id, stored) in customers {
        let value = encode_customer(stored.version, &CustomerBody::of(&stored.value)?, &Outbox::default())?;
        add(RecordKind::Customer, &customer_key(&id), value);
    }
    for ((customer, id), event) in events {
        match customer {
            Some(customer) => add(RecordKind::Event, &event_key(&customer_key(&customer), &id), encode_event(&event)?),
            None => add(RecordKind::AnonymousEvent, id.as_str().as_bytes(), encode_event(&event)?),
        }
    }
    for ((customer, id), decision) in decisions {
        add(RecordKind::Decision, &decision_key(&customer_key(&customer), id), encode_decision(&decision)?);
    }
    for (offer, volume) in volumes.into_iter().filter(|(_, volume)| *volume != Volume::default()) {
        add(RecordKind::Volume, offer.as_str().as_bytes(), encode_volume(&volume)?);
    }
    if let Some(before) = events_swept_before {
        add(RecordKind::SweepWatermark, b"", encode_sweep_watermark(before)?);
    }
    for (hash, erasure) in erased {
        add(RecordKind::Erasure, &hash, encode_erasure(&erasure, true)?);
    }
    Ok(records)
}

/// Enters a backup record into the contents.
pub(super) fn enter(
    contents: &mut Contents,
    erasure_key: &OnceLock<ErasureKey>,
    record: BackupRecord,
) -> Result<(), StoreError> {
    let BackupRecord { kind, key, value } = &record;
    match kind {
        RecordKind::Customer => {
            let stored = decode_customer(value)?;
            contents.customers.insert(stored.value.id.clone(), stored);
        }
        RecordKind::Event | RecordKind::AnonymousEvent => {
            let event = decode_event(value)?;
            contents.events.insert((event.customer.clone(), event.id.clone()), event);
        }
        RecordKind::Decision => {
            let decision = decode_decision(value)?;
            contents.decisions.insert((decision.customer.clone(), decision.id), decision);
        }
        RecordKind::Product => {
            let product = decode_product(value)?;
            contents.products.insert(product.id.clone(), product);
        }
        RecordKind::ExplicitOffer => {
            let offer = decode_explicit_offer(value)?;
            contents.offers.insert(offer.id.clone(), offer);
        }
        RecordKind::Volume => {
            let offer = record.offer()?;
            let volume = decode_volume(&offer, value)?;
            contents.volumes.insert(offer, volume);
        }
        RecordKind::Policy => {
            let policy = decode_policy(value)?;
            contents.policies.insert(policy.version.clone(), policy);
        }
        RecordKind::Activation => contents.activations.push(decode_activation(value)?),
        RecordKind::ModelChunk => {
            let model = contents.model.get_or_insert_with(|| StoredModel { version: 0, bytes: Vec::new() });
            model.bytes.extend_from_slice(decode_model_chunk(value)?);
        }
        RecordKind::ModelPointer => {
            let pointer = decode_model_pointer(value)?;
            let bytes = contents.model.take().map(|model| model.bytes).unwrap_or_default();
            if !pointer.is_of(&bytes) {
                let detail = "the artifact does not match its checksum".to_owned();
                return Err(StoreError::Damaged { what: "model", detail });
            }
            contents.model = Some(StoredModel { version: pointer.version, bytes });
        }
        RecordKind::SweepWatermark => contents.events_swept_before = Some(decode_sweep_watermark(value)?),
        RecordKind::ErasureKey => {
            let is_duplicate =
                || StoreError::Damaged { what: "erasure key", detail: "the store has one already".to_owned() };
            erasure_key.set(record.erasure_key()?).map_err(|_| is_duplicate())?;
        }
        RecordKind::Erasure => {
            let hash = key.first_chunk::<HASH_BYTES>();
            let is_short = || StoreError::Damaged { what: "erasure", detail: "key too short".to_owned() };
            contents.erased.insert(*hash.ok_or_else(is_short)?, decode_erasure(value)?.0);
        }
    }
    Ok(())
}

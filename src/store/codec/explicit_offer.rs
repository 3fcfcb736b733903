//! Explicit offers, and how much of their volume caps is used.

use serde::{Deserialize, Serialize};

use super::enums::StoredOfferKind;
use super::frame::{self, CodecError};
use super::scalar::{FiniteF64, FixedU128, StoredMoney, optional_money, optional_timestamp, timestamp};
use crate::domain::explicit_offer::{ExplicitOffer, Volume, VolumeToken};
use crate::domain::ids::{Channel, CustomerId, DecisionId, OfferId, Placement, ProductId};
use crate::domain::time::Timestamp;
use crate::store::contract::error::StoreError;

const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct StoredExplicitOfferV1 {
    id: String,
    product: String,
    kind: Option<StoredOfferKind>,
    price: Option<StoredMoney>,
    valid_from: Option<i64>,
    valid_until: Option<i64>,
    channels: Vec<String>,
    placements: Vec<String>,
    lever: FiniteF64,
    volume_cap: Option<u64>,
    condition: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredVolumeV1 {
    settled: u64,
    pending: Vec<StoredVolumeToken>,
}

#[derive(Serialize, Deserialize)]
struct StoredVolumeToken {
    decision: FixedU128,
    customer: String,
    lease_ends_at: i64,
}

/// Encodes an explicit offer.
pub fn encode_explicit_offer(offer: &ExplicitOffer) -> Result<Vec<u8>, StoreError> {
    let ExplicitOffer {
        id,
        product,
        kind,
        price,
        valid_from,
        valid_until,
        channels,
        placements,
        lever,
        volume_cap,
        condition,
    } = offer;
    let stored = StoredExplicitOfferV1 {
        id: id.to_string(),
        product: product.to_string(),
        kind: kind.map(StoredOfferKind::from),
        price: price.map(StoredMoney::from),
        valid_from: valid_from.map(Timestamp::unix_ms),
        valid_until: valid_until.map(Timestamp::unix_ms),
        channels: channels.iter().map(ToString::to_string).collect(),
        placements: placements.iter().map(ToString::to_string).collect(),
        lever: FiniteF64(*lever),
        volume_cap: *volume_cap,
        condition: condition.clone(),
    };
    frame::encode(VERSION, &stored).map_err(|error| error.into_store_error("offer"))
}

/// Decodes an explicit offer.
pub fn decode_explicit_offer(bytes: &[u8]) -> Result<ExplicitOffer, StoreError> {
    let stored = frame::decode::<StoredExplicitOfferV1>(VERSION, bytes);
    stored.and_then(StoredExplicitOfferV1::offer).map_err(|error| error.into_store_error("offer"))
}

impl StoredExplicitOfferV1 {
    fn offer(self) -> Result<ExplicitOffer, CodecError> {
        let Self {
            id,
            product,
            kind,
            price,
            valid_from,
            valid_until,
            channels,
            placements,
            lever,
            volume_cap,
            condition,
        } = self;
        Ok(ExplicitOffer {
            id: OfferId::new(id)?,
            product: ProductId::new(product)?,
            kind: kind.map(Into::into),
            price: optional_money(price.as_ref())?,
            valid_from: optional_timestamp(valid_from)?,
            valid_until: optional_timestamp(valid_until)?,
            channels: channels.into_iter().map(Channel::new).collect::<Result<_, _>>()?,
            placements: placements.into_iter().map(Placement::new).collect::<Result<_, _>>()?,
            lever: lever.0,
            volume_cap,
            condition,
        })
    }
}

/// Encodes how much of an offer's volume is used.
pub fn encode_volume(volume: &Volume) -> Result<Vec<u8>, StoreError> {
    let Volume { settled, pending } = volume;
    let token = |token: &VolumeToken| StoredVolumeToken {
        decision: FixedU128::of(token.decision.bits()),
        customer: token.customer.to_string(),
        lease_ends_at: token.lease_ends_at.unix_ms(),
    };
    let stored = StoredVolumeV1 { settled: *settled, pending: pending.iter().map(token).collect() };
    frame::encode(VERSION, &stored).map_err(|error| error.into_store_error("volume"))
}

/// Decodes how much of the volume of `offer` is used.
pub fn decode_volume(offer: &OfferId, bytes: &[u8]) -> Result<Volume, StoreError> {
    let read = || {
        let StoredVolumeV1 { settled, pending } = frame::decode(VERSION, bytes)?;
        let token = |StoredVolumeToken { decision, customer, lease_ends_at }| {
            Ok(VolumeToken {
                offer: offer.clone(),
                decision: DecisionId::from_bits(decision.bits()),
                customer: CustomerId::new(customer)?,
                lease_ends_at: timestamp(lease_ends_at)?,
            })
        };
        let pending = pending.into_iter().map(token).collect::<Result<_, CodecError>>()?;
        Ok(Volume { settled, pending })
    };
    read().map_err(|error: CodecError| error.into_store_error("volume"))
}

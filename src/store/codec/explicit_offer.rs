//! Explicit offers, and how much of their volume is gone.

use serde::{Deserialize, Serialize};

use super::frame::{self, Unfit};
use super::scalar::{Bits128, Finite, StoredMoney, StoredOfferKind, moment, optional_moment, optional_money};
use crate::domain::explicit_offer::{ExplicitOffer, Volume, VolumeToken};
use crate::domain::ids::{Channel, CustomerId, DecisionId, OfferId, Placement, ProductId};
use crate::domain::time::Timestamp;
use crate::store::contract::StoreError;

const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct StoredExplicitOffer {
    id: String,
    product: String,
    kind: Option<StoredOfferKind>,
    price: Option<StoredMoney>,
    valid_from: Option<i64>,
    valid_until: Option<i64>,
    channels: Vec<String>,
    placements: Vec<String>,
    lever: Finite,
    volume_cap: Option<u64>,
    condition: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredVolume {
    settled: u64,
    pending: Vec<StoredToken>,
}

#[derive(Serialize, Deserialize)]
struct StoredToken {
    decision: Bits128,
    customer: String,
    lease_ends_at: i64,
}

/// Writes an explicit offer.
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
    let stored = StoredExplicitOffer {
        id: id.to_string(),
        product: product.to_string(),
        kind: kind.map(StoredOfferKind::from),
        price: price.map(StoredMoney::from),
        valid_from: valid_from.map(Timestamp::unix_ms),
        valid_until: valid_until.map(Timestamp::unix_ms),
        channels: channels.iter().map(ToString::to_string).collect(),
        placements: placements.iter().map(ToString::to_string).collect(),
        lever: Finite(*lever),
        volume_cap: *volume_cap,
        condition: condition.clone(),
    };
    frame::encode(VERSION, &stored).map_err(|unfit| unfit.of("offer"))
}

/// Reads an explicit offer.
pub fn decode_explicit_offer(bytes: &[u8]) -> Result<ExplicitOffer, StoreError> {
    let stored = frame::decode::<StoredExplicitOffer>(VERSION, bytes);
    stored.and_then(StoredExplicitOffer::offer).map_err(|unfit| unfit.of("offer"))
}

impl StoredExplicitOffer {
    fn offer(self) -> Result<ExplicitOffer, Unfit> {
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
            valid_from: optional_moment(valid_from)?,
            valid_until: optional_moment(valid_until)?,
            channels: channels.into_iter().map(Channel::new).collect::<Result<_, _>>()?,
            placements: placements.into_iter().map(Placement::new).collect::<Result<_, _>>()?,
            lever: lever.0,
            volume_cap,
            condition,
        })
    }
}

/// Writes how much of an offer's volume is gone.
pub fn encode_volume(volume: &Volume) -> Result<Vec<u8>, StoreError> {
    let Volume { settled, pending } = volume;
    let token = |token: &VolumeToken| StoredToken {
        decision: Bits128::of(token.decision.bits()),
        customer: token.customer.to_string(),
        lease_ends_at: token.lease_ends_at.unix_ms(),
    };
    let stored = StoredVolume { settled: *settled, pending: pending.iter().map(token).collect() };
    frame::encode(VERSION, &stored).map_err(|unfit| unfit.of("volume"))
}

/// Reads how much of the volume of `offer` is gone.
pub fn decode_volume(offer: &OfferId, bytes: &[u8]) -> Result<Volume, StoreError> {
    let read = || {
        let StoredVolume { settled, pending } = frame::decode(VERSION, bytes)?;
        let token = |StoredToken { decision, customer, lease_ends_at }| {
            Ok(VolumeToken {
                offer: offer.clone(),
                decision: DecisionId::from_bits(decision.bits()),
                customer: CustomerId::new(customer)?,
                lease_ends_at: moment(lease_ends_at)?,
            })
        };
        let pending = pending.into_iter().map(token).collect::<Result<_, Unfit>>()?;
        Ok(Volume { settled, pending })
    };
    read().map_err(|unfit: Unfit| unfit.of("volume"))
}

//! Decisions, in the decision log and in the outbox.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::frame::{self, CodecError};
use super::offer::StoredOffer;
use super::profile::StoredHoldReason;
use super::rejected_candidate::StoredRejectedCandidate;
use super::scalar::{
    FiniteF64, FixedU128, StoredOfferKind, optional_channel, optional_timestamp, stored_enum, timestamp,
};
use crate::domain::decision::{Cap, CapKind, Decision, WithheldReason};
use crate::domain::ids::{CustomerId, DecisionId, OfferId, Placement};
use crate::domain::relationship::{Band, Component, ComponentKind, RelationshipHealth};
use crate::domain::time::Timestamp;
use crate::store::contract::StoreError;

const VERSION: u8 = 5;
/// Before propensities were lifted.
const VERSION_4: u8 = 4;
/// Before candidates were prepared.
const VERSION_3: u8 = 3;
/// Before would-be slates.
const VERSION_2: u8 = 2;
/// Before departures.
const VERSION_1: u8 = 1;
const RECORD: &str = "decision";

/// Encodes a decision.
pub fn encode_decision(decision: &Decision) -> Result<Vec<u8>, StoreError> {
    StoredDecision::of(decision)
        .and_then(|stored| frame::encode(VERSION, &stored))
        .map_err(|error| error.into_store_error(RECORD))
}

/// Decodes a decision.
pub fn decode_decision(bytes: &[u8]) -> Result<Decision, StoreError> {
    read(bytes).map_err(|error| error.into_store_error(RECORD))
}

fn read(bytes: &[u8]) -> Result<Decision, CodecError> {
    let (version, body) = frame::check_one_of(&[VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION], bytes)?;
    match version {
        VERSION_1 => frame::decode_all::<StoredDecisionV1>(body)?.decision(),
        VERSION_2 => frame::decode_all::<StoredDecisionV2>(body)?.decision(),
        VERSION_3 => frame::decode_all::<StoredDecisionV3>(body)?.decision(),
        VERSION_4 => frame::decode_all::<StoredDecisionV4>(body)?.decision(),
        _ => frame::decode_all::<StoredDecision>(body)?.decision(),
    }
}

/// A decision as format 5 has it: format 4, and what came later.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredDecision {
    fourth: StoredDecisionV4,
    /// Of the slate, then of the would-be slate, then of the departures that have factors.
    acceptance_lifts: Vec<FiniteF64>,
}

/// A decision as format 4 has it: format 3, and what came later.
#[derive(Serialize, Deserialize)]
struct StoredDecisionV4 {
    third: StoredDecisionV3,
    ranked_at: i64,
}

/// A decision as format 3 has it: format 2, and what came later.
#[derive(Serialize, Deserialize)]
struct StoredDecisionV3 {
    second: StoredDecisionV2,
    would_be_slate: Vec<StoredOffer>,
    /// When the offers of the slate, then of the would-be slate, end to be valid.
    valid_until: Vec<Option<i64>>,
    /// The explicit offers of the departures.
    departure_offers: Vec<Option<String>>,
}

/// A decision as format 2 has it: format 1, and what came later.
#[derive(Serialize, Deserialize)]
struct StoredDecisionV2 {
    first: StoredDecisionV1,
    rejected_candidates: Vec<StoredRejectedCandidate>,
}

impl StoredDecision {
    pub fn of(decision: &Decision) -> Result<Self, CodecError> {
        let Decision { slate, would_be_slate, rejected_candidates, .. } = decision;
        let offered = slate.iter().chain(would_be_slate).map(|offer| &offer.factors);
        let factors = offered.chain(rejected_candidates.iter().filter_map(|rejected| rejected.factors.as_ref()));
        let acceptance_lifts = factors.map(|factors| FiniteF64(factors.acceptance_lift)).collect();
        Ok(Self { fourth: StoredDecisionV4::of(decision)?, acceptance_lifts })
    }

    fn decision(self) -> Result<Decision, CodecError> {
        let Self { fourth, acceptance_lifts } = self;
        let mut decision = fourth.decision()?;
        let Decision { slate, would_be_slate, rejected_candidates, .. } = &mut decision;
        let offered = slate.iter_mut().chain(would_be_slate).map(|offer| &mut offer.factors);
        let factors = offered.chain(rejected_candidates.iter_mut().filter_map(|rejected| rejected.factors.as_mut()));
        for (factors, FiniteF64(lift)) in factors.zip(acceptance_lifts) {
            factors.acceptance_lift = lift;
        }
        Ok(decision)
    }
}

impl StoredDecisionV4 {
    fn of(decision: &Decision) -> Result<Self, CodecError> {
        Ok(Self { third: StoredDecisionV3::of(decision)?, ranked_at: decision.ranked_at.unix_ms() })
    }

    fn decision(self) -> Result<Decision, CodecError> {
        Ok(Decision { ranked_at: timestamp(self.ranked_at)?, ..self.third.decision()? })
    }
}

impl StoredDecisionV3 {
    fn of(decision: &Decision) -> Result<Self, CodecError> {
        let rejected_candidates = decision.rejected_candidates.iter().map(StoredRejectedCandidate::from).collect();
        let second = StoredDecisionV2 { first: StoredDecisionV1::of(decision)?, rejected_candidates };
        let Decision { slate, would_be_slate, rejected_candidates, .. } = decision;
        let offers = slate.iter().chain(would_be_slate);
        Ok(Self {
            second,
            would_be_slate: would_be_slate.iter().map(StoredOffer::from).collect(),
            valid_until: offers.map(|offer| offer.valid_until.map(Timestamp::unix_ms)).collect(),
            departure_offers: rejected_candidates.iter().map(|it| it.offer.as_ref().map(ToString::to_string)).collect(),
        })
    }

    fn decision(self) -> Result<Decision, CodecError> {
        let Self { second, would_be_slate, valid_until, departure_offers } = self;
        let mut decision = second.decision()?;
        decision.would_be_slate = would_be_slate.into_iter().map(StoredOffer::offer).collect::<Result<_, _>>()?;
        let offers = decision.slate.iter_mut().chain(&mut decision.would_be_slate);
        for (offer, valid_until) in offers.zip(valid_until) {
            offer.valid_until = optional_timestamp(valid_until)?;
        }
        for (rejected, offer) in decision.rejected_candidates.iter_mut().zip(departure_offers) {
            rejected.offer = offer.map(OfferId::new).transpose()?;
        }
        Ok(decision)
    }
}

impl StoredDecisionV2 {
    fn decision(self) -> Result<Decision, CodecError> {
        let Self { first, rejected_candidates } = self;
        let rejected_candidates =
            rejected_candidates.into_iter().map(StoredRejectedCandidate::rejected).collect::<Result<_, _>>()?;
        Ok(Decision { rejected_candidates, ..first.decision()? })
    }
}

#[derive(Serialize, Deserialize)]
struct StoredDecisionV1 {
    id: FixedU128,
    customer: String,
    kind: StoredOfferKind,
    at: i64,
    channel: Option<String>,
    placement: Option<String>,
    slate: Vec<StoredOffer>,
    message: String,
    relationship_health: StoredRelationshipHealth,
    caps: Vec<StoredCap>,
    binding_cap: Option<u32>,
    withheld: Vec<(StoredWithheldReason, u32)>,
    policy_version: String,
    model_version: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredRelationshipHealth {
    score: FiniteF64,
    band: StoredBand,
    coverage: FiniteF64,
    components: Vec<StoredComponent>,
}

#[derive(Serialize, Deserialize)]
struct StoredComponent {
    kind: StoredComponentKind,
    value: FiniteF64,
    weight: FiniteF64,
    input: FiniteF64,
    half_life_days: Option<FiniteF64>,
    is_known: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredCap {
    kind: StoredCapKind,
    limit: u32,
    used: u32,
    remaining: u32,
    window_ms: u64,
    next_eligible_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
enum StoredCapKind {
    RelationshipHealth,
    UpSell,
    SlowRise,
    Hold(StoredHoldReason),
    BackOff,
    QuietPeriod,
    ChannelOptOut,
    Channel,
    ControlGroup,
}

stored_enum! {
    /// Stored [`Band`].
    StoredBand of Band { Strained, Guarded, Steady, Strong, NewCustomer }
}

stored_enum! {
    /// Stored [`ComponentKind`].
    StoredComponentKind of ComponentKind {
        ServiceFriction, Payment, OfferPressure, Sentiment, ValueDelivered, EngagementTrend, RetentionOutlook,
    }
}

stored_enum! {
    /// Stored [`WithheldReason`].
    StoredWithheldReason of WithheldReason {
        Owned, RequirementMissing, ExcludedByHolding, Unavailable, OutsideDates, OtherCurrency, SameLadder, NotBetter,
        InContext, ExcludedByCaller, NotInCatalog, OfferedRecently, Declined, NotWorthAttention, TooSimilar,
        CapReached, UpSellCapReached, OnHold, BackOff, QuietPeriod, OptedOut, SlateFull, NotProposed,
        NeverTogether, NeverAfter, OnlyAfter, FamilyCapReached, ChannelCapReached, ControlGroup,
        OfferOutsideDates, OfferElsewhere, OfferConditionUnmet, VolumeCapReached,
    }
}

impl StoredDecisionV1 {
    fn of(decision: &Decision) -> Result<Self, CodecError> {
        let Decision {
            id,
            customer,
            kind,
            at,
            channel,
            placement,
            slate,
            message,
            relationship_health,
            caps,
            binding_cap,
            withheld,
            // In the later formats.
            rejected_candidates: _,
            would_be_slate: _,
            ranked_at: _,
            policy_version,
            model_version,
        } = decision;
        let binding_cap = binding_cap.map(u32::try_from).transpose();
        Ok(Self {
            id: FixedU128::of(id.bits()),
            customer: customer.to_string(),
            kind: (*kind).into(),
            at: at.unix_ms(),
            channel: channel.as_ref().map(ToString::to_string),
            placement: placement.as_ref().map(ToString::to_string),
            slate: slate.iter().map(StoredOffer::from).collect(),
            message: message.clone(),
            relationship_health: relationship_health.into(),
            caps: caps.iter().map(StoredCap::of).collect::<Result<_, _>>()?,
            binding_cap: binding_cap.map_err(|_| CodecError("the index of the binding cap is too large".to_owned()))?,
            withheld: withheld.iter().map(|(&reason, &count)| (reason.into(), count)).collect(),
            policy_version: policy_version.clone(),
            model_version: *model_version,
        })
    }

    fn decision(self) -> Result<Decision, CodecError> {
        let Self {
            id,
            customer,
            kind,
            at,
            channel,
            placement,
            slate,
            message,
            relationship_health,
            caps,
            binding_cap,
            withheld,
            policy_version,
            model_version,
        } = self;
        let binding_cap = binding_cap.map(usize::try_from).transpose();
        let binding_cap = binding_cap.ok().filter(|place| place.is_none_or(|place| place < caps.len()));
        Ok(Decision {
            id: DecisionId::from_bits(id.bits()),
            customer: CustomerId::new(customer)?,
            kind: kind.into(),
            at: timestamp(at)?,
            channel: optional_channel(channel)?,
            placement: placement.map(Placement::new).transpose()?,
            slate: slate.into_iter().map(StoredOffer::offer).collect::<Result<_, _>>()?,
            message,
            relationship_health: relationship_health.into(),
            caps: caps.into_iter().map(StoredCap::cap).collect::<Result<_, _>>()?,
            binding_cap: binding_cap
                .ok_or_else(|| CodecError("the index of the binding cap is out of range".to_owned()))?,
            withheld: withheld.into_iter().map(|(reason, count)| (reason.into(), count)).collect(),
            rejected_candidates: Vec::new(),
            would_be_slate: Vec::new(),
            policy_version,
            model_version,
            ranked_at: timestamp(at)?,
        })
    }
}

impl From<&RelationshipHealth> for StoredRelationshipHealth {
    fn from(health: &RelationshipHealth) -> Self {
        let RelationshipHealth { score, band, coverage, components } = health;
        Self {
            score: FiniteF64(*score),
            band: (*band).into(),
            coverage: FiniteF64(*coverage),
            components: components.iter().map(StoredComponent::from).collect(),
        }
    }
}

impl From<StoredRelationshipHealth> for RelationshipHealth {
    fn from(stored: StoredRelationshipHealth) -> Self {
        let StoredRelationshipHealth { score, band, coverage, components } = stored;
        Self {
            score: score.0,
            band: band.into(),
            coverage: coverage.0,
            components: components.into_iter().map(Component::from).collect(),
        }
    }
}

impl From<&Component> for StoredComponent {
    fn from(component: &Component) -> Self {
        let Component { kind, value, weight, input, half_life_days, is_known } = component;
        Self {
            kind: (*kind).into(),
            value: FiniteF64(*value),
            weight: FiniteF64(*weight),
            input: FiniteF64(*input),
            half_life_days: half_life_days.map(FiniteF64),
            is_known: *is_known,
        }
    }
}

impl From<StoredComponent> for Component {
    fn from(stored: StoredComponent) -> Self {
        let StoredComponent { kind, value, weight, input, half_life_days, is_known } = stored;
        Self {
            kind: kind.into(),
            value: value.0,
            weight: weight.0,
            input: input.0,
            half_life_days: half_life_days.map(|FiniteF64(days)| days),
            is_known,
        }
    }
}

impl StoredCap {
    fn of(cap: &Cap) -> Result<Self, CodecError> {
        let Cap { kind, limit, used, remaining, window, next_eligible_at } = cap;
        let window_ms = u64::try_from(window.as_millis()).ok().filter(|&ms| Duration::from_millis(ms) == *window);
        Ok(Self {
            kind: (*kind).into(),
            limit: *limit,
            used: *used,
            remaining: *remaining,
            window_ms: window_ms
                .ok_or_else(|| CodecError("a window is not a whole number of milliseconds".to_owned()))?,
            next_eligible_at: next_eligible_at.map(Timestamp::unix_ms),
        })
    }

    fn cap(self) -> Result<Cap, CodecError> {
        let Self { kind, limit, used, remaining, window_ms, next_eligible_at } = self;
        Ok(Cap {
            kind: kind.into(),
            limit,
            used,
            remaining,
            window: Duration::from_millis(window_ms),
            next_eligible_at: optional_timestamp(next_eligible_at)?,
        })
    }
}

impl From<CapKind> for StoredCapKind {
    fn from(kind: CapKind) -> Self {
        match kind {
            CapKind::RelationshipHealth => Self::RelationshipHealth,
            CapKind::UpSell => Self::UpSell,
            CapKind::SlowRise => Self::SlowRise,
            CapKind::Hold(reason) => Self::Hold(reason.into()),
            CapKind::BackOff => Self::BackOff,
            CapKind::QuietPeriod => Self::QuietPeriod,
            CapKind::ChannelOptOut => Self::ChannelOptOut,
            CapKind::Channel => Self::Channel,
            CapKind::ControlGroup => Self::ControlGroup,
        }
    }
}

impl From<StoredCapKind> for CapKind {
    fn from(stored: StoredCapKind) -> Self {
        match stored {
            StoredCapKind::RelationshipHealth => Self::RelationshipHealth,
            StoredCapKind::UpSell => Self::UpSell,
            StoredCapKind::SlowRise => Self::SlowRise,
            StoredCapKind::Hold(reason) => Self::Hold(reason.into()),
            StoredCapKind::BackOff => Self::BackOff,
            StoredCapKind::QuietPeriod => Self::QuietPeriod,
            StoredCapKind::ChannelOptOut => Self::ChannelOptOut,
            StoredCapKind::Channel => Self::Channel,
            StoredCapKind::ControlGroup => Self::ControlGroup,
        }
    }
}

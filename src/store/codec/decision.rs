//! Decisions, in the decision log and in the outbox.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::enums::{StoredBand, StoredHoldReason, StoredOfferKind, StoredWithheldReason};
use super::frame::{self, CodecError};
use super::offer::StoredOffer;
use super::rejected_candidate::StoredRejectedCandidate;
use super::scalar::{FiniteF64, FixedU128, optional_channel, optional_timestamp, stored_enum, timestamp};
use crate::domain::channel::ChannelScope;
use crate::domain::decision::{Cap, CapKind, Decision, DecisionMessage, QuietPeriodCause};
use crate::domain::ids::{CustomerId, DecisionId, Placement};
use crate::domain::relationship::{Component, ComponentKind, RelationshipHealth};
use crate::domain::time::Timestamp;
use crate::store::contract::error::StoreError;

const VERSION: u8 = 1;
const RECORD: &str = "decision";

/// Encodes a decision.
pub fn encode_decision(decision: &Decision) -> Result<Vec<u8>, StoreError> {
    let stored = StoredDecisionV1::try_from(decision);
    stored.and_then(|stored| frame::encode(VERSION, &stored)).map_err(|error| error.into_store_error(RECORD))
}

/// Decodes a decision.
pub fn decode_decision(bytes: &[u8]) -> Result<Decision, StoreError> {
    let stored = frame::decode::<StoredDecisionV1>(VERSION, bytes);
    stored.and_then(StoredDecisionV1::decision).map_err(|error| error.into_store_error(RECORD))
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
    would_be_slate: Vec<StoredOffer>,
    message: StoredDecisionMessage,
    relationship_health: StoredRelationshipHealth,
    caps: Vec<StoredCap>,
    binding_cap: Option<u32>,
    next_eligible_at: Option<i64>,
    withheld: Vec<StoredWithheldCount>,
    rejected_candidates: Vec<StoredRejectedCandidate>,
    policy_version: String,
    model_version: u64,
    ranked_at: i64,
}

#[derive(Serialize, Deserialize)]
enum StoredDecisionMessage {
    Offers { made: u32, left: u32 },
    Capped,
    NothingSuitable,
    Released,
}

#[derive(Serialize, Deserialize)]
struct StoredWithheldCount {
    reason: StoredWithheldReason,
    candidates: u32,
}

#[derive(Serialize, Deserialize)]
struct StoredRelationshipHealth {
    score: FiniteF64,
    band: StoredBand,
    is_new: bool,
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
    since: Option<i64>,
    resolved_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
enum StoredCapKind {
    RelationshipHealth,
    UpSell,
    SlowRise,
    Hold(StoredHoldReason),
    BackOff,
    QuietPeriod(StoredQuietPeriodCause),
    ChannelOptOut(StoredChannelScope),
    Channel,
    ControlGroup,
    GrantsKept,
    ConsentMissing(StoredChannelScope),
}

stored_enum! {
    /// Stored [`QuietPeriodCause`].
    StoredQuietPeriodCause of QuietPeriodCause {
        Purchase, Return, Ticket, PaymentTrouble, DetractorSurvey, PaymentFailures,
    }
}

stored_enum! {
    /// Stored [`ComponentKind`].
    StoredComponentKind of ComponentKind {
        ServiceFriction, Payment, OfferPressure, Sentiment, ValueDelivered, EngagementTrend, RetentionOutlook,
    }
}

stored_enum! {
    /// Stored [`ChannelScope`].
    StoredChannelScope of ChannelScope { Queried, Unset, Unresolved }
}

impl TryFrom<&Decision> for StoredDecisionV1 {
    type Error = CodecError;

    fn try_from(decision: &Decision) -> Result<Self, CodecError> {
        let Decision {
            id,
            customer,
            kind,
            at,
            channel,
            placement,
            slate,
            would_be_slate,
            message,
            relationship_health,
            caps,
            binding_cap,
            next_eligible_at,
            withheld,
            rejected_candidates,
            policy_version,
            model_version,
            ranked_at,
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
            would_be_slate: would_be_slate.iter().map(StoredOffer::from).collect(),
            message: (*message).into(),
            relationship_health: relationship_health.into(),
            caps: caps.iter().map(StoredCap::try_from).collect::<Result<_, _>>()?,
            binding_cap: binding_cap.map_err(|_| CodecError("the index of the binding cap is too large".to_owned()))?,
            next_eligible_at: next_eligible_at.map(Timestamp::unix_ms),
            withheld: withheld
                .iter()
                .map(|(&reason, &candidates)| StoredWithheldCount { reason: reason.into(), candidates })
                .collect(),
            rejected_candidates: rejected_candidates.iter().map(StoredRejectedCandidate::from).collect(),
            policy_version: policy_version.clone(),
            model_version: *model_version,
            ranked_at: ranked_at.unix_ms(),
        })
    }
}

impl StoredDecisionV1 {
    fn decision(self) -> Result<Decision, CodecError> {
        let Self {
            id,
            customer,
            kind,
            at,
            channel,
            placement,
            slate,
            would_be_slate,
            message,
            relationship_health,
            caps,
            binding_cap,
            next_eligible_at,
            withheld,
            rejected_candidates,
            policy_version,
            model_version,
            ranked_at,
        } = self;
        let binding_cap = binding_cap.map(usize::try_from).transpose();
        let binding_cap = binding_cap.ok().filter(|index| index.is_none_or(|index| index < caps.len()));
        Ok(Decision {
            id: DecisionId::from_bits(id.bits()),
            customer: CustomerId::new(customer)?,
            kind: kind.into(),
            at: timestamp(at)?,
            channel: optional_channel(channel)?,
            placement: placement.map(Placement::new).transpose()?,
            slate: slate.into_iter().map(StoredOffer::offer).collect::<Result<_, _>>()?,
            would_be_slate: would_be_slate.into_iter().map(StoredOffer::offer).collect::<Result<_, _>>()?,
            message: message.into(),
            relationship_health: relationship_health.into(),
            caps: caps.into_iter().map(StoredCap::cap).collect::<Result<_, _>>()?,
            binding_cap: binding_cap
                .ok_or_else(|| CodecError("the index of the binding cap is out of range".to_owned()))?,
            next_eligible_at: optional_timestamp(next_eligible_at)?,
            withheld: withheld
                .into_iter()
                .map(|StoredWithheldCount { reason, candidates }| (reason.into(), candidates))
                .collect(),
            rejected_candidates: rejected_candidates
                .into_iter()
                .map(StoredRejectedCandidate::rejected_candidate)
                .collect::<Result<_, _>>()?,
            policy_version,
            model_version,
            ranked_at: timestamp(ranked_at)?,
        })
    }
}

impl From<DecisionMessage> for StoredDecisionMessage {
    fn from(message: DecisionMessage) -> Self {
        match message {
            DecisionMessage::Offers { made, left } => Self::Offers { made, left },
            DecisionMessage::Capped => Self::Capped,
            DecisionMessage::NothingSuitable => Self::NothingSuitable,
            DecisionMessage::Released => Self::Released,
        }
    }
}

impl From<StoredDecisionMessage> for DecisionMessage {
    fn from(stored: StoredDecisionMessage) -> Self {
        match stored {
            StoredDecisionMessage::Offers { made, left } => Self::Offers { made, left },
            StoredDecisionMessage::Capped => Self::Capped,
            StoredDecisionMessage::NothingSuitable => Self::NothingSuitable,
            StoredDecisionMessage::Released => Self::Released,
        }
    }
}

impl From<&RelationshipHealth> for StoredRelationshipHealth {
    fn from(health: &RelationshipHealth) -> Self {
        let RelationshipHealth { score, band, is_new, coverage, components } = health;
        Self {
            score: FiniteF64(*score),
            band: (*band).into(),
            is_new: *is_new,
            coverage: FiniteF64(*coverage),
            components: components.iter().map(StoredComponent::from).collect(),
        }
    }
}

impl From<StoredRelationshipHealth> for RelationshipHealth {
    fn from(stored: StoredRelationshipHealth) -> Self {
        let StoredRelationshipHealth { score, band, is_new, coverage, components } = stored;
        Self {
            score: score.0,
            band: band.into(),
            is_new,
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

impl TryFrom<&Cap> for StoredCap {
    type Error = CodecError;

    fn try_from(cap: &Cap) -> Result<Self, CodecError> {
        let Cap { kind, limit, used, remaining, window, next_eligible_at, since, resolved_at } = cap;
        let window_ms = u64::try_from(window.as_millis()).ok().filter(|&ms| Duration::from_millis(ms) == *window);
        Ok(Self {
            kind: (*kind).into(),
            limit: *limit,
            used: *used,
            remaining: *remaining,
            window_ms: window_ms
                .ok_or_else(|| CodecError("a window is not a whole number of milliseconds".to_owned()))?,
            next_eligible_at: next_eligible_at.map(Timestamp::unix_ms),
            since: since.map(Timestamp::unix_ms),
            resolved_at: resolved_at.map(Timestamp::unix_ms),
        })
    }
}

impl StoredCap {
    fn cap(self) -> Result<Cap, CodecError> {
        let Self { kind, limit, used, remaining, window_ms, next_eligible_at, since, resolved_at } = self;
        Ok(Cap {
            kind: kind.into(),
            limit,
            used,
            remaining,
            window: Duration::from_millis(window_ms),
            next_eligible_at: optional_timestamp(next_eligible_at)?,
            since: optional_timestamp(since)?,
            resolved_at: optional_timestamp(resolved_at)?,
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
            CapKind::QuietPeriod(cause) => Self::QuietPeriod(cause.into()),
            CapKind::ChannelOptOut(scope) => Self::ChannelOptOut(scope.into()),
            CapKind::ConsentMissing(scope) => Self::ConsentMissing(scope.into()),
            CapKind::Channel => Self::Channel,
            CapKind::ControlGroup => Self::ControlGroup,
            CapKind::GrantsKept => Self::GrantsKept,
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
            StoredCapKind::QuietPeriod(cause) => Self::QuietPeriod(cause.into()),
            StoredCapKind::ChannelOptOut(scope) => Self::ChannelOptOut(scope.into()),
            StoredCapKind::ConsentMissing(scope) => Self::ConsentMissing(scope.into()),
            StoredCapKind::Channel => Self::Channel,
            StoredCapKind::ControlGroup => Self::ControlGroup,
            StoredCapKind::GrantsKept => Self::GrantsKept,
        }
    }
}

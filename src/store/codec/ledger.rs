//! The ledger inside a stored customer.

use serde::{Deserialize, Serialize};

use super::enums::{StoredBand, StoredOfferKind};
use super::frame::CodecError;
use super::scalar::{
    FixedU64, FixedU128, ms_since, optional_channel, optional_timestamp, stored_enum, timestamp, timestamp_after,
};
use crate::domain::experiment::{Arm, Assignment, ExperimentId};
use crate::domain::ids::{DecisionId, OfferId, ProductId, RequestId};
use crate::domain::ledger::{
    AllowanceLevel, CustomerResponse, Grant, GrantServing, Ledger, ProductCooldown, Rejection, RequestKey,
};
use crate::domain::time::Timestamp;

#[derive(Serialize, Deserialize)]
pub(super) struct StoredLedger {
    clock: Option<i64>,
    grants: Vec<StoredGrant>,
    request_keys: Vec<StoredRequestKey>,
    level: Option<StoredAllowanceLevel>,
    rejections: Vec<StoredRejection>,
    accepted_at: Option<i64>,
    product_cooldowns: Vec<StoredRestingProduct>,
    would_be_grants: Vec<StoredGrant>,
    assignment: Option<StoredAssignment>,
}

#[derive(Serialize, Deserialize)]
struct StoredAssignment {
    experiment: FixedU64,
    arm: StoredArm,
    at: i64,
    band: StoredBand,
}

stored_enum! {
    /// Stored [`Arm`].
    StoredArm of Arm { Control, Treatment }
}

#[derive(Serialize, Deserialize)]
struct StoredGrant {
    /// `None` for the implicit offer of the product, which most are: its id follows from the product's.
    offer: Option<String>,
    product: String,
    kind: StoredOfferKind,
    channel: Option<String>,
    granted_at: i64,
    /// Milliseconds after `granted_at`, as is `open_until`.
    lease_ends_at: i64,
    open_until: i64,
    servings: Vec<StoredServing>,
    is_irrevocable: bool,
    response: Option<StoredCustomerResponse>,
}

#[derive(Serialize, Deserialize)]
struct StoredServing {
    decision: FixedU128,
    is_released: bool,
}

stored_enum! {
    /// Stored [`CustomerResponse`].
    StoredCustomerResponse of CustomerResponse { Accepted, Rejected, Dismissed }
}

#[derive(Serialize, Deserialize)]
struct StoredRequestKey {
    kind: StoredOfferKind,
    request: FixedU128,
    digest: FixedU64,
    decision: FixedU128,
    at: i64,
}

#[derive(Serialize, Deserialize)]
struct StoredAllowanceLevel {
    offers: u32,
    since: i64,
}

#[derive(Serialize, Deserialize)]
struct StoredRejection {
    at: i64,
    decision: FixedU128,
}

#[derive(Serialize, Deserialize)]
struct StoredRestingProduct {
    product: String,
    until: i64,
}

impl From<&Ledger> for StoredLedger {
    fn from(ledger: &Ledger) -> Self {
        let Ledger {
            clock,
            grants,
            request_keys,
            level,
            rejections,
            accepted_at,
            product_cooldowns,
            would_be_grants,
            assignment,
        } = ledger;
        Self {
            clock: clock.map(Timestamp::unix_ms),
            grants: grants.iter().map(StoredGrant::from).collect(),
            request_keys: request_keys.iter().map(StoredRequestKey::from).collect(),
            level: level
                .map(|AllowanceLevel { offers, since }| StoredAllowanceLevel { offers, since: since.unix_ms() }),
            rejections: rejections
                .iter()
                .map(|Rejection { at, decision }| StoredRejection {
                    at: at.unix_ms(),
                    decision: FixedU128::of(decision.bits()),
                })
                .collect(),
            accepted_at: accepted_at.map(Timestamp::unix_ms),
            product_cooldowns: product_cooldowns
                .iter()
                .map(|ProductCooldown { product, until }| StoredRestingProduct {
                    product: product.to_string(),
                    until: until.unix_ms(),
                })
                .collect(),
            would_be_grants: would_be_grants.iter().map(StoredGrant::from).collect(),
            assignment: assignment.map(|Assignment { experiment, arm, at, band }| StoredAssignment {
                experiment: FixedU64::of(experiment.bits()),
                arm: arm.into(),
                at: at.unix_ms(),
                band: band.into(),
            }),
        }
    }
}

impl StoredLedger {
    pub fn ledger(self) -> Result<Ledger, CodecError> {
        let Self {
            clock,
            grants,
            request_keys,
            level,
            rejections,
            accepted_at,
            product_cooldowns,
            would_be_grants,
            assignment,
        } = self;
        Ok(Ledger {
            clock: optional_timestamp(clock)?,
            grants: grants.into_iter().map(StoredGrant::grant).collect::<Result<_, _>>()?,
            request_keys: request_keys.into_iter().map(StoredRequestKey::request_key).collect::<Result<_, _>>()?,
            level: level.map(StoredAllowanceLevel::level).transpose()?,
            rejections: rejections.into_iter().map(StoredRejection::rejection).collect::<Result<_, _>>()?,
            accepted_at: optional_timestamp(accepted_at)?,
            product_cooldowns: product_cooldowns
                .into_iter()
                .map(StoredRestingProduct::resting_product)
                .collect::<Result<_, _>>()?,
            would_be_grants: would_be_grants.into_iter().map(StoredGrant::grant).collect::<Result<_, _>>()?,
            assignment: assignment.map(StoredAssignment::assignment).transpose()?,
        })
    }
}

impl StoredAssignment {
    fn assignment(self) -> Result<Assignment, CodecError> {
        let Self { experiment, arm, at, band } = self;
        let experiment = ExperimentId::from_bits(experiment.bits());
        Ok(Assignment { experiment, arm: arm.into(), at: timestamp(at)?, band: band.into() })
    }
}

impl From<&Grant> for StoredGrant {
    fn from(grant: &Grant) -> Self {
        let Grant {
            offer,
            product,
            kind,
            channel,
            granted_at,
            lease_ends_at,
            open_until,
            servings,
            is_irrevocable,
            response,
        } = grant;
        let is_implicit = *offer == OfferId::implicit(product);
        Self {
            offer: (!is_implicit).then(|| offer.to_string()),
            product: product.to_string(),
            kind: (*kind).into(),
            channel: channel.as_ref().map(ToString::to_string),
            granted_at: granted_at.unix_ms(),
            lease_ends_at: ms_since(*granted_at, *lease_ends_at),
            open_until: ms_since(*granted_at, *open_until),
            servings: servings.iter().map(StoredServing::from).collect(),
            is_irrevocable: *is_irrevocable,
            response: response.map(StoredCustomerResponse::from),
        }
    }
}

impl StoredGrant {
    fn grant(self) -> Result<Grant, CodecError> {
        let Self {
            offer,
            product,
            kind,
            channel,
            granted_at,
            lease_ends_at,
            open_until,
            servings,
            is_irrevocable,
            response,
        } = self;
        let product = ProductId::new(product)?;
        let granted_at = timestamp(granted_at)?;
        Ok(Grant {
            offer: offer.map_or_else(|| Ok(OfferId::implicit(&product)), OfferId::new)?,
            product,
            kind: kind.into(),
            channel: optional_channel(channel)?,
            granted_at,
            lease_ends_at: timestamp_after(granted_at, lease_ends_at)?,
            open_until: timestamp_after(granted_at, open_until)?,
            servings: servings.into_iter().map(StoredServing::serving).collect(),
            is_irrevocable,
            response: response.map(CustomerResponse::from),
        })
    }
}

impl From<&GrantServing> for StoredServing {
    fn from(serving: &GrantServing) -> Self {
        let GrantServing { decision, is_released } = serving;
        Self { decision: FixedU128::of(decision.bits()), is_released: *is_released }
    }
}

impl StoredServing {
    fn serving(self) -> GrantServing {
        let Self { decision, is_released } = self;
        GrantServing { decision: DecisionId::from_bits(decision.bits()), is_released }
    }
}

impl From<&RequestKey> for StoredRequestKey {
    fn from(key: &RequestKey) -> Self {
        let RequestKey { kind, request, digest, decision, at } = key;
        Self {
            kind: (*kind).into(),
            request: FixedU128::of(request.bits()),
            digest: FixedU64::of(*digest),
            decision: FixedU128::of(decision.bits()),
            at: at.unix_ms(),
        }
    }
}

impl StoredRequestKey {
    fn request_key(self) -> Result<RequestKey, CodecError> {
        let Self { kind, request, digest, decision, at } = self;
        Ok(RequestKey {
            kind: kind.into(),
            request: RequestId::from_bits(request.bits()),
            digest: digest.bits(),
            decision: DecisionId::from_bits(decision.bits()),
            at: timestamp(at)?,
        })
    }
}

impl StoredAllowanceLevel {
    fn level(self) -> Result<AllowanceLevel, CodecError> {
        let Self { offers, since } = self;
        Ok(AllowanceLevel { offers, since: timestamp(since)? })
    }
}

impl StoredRejection {
    fn rejection(self) -> Result<Rejection, CodecError> {
        let Self { at, decision } = self;
        Ok(Rejection { at: timestamp(at)?, decision: DecisionId::from_bits(decision.bits()) })
    }
}

impl StoredRestingProduct {
    fn resting_product(self) -> Result<ProductCooldown, CodecError> {
        let Self { product, until } = self;
        Ok(ProductCooldown { product: ProductId::new(product)?, until: timestamp(until)? })
    }
}

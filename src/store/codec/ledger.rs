//! The ledger inside a stored customer.

use serde::{Deserialize, Serialize};

use super::enums::{StoredBand, StoredOfferKind};
use super::frame::CodecError;
use super::scalar::{FixedU64, FixedU128, ms_since, optional_timestamp, stored_enum, timestamp, timestamp_after};
use crate::domain::experiment::{Arm, Assignment, ExperimentId};
use crate::domain::ids::{Channel, DecisionId, GrantId, OfferId, ProductId, RequestId};
use crate::domain::ledger::{
    AllowanceLevel, CustomerResponse, Grant, GrantLease, GrantServing, Ledger, ProductCooldown, Rejection, RequestKey,
};
use crate::domain::time::Timestamp;

#[derive(Serialize, Deserialize)]
pub(super) struct StoredLedger {
    clock: Option<i64>,
    /// Channels of grants, each once: grants refer to them by index.
    grant_channels: Vec<String>,
    grants: Vec<StoredGrant>,
    request_keys: Vec<StoredRequestKey>,
    level: Option<StoredAllowanceLevel>,
    rejections: Vec<StoredRejection>,
    accepted_at: Option<i64>,
    product_cooldowns: Vec<StoredProductCooldown>,
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

/// A grant, compact because it is kept for long after its lease.
#[derive(Serialize, Deserialize)]
struct StoredGrant {
    id: FixedU64,
    /// `None` for the implicit offer of the product, which most are: its id follows from the product's.
    offer: Option<String>,
    product: String,
    kind: StoredOfferKind,
    /// Index in `grant_channels`.
    channel: Option<u16>,
    granted_at: i64,
    lease: Option<StoredLease>,
    response: Option<StoredCustomerResponse>,
}

#[derive(Serialize, Deserialize)]
struct StoredLease {
    /// Milliseconds after `granted_at` of the grant.
    ends_at: i64,
    servings: Vec<StoredServing>,
    is_irrevocable: bool,
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
struct StoredProductCooldown {
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
        let mut channels = GrantChannels::default();
        Self {
            clock: clock.map(Timestamp::unix_ms),
            grants: grants.iter().map(|grant| StoredGrant::of(grant, &mut channels)).collect(),
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
                .map(|ProductCooldown { product, until }| StoredProductCooldown {
                    product: product.to_string(),
                    until: until.unix_ms(),
                })
                .collect(),
            would_be_grants: would_be_grants.iter().map(|grant| StoredGrant::of(grant, &mut channels)).collect(),
            assignment: assignment.map(|Assignment { experiment, arm, at, band }| StoredAssignment {
                experiment: FixedU64::of(experiment.bits()),
                arm: arm.into(),
                at: at.unix_ms(),
                band: band.into(),
            }),
            grant_channels: channels.names(),
        }
    }
}

impl StoredLedger {
    pub fn ledger(self) -> Result<Ledger, CodecError> {
        let Self {
            clock,
            grant_channels,
            grants,
            request_keys,
            level,
            rejections,
            accepted_at,
            product_cooldowns,
            would_be_grants,
            assignment,
        } = self;
        let channels = grant_channels.into_iter().map(Channel::new).collect::<Result<Vec<_>, _>>()?;
        Ok(Ledger {
            clock: optional_timestamp(clock)?,
            grants: grants.into_iter().map(|grant| grant.grant(&channels)).collect::<Result<_, _>>()?,
            request_keys: request_keys.into_iter().map(StoredRequestKey::request_key).collect::<Result<_, _>>()?,
            level: level.map(StoredAllowanceLevel::level).transpose()?,
            rejections: rejections.into_iter().map(StoredRejection::rejection).collect::<Result<_, _>>()?,
            accepted_at: optional_timestamp(accepted_at)?,
            product_cooldowns: product_cooldowns
                .into_iter()
                .map(StoredProductCooldown::cooldown)
                .collect::<Result<_, _>>()?,
            would_be_grants: would_be_grants
                .into_iter()
                .map(|grant| grant.grant(&channels))
                .collect::<Result<_, _>>()?,
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

/// Channels of the grants encoded so far, in the order of their indices.
#[derive(Default)]
struct GrantChannels<'a>(Vec<&'a Channel>);

impl<'a> GrantChannels<'a> {
    fn index(&mut self, channel: &'a Channel) -> u16 {
        let index = self.0.iter().position(|&known| known == channel).unwrap_or_else(|| {
            self.0.push(channel);
            self.0.len() - 1
        });
        u16::try_from(index).expect("a ledger has fewer grants than a u16 has values")
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl StoredGrant {
    fn of<'a>(grant: &'a Grant, channels: &mut GrantChannels<'a>) -> Self {
        let Grant { id, offer, product, kind, channel, granted_at, lease, response } = grant;
        let is_implicit = *offer == OfferId::implicit(product);
        let lease = lease.as_ref().map(|GrantLease { ends_at, servings, is_irrevocable }| StoredLease {
            ends_at: ms_since(*granted_at, *ends_at),
            servings: servings.iter().map(StoredServing::from).collect(),
            is_irrevocable: *is_irrevocable,
        });
        Self {
            id: FixedU64::of(id.bits()),
            offer: (!is_implicit).then(|| offer.to_string()),
            product: product.to_string(),
            kind: (*kind).into(),
            channel: channel.as_ref().map(|channel| channels.index(channel)),
            granted_at: granted_at.unix_ms(),
            lease,
            response: response.map(StoredCustomerResponse::from),
        }
    }

    fn grant(self, channels: &[Channel]) -> Result<Grant, CodecError> {
        let Self { id, offer, product, kind, channel, granted_at, lease, response } = self;
        let product = ProductId::new(product)?;
        let granted_at = timestamp(granted_at)?;
        let channel_of = |index: u16| {
            let channel = channels.get(usize::from(index)).cloned();
            channel.ok_or_else(|| CodecError("a grant names a channel that is not listed".to_owned()))
        };
        let lease = lease.map(|StoredLease { ends_at, servings, is_irrevocable }| {
            let servings = servings.into_iter().map(StoredServing::serving).collect();
            Ok::<_, CodecError>(GrantLease { ends_at: timestamp_after(granted_at, ends_at)?, servings, is_irrevocable })
        });
        Ok(Grant {
            id: GrantId::from_bits(id.bits()),
            offer: offer.map_or_else(|| Ok(OfferId::implicit(&product)), OfferId::new)?,
            product,
            kind: kind.into(),
            channel: channel.map(channel_of).transpose()?,
            granted_at,
            lease: lease.transpose()?,
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

impl StoredProductCooldown {
    fn cooldown(self) -> Result<ProductCooldown, CodecError> {
        let Self { product, until } = self;
        Ok(ProductCooldown { product: ProductId::new(product)?, until: timestamp(until)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{Channel, DecisionId};
    use crate::domain::ledger::GRANTS_MAX;
    use crate::domain::offer::OfferKind;
    use crate::store::contract::change::CUSTOMER_BYTES_MAX;

    /// Broken by: leases, or the name of a channel, stored with each grant for as long as it is kept.
    #[test]
    fn as_many_grants_as_may_be_kept_leave_room_in_a_record() {
        let granted_at = Timestamp::from_unix_ms(1_700_000_000_000).expect("in range");
        let grant = |number: usize| {
            let product = ProductId::new(format!("product-{number:04}")).expect("a short text");
            let offer = OfferId::implicit(&product);
            Grant {
                id: GrantId::of(DecisionId::from_bits(number as u128), &offer),
                offer,
                product,
                kind: OfferKind::CrossSell,
                channel: Channel::new(["call-centre", "email"][number % 2]).ok(),
                granted_at,
                lease: None,
                response: Some(CustomerResponse::Dismissed),
            }
        };
        let ledger = Ledger { grants: (0..GRANTS_MAX).map(grant).collect(), ..Ledger::default() };
        let bytes = postcard::to_extend(&StoredLedger::from(&ledger), Vec::new()).expect("encodes");
        assert!(bytes.len() <= CUSTOMER_BYTES_MAX * 2 / 3, "{} bytes", bytes.len());
        let read: StoredLedger = postcard::from_bytes(&bytes).expect("decodes");
        assert!(read.ledger().is_ok_and(|read| read == ledger));
    }
}

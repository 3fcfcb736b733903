//! The contact ledger of a customer: granted offers, and the state of caps and pauses.

use std::time::Duration;

use super::experiment::Assignment;
use super::ids::{Channel, DecisionId, GrantId, OfferId, ProductId, RequestId};
use super::offer::OfferKind;
use super::time::Timestamp;

/// Time for which every grant is kept, whatever the policy: the longest look-back of a cap or rule that a policy may set, so
/// that the next policy counts what was granted under this one.
pub const GRANTS_KEPT: Duration = Duration::from_secs(180 * 86_400);
/// Maximum number of grants: 40 offers in each 28 days for as long as grants are kept. A policy whose caps could exceed it is
/// refused; where several policies together did, nothing is granted until one has expired.
pub const GRANTS_MAX: usize = 280;
/// Maximum number of decisions listed with a grant during its lease; beyond it the grant can no longer be released.
pub const GRANT_SERVINGS_MAX: usize = 16;
/// Maximum number of request keys; beyond it a new request with a key is rejected.
pub const REQUEST_KEYS_MAX: usize = 128;
/// Maximum number of rejections: the pause does not grow with more of them.
pub const REJECTIONS_MAX: usize = 17;
/// Maximum number of products withheld after the customer declined them.
pub const PRODUCT_COOLDOWNS_MAX: usize = 64;

/// A customer's grants, request keys and pauses.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ledger {
    /// Time of the latest entry; the ledger's time never runs backwards.
    pub clock: Option<Timestamp>,
    /// Offers granted within [`GRANTS_KEPT`], at most [`GRANTS_MAX`].
    pub grants: Vec<Grant>,
    /// Recent requests, at most [`REQUEST_KEYS_MAX`].
    pub request_keys: Vec<RequestKey>,
    /// State of the slow rise; `None` before the first event or grant.
    pub level: Option<AllowanceLevel>,
    /// Rejections, one for each decision in the order of time, at most [`REJECTIONS_MAX`].
    pub rejections: Vec<Rejection>,
    /// Latest acceptance of an offer: it ends the pause of the rejections until then.
    pub accepted_at: Option<Timestamp>,
    /// Products withheld for a while, at most [`PRODUCT_COOLDOWNS_MAX`].
    pub product_cooldowns: Vec<ProductCooldown>,
    /// Grants that a customer of the control group would have got, at most [`GRANTS_MAX`]; they count only against the caps
    /// of would-be slates.
    pub would_be_grants: Vec<Grant>,
    /// The customer's assignment in the latest experiment.
    pub assignment: Option<Assignment>,
}

impl Ledger {
    /// Time under which something that happens at `at` is entered: the ledger's clock when it is ahead.
    pub fn time(&self, at: Timestamp) -> Timestamp {
        self.clock.map_or(at, |clock| clock.max(at))
    }
}

/// A granted offer: it counts against the caps from the moment it is committed. Whether it still counts and whether it is
/// still open depends on the policy in force, not on the one under which it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Id among the customer's grants. Offers of decisions and outcomes name it, because one offer may be granted several
    /// times: on several channels, or again after a while.
    pub id: GrantId,
    /// The offer.
    pub offer: OfferId,
    /// The product offered.
    pub product: ProductId,
    /// Cross-sell or up-sell.
    pub kind: OfferKind,
    /// The channel it was granted for.
    pub channel: Option<Channel>,
    /// Time of the grant. Serving it again does not change it.
    pub granted_at: Timestamp,
    /// The lease; `None` once neither a release nor a retry of a request can refer to it.
    pub lease: Option<GrantLease>,
    /// The customer's response.
    pub response: Option<CustomerResponse>,
}

/// The time in which a grant can be released, as the caller was promised it: another policy neither shortens nor extends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantLease {
    /// End of the lease.
    pub ends_at: Timestamp,
    /// Decisions that served the grant during the lease, first the one that made it; at most [`GRANT_SERVINGS_MAX`].
    pub servings: Vec<GrantServing>,
    /// Whether the grant can no longer be released: it was shown, or served by too many decisions to list.
    pub is_irrevocable: bool,
}

/// One serving of a grant, by one decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantServing {
    /// The decision.
    pub decision: DecisionId,
    /// Whether the caller released it.
    pub is_released: bool,
}

/// A customer's response to an offer. Of several responses the first in this order is recorded, whatever their order of
/// arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CustomerResponse {
    /// The customer accepted it.
    Accepted,
    /// The customer rejected it.
    Rejected,
    /// The customer dismissed it.
    Dismissed,
}

/// Idempotency key of a request that was decided, so that a retry gets the same decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// Cross-sell or up-sell: each has its own keys.
    pub kind: OfferKind,
    /// The caller's key.
    pub request: RequestId,
    /// Digest of the request, to reject the reuse of the key for another one.
    pub digest: u64,
    /// The decision made for it.
    pub decision: DecisionId,
    /// Time of the decision.
    pub at: Timestamp,
}

/// State of the slow rise: the cap may exceed `offers` only by one for each whole step of time since `since`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowanceLevel {
    /// Cap reached, in offers.
    pub offers: u32,
    /// Time from which the steps are counted.
    pub since: Timestamp,
}

/// Rejection of the offers of one decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rejection {
    /// Time of the latest rejection.
    pub at: Timestamp,
    /// The rejected decision.
    pub decision: DecisionId,
}

/// A product withheld for a while after the customer rejected or dismissed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductCooldown {
    /// The product.
    pub product: ProductId,
    /// End of the cooldown.
    pub until: Timestamp,
}

/// Result of releasing an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseResult {
    /// It no longer counts.
    Released,
    /// Another decision served it too and has not released it.
    StillServed,
    /// The lease had ended.
    LeaseEnded,
    /// It was shown or responded to, or served by too many decisions to list.
    Shown,
}

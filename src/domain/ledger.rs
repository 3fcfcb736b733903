//! What was offered to a customer, and the state that caps what may be offered now.

use super::experiment::Assignment;
use super::ids::{Channel, DecisionId, OfferId, ProductId, RequestId};
use super::offer::OfferKind;
use super::time::Timestamp;

/// The most grants kept. Caps are validated to stay below it, so it is never the reason for a refusal.
pub const GRANTS_MAX: usize = 64;
/// The most decisions listed with a grant while its lease lives; beyond it the grant can no longer be released.
pub const SERVINGS_MAX: usize = 16;
/// The most request keys kept; beyond it a new request with a key is refused.
pub const REQUEST_KEYS_MAX: usize = 128;
/// The most products resting after a refusal.
pub const RESTING_PRODUCTS_MAX: usize = 64;

/// A customer's grants, request keys, and brakes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ledger {
    /// The latest moment at which anything was entered; time never runs backwards here.
    pub clock: Option<Timestamp>,
    /// Offers that count against caps, at most [`GRANTS_MAX`].
    pub grants: Vec<Grant>,
    /// Recent requests, at most [`REQUEST_KEYS_MAX`].
    pub request_keys: Vec<RequestKey>,
    /// Where the slow rise stands; `None` before the first event or grant.
    pub level: Option<AllowanceLevel>,
    /// The pause after a rejection.
    pub back_off: Option<BackOff>,
    /// Products not to be offered again for a while, at most [`RESTING_PRODUCTS_MAX`].
    pub resting_products: Vec<RestingProduct>,
    /// What a customer of the control group would have been offered, at most [`GRANTS_MAX`]; counts against no cap but those
    /// of would-be slates.
    pub would_be_grants: Vec<Grant>,
    /// The customer's place in the latest experiment.
    pub assignment: Option<Assignment>,
}

impl Ledger {
    /// The moment at which something is entered that happens at `at`: the ledger's clock counts when it is ahead.
    pub fn time(&self, at: Timestamp) -> Timestamp {
        self.clock.map_or(at, |clock| clock.max(at))
    }
}

/// An offer that was granted: it counts against the caps from the moment it is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The offer.
    pub offer: OfferId,
    /// The product offered.
    pub product: ProductId,
    /// Cross-sell or up-sell.
    pub kind: OfferKind,
    /// The channel it was granted for.
    pub channel: Option<Channel>,
    /// When it was granted. Serving it again never moves this.
    pub granted_at: Timestamp,
    /// Until when it can be given back.
    pub lease_ends_at: Timestamp,
    /// Until when it is served again for free.
    pub open_until: Timestamp,
    /// The decisions that served it while the lease lived.
    pub servings: Vec<Serving>,
    /// True once it can no longer be given back: it was shown, or served by too many decisions to list.
    pub is_irrevocable: bool,
    /// What the customer answered.
    pub answer: Option<CustomerResponse>,
}

/// One decision that served a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serving {
    /// The decision.
    pub decision: DecisionId,
    /// True once the caller gave it back.
    pub is_released: bool,
}

/// The customer's answer to an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustomerResponse {
    /// Took it.
    Accepted,
    /// Said no.
    Rejected,
    /// Waved it away.
    Dismissed,
}

/// A request that was decided, so that a retry gets the same decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// The method: each has its own keys.
    pub kind: OfferKind,
    /// The caller's key.
    pub request: RequestId,
    /// A digest of the request, to refuse a key used for another one.
    pub digest: u64,
    /// The decision it led to.
    pub decision: DecisionId,
    /// When.
    pub at: Timestamp,
}

/// The slow rise: the allowance may exceed `offers` only by the whole steps of time since `since`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowanceLevel {
    /// The cap reached, in offers.
    pub offers: u32,
    /// Since when.
    pub since: Timestamp,
}

/// A pause after a rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    /// Rejections in a row, each of another decision.
    pub rejections: u32,
    /// The latest rejected decision.
    pub decision: DecisionId,
    /// When the latest rejection happened.
    pub rejected_at: Timestamp,
}

/// A product that rests after the customer declined it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestingProduct {
    /// The product.
    pub product: ProductId,
    /// Until when it is not offered.
    pub until: Timestamp,
}

/// What became of an offer given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseResult {
    /// The cap is back.
    Released,
    /// Another decision served it too and has not given it back.
    StillServed,
    /// The lease had ended.
    LeaseEnded,
    /// It was shown or answered, or too many decisions served it to tell.
    Shown,
}

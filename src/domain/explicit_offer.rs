//! Explicit offers: a product under special terms, beside its implicit offer at the catalogue price.

use std::collections::BTreeMap;

use super::ids::{Channel, CustomerId, DecisionId, OfferId, Placement, ProductId};
use super::money::Money;
use super::offer::OfferKind;
use super::time::Timestamp;

/// Maximum number of explicit offers, which are all held in memory.
pub const EXPLICIT_OFFERS_MAX: usize = 5_000;
/// Maximum number of channels, and of placements, of one offer.
pub const OFFER_SCOPES_MAX: usize = 16;
/// Maximum lever (business priority).
pub const LEVER_MAX: f64 = 10.0;
/// Maximum volume cap.
pub const VOLUME_MAX: u64 = 1_000_000_000;
/// Maximum length of a condition, in bytes.
pub const CONDITION_BYTES_MAX: usize = 512;

/// A product under special terms.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplicitOffer {
    /// Id of the offer; never that of an implicit offer.
    pub id: OfferId,
    /// The product.
    pub product: ProductId,
    /// Only for cross-sell or only for up-sell; `None` for both.
    pub kind: Option<OfferKind>,
    /// Price under these terms, in the currency of the product's price; `None` for the catalogue price.
    pub price: Option<Money>,
    /// Start of validity.
    pub valid_from: Option<Timestamp>,
    /// End of validity, exclusive.
    pub valid_until: Option<Timestamp>,
    /// Only on these channels; empty for every channel and for queries without one.
    pub channels: Vec<Channel>,
    /// Only at these placements; empty for every placement and for queries without one.
    pub placements: Vec<Placement>,
    /// Business priority, above 0 and at most [`LEVER_MAX`]; 1 is neutral.
    pub lever: f64,
    /// Maximum number of grants over all customers while the offer exists; `None` for no maximum.
    pub volume_cap: Option<u64>,
    /// Condition on the customer's attributes, in the Common Expression Language; `None` for all customers.
    pub condition: Option<String>,
}

impl ExplicitOffer {
    /// Creates an offer at the catalogue price, for all customers and without end.
    pub fn new(id: OfferId, product: ProductId) -> Self {
        Self {
            id,
            product,
            kind: None,
            price: None,
            valid_from: None,
            valid_until: None,
            channels: Vec::new(),
            placements: Vec::new(),
            lever: 1.0,
            volume_cap: None,
            condition: None,
        }
    }
}

/// Kind of value of a customer attribute, so that conditions can be checked before they are evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttributeKind {
    /// Any text.
    Text,
    /// A number, as it is written in decimal.
    Number,
    /// `true` or `false`.
    Flag,
}

impl AttributeKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Text, Self::Number, Self::Flag];

    /// Name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Flag => "flag",
        }
    }
}

/// Attributes that conditions may refer to.
pub type AttributeKinds = BTreeMap<String, AttributeKind>;

/// Reservation of one unit of an offer's volume, for a decision that is about to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeToken {
    /// The offer.
    pub offer: OfferId,
    /// The decision that reserved it.
    pub decision: DecisionId,
    /// The customer of the decision.
    pub customer: CustomerId,
    /// End of the lease. Afterwards any process may check whether the decision was committed, and settle or abandon the
    /// reservation.
    pub lease_ends_at: Timestamp,
}

/// Used volume of an offer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Volume {
    /// Units used by committed decisions.
    pub settled: u64,
    /// Units reserved for decisions that may still be committed.
    pub pending: Vec<VolumeToken>,
}

impl Volume {
    /// Units that count against the volume cap.
    pub fn used(&self) -> u64 {
        self.settled.saturating_add(u64::try_from(self.pending.len()).unwrap_or(u64::MAX))
    }

    /// Reserves one unit unless none is left, and returns whether one is reserved. Reserving again for one decision has no
    /// effect.
    pub fn take(&mut self, token: &VolumeToken, cap: u64) -> bool {
        if self.pending.iter().any(|pending| pending.decision == token.decision) {
            return true;
        }
        let is_left = self.used() < cap;
        if is_left {
            self.pending.push(token.clone());
        }
        is_left
    }

    /// Turns the reservation of a committed decision into a used unit.
    pub fn settle(&mut self, decision: DecisionId) {
        if self.remove_pending(decision) {
            self.settled += 1;
        }
    }

    /// Drops the reservation of a decision that was not and never will be committed. Settled units stay: the reservation may
    /// have been dropped before.
    pub fn abandon(&mut self, decision: DecisionId) {
        self.remove_pending(decision);
    }

    /// Returns the unit of a grant that was released without having been shown, whether it was settled yet or not.
    pub fn release(&mut self, decision: DecisionId) {
        if !self.remove_pending(decision) {
            self.settled = self.settled.saturating_sub(1);
        }
    }

    fn remove_pending(&mut self, decision: DecisionId) -> bool {
        let before = self.pending.len();
        self.pending.retain(|pending| pending.decision != decision);
        self.pending.len() < before
    }
}

//! Explicit offers: a product under terms of its own, beside the implicit offer at its catalogue price.

use std::collections::BTreeMap;

use super::ids::{Channel, CustomerId, DecisionId, OfferId, Placement, ProductId};
use super::money::Money;
use super::offer::OfferKind;
use super::time::Timestamp;

/// The most explicit offers: they are served from memory.
pub const EXPLICIT_OFFERS_MAX: usize = 5_000;
/// The most channels, and the most placements, that one offer names.
pub const NAMES_MAX: usize = 16;
/// The highest business priority.
pub const LEVER_MAX: f64 = 10.0;
/// The highest volume cap.
pub const VOLUME_MAX: u64 = 1_000_000_000;
/// The longest condition, in bytes.
pub const CONDITION_BYTES_MAX: usize = 512;

/// A product under terms.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplicitOffer {
    /// Names the offer; no product's implicit offer has this name.
    pub id: OfferId,
    /// What is offered.
    pub product: ProductId,
    /// Only for this question; `None` for both.
    pub kind: Option<OfferKind>,
    /// What it costs under these terms, in the currency of the product's price; `None` for the product's price.
    pub price: Option<Money>,
    /// From this moment on.
    pub valid_from: Option<Timestamp>,
    /// Until just before this moment.
    pub valid_until: Option<Timestamp>,
    /// Only on these channels; empty for all, and for questions that name none.
    pub channels: Vec<Channel>,
    /// Only at these placements; empty for all, and for questions that name none.
    pub placements: Vec<Placement>,
    /// The business priority, above 0 and at most [`LEVER_MAX`]; 1 is neutral.
    pub lever: f64,
    /// The most grants over all customers for as long as the offer lives; `None` for no end.
    pub volume_cap: Option<u64>,
    /// Only for customers whose attributes fulfil it, in the Common Expression Language; `None` for all customers.
    pub condition: Option<String>,
}

impl ExplicitOffer {
    /// An offer of a product at its price, for everybody and without end.
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

/// What kind of value an attribute of customers holds, so that conditions can be checked before anybody is asked about.
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
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Text, Self::Number, Self::Flag];

    /// The kind's name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Flag => "flag",
        }
    }
}

/// The attributes that conditions may ask for.
pub type AttributeKinds = BTreeMap<String, AttributeKind>;

/// One of an offer's volume, taken for a decision that is about to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeToken {
    /// The offer.
    pub offer: OfferId,
    /// The decision that took it.
    pub decision: DecisionId,
    /// About whom.
    pub customer: CustomerId,
    /// After this moment somebody else may ask whether the decision was committed at all.
    pub lease_ends_at: Timestamp,
}

/// How much of an offer's volume is gone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Volume {
    /// Grants of committed decisions.
    pub settled: u64,
    /// Taken by decisions that may still be committed.
    pub pending: Vec<VolumeToken>,
}

impl Volume {
    /// What counts against the cap.
    pub fn used(&self) -> u64 {
        self.settled.saturating_add(u64::try_from(self.pending.len()).unwrap_or(u64::MAX))
    }

    /// Takes one, unless none is left; taking again for one decision is taking once.
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

    /// The decision was committed.
    pub fn settle(&mut self, decision: DecisionId) {
        if self.remove_pending(decision) {
            self.settled += 1;
        }
    }

    /// The decision was not committed and never will be. What is settled stays: somebody else may have given it up before.
    pub fn abandon(&mut self, decision: DecisionId) {
        self.remove_pending(decision);
    }

    /// The grant that the decision made was given back unseen, whether it was settled yet or not.
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

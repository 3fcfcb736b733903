//! Offers: what is put to a customer, and why.

use super::ids::{OfferId, ProductId};
use super::money::Money;
use super::product::FeatureValue;
use super::time::Timestamp;

/// The two questions that tactful answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OfferKind {
    /// What goes well with what the customer has.
    CrossSell,
    /// What better version of something owned is worth moving to.
    UpSell,
}

impl OfferKind {
    /// The kind's name in answers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CrossSell => "cross_sell",
            Self::UpSell => "up_sell",
        }
    }
}

/// One offer of a slate.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// Names the offer; with the customer and the decision it names this serving of it.
    pub id: OfferId,
    /// Cross-sell or up-sell.
    pub kind: OfferKind,
    /// The product offered.
    pub product: ProductId,
    /// Its title at the time of the decision.
    pub title: String,
    /// 1 for the first of the slate.
    pub rank: u32,
    /// What it costs.
    pub price: Option<Money>,
    /// Until just before this moment it may be taken; `None` for no end.
    pub valid_until: Option<Timestamp>,
    /// What it costs more than the product it replaces; may be zero or negative.
    pub price_step: Option<Money>,
    /// Every factor of the score.
    pub factors: Factors,
    /// Why, strongest first.
    pub reasons: Vec<Reason>,
    /// Cross-sell: what of the customer's things or basket it goes with.
    pub goes_with: Vec<ProductId>,
    /// Up-sell: the product it replaces.
    pub replaces: Option<ProductId>,
    /// Up-sell: what gets better.
    pub gains: Vec<FeatureGain>,
    /// True when it was still open from an earlier decision and cost no cap now.
    pub is_repeat: bool,
}

/// A feature that gets better.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureGain {
    /// The feature.
    pub feature: String,
    /// What the customer has; `None` when the owned product lacks it.
    pub from: Option<FeatureValue>,
    /// What the offered product has.
    pub to: FeatureValue,
}

/// The factors of arbitration. `score` is [`Factors::score`] of the others, to the bit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factors {
    /// The probability that the customer takes it, 0 to 1.
    pub propensity: f64,
    /// What the probability was learned from.
    pub propensity_basis: PropensityBasis,
    /// The factor within the propensity that comes from how offers of the product were received, above 0; 1 while nothing
    /// is known of that.
    pub acceptance_lift: f64,
    /// The blend of seller's value and customer's gain, 0 and more; 1 is a product of median value.
    pub value: f64,
    /// The seller's margin in units of the catalogue's median item value, damped to 0 to 2.
    pub seller_value: f64,
    /// True when the margin is not known and the policy's default entered.
    pub margin_is_assumed: bool,
    /// Need times the probability of keeping it, 0 to 2.
    pub customer_gain: f64,
    /// How much the customer needs it, 0 to 2; 1 when nothing is known.
    pub need: f64,
    /// The probability that the customer keeps it, 0 to 1.
    pub keep_probability: f64,
    /// The seller's share in the blend, 0 to 1; it shrinks as relationship health falls.
    pub seller_share: f64,
    /// The fit to channel and placement, 0 and more; 1 is neutral.
    pub context: f64,
    /// The business priority, 0 and more; 1 is neutral.
    pub lever: f64,
    /// What the customer's attention costs; it rises as relationship health falls.
    pub attention_price: f64,
}

impl Factors {
    /// `propensity x value x context x lever - attention price`. Zero or less is not worth the customer's attention.
    pub fn score(&self) -> f64 {
        self.propensity * self.value * self.context * self.lever - self.attention_price
    }

    /// The propensity as it was before the acceptance lift.
    pub fn unlifted_propensity(&self) -> f64 {
        self.propensity / self.acceptance_lift
    }
}

/// What a propensity was learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PropensityBasis {
    /// From who bought what.
    Purchases,
    /// From what came of offers.
    Outcomes,
    /// From the catalogue alone: nobody bought it yet.
    Catalog,
}

impl PropensityBasis {
    /// The basis's name in answers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Purchases => "purchases",
            Self::Outcomes => "outcomes",
            Self::Catalog => "catalog",
        }
    }
}

/// One reason for an offer: a code for machines, the figures behind it, and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Such as `BOUGHT_TOGETHER`; stable.
    pub code: String,
    /// The figures and names in the sentence.
    pub parameters: Vec<(String, String)>,
    /// One plain sentence without a full stop.
    pub text: String,
}

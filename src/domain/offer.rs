//! Offers made to a customer, with scores and reasons.

use std::collections::BTreeMap;

use super::evidence::Evidence;
use super::ids::{GrantId, OfferId, ProductId};
use super::money::Money;
use super::product::FeatureValue;
use super::time::Timestamp;

/// Maximum number of reasons for one offer.
pub const REASONS_MAX: usize = 4;

/// Kind of offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OfferKind {
    /// A product that goes well with those that the customer has.
    CrossSell,
    /// A better version of a product that the customer has.
    UpSell,
}

impl OfferKind {
    /// Name in responses and logs.
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
    /// Id of the offer; together with the customer and the decision it identifies this serving of it.
    pub id: OfferId,
    /// Cross-sell or up-sell.
    pub kind: OfferKind,
    /// The product offered.
    pub product: ProductId,
    /// Title of the product at the time of the decision.
    pub title: String,
    /// 1 for the first of the slate.
    pub rank: u32,
    /// Price of the offer.
    pub price: Option<Money>,
    /// End of validity, exclusive; `None` for no end.
    pub valid_until: Option<Timestamp>,
    /// Price difference to the product that it replaces; may be zero or negative.
    pub price_step: Option<Money>,
    /// Every factor of the score.
    pub factors: Factors,
    /// Reasons for the offer, strongest first.
    pub reasons: Vec<Evidence>,
    /// Cross-sell: products of the customer or the basket that it goes with.
    pub goes_with: Vec<ProductId>,
    /// Up-sell: the product that it replaces.
    pub replaces: Option<ProductId>,
    /// Up-sell: features that improve.
    pub gains: Vec<FeatureGain>,
    /// Other products that the reasons and the fields above name, as they were at the time of the decision.
    pub mentioned: BTreeMap<ProductId, MentionedProduct>,
    /// The grant under which it is made.
    pub grant: GrantId,
    /// Whether an earlier decision made the grant and it is still open, so that it does not count again.
    pub is_already_granted: bool,
}

/// A product that an offer names, as it was at the time of the decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MentionedProduct {
    /// Title; empty when the catalogue did not have the product.
    pub title: String,
    /// Whether the customer had it: otherwise it was in the basket or on the page, or is only compared with.
    pub is_owned: bool,
}

/// A feature that improves.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureGain {
    /// The feature.
    pub feature: String,
    /// Value of the owned product; `None` when it lacks the feature.
    pub from: Option<FeatureValue>,
    /// Value of the offered product.
    pub to: FeatureValue,
}

/// The factors of arbitration. `score` is [`Factors::score`] of the others, to the bit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factors {
    /// Probability that the customer takes it, 0 to 1.
    pub propensity: f64,
    /// Data that the propensity was learned from.
    pub propensity_basis: PropensityBasis,
    /// Factor within the propensity for how well offers of the product were received, above 0; 1 while unknown.
    pub acceptance_lift: f64,
    /// Blend of seller value and customer gain, 0 and more; 1 is a product of median value.
    pub value: f64,
    /// Seller's margin in units of the catalogue's median item value, damped to the range 0 to 2.
    pub seller_value: f64,
    /// Whether the margin is unknown, so that the policy's default was used.
    pub margin_is_assumed: bool,
    /// Need times keep probability, 0 to 2.
    pub customer_gain: f64,
    /// The customer's need for it, 0 to 2; 1 when unknown.
    pub need: f64,
    /// Probability that the customer keeps it, 0 to 1.
    pub keep_probability: f64,
    /// Seller's share in the blend, 0 to 1; shrinks as relationship health falls.
    pub seller_share: f64,
    /// Impression discount, 0 to 1: below 1 when earlier offers of the product were ignored.
    pub context: f64,
    /// Business priority, 0 and more; 1 is neutral.
    pub lever: f64,
    /// Price of the customer's attention; rises as relationship health falls.
    pub attention_price: f64,
}

impl Factors {
    /// `propensity x value x context x lever - attention price`. Zero or less is not worth the customer's attention.
    pub fn score(&self) -> f64 {
        self.propensity * self.value * self.context * self.lever - self.attention_price
    }

    /// The propensity before the acceptance lift.
    pub fn unlifted_propensity(&self) -> f64 {
        self.propensity / self.acceptance_lift
    }
}

/// Data that a propensity was learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PropensityBasis {
    /// Purchases of all customers.
    Purchases,
    /// Outcomes of offers.
    Outcomes,
    /// The catalogue alone, for products without purchases.
    Catalog,
}

impl PropensityBasis {
    /// Name in responses and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Purchases => "purchases",
            Self::Outcomes => "outcomes",
            Self::Catalog => "catalog",
        }
    }
}

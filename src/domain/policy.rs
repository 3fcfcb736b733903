//! The policy: every weight, half-life, cap, rule and threshold of a decision, as one versioned value.
//!
//! Only the default exists so far; what is not a number here is not a setting. Validation of written policies belongs
//! to the room that reads them.

use std::time::Duration;

use super::decayed_sum::HalfLife;
use super::explicit_offer::AttributeKinds;
use super::ids::ProductId;
use super::product::Product;
use super::relationship::{Band, ComponentKind};
use super::time::DAY;

/// A whole policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Names this policy in every answer.
    pub version: String,
    /// How relationship health is made.
    pub relationship: RelationshipPolicy,
    /// How relationship health and rules become an allowance.
    pub contact: ContactPolicy,
    /// How offers are ordered, and what an offer must be worth.
    pub arbitration: ArbitrationPolicy,
    /// Who is offered nothing, so that the effect of offers can be measured.
    pub control_group: ControlGroup,
    /// The attributes of customers that conditions of offers may ask for.
    pub condition_attributes: AttributeKinds,
    /// What may not be used.
    pub privacy: PrivacyPolicy,
}

/// The control group.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlGroup {
    /// The share of all customers, 0 to 0.5; 0 for no experiment.
    pub share: f64,
    /// Decides who is in it. It does not depend on the policy's version: another version with the same salt has the same
    /// control group.
    pub salt: String,
}

/// What of a profile may not be used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrivacyPolicy {
    /// Names of attributes that enter neither a model nor a condition.
    pub sensitive_attributes: Vec<String>,
}

/// Weights, priors and half-lives of relationship health.
#[derive(Debug, Clone, PartialEq)]
pub struct RelationshipPolicy {
    /// Weight and prior of each component, in the order of [`ComponentKind::ALL`].
    pub components: [ComponentPolicy; ComponentKind::ALL.len()],
    /// No component falls below this, so that the geometric mean keeps telling bad from worse.
    pub component_floor: f64,
    /// Friction of a ticket of severity 1 to 4.
    pub ticket_weights: [f64; 4],
    /// Friction of a complaint of severity 1 to 4.
    pub complaint_weights: [f64; 4],
    /// An open case adds this share of its weight, undecayed.
    pub open_case_share: f64,
    /// Trouble of a late, failed and disputed payment.
    pub payment_weights: [f64; 3],
    /// Pressure of an offer shown, dismissed, rejected and complained of.
    pub pressure_weights: [f64; 4],
    /// Friction of a cancellation, a downgrade and the end of a subscription.
    pub parting_weights: [f64; 3],
    /// How strongly satisfaction moves sentiment.
    pub sentiment_scale: f64,
    /// What an accepted offer adds to value delivered.
    pub accepted_weight: f64,
    /// What a regretted offer takes from it.
    pub regretted_weight: f64,
    /// What the return of something that was never offered takes from it.
    pub return_weight: f64,
    /// Returning, cancelling or downgrading an accepted offer within this time is regret.
    pub regret_window: Duration,
    /// The recent half-life of the engagement trend; the component's own is the long one.
    pub engagement_recent_half_life: HalfLife,
    /// Engagement of a purchase day, a start or renewal, a use, and a visit or click.
    pub engagement_weights: [f64; 4],
    /// Pseudo-engagements that pull a thin trend to its prior.
    pub engagement_prior_mass: f64,
    /// The window that the retention outlook looks ahead.
    pub outlook_window: Duration,
    /// The yearly risk that a subscriber leaves: at the start, and after many years.
    pub leaving_risk: [f64; 2],
    /// How long a subscription runs before the risk has fallen by a factor of e.
    pub leaving_risk_tenure: Duration,
    /// Evidence below which a customer is a new customer: purchase days, running subscriptions, and one more for a
    /// subscription that has run for `established_after`.
    pub new_customer_evidence: usize,
    /// A subscription that has run this long is evidence of its own.
    pub established_after: Duration,
    /// The lower limits of guarded, steady and strong.
    pub band_limits: BandLimits,
}

/// Weight, prior and half-life of one component.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ComponentPolicy {
    /// Share in the geometric mean, 0 to 1; all shares sum to 1.
    pub weight: f64,
    /// The value when nothing is known.
    pub prior: f64,
    /// How fast the past fades.
    pub half_life: HalfLife,
}

/// Where one band ends and the next begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BandLimits {
    /// Below: strained.
    pub guarded: f64,
    /// Below: guarded.
    pub steady: f64,
    /// Below: steady; from here on: strong.
    pub strong: f64,
}

/// Caps, windows, pauses and leases.
#[derive(Debug, Clone, PartialEq)]
pub struct ContactPolicy {
    /// The window of all caps on offers.
    pub cap_window: Duration,
    /// Caps of each band, in the order of [`Band::ALL`].
    pub caps: [BandCaps; Band::ALL.len()],
    /// The cap rises by one offer per this time.
    pub rise_step: Duration,
    /// Within it an unanswered offer is served again for free.
    pub visit_window: Duration,
    /// Within it a grant can be given back.
    pub lease: Duration,
    /// Leases of channels that take longer, by channel name.
    pub channel_leases: Vec<(String, Duration)>,
    /// The pause after the first rejection; it doubles with each further one in a row.
    pub back_off: Duration,
    /// The longest pause after a rejection.
    pub back_off_max: Duration,
    /// A rejected product rests this long.
    pub rejected_product_rest: Duration,
    /// A dismissed product rests this long.
    pub dismissed_product_rest: Duration,
    /// A complaint holds offers back until this long after it was settled.
    pub complaint_hold_after_resolution: Duration,
    /// A complaint that is never settled holds offers back this long.
    pub complaint_hold_unresolved: Duration,
    /// A notice of cancellation holds offers back this long, or until the customer commits again.
    pub cancellation_hold: Duration,
    /// Quiet after a purchase.
    pub quiet_after_purchase: Duration,
    /// Quiet after a return.
    pub quiet_after_return: Duration,
    /// Quiet after a support ticket.
    pub quiet_after_ticket: Duration,
    /// Quiet after a late, failed or disputed payment.
    pub quiet_after_payment_trouble: Duration,
    /// The most offers of one category in one slate.
    pub category_offers_max: usize,
    /// How often one product is offered to a customer within the window of all caps.
    pub per_offer: u32,
    /// Caps of channels, by channel name: offers granted there within the window of all caps.
    pub channel_caps: Vec<(String, u32)>,
    /// Products that share a cap, by name.
    pub families: Vec<Family>,
    /// Pairs that are never offered together: not in one slate, nor while the other is open.
    pub never_together: Vec<(ProductId, ProductId)>,
    /// What is never offered for a while after something else was.
    pub never_after: Vec<NeverAfter>,
    /// What is offered only to customers who have something else.
    pub only_after: Vec<OnlyAfter>,
}

/// Products that share a cap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// Its name, in answers.
    pub name: String,
    /// Everything whose category path begins so; empty for none.
    pub category: Vec<String>,
    /// These products as well.
    pub products: Vec<ProductId>,
    /// The most of the family in one slate.
    pub per_slate: usize,
    /// The most of the family granted within the window of all caps.
    pub per_window: u32,
}

impl Family {
    /// True when the product is of the family.
    pub fn holds(&self, product: &Product) -> bool {
        let is_in_category = !self.category.is_empty() && product.category.starts_with(&self.category);
        is_in_category || self.products.contains(&product.id)
    }
}

/// `then` is never offered within a time after `first` was, nor in one slate with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeverAfter {
    /// What was offered.
    pub first: ProductId,
    /// What is then not offered.
    pub then: ProductId,
    /// For how long.
    pub within: Duration,
}

/// `product` is offered only to customers who have `after`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlyAfter {
    /// What is offered.
    pub product: ProductId,
    /// What the customer must have, or have in the basket.
    pub after: ProductId,
}

/// The caps of one band, within the window of all caps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BandCaps {
    /// Offers of any kind.
    pub offers: u32,
    /// Of them up-sell.
    pub up_sell: u32,
}

/// How offers are ordered, and what an offer must be worth.
#[derive(Debug, Clone, PartialEq)]
pub struct ArbitrationPolicy {
    /// The margin of a product that names none, as a share of its price.
    pub default_margin_share: f64,
    /// The seller's share in the value at relationship health 1; it shrinks in proportion to the score.
    pub seller_share: f64,
    /// The attention price at relationship health 1, in units of the median item's value.
    pub attention_price: f64,
    /// How much the attention price grows as relationship health falls from 1 to 0: by this factor.
    pub attention_price_growth: f64,
    /// What is left of an offer's worth each time that it was made and got no answer, 0 to 1.
    pub ignored_discount: f64,
}

impl RelationshipPolicy {
    /// Weight, prior and half-life of a component.
    pub fn component(&self, kind: ComponentKind) -> ComponentPolicy {
        let index = ComponentKind::ALL.iter().position(|&each| each == kind);
        self.components[index.expect("ComponentKind::ALL lists every kind")]
    }
}

impl ContactPolicy {
    /// The caps of a band.
    pub fn caps_of(&self, band: Band) -> BandCaps {
        let index = Band::ALL.iter().position(|&each| each == band);
        self.caps[index.expect("Band::ALL lists every band")]
    }

    /// The cap of a channel; `None` where it has none of its own.
    pub fn channel_cap(&self, channel: &str) -> Option<u32> {
        self.channel_caps.iter().find(|(name, _)| name == channel).map(|(_, cap)| *cap)
    }

    /// How long a grant is remembered: as long as a cap or a rule looks back.
    pub fn grants_remembered(&self) -> Duration {
        let rules = self.never_after.iter().map(|rule| rule.within);
        rules.max().unwrap_or_default().max(self.cap_window)
    }

    /// How long a grant on this channel can be given back.
    pub fn lease_of(&self, channel: Option<&str>) -> Duration {
        let special = channel.and_then(|name| self.channel_leases.iter().find(|(channel, _)| channel == name));
        special.map_or(self.lease, |(_, lease)| *lease)
    }
}

impl Default for Policy {
    /// The policy that holds when nobody wrote another.
    fn default() -> Self {
        Self {
            version: "default-1".to_owned(),
            relationship: RelationshipPolicy::default(),
            contact: ContactPolicy::default(),
            arbitration: ArbitrationPolicy::default(),
            control_group: ControlGroup { share: 0.0, salt: "tactful".to_owned() },
            condition_attributes: AttributeKinds::new(),
            privacy: PrivacyPolicy::default(),
        }
    }
}

impl Default for RelationshipPolicy {
    fn default() -> Self {
        let component = |weight, prior, half_life_days| ComponentPolicy {
            weight,
            prior,
            half_life: HalfLife::of_days(half_life_days).expect("the bank keeps every default half-life"),
        };
        Self {
            components: [
                component(0.25, 1.0, 30.0),
                component(0.12, 1.0, 60.0),
                component(0.15, 1.0, 21.0),
                component(0.13, 0.7, 180.0),
                component(0.10, 0.7, 180.0),
                component(0.10, 0.7, 180.0),
                component(0.15, 0.6, 180.0),
            ],
            component_floor: 0.01,
            ticket_weights: [0.1, 0.2, 0.4, 0.8],
            complaint_weights: [0.5, 1.0, 1.6, 2.4],
            open_case_share: 1.0,
            payment_weights: [0.4, 0.8, 1.2],
            pressure_weights: [0.06, 0.15, 0.4, 1.2],
            parting_weights: [0.3, 0.2, 0.2],
            sentiment_scale: 1.0,
            accepted_weight: 0.5,
            regretted_weight: 1.5,
            return_weight: 0.05,
            regret_window: DAY * 60,
            engagement_recent_half_life: HalfLife::of_days(60.0).expect("the bank keeps every default half-life"),
            engagement_weights: [1.0, 1.0, 0.25, 0.5],
            engagement_prior_mass: 1.0,
            outlook_window: DAY * 91,
            leaving_risk: [0.30, 0.05],
            leaving_risk_tenure: DAY * 365,
            new_customer_evidence: 2,
            established_after: DAY * 56,
            band_limits: BandLimits { guarded: 0.30, steady: 0.50, strong: 0.75 },
        }
    }
}

impl Default for ContactPolicy {
    fn default() -> Self {
        Self {
            cap_window: DAY * 28,
            caps: [
                BandCaps { offers: 0, up_sell: 0 },
                BandCaps { offers: 2, up_sell: 0 },
                BandCaps { offers: 4, up_sell: 1 },
                BandCaps { offers: 8, up_sell: 2 },
                BandCaps { offers: 3, up_sell: 1 },
            ],
            rise_step: DAY * 7,
            visit_window: DAY * 7,
            lease: Duration::from_secs(15 * 60),
            channel_leases: vec![("email".to_owned(), DAY * 2)],
            back_off: DAY * 14,
            back_off_max: DAY * 180,
            rejected_product_rest: DAY * 180,
            dismissed_product_rest: DAY * 28,
            complaint_hold_after_resolution: DAY * 14,
            complaint_hold_unresolved: DAY * 90,
            cancellation_hold: DAY * 30,
            quiet_after_purchase: Duration::ZERO,
            quiet_after_return: Duration::ZERO,
            quiet_after_ticket: DAY,
            quiet_after_payment_trouble: DAY * 3,
            category_offers_max: 2,
            per_offer: 1,
            channel_caps: Vec::new(),
            families: Vec::new(),
            never_together: Vec::new(),
            never_after: Vec::new(),
            only_after: Vec::new(),
        }
    }
}

impl Default for ArbitrationPolicy {
    fn default() -> Self {
        Self {
            default_margin_share: 0.3,
            seller_share: 0.5,
            attention_price: 0.0005,
            attention_price_growth: 4.0,
            ignored_discount: 0.7,
        }
    }
}

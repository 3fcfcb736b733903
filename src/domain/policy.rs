//! The policy: every weight, half-life, cap, rule and threshold of a decision, as one versioned value.
//!
//! Documents are read, checked and written by `policy_document`.

use std::time::Duration;

use super::catalog_settings::CatalogSettings;
use super::channel::{ChannelRegistry, InvalidChannel, QueryChannel, UnsetChannel};
use super::decayed_sum::HalfLife;
use super::explicit_offer::AttributeKinds;
use super::ids::{Channel, ProductId};
use super::product::Product;
use super::relationship::{Band, ComponentKind};
use super::time::DAY;

/// A policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Version, reported in every response.
    pub version: String,
    /// Settings of relationship health.
    pub relationship: RelationshipPolicy,
    /// Caps, pauses and rules of contact.
    pub contact: ContactPolicy,
    /// Settings of scoring and ordering.
    pub arbitration: ArbitrationPolicy,
    /// Rules by which the products of the catalogue compare.
    pub catalog: CatalogSettings,
    /// Control group of the holdout experiment, which is offered nothing.
    pub control_group: ControlGroup,
    /// Customer attributes that conditions of offers may refer to.
    pub condition_attributes: AttributeKinds,
    /// Attributes that must not be used.
    pub privacy: PrivacyPolicy,
}

/// Control group of the holdout experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlGroup {
    /// Share of all customers, 0 to 0.5; 0 for no experiment.
    pub share: f64,
    /// Salt of the assignment. Another version of the policy with the same salt and share has the same control group.
    pub salt: String,
}

/// Attributes that must not be used.
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
    /// Minimum value of a component, so that the geometric mean still distinguishes bad from worse.
    pub component_floor: f64,
    /// Friction of a ticket of severity 1 to 4.
    pub ticket_weights: [f64; 4],
    /// Friction of a complaint of severity 1 to 4.
    pub complaint_weights: [f64; 4],
    /// An open case adds this share of its weight, undecayed.
    pub open_case_share: f64,
    /// Weight of a late, failed and disputed payment.
    pub payment_weights: [f64; 3],
    /// Pressure of an offer shown, dismissed, rejected and complained about.
    pub pressure_weights: [f64; 4],
    /// Friction of a cancellation, a downgrade and the end of a subscription.
    pub parting_weights: [f64; 3],
    /// Factor from satisfaction to sentiment.
    pub sentiment_scale: f64,
    /// Weight of an accepted offer in value delivered.
    pub accepted_weight: f64,
    /// Weight of a regretted offer, which lowers value delivered.
    pub regretted_weight: f64,
    /// Weight of a return, which lowers value delivered.
    pub return_weight: f64,
    /// Time within which returning, cancelling or downgrading an accepted offer counts as regret.
    pub regret_window: Duration,
    /// Time between an end and a start within which they are one change of plans, or one renewal.
    pub plan_change_window: Duration,
    /// Recent half-life of the engagement trend; the component's own half-life is the long one.
    pub engagement_recent_half_life: HalfLife,
    /// Engagement of a purchase day, of a start or renewal, of a use, and of a visit or click.
    pub engagement_weights: [f64; 4],
    /// Number of pseudo-engagements that pull a trend with little data to its prior.
    pub engagement_prior_mass: f64,
    /// Window of the retention outlook.
    pub outlook_window: Duration,
    /// Yearly risk that a subscriber leaves, where no outlook was learned: at the start, and after many years.
    pub leaving_risk: [f64; 2],
    /// Tenure after which the difference between the two risks has fallen by a factor of e.
    pub leaving_risk_tenure: Duration,
    /// Amount of evidence below which a customer is a new customer: purchase days, running subscriptions, and one more for
    /// a subscription that has run for `established_after`.
    pub new_customer_evidence: usize,
    /// Time after which a running subscription counts as further evidence.
    pub established_after: Duration,
    /// Lower limits of the bands guarded, steady and strong.
    pub band_limits: BandLimits,
}

/// Weight, prior and half-life of one component.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ComponentPolicy {
    /// Weight in the geometric mean, 0 to 1; all weights sum to 1.
    pub weight: f64,
    /// Value while the component is unknown.
    pub prior: f64,
    /// Half-life of past events.
    pub half_life: HalfLife,
}

/// Limits between the bands of relationship health.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BandLimits {
    /// Lower limit of guarded; below it a relationship is strained.
    pub guarded: f64,
    /// Lower limit of steady; below it a relationship is guarded.
    pub steady: f64,
    /// Lower limit of strong; below it a relationship is steady.
    pub strong: f64,
}

/// Caps, windows, pauses, leases and rules of contact.
#[derive(Debug, Clone, PartialEq)]
pub struct ContactPolicy {
    /// Sliding window of all caps on offers.
    pub cap_window: Duration,
    /// Caps of each band, in the order of [`Band::ALL`].
    pub caps: [BandCaps; Band::ALL.len()],
    /// Time in which the cap rises by one offer after a fall.
    pub rise_step: Duration,
    /// Time in which an offer without a response is served again without counting again.
    pub visit_window: Duration,
    /// Time in which a grant can be released.
    pub lease: Duration,
    /// Pause after the first rejection; doubles with each further one in a row.
    pub back_off: Duration,
    /// Maximum pause after a rejection.
    pub back_off_max: Duration,
    /// Time for which a rejected product is not offered.
    pub rejected_product_cooldown: Duration,
    /// Time for which a dismissed product is not offered.
    pub dismissed_product_cooldown: Duration,
    /// Time for which a returned product and its variants are not offered.
    pub returned_product_cooldown: Duration,
    /// Time for which a cancelled product, its variants and the rungs above it are not offered; also after the end of a
    /// subscription, and for what a downgrade gave up.
    pub cancelled_product_cooldown: Duration,
    /// Time for which a product is not offered that the customer accepted as an offer and soon gave up.
    pub regretted_product_cooldown: Duration,
    /// Time for which a complaint holds offers after it was resolved.
    pub complaint_hold_after_resolution: Duration,
    /// Time for which an unresolved complaint holds offers.
    pub complaint_hold_unresolved: Duration,
    /// Time for which a notice of cancellation holds offers, unless the customer subscribes or renews sooner.
    pub cancellation_hold: Duration,
    /// Quiet period after a purchase.
    pub quiet_after_purchase: Duration,
    /// Quiet period after a return.
    pub quiet_after_return: Duration,
    /// Quiet period after a support ticket.
    pub quiet_after_ticket: Duration,
    /// Quiet period after a late, failed or disputed payment.
    pub quiet_after_payment_trouble: Duration,
    /// Quiet period after a detractor's answer to a survey; zero for none.
    pub quiet_after_detractor_survey: Duration,
    /// Quiet period after repeated payment failures; zero for none.
    pub quiet_after_payment_failures: Duration,
    /// Number of failed payments within [`ContactPolicy::payment_failure_window`] that are repeated failures.
    pub payment_failures_min: usize,
    /// Time within which failed payments count as repeated.
    pub payment_failure_window: Duration,
    /// Maximum number of offers of one category in a slate.
    pub category_offers_max: usize,
    /// Maximum number of offers of one product to a customer within the cap window.
    pub per_offer: u32,
    /// Meaning of a request that names no channel.
    pub unset_channel: UnsetChannel,
    /// The channels that requests may name.
    pub channels: ChannelRegistry,
    /// Product families, each with a cap of its own.
    pub families: Vec<ProductFamily>,
    /// Pairs of products that are never offered together: neither in one slate, nor while the other is open.
    pub never_together: Vec<(ProductId, ProductId)>,
    /// Products that are not offered for a while after another one was.
    pub never_after: Vec<NeverAfter>,
    /// Products that are offered only to customers who have another one.
    pub only_after: Vec<OnlyAfter>,
}

/// A group of products that share a cap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductFamily {
    /// Name of the family.
    pub name: String,
    /// Includes every product whose category path starts so; empty for none.
    pub category: Vec<String>,
    /// Further products of the family.
    pub products: Vec<ProductId>,
    /// Maximum number of offers of the family in a slate.
    pub per_slate: usize,
    /// Maximum number of offers of the family granted within the cap window.
    pub per_window: u32,
}

impl ProductFamily {
    /// Whether the product belongs to the family.
    pub fn contains(&self, product: &Product) -> bool {
        let is_in_category = !self.category.is_empty() && product.category.starts_with(&self.category);
        is_in_category || self.products.contains(&product.id)
    }
}

/// Rule that `then` is not offered within a time after `first`, nor in one slate with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeverAfter {
    /// The product offered first.
    pub first: ProductId,
    /// The product that is then not offered.
    pub then: ProductId,
    /// Length of the time.
    pub within: Duration,
}

/// Rule that `product` is offered only to customers who have `after`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlyAfter {
    /// The product offered.
    pub product: ProductId,
    /// The product that the customer must have, or have in the basket.
    pub after: ProductId,
}

/// Caps of one band, within the cap window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BandCaps {
    /// Maximum number of offers of any kind.
    pub offers: u32,
    /// Maximum number of up-sell offers among them.
    pub up_sell: u32,
}

/// Settings of scoring and ordering: the value of an offer, and the price of attention that it must exceed.
#[derive(Debug, Clone, PartialEq)]
pub struct ArbitrationPolicy {
    /// Margin of a product without one, as a share of its price.
    pub default_margin_share: f64,
    /// Seller's share in the value at relationship health 1; shrinks in proportion to the score.
    pub seller_share: f64,
    /// Attention price at relationship health 1, in units of the median item's value.
    pub attention_price: f64,
    /// Relative increase of the attention price as relationship health falls from 1 to 0.
    pub attention_price_growth: f64,
    /// Factor on an offer's value for each earlier offer of the product that got no response, 0 to 1.
    pub ignored_discount: f64,
    /// Share of an allowance below which its use is low: the need for a larger one is then below 1, and an upgrade that only
    /// enlarges it is withheld.
    pub low_usage_share: f64,
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

    /// Resolves the channel of a request.
    ///
    /// # Errors
    /// When no channel has this name, or when one is required.
    pub fn query_channel(&self, channel: Option<&Channel>) -> Result<QueryChannel<'_>, InvalidChannel> {
        let channel = match (channel, &self.unset_channel) {
            (Some(channel), _) | (None, UnsetChannel::Registered(channel)) => channel,
            (None, UnsetChannel::Strictest) => return Ok(QueryChannel::Unset),
            (None, UnsetChannel::Refuse) => return Err(InvalidChannel::Missing { known: self.channels.names() }),
        };
        let registered = self.channels.resolve(channel).map(QueryChannel::Registered);
        registered.ok_or_else(|| InvalidChannel::Unknown { channel: channel.clone(), known: self.channels.names() })
    }

    /// Time for which a grant on this channel can be released. Without a channel it is the shortest of all.
    pub fn lease_of(&self, channel: QueryChannel<'_>) -> Duration {
        match channel {
            QueryChannel::Registered(channel) => channel.terms.lease.unwrap_or(self.lease),
            QueryChannel::Unset => {
                self.channels.iter().filter_map(|channel| channel.terms.lease).fold(self.lease, Duration::min)
            }
        }
    }
}

impl Default for Policy {
    /// The policy that is active until another one is activated.
    fn default() -> Self {
        Self {
            version: "default-1".to_owned(),
            relationship: RelationshipPolicy::default(),
            contact: ContactPolicy::default(),
            arbitration: ArbitrationPolicy::default(),
            catalog: CatalogSettings::default(),
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
            half_life: HalfLife::of_days(half_life_days).expect("every default half-life is supported"),
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
            plan_change_window: DAY,
            engagement_recent_half_life: HalfLife::of_days(60.0).expect("every default half-life is supported"),
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
            back_off: DAY * 14,
            back_off_max: DAY * 180,
            rejected_product_cooldown: DAY * 180,
            dismissed_product_cooldown: DAY * 28,
            returned_product_cooldown: DAY * 90,
            cancelled_product_cooldown: DAY * 90,
            regretted_product_cooldown: DAY * 180,
            complaint_hold_after_resolution: DAY * 14,
            complaint_hold_unresolved: DAY * 90,
            cancellation_hold: DAY * 30,
            quiet_after_purchase: Duration::ZERO,
            quiet_after_return: Duration::ZERO,
            quiet_after_ticket: DAY,
            quiet_after_payment_trouble: DAY * 3,
            quiet_after_detractor_survey: Duration::ZERO,
            quiet_after_payment_failures: Duration::ZERO,
            payment_failures_min: 3,
            payment_failure_window: DAY * 60,
            category_offers_max: 2,
            per_offer: 1,
            unset_channel: UnsetChannel::Strictest,
            channels: ChannelRegistry::default(),
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
            low_usage_share: 0.5,
        }
    }
}

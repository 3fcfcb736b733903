//! Table of all values of a policy with their keys, ranges and comments.

use std::time::Duration;

use super::policy_field::{OFFERS_MAX, PolicyField};
use crate::domain::catalog_settings::CatalogSettings;
use crate::domain::ledger::GRANTS_KEPT;
use crate::domain::policy::{
    ArbitrationPolicy, BandLimits, ContactPolicy, ControlGroup, Policy, PrivacyPolicy, RelationshipPolicy,
};
use crate::domain::relationship::{Band, ComponentKind, PAYMENT_FAILURES_MAX};
use crate::domain::time::DAY;
use crate::domain::usage::NEAR_ALLOWANCE;

/// Maximum duration of a policy.
const DURATION_MAX: Duration = Duration::from_secs(3650 * 86_400);

/// Declaration of one value of a policy.
pub struct PolicyEntry<'p> {
    /// Table of the document, such as `contact.caps`.
    pub section: &'static str,
    /// Key within the section.
    pub key: &'static str,
    /// Meaning of the value in one line.
    pub comment: &'static str,
    /// Reference to the field with its range.
    pub field: PolicyField<'p>,
}

impl PolicyEntry<'_> {
    /// Returns the key with its section.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }
}

const NO_TIME: Duration = Duration::ZERO;
const A_SECOND: Duration = Duration::from_secs(1);

/// Lists every value of a policy except its version, in the order of the document.
#[allow(clippy::too_many_lines, reason = "one list, one line or two for each value")]
pub fn policy_entries(policy: &mut Policy) -> Vec<PolicyEntry<'_>> {
    // No `..`: a new field does not compile until it has an entry here.
    let Policy {
        version: _,
        relationship,
        contact,
        arbitration,
        catalog,
        control_group,
        condition_attributes,
        privacy,
    } = policy;
    let RelationshipPolicy {
        components,
        component_floor,
        ticket_weights,
        complaint_weights,
        open_case_share,
        payment_weights,
        pressure_weights,
        parting_weights,
        plan_change_window,
        sentiment_scale,
        accepted_weight,
        regretted_weight,
        return_weight,
        regret_window,
        engagement_recent_half_life,
        engagement_weights,
        engagement_prior_mass,
        outlook_window,
        leaving_risk,
        leaving_risk_tenure,
        new_customer_evidence,
        established_after,
        band_limits: BandLimits { guarded, steady, strong },
    } = relationship;
    let ContactPolicy {
        cap_window,
        caps,
        rise_step,
        visit_window,
        lease,
        back_off,
        back_off_max,
        rejected_product_cooldown,
        dismissed_product_cooldown,
        returned_product_cooldown,
        cancelled_product_cooldown,
        regretted_product_cooldown,
        complaint_hold_after_resolution,
        complaint_hold_unresolved,
        cancellation_hold,
        quiet_after_purchase,
        quiet_after_return,
        quiet_after_ticket,
        quiet_after_payment_trouble,
        quiet_after_detractor_survey,
        quiet_after_payment_failures,
        payment_failures_min,
        payment_failure_window,
        category_offers_max,
        per_offer,
        unset_channel,
        channels,
        families,
        never_together,
        never_after,
        only_after,
    } = contact;
    let ArbitrationPolicy {
        default_margin_share,
        seller_share,
        attention_price,
        attention_price_growth,
        ignored_discount,
        low_usage_share,
    } = arbitration;

    let CatalogSettings { feature_orders, item_groups } = catalog;
    let ControlGroup { share, salt } = control_group;
    let PrivacyPolicy { sensitive_attributes } = privacy;

    let mut all: Vec<PolicyEntry<'_>> = Vec::new();
    let mut add = |section, key, comment, field| all.push(PolicyEntry { section, key, comment, field });

    let section = "contact.caps";
    for (band, caps) in Band::ALL.into_iter().zip(caps.iter_mut()) {
        add(section, band.as_str(), band_comment(band), PolicyField::Caps(caps));
    }
    let section = "contact";
    let duration = |duration| PolicyField::Duration(duration, NO_TIME, DURATION_MAX);
    add(
        section,
        "cap_window",
        "window of all caps: an offer counts until just before it is this old",
        PolicyField::Duration(cap_window, DAY, GRANTS_KEPT),
    );
    add(
        section,
        "rise_step",
        "after a fall, the cap rises by one offer in this time",
        PolicyField::Duration(rise_step, DAY / 24, DAY * 180),
    );
    add(
        section,
        "visit_window",
        "an unanswered offer is served again within this time without counting again",
        PolicyField::Duration(visit_window, A_SECOND, DAY * 180),
    );
    add(
        section,
        "lease",
        "an offer that was not shown can be released within this time",
        PolicyField::Duration(lease, A_SECOND, DAY * 30),
    );
    add(
        section,
        "back_off",
        "pause after a rejection; doubles with each further rejection in a row",
        duration(back_off),
    );
    add(section, "back_off_max", "maximum pause after a rejection", duration(back_off_max));
    add(
        section,
        "rejected_product_cooldown",
        "a rejected product is not offered for this long",
        duration(rejected_product_cooldown),
    );
    add(
        section,
        "dismissed_product_cooldown",
        "a dismissed product is not offered for this long",
        duration(dismissed_product_cooldown),
    );
    add(
        section,
        "returned_product_cooldown",
        "a returned product and its variants are not offered for this long, unless it was faulty or the wrong variant",
        duration(returned_product_cooldown),
    );
    add(
        section,
        "cancelled_product_cooldown",
        "a cancelled or ended product, its variants and the tiers above it are not offered for this long",
        duration(cancelled_product_cooldown),
    );
    add(
        section,
        "regretted_product_cooldown",
        "an accepted offer that is given up within regret_window is not made again for this long",
        duration(regretted_product_cooldown),
    );
    add(
        section,
        "complaint_hold_after_resolution",
        "a complaint puts offers on hold until this long after it was resolved",
        duration(complaint_hold_after_resolution),
    );
    add(
        section,
        "complaint_hold_unresolved",
        "a complaint that is never resolved puts offers on hold for this long",
        duration(complaint_hold_unresolved),
    );
    add(
        section,
        "cancellation_hold",
        "a cancellation notice puts offers on hold for this long, or until the customer commits again",
        duration(cancellation_hold),
    );
    add(section, "quiet_after_purchase", "no offers for this long after a purchase", duration(quiet_after_purchase));
    add(section, "quiet_after_return", "no offers for this long after a return", duration(quiet_after_return));
    add(section, "quiet_after_ticket", "no offers for this long after a support ticket", duration(quiet_after_ticket));
    add(
        section,
        "quiet_after_payment_trouble",
        "no offers for this long after a late, failed or disputed payment",
        duration(quiet_after_payment_trouble),
    );
    add(
        section,
        "quiet_after_detractor_survey",
        "no offers for this long after a survey answer of 6 of 10 or less, such as \"30d\"",
        duration(quiet_after_detractor_survey),
    );
    add(
        section,
        "quiet_after_payment_failures",
        "no offers for this long after payment_failures_min failed payments within payment_failure_window, such as \"30d\"",
        duration(quiet_after_payment_failures),
    );
    add(
        section,
        "payment_failures_min",
        "failed payments that count as repeated",
        PolicyField::Size(payment_failures_min, 2, PAYMENT_FAILURES_MAX),
    );
    add(
        section,
        "payment_failure_window",
        "time within which they do",
        PolicyField::Duration(payment_failure_window, DAY, DAY * 365),
    );
    add(
        section,
        "category_offers_max",
        "maximum number of offers of one category in one slate",
        PolicyField::Size(category_offers_max, 1, 20),
    );

    add(
        section,
        "per_offer",
        "maximum number of offers of one product to a customer within cap_window",
        PolicyField::Count(per_offer, 1, OFFERS_MAX),
    );
    add(
        section,
        "families",
        "products that share a cap, by name: { category = [\"Insurance\"], products = [], per_slate = 1, per_window = 2 }",
        PolicyField::Families(families),
    );
    add(
        section,
        "unset_channel",
        "a request without a channel is one on this channel, or \"strictest\" of all, or \"refuse\"",
        PolicyField::UnsetChannel(unset_channel),
    );
    // The last of its section, because each channel is written as a table of its own.
    add(
        section,
        "channels",
        "the channels that requests may name, each with aliases, lease, cap and its basis: opt_in, soft_opt_in or opt_out",
        PolicyField::Channels(channels),
    );
    let section = "contact.rules";
    add(
        section,
        "never_together",
        "pairs that are never in one slate, and not offered while the other is open: [[\"a\", \"b\"]]",
        PolicyField::Pairs(never_together),
    );
    add(
        section,
        "never_after",
        "products that are not offered for some time after another: [{ first = \"a\", then = \"b\", within = \"90d\" }]",
        PolicyField::Sequences(never_after),
    );
    add(
        section,
        "only_after",
        "products that are offered only to customers who have another: [[\"offered product\", \"required product\"]]",
        PolicyField::Requirements(only_after),
    );

    let section = "relationship.bands";
    add(section, "guarded", "relationship health below this is strained", PolicyField::Number(guarded, 0.0, 1.0));
    add(section, "steady", "below this it is guarded", PolicyField::Number(steady, 0.0, 1.0));
    add(section, "strong", "below this it is steady, else strong", PolicyField::Number(strong, 0.0, 1.0));
    add(
        section,
        "new_customer_evidence",
        "a customer with fewer purchase days and subscriptions than this is new",
        PolicyField::Size(new_customer_evidence, 0, 100),
    );
    add(
        section,
        "established_after",
        "a subscription that has run this long is sufficient evidence by itself",
        duration(established_after),
    );

    let section = "relationship.components";
    for (kind, component) in ComponentKind::ALL.into_iter().zip(components.iter_mut()) {
        add(section, kind.as_str(), component_comment(kind), PolicyField::Component(component));
    }
    let section = "relationship";
    let weight = |weight| PolicyField::Number(weight, 0.0, 100.0);
    add(
        section,
        "component_floor",
        "minimum of every component, so that the mean still distinguishes bad from worse",
        PolicyField::Number(component_floor, 1e-6, 0.5),
    );
    add(
        section,
        "ticket_weights",
        "friction of a ticket of severity 1, 2, 3 and 4",
        PolicyField::Numbers(ticket_weights, 0.0, 100.0),
    );
    add(
        section,
        "complaint_weights",
        "friction of a complaint of severity 1, 2, 3 and 4; none below the ticket of that severity",
        PolicyField::Numbers(complaint_weights, 0.0, 100.0),
    );
    add(
        section,
        "open_case_share",
        "share of its weight that an open case adds without decay",
        weight(open_case_share),
    );
    add(
        section,
        "parting_weights",
        "friction of a cancellation, a downgrade and the end of a subscription",
        PolicyField::Numbers(parting_weights, 0.0, 100.0),
    );
    add(
        section,
        "payment_weights",
        "trouble of a late, a failed and a disputed payment",
        PolicyField::Numbers(payment_weights, 0.0, 100.0),
    );
    add(
        section,
        "pressure_weights",
        "pressure of an offer shown, dismissed, rejected and complained about",
        PolicyField::Numbers(pressure_weights, 0.0, 100.0),
    );
    add(section, "sentiment_scale", "effect of satisfaction on sentiment", weight(sentiment_scale));
    add(section, "accepted_weight", "added to value delivered by an accepted offer", weight(accepted_weight));
    add(section, "regretted_weight", "subtracted from it by a regretted offer", weight(regretted_weight));
    add(
        section,
        "return_weight",
        "subtracted from it by the return of a product that was never offered",
        weight(return_weight),
    );
    add(
        section,
        "regret_window",
        "an accepted offer that is given up within this time is regretted",
        duration(regret_window),
    );
    add(
        section,
        "plan_change_window",
        "an end and a start of two plans of one ladder or category within this time are a change, not a loss",
        PolicyField::Duration(plan_change_window, NO_TIME, DAY * 31),
    );
    add(
        section,
        "engagement_weights",
        "engagement of a purchase day, a start or renewal, a usage, and a visit or click",
        PolicyField::Numbers(engagement_weights, 0.0, 100.0),
    );
    add(
        section,
        "engagement_recent_half_life",
        "short half-life of the engagement trend; the component's own half-life is the long one",
        PolicyField::HalfLife(engagement_recent_half_life),
    );
    add(
        section,
        "engagement_prior_mass",
        "pseudo-engagements that pull a thin trend to its prior",
        PolicyField::Number(engagement_prior_mass, 1e-3, 1000.0),
    );
    add(
        section,
        "outlook_window",
        "time ahead that the retention outlook predicts",
        PolicyField::Duration(outlook_window, DAY * 7, DAY * 1096),
    );
    add(
        section,
        "leaving_risk",
        "without a trained model: yearly risk that a subscriber leaves, at the start and after many years",
        PolicyField::Numbers(leaving_risk, 0.0, 1.0),
    );
    add(
        section,
        "leaving_risk_tenure",
        "time in which that risk falls by a factor of e",
        PolicyField::Duration(leaving_risk_tenure, DAY, DURATION_MAX),
    );

    let section = "arbitration";
    add(
        section,
        "default_margin_share",
        "margin of a product without one, as a share of its price",
        PolicyField::Number(default_margin_share, 1e-6, 1.0),
    );
    add(
        section,
        "seller_share",
        "the seller's share of the value at relationship health 1; shrinks in proportion to health",
        PolicyField::Number(seller_share, 0.0, 1.0),
    );
    add(
        section,
        "attention_price",
        "attention price at relationship health 1, in units of the median item value",
        PolicyField::Number(attention_price, 0.0, 100.0),
    );
    add(
        section,
        "attention_price_growth",
        "growth of the attention price as relationship health falls from 1 to 0",
        PolicyField::Number(attention_price_growth, 0.0, 1000.0),
    );
    add(
        section,
        "ignored_discount",
        "factor on an offer's score for each time it was made without a response",
        PolicyField::Number(ignored_discount, 0.0, 1.0),
    );
    add(
        section,
        "low_usage_share",
        "use of an allowance below this is low: no upgrade that only enlarges it, and less need for one that does so too",
        PolicyField::Number(low_usage_share, 0.0, NEAR_ALLOWANCE),
    );

    let section = "catalog";
    add(
        section,
        "features",
        "order of product features by name, each more_is_better, less_is_better or no_order: { weight = \"less_is_better\" }",
        PolicyField::FeatureOrders(feature_orders),
    );
    add(
        section,
        "item_groups",
        "inferred: products without an item group that differ by a colour or size in the title are variants too; or declared",
        PolicyField::ItemGroups(item_groups),
    );

    let section = "control_group";
    add(
        section,
        "share",
        "share of all customers in the control group; 0 for none. Changing it starts another experiment",
        PolicyField::Number(share, 0.0, 0.5),
    );
    add(
        section,
        "salt",
        "decides which customers are in it; keep it for as long as the experiment lasts, whatever else changes",
        PolicyField::Text(salt, 64),
    );
    let section = "conditions";
    add(
        section,
        "attributes",
        "customer attributes by name, each text, number or flag: { age = \"number\", segment = \"text\" }",
        PolicyField::AttributeKinds(condition_attributes),
    );
    let section = "privacy";
    add(
        section,
        "sensitive_attributes",
        "customer attributes that are used in neither a model nor a condition",
        PolicyField::Names(sensitive_attributes),
    );
    all
}

fn band_comment(band: Band) -> &'static str {
    match band {
        Band::Strained => "offers would hurt",
        Band::Guarded => "few offers, none of them up-sell",
        Band::Steady => "the usual relationship",
        Band::Strong => "a good relationship",
        Band::NewCustomer => {
            "not enough evidence yet; also the most that a guarded or strained customer gets who is new"
        }
    }
}

fn component_comment(kind: ComponentKind) -> &'static str {
    match kind {
        ComponentKind::ServiceFriction => "tickets and complaints",
        ComponentKind::Payment => "late, failed and disputed payments",
        ComponentKind::OfferPressure => "pressure of recent offers",
        ComponentKind::Sentiment => "answers to surveys",
        ComponentKind::ValueDelivered => "whether accepted offers were kept",
        ComponentKind::EngagementTrend => "whether the customer is more or less active than usual",
        ComponentKind::RetentionOutlook => "probability that the customer buys again or stays",
    }
}

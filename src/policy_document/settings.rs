//! The table: every value of a policy with its key, its range and what it means.

use std::time::Duration;

use super::slot::{OFFERS_MAX, Slot};
use crate::domain::policy::{
    ArbitrationPolicy, BandLimits, ContactPolicy, ControlGroup, Policy, PrivacyPolicy, RelationshipPolicy,
};
use crate::domain::relationship::{Band, ComponentKind};
use crate::domain::time::DAY;

/// The longest span of a policy.
pub const SPAN_MAX: Duration = Duration::from_secs(3650 * 86_400);

/// One value of a policy.
pub struct Setting<'p> {
    /// Where it stands, such as `contact.caps`.
    pub section: &'static str,
    /// Its name there.
    pub key: &'static str,
    /// What it means, in a line.
    pub comment: &'static str,
    /// The value.
    pub slot: Slot<'p>,
}

impl Setting<'_> {
    /// The key with its section.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }
}

const NO_TIME: Duration = Duration::ZERO;
const A_SECOND: Duration = Duration::from_secs(1);

/// Every value of a policy but its version, in the order of the document.
#[allow(clippy::too_many_lines, reason = "one list, one line or two for each value")]
pub fn settings(policy: &mut Policy) -> Vec<Setting<'_>> {
    // No `..`: a field that is added must be given a line here.
    let Policy { version: _, relationship, contact, arbitration, control_group, condition_attributes, privacy } =
        policy;
    let RelationshipPolicy {
        components,
        component_floor,
        ticket_weights,
        complaint_weights,
        open_case_share,
        payment_weights,
        pressure_weights,
        parting_weights,
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
        channel_leases,
        back_off,
        back_off_max,
        rejected_product_cooldown,
        dismissed_product_cooldown,
        complaint_hold_after_resolution,
        complaint_hold_unresolved,
        cancellation_hold,
        quiet_after_purchase,
        quiet_after_return,
        quiet_after_ticket,
        quiet_after_payment_trouble,
        category_offers_max,
        per_offer,
        channel_caps,
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
    } = arbitration;

    let ControlGroup { share, salt } = control_group;
    let PrivacyPolicy { sensitive_attributes } = privacy;

    let mut all: Vec<Setting<'_>> = Vec::new();
    let mut add = |section, key, comment, slot| all.push(Setting { section, key, comment, slot });

    let section = "contact.caps";
    for (band, caps) in Band::ALL.into_iter().zip(caps.iter_mut()) {
        add(section, band.as_str(), band_comment(band), Slot::Caps(caps));
    }
    let section = "contact";
    let span = |span| Slot::Span(span, NO_TIME, SPAN_MAX);
    add(
        section,
        "cap_window",
        "the window of all caps: an offer counts until just before it is this old",
        Slot::Span(cap_window, DAY, DAY * 180),
    );
    add(
        section,
        "rise_step",
        "after a fall the cap rises by one offer in this time",
        Slot::Span(rise_step, DAY / 24, DAY * 180),
    );
    add(
        section,
        "visit_window",
        "within it an unanswered offer is served again without counting again",
        Slot::Span(visit_window, A_SECOND, DAY * 180),
    );
    add(
        section,
        "lease",
        "within it an offer that was not shown can be given back",
        Slot::Span(lease, A_SECOND, DAY * 30),
    );
    add(
        section,
        "channel_leases",
        "leases of channels that take longer, by the name of the channel",
        Slot::Spans(channel_leases, A_SECOND, DAY * 30),
    );
    add(section, "back_off", "the pause after a rejection; doubles with each further one in a row", span(back_off));
    add(section, "back_off_max", "the longest pause after a rejection", span(back_off_max));
    add(
        section,
        "rejected_product_cooldown",
        "a rejected product is not offered for this long",
        span(rejected_product_cooldown),
    );
    add(
        section,
        "dismissed_product_cooldown",
        "a dismissed product is not offered for this long",
        span(dismissed_product_cooldown),
    );
    add(
        section,
        "complaint_hold_after_resolution",
        "a complaint holds offers back until this long after it was settled",
        span(complaint_hold_after_resolution),
    );
    add(
        section,
        "complaint_hold_unresolved",
        "a complaint that is never settled holds offers back this long",
        span(complaint_hold_unresolved),
    );
    add(
        section,
        "cancellation_hold",
        "a notice of cancellation holds offers back this long, or until the customer commits again",
        span(cancellation_hold),
    );
    add(section, "quiet_after_purchase", "no offers for this long after a purchase", span(quiet_after_purchase));
    add(section, "quiet_after_return", "after a return", span(quiet_after_return));
    add(section, "quiet_after_ticket", "after a support ticket", span(quiet_after_ticket));
    add(
        section,
        "quiet_after_payment_trouble",
        "after a late, failed or disputed payment",
        span(quiet_after_payment_trouble),
    );
    add(
        section,
        "category_offers_max",
        "the most offers of one category in one slate",
        Slot::Size(category_offers_max, 1, 20),
    );

    add(
        section,
        "per_offer",
        "how often one product is offered to a customer within cap_window",
        Slot::Count(per_offer, 1, OFFERS_MAX),
    );
    add(
        section,
        "channel_caps",
        "offers granted on a channel within cap_window, by the name of the channel, such as { email = 2 }",
        Slot::Counts(channel_caps),
    );
    add(
        section,
        "families",
        "products that share a cap, by name: { category = [\"Insurance\"], products = [], per_slate = 1, per_window = 2 }",
        Slot::Families(families),
    );
    let section = "contact.rules";
    add(
        section,
        "never_together",
        "pairs that are never in one slate, nor offered while the other is open: [[\"a\", \"b\"]]",
        Slot::Pairs(never_together),
    );
    add(
        section,
        "never_after",
        "what is not offered for a while after something else was: [{ first = \"a\", then = \"b\", within = \"90d\" }]",
        Slot::Sequences(never_after),
    );
    add(
        section,
        "only_after",
        "what is offered only to customers who have something else: [[\"the offer\", \"what they must have\"]]",
        Slot::Requirements(only_after),
    );

    let section = "relationship.bands";
    add(section, "guarded", "relationship health below this is strained", Slot::Number(guarded, 0.0, 1.0));
    add(section, "steady", "below this: guarded", Slot::Number(steady, 0.0, 1.0));
    add(section, "strong", "below this: steady; from here on: strong", Slot::Number(strong, 0.0, 1.0));
    add(
        section,
        "new_customer_evidence",
        "with fewer purchase days and subscriptions than this a customer is new",
        Slot::Size(new_customer_evidence, 0, 100),
    );
    add(
        section,
        "established_after",
        "a subscription that ran this long is evidence of its own",
        span(established_after),
    );

    let section = "relationship.components";
    for (kind, component) in ComponentKind::ALL.into_iter().zip(components.iter_mut()) {
        add(section, kind.as_str(), component_comment(kind), Slot::Component(component));
    }
    let section = "relationship";
    let weight = |weight| Slot::Number(weight, 0.0, 100.0);
    add(
        section,
        "component_floor",
        "no component is below this, so that the mean keeps telling bad from worse",
        Slot::Number(component_floor, 1e-6, 0.5),
    );
    add(
        section,
        "ticket_weights",
        "friction of a ticket of severity 1, 2, 3 and 4",
        Slot::Numbers(ticket_weights, 0.0, 100.0),
    );
    add(
        section,
        "complaint_weights",
        "friction of a complaint of severity 1, 2, 3 and 4",
        Slot::Numbers(complaint_weights, 0.0, 100.0),
    );
    add(section, "open_case_share", "an open case adds this share of its weight, undecayed", weight(open_case_share));
    add(
        section,
        "parting_weights",
        "friction of a cancellation, a downgrade and the end of a subscription",
        Slot::Numbers(parting_weights, 0.0, 100.0),
    );
    add(
        section,
        "payment_weights",
        "trouble of a late, a failed and a disputed payment",
        Slot::Numbers(payment_weights, 0.0, 100.0),
    );
    add(
        section,
        "pressure_weights",
        "pressure of an offer shown, dismissed, rejected and complained of",
        Slot::Numbers(pressure_weights, 0.0, 100.0),
    );
    add(section, "sentiment_scale", "how strongly satisfaction moves sentiment", weight(sentiment_scale));
    add(section, "accepted_weight", "what an accepted offer adds to value delivered", weight(accepted_weight));
    add(section, "regretted_weight", "what a regretted one takes from it", weight(regretted_weight));
    add(
        section,
        "return_weight",
        "what bringing back something that was never offered takes from it",
        weight(return_weight),
    );
    add(section, "regret_window", "giving up an accepted offer within this time is regret", span(regret_window));
    add(
        section,
        "engagement_weights",
        "engagement of a purchase day, a start or renewal, a use, and a visit or click",
        Slot::Numbers(engagement_weights, 0.0, 100.0),
    );
    add(
        section,
        "engagement_recent_half_life",
        "the recent half-life of the engagement trend; the component's own is the long one",
        Slot::HalfLife(engagement_recent_half_life),
    );
    add(
        section,
        "engagement_prior_mass",
        "pseudo-engagements that pull a thin trend to its prior",
        Slot::Number(engagement_prior_mass, 1e-3, 1000.0),
    );
    add(
        section,
        "outlook_window",
        "the window that the retention outlook looks ahead",
        Slot::Span(outlook_window, DAY * 7, DAY * 1096),
    );
    add(
        section,
        "leaving_risk",
        "where nothing was learned: the yearly risk that a subscriber leaves, at the start and after many years",
        Slot::Numbers(leaving_risk, 0.0, 1.0),
    );
    add(
        section,
        "leaving_risk_tenure",
        "how long until that risk has fallen by a factor of e",
        Slot::Span(leaving_risk_tenure, DAY, SPAN_MAX),
    );

    let section = "arbitration";
    add(
        section,
        "default_margin_share",
        "the margin of a product that names none, as a share of its price",
        Slot::Number(default_margin_share, 1e-6, 1.0),
    );
    add(
        section,
        "seller_share",
        "the seller's share in the value at relationship health 1; shrinks in proportion",
        Slot::Number(seller_share, 0.0, 1.0),
    );
    add(
        section,
        "attention_price",
        "what attention costs at relationship health 1, in units of the median item's value",
        Slot::Number(attention_price, 0.0, 100.0),
    );
    add(
        section,
        "attention_price_growth",
        "by this factor it grows as relationship health falls from 1 to 0",
        Slot::Number(attention_price_growth, 0.0, 1000.0),
    );
    add(
        section,
        "ignored_discount",
        "what is left of an offer's worth each time that it was made and got no answer",
        Slot::Number(ignored_discount, 0.0, 1.0),
    );

    let section = "control_group";
    add(
        section,
        "share",
        "the share of all customers; 0 for none. Another share begins another experiment",
        Slot::Number(share, 0.0, 0.5),
    );
    add(
        section,
        "salt",
        "decides who is in it; keep it as long as the experiment lasts, whatever else changes",
        Slot::Text(salt, 64),
    );
    let section = "conditions";
    add(
        section,
        "attributes",
        "attributes of customers by name, each text, number or flag: { age = \"number\", segment = \"text\" }",
        Slot::AttributeKinds(condition_attributes),
    );
    let section = "privacy";
    add(
        section,
        "sensitive_attributes",
        "attributes of customers that enter neither a model nor a condition",
        Slot::Names(sensitive_attributes),
    );
    all
}

fn band_comment(band: Band) -> &'static str {
    match band {
        Band::Strained => "offers would hurt",
        Band::Guarded => "few offers, none of them up-sell",
        Band::Steady => "the usual relationship",
        Band::Strong => "a good relationship",
        Band::NewCustomer => "not enough evidence yet",
    }
}

fn component_comment(kind: ComponentKind) -> &'static str {
    match kind {
        ComponentKind::ServiceFriction => "tickets and complaints",
        ComponentKind::Payment => "late, failed and disputed payments",
        ComponentKind::OfferPressure => "how much the customer was pitched lately",
        ComponentKind::Sentiment => "what the customer says in surveys",
        ComponentKind::ValueDelivered => "whether offers taken were kept",
        ComponentKind::EngagementTrend => "whether the customer comes more or less often than usual",
        ComponentKind::RetentionOutlook => "the probability that the customer buys again or stays",
    }
}

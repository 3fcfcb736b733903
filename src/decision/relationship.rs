//! Relationship health: a score for whether another offer would hurt the relationship.
//!
//! Seven components in 0 to 1 are combined by a weighted **geometric** mean with fixed weights, so that good spending
//! cannot buy off an open complaint. An unknown component enters at its prior with its full weight; leaving it out
//! would let a first small complaint raise a weak customer's score. Every signal moves its component in one direction
//! only: a bad event dated now never raises the score, a good one never lowers it.
//!
//! Not here: holds and caps (`active_holds`, `contact_policy`), and how events change the state (`apply_event`).

use std::time::Duration;

use super::subscriptions::{PartingMeaning, Subscriptions};
use super::value_delivered::AcceptancesInEffect;
use crate::domain::catalog::Catalog;
use crate::domain::customer::Customer;
use crate::domain::decayed_sum::HalfLife;
use crate::domain::event::PlanDirection;
use crate::domain::outlook::{Outlook, staying_features};
use crate::domain::policy::{BandLimits, ComponentPolicy, Policy, RelationshipPolicy};
use crate::domain::relationship::{
    Band, Case, Component, ComponentKind, PartingKind, RelationshipHealth, RelationshipState,
};
use crate::domain::time::{DAY, Timestamp};

/// Computes the relationship health of a customer at `now`.
pub fn assess(
    customer: &Customer,
    policy: &Policy,
    outlook: &Outlook,
    catalog: &Catalog,
    now: Timestamp,
) -> RelationshipHealth {
    assess_with(customer, &Subscriptions::of(customer, &policy.relationship, catalog), policy, outlook, now)
}

/// Computes the same from subscriptions that were read before: they do not depend on `now`.
pub(super) fn assess_with(
    customer: &Customer,
    subscriptions: &Subscriptions,
    policy: &Policy,
    outlook: &Outlook,
    now: Timestamp,
) -> RelationshipHealth {
    let complaint_open_max = policy.contact.complaint_hold_unresolved;
    let sensitive = &policy.privacy.sensitive_attributes;
    let policy = &policy.relationship;
    let assessment = AssessmentInput { customer, subscriptions, policy, outlook, sensitive, complaint_open_max, now };
    let weight_total: f64 = policy.components.iter().map(|component| component.weight).sum();
    let components: Vec<Component> = ComponentKind::ALL
        .iter()
        .map(|&kind| {
            let ComponentEstimate { value, input, is_known } = assessment.estimate(kind);
            Component {
                kind,
                value: value.clamp(policy.component_floor, 1.0),
                weight: policy.component(kind).weight / weight_total,
                input,
                half_life_days: Some(policy.component(kind).half_life.days()),
                is_known,
            }
        })
        .collect();
    let score = combine(&components, policy);
    let is_new = evidence(customer, subscriptions, policy, now) < policy.new_customer_evidence;
    RelationshipHealth {
        score,
        band: band(score, is_new, policy.band_limits),
        is_new,
        coverage: components.iter().filter(|component| component.is_known).map(|component| component.weight).sum(),
        components,
    }
}

/// Recomputes a recorded score under another policy: its weights, its bands, and its priors for unknown components. Known
/// component values stay as recorded, because their inputs are not recorded.
pub(super) fn rescored(recorded: &RelationshipHealth, policy: &RelationshipPolicy) -> RelationshipHealth {
    let weight_total: f64 = policy.components.iter().map(|component| component.weight).sum();
    let components: Vec<Component> = recorded
        .components
        .iter()
        .map(|component| {
            let ComponentPolicy { weight, prior, .. } = policy.component(component.kind);
            let value = if component.is_known { component.value } else { prior };
            let value = value.clamp(policy.component_floor, 1.0);
            Component { value, weight: weight / weight_total, ..component.clone() }
        })
        .collect();
    let score = combine(&components, policy);
    RelationshipHealth {
        score,
        band: band(score, recorded.is_new, policy.band_limits),
        is_new: recorded.is_new,
        coverage: components.iter().filter(|component| component.is_known).map(|component| component.weight).sum(),
        components,
    }
}

/// The weighted geometric mean: exp of the sum of weight x ln value.
///
/// Inactivity alone must not make a relationship strained: the retention outlook alone may lower the score to the lower
/// limit of guarded, never below it. So when the score with the outlook at its prior reaches that limit, the score does not
/// fall below it.
fn combine(components: &[Component], policy: &RelationshipPolicy) -> f64 {
    let mean_with = |outlook_at_least: f64| {
        let logarithm: f64 = components
            .iter()
            .map(|component| {
                let value = match component.kind {
                    ComponentKind::RetentionOutlook => component.value.max(outlook_at_least),
                    ComponentKind::ServiceFriction
                    | ComponentKind::Payment
                    | ComponentKind::OfferPressure
                    | ComponentKind::Sentiment
                    | ComponentKind::ValueDelivered
                    | ComponentKind::EngagementTrend => component.value,
                };
                component.weight * value.ln()
            })
            .sum();
        logarithm.exp().min(1.0)
    };
    let score = mean_with(0.0);
    let score_at_prior = mean_with(policy.component(ComponentKind::RetentionOutlook).prior);
    score.max(score_at_prior.min(policy.band_limits.guarded))
}

/// The band of a score. Being new replaces the two upper bands only: a short history is no reason for more offers.
fn band(score: f64, is_new: bool, limits: BandLimits) -> Band {
    let by_score = band_of_score(score, limits);
    if is_new && matches!(by_score, Band::Steady | Band::Strong) { Band::NewCustomer } else { by_score }
}

/// The band that the score alone would give.
pub(super) fn band_of_score(score: f64, limits: BandLimits) -> Band {
    if score < limits.guarded {
        Band::Strained
    } else if score < limits.steady {
        Band::Guarded
    } else if score < limits.strong {
        Band::Steady
    } else {
        Band::Strong
    }
}

/// Amount of positive evidence: bad events never count, so that a first complaint cannot lift the caps of a new customer.
fn evidence(customer: &Customer, subscriptions: &Subscriptions, policy: &RelationshipPolicy, now: Timestamp) -> usize {
    let running = &subscriptions.running_since;
    let is_established = running.iter().any(|&since| now.since(since) >= policy.established_after);
    customer.relationship.purchase_days.len() + running.len() + usize::from(is_established)
}

/// Value of one component before it is weighted.
struct ComponentEstimate {
    value: f64,
    input: f64,
    is_known: bool,
}

/// A customer with everything that relationship health depends on.
struct AssessmentInput<'a> {
    customer: &'a Customer,
    subscriptions: &'a Subscriptions,
    policy: &'a RelationshipPolicy,
    outlook: &'a Outlook,
    /// Attributes that must not enter.
    sensitive: &'a [String],
    complaint_open_max: Duration,
    now: Timestamp,
}

impl AssessmentInput<'_> {
    fn estimate(&self, kind: ComponentKind) -> ComponentEstimate {
        let half_life = self.policy.component(kind).half_life;
        let state = &self.customer.relationship;
        match kind {
            ComponentKind::ServiceFriction => {
                let is_known = !state.cases.is_empty() || !state.folded_friction.is_empty();
                let is_known = is_known || self.parting_frictions().any(|(_, friction)| friction > 0.0);
                decaying(self.friction(half_life), is_known)
            }
            ComponentKind::Payment => {
                decaying(state.payment_trouble.at(self.now, half_life), !state.payment_trouble.is_empty())
            }
            ComponentKind::OfferPressure => {
                decaying(state.offer_pressure.at(self.now, half_life), !state.offer_pressure.is_empty())
            }
            ComponentKind::Sentiment => {
                let sum = state.sentiment.at(self.now, half_life) * self.policy.sentiment_scale;
                self.around_prior(kind, sum, !state.sentiment.is_empty())
            }
            ComponentKind::ValueDelivered => {
                let has_regrets = state.partings.iter().any(|parting| parting.follows_acceptance);
                let is_known = !state.accepted_offers.is_empty() || !state.folded_value.is_empty() || has_regrets;
                self.around_prior(kind, self.value_delivered(half_life), is_known)
            }
            ComponentKind::EngagementTrend => self.engagement_trend(half_life),
            ComponentKind::RetentionOutlook => self.retention_outlook(half_life),
        }
    }

    /// The decayed weights of all cases. An open case adds its undecayed weight until it is too old to be considered open.
    fn friction(&self, half_life: HalfLife) -> f64 {
        let state = &self.customer.relationship;
        let cases: f64 = state
            .cases
            .iter()
            .filter_map(|case| Some((case, case.reported_at?)))
            .map(|(case, reported_at)| {
                let is_open = case.is_open() && self.now.since(reported_at) < self.complaint_open_max;
                let open_share = if is_open { self.policy.open_case_share } else { 0.0 };
                case_weight(case, self.policy) * (half_life.decay(self.now.days_since(reported_at)) + open_share)
            })
            .sum();
        let partings = self.parting_frictions();
        let partings: f64 = partings.map(|(at, friction)| friction * half_life.decay(self.now.days_since(at))).sum();
        let folded_open = state.folded_open_cases.filter(|folded| self.now < folded.until);
        let folded_open = folded_open.map_or(0.0, |folded| folded.friction);
        cases + partings + folded_open + state.folded_friction.at(self.now, half_life)
    }

    /// Time and friction of each parting: a renewal has none, nor has a change of plans unless it was reported as a move to a
    /// lesser one.
    fn parting_frictions(&self) -> impl Iterator<Item = (Timestamp, f64)> {
        let [cancellation, downgrade, end] = self.policy.parting_weights;
        let partings = self.customer.relationship.partings.iter().zip(&self.subscriptions.meanings);
        partings.map(move |(parting, meaning)| {
            let friction = match meaning {
                PartingMeaning::End if parting.kind == PartingKind::Cancellation => cancellation,
                PartingMeaning::End => end,
                PartingMeaning::ReportedChange { direction: PlanDirection::Down, .. } => downgrade,
                PartingMeaning::ReportedChange { .. }
                | PartingMeaning::InferredChange { .. }
                | PartingMeaning::Renewal => 0.0,
            };
            (parting.at, friction)
        })
    }

    /// Accepted offers raise it, regretted ones lower it by more; each decays from its own day.
    fn value_delivered(&self, half_life: HalfLife) -> f64 {
        let state = &self.customer.relationship;
        let in_effect = AcceptancesInEffect::of(state, &self.subscriptions.meanings, self.policy);
        in_effect.value(self.policy, half_life, self.now) + state.folded_value.at(self.now, half_life)
    }

    /// The recent rate of engagement over the long-term rate, smoothed by pseudo-engagements: `(r + b) / (l + b)`. A ratio of
    /// 1 gives the prior. An engagement dated now never lowers the ratio: it raises the recent rate by more than the
    /// long-term rate, by the quotient of the half-lives, which is also the largest value the ratio can reach.
    fn engagement_trend(&self, long: HalfLife) -> ComponentEstimate {
        let recent = self.policy.engagement_recent_half_life;
        let prior_rate = self.policy.engagement_prior_mass / long.days();
        let ratio =
            (self.engagement(recent) / recent.days() + prior_rate) / (self.engagement(long) / long.days() + prior_rate);
        let state = &self.customer.relationship;
        let is_known = !state.purchase_days.is_empty() || !state.engagement.is_empty();
        let ComponentEstimate { value, .. } = self.around_prior(ComponentKind::EngagementTrend, ratio.ln(), is_known);
        ComponentEstimate { value, input: ratio, is_known }
    }

    fn engagement(&self, half_life: HalfLife) -> f64 {
        let state = &self.customer.relationship;
        let [purchase_day_weight, ..] = self.policy.engagement_weights;
        purchase_day_weight * purchase_days_decayed(state, half_life, self.now)
            + state.engagement.at(self.now, half_life)
    }

    /// The higher of two probabilities: that the customer buys again within the window, and that the customer stays.
    ///
    /// Both are learned ([`Outlook`]) where a model was trained on enough customers. Otherwise *buys* treats purchase days as
    /// a Poisson process whose rate is the decayed count over the mean age of its weight, `P = 1 - exp(-rate x window)`;
    /// pseudo-purchases that give the prior at the first purchase decay with the time since then. *Stays* assumes a yearly
    /// risk of leaving that falls with tenure, `a + (b - a) exp(-tenure / t)`.
    ///
    /// For a customer who never bought and never subscribed it is unknown. The value is then no higher than what a first
    /// purchase or a first day of subscription would give, so that neither makes a relationship look worse.
    fn retention_outlook(&self, half_life: HalfLife) -> ComponentEstimate {
        let prior = self.policy.component(ComponentKind::RetentionOutlook).prior;
        let estimates = [self.probability_of_purchase(half_life, prior), self.probability_of_staying()];
        let known = estimates.into_iter().flatten().max_by(f64::total_cmp);
        let value = known.unwrap_or_else(|| self.unknown_outlook(prior));
        ComponentEstimate { value, input: value, is_known: known.is_some() }
    }

    fn probability_of_purchase(&self, half_life: HalfLife, prior: f64) -> Option<f64> {
        let state = &self.customer.relationship;
        let window = self.policy.outlook_window;
        if let Some(learned) = &self.outlook.buying {
            return learned.probability(state, self.now, window);
        }
        let first_day = state.first_purchase_day?;
        let mean_age_days = half_life.days() / std::f64::consts::LN_2;
        let window_days = window.as_secs_f64() / DAY.as_secs_f64();
        let prior_purchases = -(1.0 - prior).ln() * mean_age_days / window_days;
        let purchases = purchase_days_decayed(state, half_life, self.now)
            + prior_purchases * half_life.decay(self.now.days_since(first_day.start()));
        Some(-(-purchases / mean_age_days * window_days).exp_m1())
    }

    /// 0 when every subscription has ended; `None` for a customer who never had one.
    fn probability_of_staying(&self) -> Option<f64> {
        let holdings = &self.customer.holdings;
        if !holdings.has_subscribed() {
            return None;
        }
        let running = &self.subscriptions.running_since;
        let Some(&first_at) = running.iter().min() else { return Some(0.0) };
        Some(self.stay_probability(running.len(), self.now.since(first_at)))
    }

    fn stay_probability(&self, running: usize, tenure: Duration) -> f64 {
        if let Some(learned) = &self.outlook.staying {
            let features = staying_features(&self.customer.relationship, running, tenure, self.now);
            // Attributes declared sensitive after the training no longer enter.
            let attributes = self.customer.attributes.iter().filter(|(name, _)| !self.sensitive.contains(name));
            return learned.probability(&features, attributes, self.policy.outlook_window);
        }
        let [first_risk, final_risk] = self.policy.leaving_risk;
        let decay = (-tenure.as_secs_f64() / self.policy.leaving_risk_tenure.as_secs_f64()).exp();
        1.0 - (final_risk + (first_risk - final_risk) * decay)
    }

    fn unknown_outlook(&self, prior: f64) -> f64 {
        let state = &self.customer.relationship;
        let mut first_purchase = RelationshipState { returned: state.returned.clone(), ..RelationshipState::default() };
        first_purchase.record_purchase(self.now, 0.0);
        let window = self.policy.outlook_window;
        let after_purchase =
            self.outlook.buying.as_ref().and_then(|buying| buying.probability(&first_purchase, self.now, window));
        prior.min(after_purchase.unwrap_or(prior)).min(self.stay_probability(1, Duration::ZERO))
    }

    /// Maps a signed sum to the range 0 to 1, with 0 giving the prior: `prior x exp(sum)` below 0 and
    /// `1 - (1 - prior) x exp(-sum)` above.
    fn around_prior(&self, kind: ComponentKind, sum: f64, is_known: bool) -> ComponentEstimate {
        let prior = self.policy.component(kind).prior;
        let value = if sum < 0.0 { prior * sum.exp() } else { 1.0 - (1.0 - prior) * (-sum).exp() };
        ComponentEstimate { value, input: sum, is_known }
    }
}

/// A component that is 1 without events and falls with their sum: `exp(-sum)`.
fn decaying(sum: f64, is_known: bool) -> ComponentEstimate {
    ComponentEstimate { value: (-sum).exp(), input: sum, is_known }
}

/// Friction of one case at the moment of its latest report.
pub(super) fn case_weight(case: &Case, policy: &RelationshipPolicy) -> f64 {
    let Some(severity) = case.severity else { return 0.0 };
    let weights = if case.is_complaint { &policy.complaint_weights } else { &policy.ticket_weights };
    weights[usize::from(severity.level()) - 1]
}

fn purchase_days_decayed(state: &RelationshipState, half_life: HalfLife, now: Timestamp) -> f64 {
    state.purchase_days.iter().map(|day| half_life.decay(now.days_since(day.start()))).sum()
}

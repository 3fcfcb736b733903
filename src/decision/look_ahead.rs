//! Until when no offer can be made: the first instant at which the allowance is at least one again.
//!
//! The answer is about all caps, holds and pauses at once, for one kind of offers on one channel, if no event, decision,
//! policy or model changes them. The allowance at a later instant is computed by the functions that decide, so the two
//! cannot disagree.
//!
//! The allowance is not monotone in time: grants leave their windows and pauses end, but relationship health drifts both
//! ways. Everything dated changes it at known instants. Between two of these only relationship health does; it is sampled
//! every one to eight days, in shorter steps the nearer it comes to a limit of a band, and hourly within a day at the end of
//! which an offer is possible, or in which it turns near a limit; the crossing is then found to the millisecond. What this may
//! miss: a crossing and its return within one hour, or within one day after the first [`TURNING_DAYS_MAX`] such days; and a
//! short excursion during a step of several days that bends more sharply than [`CURVATURE_MAX`].

use std::time::Duration;

use super::active_holds::dated_holds;
use super::contact_policy::{AllowanceBasis, dated_changes, is_paused, score_caps};
use super::control_group::arm_of;
use super::decision_context::DecisionContext;
use super::relationship::assess_with;
use super::subscriptions::Subscriptions;
use crate::domain::channel::QueryChannel;
use crate::domain::customer::Customer;
use crate::domain::experiment::Arm;
use crate::domain::ledger::Ledger;
use crate::domain::offer::OfferKind;
use crate::domain::time::{DAY, Timestamp};

/// Time that is looked ahead: pauses that a policy may set are no longer, and no client plans for a later date.
pub const LOOK_AHEAD_MAX: Duration = Duration::from_secs(180 * 86_400);
/// Longest step between two samples of relationship health, in days.
const STEP_DAYS_MAX: u32 = 8;
/// Bound of the curvature of the score, in score per day squared, that steps of several days assume. A component of weight
/// 0.25 that falls to 0.01 with a half-life of 7 days stays just above; with the default half-lives all of them are far below.
const CURVATURE_MAX: f64 = 0.01;
/// Smallest change of the score that is not rounding.
const ROUNDING: f64 = 1e-12;
/// Maximum number of days that are searched by the hour although no offer is possible at their end.
const TURNING_DAYS_MAX: u32 = 20;
const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

/// Returns the first instant after `context.now` at which one more offer of a kind is possible under this ledger of the
/// customer; without a channel, without regard to any. `None` when one is possible now, when none is within
/// [`LOOK_AHEAD_MAX`], and for customers of the control group.
pub fn next_eligible_at(
    customer: &Customer,
    ledger: &Ledger,
    kind: OfferKind,
    channel: Option<QueryChannel<'_>>,
    context: &DecisionContext<'_>,
) -> Option<Timestamp> {
    let DecisionContext { policy, now, .. } = *context;
    if arm_of(&customer.id, &policy.control_group) == Arm::Control {
        return None;
    }
    let contact = &policy.contact;
    let subscriptions = Subscriptions::of(customer, &policy.relationship, context.catalog);
    let mut holds = dated_holds(customer, &subscriptions, policy);
    let last = now + LOOK_AHEAD_MAX;
    let mut starts = dated_changes(customer, ledger, &holds, channel, contact, now);
    if context.outlook.buying.is_some() && customer.relationship.purchase_days.is_empty() {
        starts.extend(midnights(now));
    }
    starts.retain(|&at| now < at && at <= last);
    starts.push(now);
    starts.sort_unstable();
    starts.dedup();

    let mut search = Search { customer, context, subscriptions: &subscriptions, drift: None, turning_days: 0 };
    for (index, &start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(last + MS);
        holds.retain(|active| active.hold.is_active(start));
        let is_paused = is_paused(customer, ledger, &holds, channel, contact, start);
        let basis = AllowanceBasis::at(ledger, is_paused, channel, contact, start);
        let rule = StretchRule::of(&basis, kind, context);
        if let Some(at) = search.first_eligible(&rule, start, end) {
            return Some(at).filter(|&at| at > now);
        }
    }
    None
}

/// Every midnight that is looked ahead. The outlook of a customer who has never bought is that after a first purchase today,
/// so it jumps when a day begins.
fn midnights(now: Timestamp) -> impl Iterator<Item = Timestamp> {
    let midnight = now.day().start();
    (1..=180_u32).map(move |days| midnight + DAY * days)
}

/// The allowance of a stretch of time in which it depends on relationship health alone.
struct StretchRule<'a> {
    basis: &'a AllowanceBasis,
    kind: OfferKind,
    context: &'a DecisionContext<'a>,
    /// Whether some state of relationship health would allow an offer.
    is_possible: bool,
    /// Limits of bands at which it changes whether an offer is allowed.
    limits: Vec<f64>,
}

impl<'a> StretchRule<'a> {
    fn of(basis: &'a AllowanceBasis, kind: OfferKind, context: &'a DecisionContext<'a>) -> Self {
        let bands = context.policy.relationship.band_limits;
        let mut rule = Self { basis, kind, context, is_possible: false, limits: Vec::new() };
        for is_new in [false, true] {
            let mut allows_below = rule.allows(0.0, is_new);
            rule.is_possible |= allows_below;
            for limit in [bands.guarded, bands.steady, bands.strong] {
                let allows = rule.allows(limit, is_new);
                rule.is_possible |= allows;
                if allows != allows_below {
                    rule.limits.push(limit);
                }
                allows_below = allows;
            }
        }
        rule
    }

    /// Whether an offer is allowed with this score.
    fn allows(&self, score: f64, is_new: bool) -> bool {
        self.basis.allowance(score_caps(score, is_new, self.context.policy)).left(self.kind) > 0
    }

    /// Whether a score may have crossed a limit on its way from one sample to another.
    fn may_cross(&self, from: f64, to: f64, margin: f64) -> bool {
        let (low, high) = (from.min(to) - margin, from.max(to) + margin);
        self.limits.iter().any(|&limit| low <= limit && limit <= high)
    }
}

/// Relationship health at one instant, and whether it allows an offer.
#[derive(Clone, Copy)]
struct HealthSample {
    at: Timestamp,
    score: f64,
    allows: bool,
}

/// Search for the first instant at which an offer is allowed, one stretch after another.
struct Search<'a> {
    customer: &'a Customer,
    context: &'a DecisionContext<'a>,
    subscriptions: &'a Subscriptions,
    /// Latest change of the score, per day; `None` before the first.
    drift: Option<f64>,
    /// Number of days within which the score was seen to turn near a limit.
    turning_days: u32,
}

impl Search<'_> {
    fn sample(&self, rule: &StretchRule<'_>, at: Timestamp) -> HealthSample {
        let DecisionContext { policy, outlook, .. } = *self.context;
        let health = assess_with(self.customer, self.subscriptions, policy, outlook, at);
        HealthSample { at, score: health.score, allows: rule.allows(health.score, health.is_new) }
    }

    /// The first instant from `start` to just before `end` at which an offer is allowed.
    fn first_eligible(&mut self, rule: &StretchRule<'_>, start: Timestamp, end: Timestamp) -> Option<Timestamp> {
        if !rule.is_possible {
            // Nothing was sampled, so the latest drift is too old to judge by.
            self.drift = None;
            return None;
        }
        let mut from = self.sample(rule, start);
        if from.allows {
            return Some(start);
        }
        let mut step_days = STEP_DAYS_MAX;
        while from.at < end {
            let (to, crossing) = self.step(rule, from, end, step_days);
            // At the end of the stretch the rule of the next one holds.
            if let Some(at) = crossing.filter(|&at| at < end) {
                return Some(at);
            }
            let days = to.at.days_since(from.at);
            self.drift = Some((to.score - from.score).abs() / days);
            step_days = if days > 1.5 { STEP_DAYS_MAX } else { 2 };
            from = to;
        }
        None
    }

    /// Takes the longest step of at most `step_days` that surely crosses no limit, or one of a day that is searched where it
    /// may cross one. Returns the sample at its end, and the first instant within it at which an offer is allowed.
    fn step(
        &mut self,
        rule: &StretchRule<'_>,
        from: HealthSample,
        end: Timestamp,
        step_days: u32,
    ) -> (HealthSample, Option<Timestamp>) {
        let drift = self.drift.unwrap_or_else(|| self.slope(rule, from).abs());
        let mut step_days = step_days;
        loop {
            let to = self.sample(rule, (from.at + DAY * step_days).min(end));
            let days = to.at.days_since(from.at);
            let is_long = step_days > 1 && days > 1.0;
            let bend = if is_long { CURVATURE_MAX * days * days / 8.0 } else { 0.0 };
            let margin = drift * days + (to.score - from.score).abs() + bend;
            let may_cross = to.allows || (margin > ROUNDING && rule.may_cross(from.score, to.score, margin));
            if !may_cross {
                return (to, None);
            }
            if is_long {
                step_days /= 2;
                continue;
            }
            let is_searched = to.allows || self.may_turn_within(rule, from, to);
            return (to, is_searched.then(|| self.search_by_the_hour(rule, from, to)).flatten());
        }
    }

    /// Whether the score turns between two samples without an offer, and may reach a limit there that it has left at the
    /// second.
    fn may_turn_within(&mut self, rule: &StretchRule<'_>, from: HealthSample, to: HealthSample) -> bool {
        let turns = self.slope(rule, from) * self.slope(rule, to) <= 0.0;
        self.turning_days += u32::from(turns);
        turns && self.turning_days <= TURNING_DAYS_MAX
    }

    /// Change of the score in the hour after a sample, per day.
    fn slope(&self, rule: &StretchRule<'_>, from: HealthSample) -> f64 {
        let later = self.sample(rule, from.at + HOUR);
        (later.score - from.score) * 24.0
    }

    fn search_by_the_hour(&self, rule: &StretchRule<'_>, from: HealthSample, to: HealthSample) -> Option<Timestamp> {
        let mut before = from.at;
        while before < to.at {
            let next = before + HOUR;
            let sample = if next < to.at { self.sample(rule, next) } else { to };
            if sample.allows {
                return Some(self.bisect(rule, before, sample.at));
            }
            before = sample.at;
        }
        None
    }

    /// The instant at which an offer becomes allowed, between one that does not allow it and one that does.
    fn bisect(&self, rule: &StretchRule<'_>, mut without: Timestamp, mut with: Timestamp) -> Timestamp {
        while with.since(without) > MS {
            let middle = without + with.since(without) / 2;
            if self.sample(rule, middle).allows {
                with = middle;
            } else {
                without = middle;
            }
        }
        with
    }
}

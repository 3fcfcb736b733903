//! Two customers become one: the state of the second is added to that of the first.
//!
//! States are added, not histories: what the history has no longer, the state still has. Sums add up, times take the latest,
//! and lists are joined as if the events of both had been applied to one customer, in any order. Where the rules for one
//! customer would forgive something because of the other, the stricter of the two stays:
//!
//! - an acceptance under one id does not end the back-off under the other;
//! - the slow rise goes on from the lower of the two caps;
//! - beyond a bound, what lasts longest stays: holds, grants, rejections.
//!
//! The profile is that of the first customer. Attributes of the second stay with its alias, so that an unmerge can restore
//! them.

use super::apply_event::apply_event_within;
use super::contact_policy::update_level;
use super::folded_partings::{drop_old_starts, fold_parting, update_end};
use super::{grants, value_delivered};
use crate::domain::catalog::Catalog;
use crate::domain::customer::{Customer, HOLDS_MAX, Hold};
use crate::domain::event::{CaseReport, Event, EventKind, Severity};
use crate::domain::holdings::{Acquisitions, EvictedSubscription, Holding, Holdings};
use crate::domain::ids::{EventId, ProductId};
use crate::domain::ledger::{
    AllowanceLevel, GRANTS_MAX, Grant, Ledger, REJECTIONS_MAX, REQUEST_KEYS_MAX, Rejection, RequestKey,
};
use crate::domain::outlook::Outlook;
use crate::domain::policy::{Policy, RelationshipPolicy};
use crate::domain::relationship::{Case, FoldedOpenCases, LastEventTimes, RelationshipState};
use crate::domain::state_bounds::StateBounds;
use crate::domain::time::Timestamp;
use crate::domain::usage::UsageHistory;

/// Policy, model and catalogue by which both customers are judged.
#[derive(Debug, Clone, Copy)]
pub struct MergeContext<'a> {
    /// The policy in force.
    pub policy: &'a Policy,
    /// The retention outlook of the model.
    pub outlook: &'a Outlook,
    /// The catalogue.
    pub catalog: &'a Catalog,
    /// Maximum lengths of the lists.
    pub bounds: &'a StateBounds,
    /// Time of the merge.
    pub now: Timestamp,
}

/// Adds the state of `from` to that of `into`. The ids and their marks stay those of `into`.
pub fn merged(into: &Customer, from: &Customer, context: &MergeContext<'_>) -> Customer {
    let now = into.ledger.time(from.ledger.time(context.now));
    let context = &MergeContext { now, ..*context };
    let mut customer = into.clone();
    customer.consents.add(from.consents.clone());
    customer.holds = merged_holds(&into.holds, &from.holds, now);
    customer.holdings = merged_holdings(&into.holdings, &from.holdings, context.bounds);
    add_relationship(&mut customer, &from.relationship, context);
    add_cases(&mut customer, &from.relationship.cases, context);
    update_starts_and_ends(&mut customer, context);
    customer.holdings.trim(context.bounds.holdings, context.bounds, now);
    let levels = [into, from].map(|one| level_at(one, context));
    customer.ledger = merged_ledger(&into.ledger, &from.ledger, now);
    customer.ledger.level = stricter_level(levels);
    update_level(&mut customer, context.policy, context.outlook, context.catalog, now);
    customer
}

/// Joins holds. Of two with one id, and of too many, those that last longest stay.
fn merged_holds(into: &[Hold], from: &[Hold], now: Timestamp) -> Vec<Hold> {
    let end = |hold: &Hold| hold.expires_at.unwrap_or(Timestamp::MAX);
    let mut holds = into.to_vec();
    for hold in from {
        match holds.iter_mut().find(|other| other.id == hold.id) {
            Some(other) if end(other) < end(hold) => *other = hold.clone(),
            Some(_) => {}
            None => holds.push(hold.clone()),
        }
    }
    if holds.len() > HOLDS_MAX {
        holds.retain(|hold| hold.is_active(now));
        holds.sort_by_key(|hold| std::cmp::Reverse(end(hold)));
        holds.truncate(HOLDS_MAX);
    }
    holds
}

/// Joins holdings; those that one of the customers has no longer in full are completed by what is left of them.
fn merged_holdings(into: &Holdings, from: &Holdings, bounds: &StateBounds) -> Holdings {
    let mut holdings = Holdings {
        latest: std::collections::BTreeMap::new(),
        fingerprints: into.fingerprints.iter().chain(&from.fingerprints).copied().collect(),
        evicted_subscriptions: into.evicted_subscriptions.clone(),
        evicted_end_at: into.evicted_end_at.max(from.evicted_end_at),
    };
    for (&fingerprint, subscription) in &from.evicted_subscriptions {
        let kept = holdings.evicted_subscriptions.entry(fingerprint).or_insert(*subscription);
        let Acquisitions { first_at, last_at } = subscription.acquired;
        kept.acquired.first_at = kept.acquired.first_at.min(first_at);
        kept.acquired.last_at = kept.acquired.last_at.max(last_at);
        let start = |it: &EvictedSubscription| (it.subscribed_at, it.is_start);
        (kept.subscribed_at, kept.is_start) = start(kept).max(start(subscription));
    }
    for (product, holding) in into.latest.iter().chain(&from.latest) {
        add_holding(holdings.touch(product, holding.first_event_at), holding, bounds);
    }
    while let Some(shortest) = holdings.pop_shortest_tenure(bounds) {
        holdings.fingerprints.insert(shortest);
    }
    while holdings.fingerprints.len() > bounds.fingerprints {
        holdings.fingerprints.pop_last();
    }
    holdings
}

fn add_holding(into: &mut Holding, from: &Holding, bounds: &StateBounds) {
    let Holding {
        first_event_at,
        acquired,
        items,
        starts,
        starts_dropped_through,
        // Computed again once the partings of both are known.
        ended_at: _,
        possibly_ended_at: _,
        folded_end_at,
        returned_at,
        unwanted_at,
        wrong_variant_at,
        usage: UsageHistory { meters },
    } = from;
    into.first_event_at = into.first_event_at.min(*first_event_at);
    if let Some(Acquisitions { first_at, last_at }) = *acquired {
        into.acquire(first_at);
        into.acquire(last_at);
    }
    into.items.absorb(items, bounds.movements);
    for start in starts {
        into.add_start(*start);
    }
    into.starts_dropped_through = into.starts_dropped_through.max(*starts_dropped_through);
    into.folded_end_at = into.folded_end_at.max(*folded_end_at);
    into.returned_at = into.returned_at.max(*returned_at);
    into.unwanted_at = into.unwanted_at.max(*unwanted_at);
    into.wrong_variant_at = into.wrong_variant_at.max(*wrong_variant_at);
    for (meter, periods) in meters {
        for (period, share) in periods {
            into.usage.record(meter.clone(), *period, *share);
        }
    }
}

/// Adds everything but cases.
fn add_relationship(customer: &mut Customer, from: &RelationshipState, context: &MergeContext<'_>) {
    let RelationshipState {
        cases: _,
        folded_friction,
        folded_open_cases,
        folded_complaints_hold_until,
        payment_trouble,
        offer_pressure,
        sentiment,
        accepted_offers: _,
        acceptances_dropped_through: _,
        returns: _,
        returns_dropped_through: _,
        partings: _,
        partings_dropped_through: _,
        folded_value,
        engagement,
        purchase_days,
        first_purchase_day,
        spent,
        returned,
        last,
    } = from;
    let into = &mut customer.relationship;
    into.folded_friction.absorb(folded_friction);
    into.folded_open_cases = add_open_cases(into.folded_open_cases, *folded_open_cases, context.now);
    into.folded_complaints_hold_until = into.folded_complaints_hold_until.max(*folded_complaints_hold_until);
    into.payment_trouble.absorb(payment_trouble);
    into.offer_pressure.absorb(offer_pressure);
    into.sentiment.absorb(sentiment);
    into.folded_value.absorb(folded_value);
    into.engagement.absorb(engagement);
    into.spent.absorb(spent);
    into.returned.absorb(returned);
    into.purchase_days.extend(purchase_days);
    into.first_purchase_day = into.first_purchase_day.into_iter().chain(*first_purchase_day).min();
    let [purchase_day_engagement, ..] = context.policy.relationship.engagement_weights;
    while into.purchase_days.len() > context.bounds.purchase_days {
        let Some(dropped) = into.purchase_days.pop_first() else { break };
        into.engagement.add(dropped.start(), purchase_day_engagement);
    }
    add_last_times(&mut into.last, last);
    add_acceptances(customer, from, context);
}

/// Both count until the later of the two ends.
fn add_open_cases(
    into: Option<FoldedOpenCases>,
    from: Option<FoldedOpenCases>,
    now: Timestamp,
) -> Option<FoldedOpenCases> {
    let mut open = into.into_iter().chain(from).filter(|cases| now < cases.until);
    let first = open.next()?;
    Some(open.fold(first, |sum, cases| FoldedOpenCases {
        friction: sum.friction + cases.friction,
        until: sum.until.max(cases.until),
    }))
}

fn add_last_times(into: &mut LastEventTimes, from: &LastEventTimes) {
    let LastEventTimes {
        purchase,
        return_,
        ticket,
        payment_trouble,
        cancellation,
        commitment,
        subscription_start,
        detractor_survey,
        payment_failures,
    } = from;
    into.purchase = into.purchase.max(*purchase);
    into.return_ = into.return_.max(*return_);
    into.ticket = into.ticket.max(*ticket);
    into.payment_trouble = into.payment_trouble.max(*payment_trouble);
    into.cancellation = into.cancellation.max(*cancellation);
    into.commitment = into.commitment.max(*commitment);
    into.subscription_start = into.subscription_start.max(*subscription_start);
    into.detractor_survey = into.detractor_survey.max(*detractor_survey);
    for &at in payment_failures {
        into.record_payment_failure(at);
    }
}

/// Adds acceptances, returns and partings, by the rules under which events add them: an acceptance under one id and a return
/// under the other may be a regret.
fn add_acceptances(customer: &mut Customer, from: &RelationshipState, context: &MergeContext<'_>) {
    let (policy, bounds) = (&context.policy.relationship, context.bounds);
    let into = &mut customer.relationship;
    assume_the_worst(into, from, policy);
    for offer in &from.accepted_offers {
        value_delivered::record_acceptance(into, &offer.product, offer.at, policy, bounds);
        let recorded = into.accepted_offers.iter_mut().find(|it| it.at == offer.at && it.product == offer.product);
        if let Some(recorded) = recorded {
            recorded.since = recorded.since.min(offer.since);
        }
    }
    for it in &from.returns {
        value_delivered::record_return(into, &it.product, it.at, policy, bounds);
        let recorded = into.returns.iter_mut().find(|other| other.at == it.at && other.product == it.product);
        if let Some(recorded) = recorded {
            recorded.follows_acceptance |= it.follows_acceptance;
        }
    }
    for parting in &from.partings {
        let dropped = value_delivered::record_parting(&mut customer.relationship, parting.clone(), policy, bounds);
        for parting in dropped {
            fold_parting(customer, &parting, policy);
        }
    }
    let into = &mut customer.relationship;
    into.acceptances_dropped_through = into.acceptances_dropped_through.max(from.acceptances_dropped_through);
    into.returns_dropped_through = into.returns_dropped_through.max(from.returns_dropped_through);
    into.partings_dropped_through = into.partings_dropped_through.max(from.partings_dropped_through);
}

/// Counts a regret for each acceptance that something which `from` has no longer may have regretted, and marks what may have
/// followed an acceptance that it has no longer.
fn assume_the_worst(into: &mut RelationshipState, from: &RelationshipState, policy: &RelationshipPolicy) {
    let window = policy.regret_window;
    if let Some(given_up_through) = from.returns_dropped_through.max(from.partings_dropped_through) {
        for offer in into.accepted_offers.iter().filter(|offer| offer.at < given_up_through) {
            into.folded_value.add(given_up_through.min(offer.at + window), -policy.regretted_weight);
        }
    }
    if let Some(accepted_through) = from.acceptances_dropped_through {
        for it in into.returns.iter_mut().filter(|it| it.at <= accepted_through + window) {
            it.follows_acceptance = true;
        }
        for it in into.partings.iter_mut().filter(|it| it.at <= accepted_through + window) {
            it.follows_acceptance = true;
        }
    }
}

/// Reports the cases again, so that what does not fit is folded as it is for one customer. Their quiet periods are known
/// already, and the level that they leave is replaced by the caller.
fn add_cases(customer: &mut Customer, cases: &[Case], context: &MergeContext<'_>) {
    customer.ledger.clock = Some(context.now);
    for Case { id, is_complaint, severity, reported_at, resolved_at } in cases {
        let report = || CaseReport { case: Some(id.clone()), severity: severity.unwrap_or(Severity::DEFAULT) };
        let reported = reported_at.map(|at| {
            let kind = if *is_complaint { EventKind::Complaint(report()) } else { EventKind::SupportTicket(report()) };
            (at, kind)
        });
        let resolved = resolved_at.map(|at| (at, EventKind::CaseResolved { case: id.clone() }));
        // The resolution first: on its own it adds nothing, and an open case might be folded before it is known to be resolved.
        for (at, kind) in resolved.into_iter().chain(reported) {
            let event = Event {
                id: EventId::new("merge").expect("a short text without control characters"),
                customer: None,
                at,
                kind,
            };
            let MergeContext { policy, outlook, catalog, bounds, now: _ } = *context;
            apply_event_within(customer, &event, policy, outlook, catalog, bounds);
        }
    }
}

/// Bounds the starts of all holdings, and computes their ends, once the partings of both customers are known.
fn update_starts_and_ends(customer: &mut Customer, context: &MergeContext<'_>) {
    let policy = &context.policy.relationship;
    let products: Vec<ProductId> = customer.holdings.latest.keys().cloned().collect();
    for product in &products {
        drop_old_starts(customer, product, policy, context.bounds);
        update_end(customer, product, policy);
    }
}

/// Joins everything but the level.
fn merged_ledger(into: &Ledger, from: &Ledger, now: Timestamp) -> Ledger {
    let mut ledger = Ledger {
        clock: Some(now),
        grants: merged_grants(&into.grants, &from.grants),
        request_keys: merged_request_keys(&into.request_keys, &from.request_keys),
        level: None,
        rejections: Vec::new(),
        // Neither of the remaining rejections is before it.
        accepted_at: into.accepted_at.min(from.accepted_at),
        product_cooldowns: into.product_cooldowns.clone(),
        would_be_grants: merged_grants(&into.would_be_grants, &from.would_be_grants),
        assignment: into.assignment,
    };
    for Ledger { rejections, accepted_at, .. } in [into, from] {
        let lasting = |rejection: &&Rejection| accepted_at.is_none_or(|accepted_at| rejection.at > accepted_at);
        for rejection in rejections.iter().filter(lasting) {
            grants::record_rejection(&mut ledger, rejection.decision, rejection.at);
        }
    }
    debug_assert!(ledger.rejections.len() <= REJECTIONS_MAX);
    for cooldown in &from.product_cooldowns {
        grants::start_cooldown(&mut ledger, &cooldown.product, cooldown.until);
    }
    ledger
}

/// Joins grants in the order of time. Of too many the latest stay, which count for longest.
fn merged_grants(into: &[Grant], from: &[Grant]) -> Vec<Grant> {
    let mut grants = into.to_vec();
    for grant in from {
        if !into.iter().any(|other| other.id == grant.id) {
            grants.push(grant.clone());
        }
    }
    grants.sort_by_key(|grant| grant.granted_at);
    let spare = grants.len().saturating_sub(GRANTS_MAX);
    grants.drain(..spare);
    grants
}

/// Joins request keys in the order of time. Of too many the latest stay.
fn merged_request_keys(into: &[RequestKey], from: &[RequestKey]) -> Vec<RequestKey> {
    let mut keys = into.to_vec();
    for key in from {
        if !into.iter().any(|other| other.kind == key.kind && other.request == key.request) {
            keys.push(key.clone());
        }
    }
    keys.sort_by_key(|key| key.at);
    let spare = keys.len().saturating_sub(REQUEST_KEYS_MAX);
    keys.drain(..spare);
    keys
}

/// The level of a customer's slow rise as of now; `None` when nothing has happened yet.
fn level_at(customer: &Customer, context: &MergeContext<'_>) -> Option<AllowanceLevel> {
    customer.ledger.level?;
    let mut customer = customer.clone();
    update_level(&mut customer, context.policy, context.outlook, context.catalog, context.now);
    customer.ledger.level
}

/// The level below which both stay, now and later.
fn stricter_level(levels: [Option<AllowanceLevel>; 2]) -> Option<AllowanceLevel> {
    levels
        .into_iter()
        .flatten()
        .reduce(|a, b| AllowanceLevel { offers: a.offers.min(b.offers), since: a.since.max(b.since) })
}

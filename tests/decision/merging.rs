//! Properties of the merge of two customers: it is as if both had always been one, and where it is not, it is stricter.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tactful::decision::contact_policy::cap_after_rise;
use tactful::decision::customer_assessment::CustomerAssessment;
use tactful::decision::grants;
use tactful::decision::merge_customers::{MergeContext, merged};
use tactful::domain::customer::{Customer, HOLDS_MAX, Hold, HoldReason};
use tactful::domain::decision::{Cap, CapKind};
use tactful::domain::event::{CaseReport, Event, EventKind, Outcome};
use tactful::domain::ids::{DecisionId, GrantId, HoldId};
use tactful::domain::ledger::GRANTS_MAX;
use tactful::domain::relationship::ComponentKind;
use tactful::domain::state_bounds::StateBounds;
use tactful::domain::time::{DAY, Timestamp};

use crate::generators::{
    History, PlayedHistory, TIGHT, UNBOUNDED, any_bad_kind, any_history, any_time, catalog, config, event_at,
    moment_after,
};
use crate::scenario::decision_context;
use crate::support::shop::{case_id, customer, now as start};

fn context<'a>(history: &'a History, bounds: &'a StateBounds, now: Timestamp) -> MergeContext<'a> {
    MergeContext { policy: &history.policy, outlook: &history.outlook, catalog: catalog(), bounds, now }
}

/// The events under one id and those under the other.
fn split(events: &[Event], seed: u64) -> [Vec<Event>; 2] {
    let is_first = |event: &&Event| {
        let hash =
            event.id.as_str().bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_01b3));
        hash & 8 == 0
    };
    [events.iter().filter(is_first).cloned().collect(), events.iter().filter(|it| !is_first(it)).cloned().collect()]
}

/// The customer with the grants and rejections of other decisions, as another customer would have them.
fn renumbered(mut customer: Customer) -> Customer {
    let other = |decision: DecisionId| DecisionId::from_bits(decision.bits() + 1_000_000);
    for grant in &mut customer.ledger.grants {
        grant.id = GrantId::from_bits(grant.id.bits() ^ 0x5555);
        for serving in grant.lease.iter_mut().flat_map(|lease| &mut lease.servings) {
            serving.decision = other(serving.decision);
        }
    }
    for rejection in &mut customer.ledger.rejections {
        rejection.decision = other(rejection.decision);
    }
    customer
}

fn caps(history: &History, customer: &Customer, now: Timestamp) -> Vec<Cap> {
    let context = decision_context(&history.policy, &history.outlook, catalog(), now, 1);
    CustomerAssessment::of(customer, None, &context).allowance.caps
}

/// End of the pause of this kind; `None` without one.
fn pause_end(caps: &[Cap], is_of_kind: impl Fn(CapKind) -> bool) -> Option<Timestamp> {
    caps.iter().filter(|cap| is_of_kind(cap.kind)).map(|cap| cap.next_eligible_at.unwrap_or(Timestamp::MAX)).max()
}

/// The event with a case that no event of the other customer has.
fn with_own_case(mut event: Event) -> Event {
    if let EventKind::SupportTicket(CaseReport { case: Some(case), .. })
    | EventKind::Complaint(CaseReport { case: Some(case), .. })
    | EventKind::CaseResolved { case }
    | EventKind::Outcome(Outcome { case: Some(case), .. }) = &mut event.kind
    {
        *case = case_id(format!("own/{case}"));
    }
    event
}

/// Compares a merge within bounds with one customer who has room for everything.
fn check_merge_within(history: &History, seed: u64, bounds: &StateBounds) -> Result<(), TestCaseError> {
    // Of a case that was folded under one id, a report under the other cannot be told from a new case.
    let [first, second] = split(&history.play().events, seed);
    let second: Vec<Event> = second.into_iter().map(with_own_case).collect();
    let events = [first.clone(), second.clone()].concat();
    let [into, from] = [first, second].map(|events| history.customer_within(&customer("c"), &events, bounds));
    let one = history.customer_within(&customer("c"), &events, &UNBOUNDED);
    let now = moment_after(&one);
    let merged = merged(&into, &from, &context(history, bounds, now));
    let (low, high) = (history.health(&merged, now), history.health(&one, now));
    // Regrets are not known any more where an acceptance was dropped under one id and its return under the other.
    let state = &merged.relationship;
    let dropped =
        state.acceptances_dropped_through.max(state.returns_dropped_through).max(state.partings_dropped_through);
    let is_compared = *bounds != TIGHT && dropped.is_none();
    prop_assert!(!is_compared || low.score <= high.score + 1e-4, "{low:?} and {high:?}");
    prop_assert!(merged.holdings.latest.len() <= bounds.holdings);
    let relationship = &merged.relationship;
    prop_assert!(relationship.cases.len() <= bounds.cases && relationship.partings.len() <= bounds.partings);
    prop_assert!(relationship.accepted_offers.len() <= bounds.accepted_offers);
    prop_assert!(relationship.returns.len() <= bounds.returns);
    prop_assert!(relationship.purchase_days.len() <= bounds.purchase_days);
    Ok(())
}

proptest! {
    #![proptest_config(config(500))]

    /// Broken by: a list that is not joined; a sum that is not added; flags of regrets and ends that only see one customer.
    #[test]
    fn a_merged_customer_is_the_customer_of_both_histories(history in any_history(), seed in any::<u64>()) {
        let events = history.play().events;
        let [first, second] = split(&events, seed);
        let [into, from] = [first, second].map(|events| history.customer_within(&customer("c"), &events, &UNBOUNDED));
        let one = history.customer_within(&customer("c"), &events, &UNBOUNDED);
        let now = moment_after(&one);
        let merged = merged(&into, &from, &context(&history, &UNBOUNDED, now));
        prop_assert_eq!(&merged.holdings, &one.holdings);
        let (state, expected) = (&merged.relationship, &one.relationship);
        prop_assert_eq!(&state.cases, &expected.cases);
        prop_assert_eq!(&state.accepted_offers, &expected.accepted_offers);
        prop_assert_eq!(&state.returns, &expected.returns);
        prop_assert_eq!(&state.partings, &expected.partings);
        prop_assert_eq!(&state.purchase_days, &expected.purchase_days);
        prop_assert_eq!(state.first_purchase_day, expected.first_purchase_day);
        prop_assert_eq!(&state.last, &expected.last);
        let sums = |of: &Customer| {
            let state = of.relationship.clone();
            [
                state.folded_friction, state.payment_trouble, state.offer_pressure, state.sentiment, state.folded_value,
                state.engagement, state.spent, state.returned,
            ]
        };
        for (sum, expected) in sums(&merged).iter().zip(&sums(&one)) {
            for (sum, expected) in sum.sums.iter().zip(&expected.sums) {
                prop_assert!((sum - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{sum} and {expected}");
            }
        }
        let (health, expected) = (history.health(&merged, now), history.health(&one, now));
        prop_assert!((health.score - expected.score).abs() < 1e-6, "{health:?} and {expected:?}");
    }

    /// Broken by: an overflow that is dropped instead of folded.
    #[test]
    fn within_bounds_a_merge_is_never_better_than_without(history in any_history(), seed in any::<u64>()) {
        check_merge_within(&history, seed, &StateBounds::STORED)?;
        check_merge_within(&history, seed, &TIGHT)?;
    }

    /// Broken by: the grants of one customer only; the higher of two levels; the acceptance of one that ends the back-off of
    /// the other; the shorter of two holds.
    #[test]
    fn grants_add_up_and_pauses_of_both_stay(
        one in any_history(), other in any_history(), holds in proptest::collection::vec(0..40u32, 2 * HOLDS_MAX),
    ) {
        let play = |history: &History| {
            let PlayedHistory { contacted, events } = history.play();
            one.customer_after(&contacted, &events)
        };
        let (mut into, mut from) = (play(&one), renumbered(play(&other)));
        let now = moment_after(&into).max(moment_after(&from));
        for (number, days) in holds.into_iter().enumerate() {
            let hold = Hold {
                // Half of the ids are those of both.
                id: HoldId::new(format!("hold{}", number % (HOLDS_MAX * 3 / 2))).expect("valid"),
                reason: HoldReason::AgentHold,
                note: String::new(),
                created_at: start(),
                expires_at: Some(now + DAY * days - DAY * 20),
            };
            if number < HOLDS_MAX { into.holds.push(hold) } else { from.holds.push(hold) }
        }
        let merged = merged(&into, &from, &context(&one, &StateBounds::STORED, now));

        let counting = |customer: &Customer| {
            customer.ledger.grants.iter().filter(|grant| grants::counts(grant, &one.policy.contact, now)).count()
        };
        prop_assert_eq!(counting(&merged), (counting(&into) + counting(&from)).min(GRANTS_MAX));
        let ids: BTreeSet<GrantId> = merged.ledger.grants.iter().map(|grant| grant.id).collect();
        prop_assert_eq!(ids.len(), merged.ledger.grants.len());
        prop_assert!(merged.holds.len() <= HOLDS_MAX);

        let [after, before_into, before_from] = [&merged, &into, &from].map(|customer| caps(&one, customer, now));
        for before in [&before_into, &before_from] {
            let is_back_off = |kind| kind == CapKind::BackOff;
            prop_assert!(pause_end(&after, is_back_off) >= pause_end(before, is_back_off), "{after:?} and {before:?}");
            let is_hold = |kind| matches!(kind, CapKind::Hold(HoldReason::AgentHold));
            prop_assert!(pause_end(&after, is_hold) >= pause_end(before, is_hold), "{after:?} and {before:?}");
        }
        for before in [&into, &from].into_iter().filter(|before| before.ledger.level.is_some()) {
            for weeks in 0..8 {
                let rise_step = one.policy.contact.rise_step;
                let at = now + DAY * 7 * weeks;
                let cap = |customer: &Customer| cap_after_rise(customer.ledger.level, u32::MAX, rise_step, at);
                prop_assert!(cap(&merged) <= cap(before), "{:?} {:?}", merged.ledger.level, before.ledger.level);
            }
        }
    }

    /// A move to another plan is bad and yet tells since when the customer has had a subscription, which may raise the retention
    /// outlook; nothing else under the other id raises anything.
    ///
    /// Broken by: a merge that leaves the friction, pressure or payments of the other out.
    #[test]
    fn what_went_wrong_under_one_id_follows_the_customer(
        history in any_history(), bad in proptest::collection::vec((any_time(), any_bad_kind(12)), 0..20),
    ) {
        let PlayedHistory { contacted, events } = history.play();
        let into = history.customer_after(&contacted, &events);
        let bad: Vec<Event> =
            bad.into_iter().enumerate().map(|(number, (at, kind))| event_at(10_000 + number, at, kind)).collect();
        let from = history.customer_after(&customer("c"), &bad);
        let now = moment_after(&into).max(moment_after(&from));
        let merged = merged(&into, &from, &context(&history, &StateBounds::STORED, now));
        let (before, after) = (history.health(&into, now), history.health(&merged, now));
        let is_move = |event: &Event| matches!(event.kind, EventKind::Downgrade { to: Some(_), .. } | EventKind::PlanChange { .. });
        let has_moves = bad.iter().any(is_move);
        for (before, after) in before.components.iter().zip(&after.components) {
            let may_rise = has_moves && after.kind == ComponentKind::RetentionOutlook;
            prop_assert!(may_rise || after.value <= before.value + 1e-4, "{after:?} and {before:?}");
        }
        prop_assert!(has_moves || after.score <= before.score + 1e-4, "{after:?} and {before:?}");
    }
}

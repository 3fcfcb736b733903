//! Holds in force: those that agents created, and those derived from events and consents.

use super::subscriptions::{PartingMeaning, Subscriptions};
use crate::domain::catalog::Catalog;
use crate::domain::customer::{ActiveHold, Customer, Hold, HoldReason};
use crate::domain::ids::{HoldId, ProductId};
use crate::domain::policy::{ContactPolicy, Policy};
use crate::domain::relationship::Case;
use crate::domain::time::Timestamp;

/// Every hold in force at `now`, created ones first.
pub(crate) fn active_holds(customer: &Customer, policy: &Policy, catalog: &Catalog, now: Timestamp) -> Vec<ActiveHold> {
    let mut holds = dated_holds(customer, &Subscriptions::of(customer, &policy.relationship, catalog), policy);
    holds.retain(|active| active.hold.is_active(now));
    holds
}

/// Every hold with its end, expired ones included; created ones first. Each is in force until it expires.
pub(super) fn dated_holds(customer: &Customer, subscriptions: &Subscriptions, policy: &Policy) -> Vec<ActiveHold> {
    let created = customer.holds.iter().cloned();
    let created = created.map(|hold| ActiveHold { hold, is_derived: false, resolved_at: None });
    let derived = lasting_holds(customer)
        .into_iter()
        .chain(complaint_hold(customer, &policy.contact))
        .chain(cancellation_hold(customer, &subscriptions.meanings, policy));
    created.chain(derived).collect()
}

fn derived(reason: HoldReason, created_at: Timestamp, expires_at: Option<Timestamp>) -> ActiveHold {
    let id = HoldId::new(format!("derived/{}", reason.as_str())).expect("a short text without control characters");
    let hold = Hold { id, reason, note: String::new(), created_at, expires_at };
    ActiveHold { hold, is_derived: true, resolved_at: None }
}

/// Holds without a known start: of consents, and of a merge in progress.
fn lasting_holds(customer: &Customer) -> Vec<ActiveHold> {
    let consents = &customer.consents;
    let holds =
        [(consents.is_opted_out, HoldReason::OptOut), (consents.objects_to_profiling, HoldReason::ProfilingObjection)];
    let merge = (customer.merge.is_in_progress(), HoldReason::Merge);
    let set = holds.into_iter().chain([merge]).filter(|(is_set, _)| *is_set);
    set.map(|(_, reason)| derived(reason, Timestamp::MIN, None)).collect()
}

/// The complaint whose hold lasts longest.
fn complaint_hold(customer: &Customer, policy: &ContactPolicy) -> Option<ActiveHold> {
    let folded_until = customer.relationship.folded_complaints_hold_until;
    let complaints = customer.relationship.cases.iter().filter(|case| case.is_complaint);
    let ends = complaints.filter_map(|case| Some((complaint_hold_end(case, policy)?, case.reported_at?, case)));
    let stored = ends.max_by_key(|&(expires_at, reported_at, _)| (expires_at, reported_at));
    let Some((expires_at, reported_at, case)) = stored.filter(|(expires_at, ..)| folded_until <= Some(*expires_at))
    else {
        // The report itself is no longer stored.
        let until = folded_until?;
        return Some(derived(HoldReason::OpenComplaint, until - policy.complaint_hold_unresolved, Some(until)));
    };
    let resolved_at = case.resolved_at.filter(|_| !case.is_open());
    Some(ActiveHold { resolved_at, ..derived(HoldReason::OpenComplaint, reported_at, Some(expires_at)) })
}

/// A resolved complaint still holds offers for a while, but never for longer than an unresolved one would: resolving it is
/// good news and must not cost offers.
pub(super) fn complaint_hold_end(case: &Case, policy: &ContactPolicy) -> Option<Timestamp> {
    let unresolved_end = case.reported_at? + policy.complaint_hold_unresolved;
    match case.resolved_at {
        Some(resolved_at) if !case.is_open() => {
            Some(unresolved_end.min(resolved_at + policy.complaint_hold_after_resolution))
        }
        _ => Some(unresolved_end),
    }
}

/// The latest notice of cancellation or end of a subscription, unless the customer has subscribed or renewed since. A change
/// of plans is neither, and a move to the product that ended does not lift its hold: it may be a downgrade, which must not
/// yield more offers.
fn cancellation_hold(customer: &Customer, meanings: &[PartingMeaning], policy: &Policy) -> Option<ActiveHold> {
    let holdings = &customer.holdings.latest;
    // Once subscriptions were evicted, any product that ended may be one of them.
    let may_be_evicted = customer.holdings.evicted_end_at.is_some();
    let is_subscription =
        |product: &ProductId| may_be_evicted || holdings.get(product).is_some_and(|holding| !holding.starts.is_empty());
    let ends = customer
        .relationship
        .partings
        .iter()
        .zip(meanings)
        .filter(|(parting, meaning)| **meaning == PartingMeaning::End && is_subscription(&parting.product));
    let folded_ends = holdings.values().filter(|holding| !holding.starts.is_empty());
    let notice_at = ends
        .map(|(parting, _)| parting.at)
        .chain(folded_ends.filter_map(|holding| holding.folded_end_at))
        .chain(customer.holdings.evicted_end_at)
        .chain(customer.relationship.last.cancellation)
        .max()?;
    if customer.relationship.last.commitment.is_some_and(|at| at >= notice_at) {
        return None;
    }
    Some(derived(HoldReason::CancellationNotice, notice_at, Some(notice_at + policy.contact.cancellation_hold)))
}

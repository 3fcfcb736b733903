//! From scored candidates to a slate: the best ones, within the caps, diverse, and without breaking a rule of the policy.

use std::collections::BTreeSet;

use super::contact_policy::{Allowance, withheld_reason};
use super::decision_context::DecisionContext;
use super::eligibility::never_together_with;
use super::grants;
use super::offer_query::OfferQuery;
use super::rejection_log::{RejectionLog, ScoredCandidate};
use crate::domain::customer::Customer;
use crate::domain::ids::{GrantId, ProductId};
use crate::domain::ledger::Grant;
use crate::domain::offer::OfferKind;
use crate::domain::policy::ProductFamily;
use crate::domain::product::Product;
use crate::domain::rejected_candidate::{DecisionStep, Ineligibility};
use crate::domain::withheld_reason::WithheldReason;

/// Selects the slate from candidates sorted by falling score. Logs every candidate that does not enter it.
pub(super) fn select_slate<'w, 'a>(
    query: &OfferQuery<'_>,
    scored_candidates: &'w [ScoredCandidate<'a>],
    customer: &Customer,
    context: &DecisionContext<'_>,
    allowance: &Allowance,
    rejections: &mut RejectionLog,
) -> Vec<&'w ScoredCandidate<'a>> {
    let servable_again = servable_again(customer, query.kind, allowance, context);
    let mut left = allowance.left(query.kind);
    let mut selected: Vec<&ScoredCandidate<'_>> = Vec::new();
    for scored in scored_candidates {
        if selected.len() == query.offers_max {
            let last = selected.last().map_or(scored.score, |last| last.score);
            let ineligibility = Ineligibility::observed(WithheldReason::SlateFull, scored.score, last);
            rejections.reject_scored(scored, DecisionStep::Cut, ineligibility);
        } else if let Some(other) = too_similar(scored.product, &selected, context) {
            rejections.count(WithheldReason::TooSimilar);
            let ineligibility = Ineligibility::because_of(WithheldReason::TooSimilar, &other.product.id);
            rejections.reject_scored(scored, DecisionStep::Diversity, ineligibility);
        } else if let Some(ineligibility) = broken_rule(scored, &selected, customer, context) {
            rejections.count(ineligibility.reason);
            let is_family_cap = ineligibility.reason == WithheldReason::FamilyCapReached;
            let step = if is_family_cap { DecisionStep::ContactPolicy } else { DecisionStep::Diversity };
            rejections.reject_scored(scored, step, ineligibility);
        } else if scored.open_grant.is_some_and(|grant| servable_again.contains(&grant.id)) {
            selected.push(scored);
        } else if scored.open_grant.is_none() && left > 0 {
            left -= 1;
            selected.push(scored);
        } else {
            let reason = cap_reason(query.kind, allowance);
            rejections.count(reason);
            let ineligibility = capped(reason, query.kind, allowance);
            rejections.reject_scored(scored, DecisionStep::ContactPolicy, ineligibility);
        }
    }
    selected
}

/// Open grants that may be served again. When the cap has fallen below their number, only those granted first.
fn servable_again<'a>(
    customer: &'a Customer,
    kind: OfferKind,
    allowance: &Allowance,
    context: &DecisionContext<'_>,
) -> BTreeSet<GrantId> {
    let is_open = |grant: &&Grant| grants::is_open(grant, &context.policy.contact, context.now);
    let first = |grants: Vec<&'a Grant>, limit: u32| -> Vec<&'a Grant> {
        grants.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)).collect()
    };
    let mut open: Vec<&Grant> = customer.ledger.grants.iter().filter(is_open).collect();
    open.sort_by(|a, b| (a.granted_at, &a.offer).cmp(&(b.granted_at, &b.offer)));
    let of_any_kind = first(open, allowance.offers_limit);
    let of_this_kind = of_any_kind.into_iter().filter(|grant| grant.kind == kind).collect();
    first(of_this_kind, allowance.limit(kind)).into_iter().map(|grant| grant.id).collect()
}

/// The selected offer that rules this product out: a slate has at most one product of a ladder and of an item group, and a
/// few of a category.
fn too_similar<'c, 'w, 'a>(
    product: &Product,
    selected: &'c [&'w ScoredCandidate<'a>],
    context: &DecisionContext<'_>,
) -> Option<&'c &'w ScoredCandidate<'a>> {
    let category_offers_max = context.policy.contact.category_offers_max;
    let variant = selected.iter().find(|other| context.catalog.are_variants(&other.product.id, &product.id));
    let ladder_of = |product: &'c Product| product.ladder_position.as_ref().map(|position| &position.ladder);
    let ladder = product.ladder_position.as_ref().map(|position| &position.ladder);
    let on_same_ladder = selected.iter().find(|other| ladder.is_some() && ladder_of(other.product) == ladder);
    let of_category = selected.iter().filter(|other| other.product.category == product.category);
    let last_of_category =
        of_category.skip(category_offers_max.saturating_sub(1)).find(|_| !product.category.is_empty());
    variant.or(on_same_ladder).or(last_of_category)
}

/// The rule of the policy that a candidate would break beside the offers selected so far.
fn broken_rule(
    scored: &ScoredCandidate<'_>,
    selected: &[&ScoredCandidate<'_>],
    customer: &Customer,
    context: &DecisionContext<'_>,
) -> Option<Ineligibility> {
    let contact = &context.policy.contact;
    let product = scored.product;
    let is_selected = |id: &ProductId| selected.iter().any(|other| other.product.id == *id);
    if let Some(other) = never_together_with(&contact.never_together, &product.id).find(|other| is_selected(other)) {
        return Some(Ineligibility::because_of(WithheldReason::NeverTogether, other));
    }
    for rule in &contact.never_after {
        let other = if rule.then == product.id { &rule.first } else { &rule.then };
        if (rule.then == product.id || rule.first == product.id) && is_selected(other) {
            return Some(Ineligibility::because_of(WithheldReason::NeverAfter, other));
        }
    }
    let mut families = contact.families.iter().filter(|family| family.contains(product));
    families.find_map(|family| family_cap(family, scored, selected, customer, context))
}

/// The cap of a family that a candidate would exceed.
fn family_cap(
    family: &ProductFamily,
    scored: &ScoredCandidate<'_>,
    selected: &[&ScoredCandidate<'_>],
    customer: &Customer,
    context: &DecisionContext<'_>,
) -> Option<Ineligibility> {
    let contact = &context.policy.contact;
    let selected_of_family = || selected.iter().filter(|other| family.contains(other.product));
    if let Some(other) = selected_of_family().nth(family.per_slate.saturating_sub(1)) {
        return Some(Ineligibility::because_of(WithheldReason::TooSimilar, &other.product.id));
    }
    let counts = |grant: &&Grant| {
        grants::counts(grant, contact, context.now)
            // A product that has left the catalogue may have been of any family.
            && context.catalog.get(&grant.product).is_none_or(|granted| family.contains(granted))
    };
    let counting = || customer.ledger.grants.iter().filter(counts);
    let used = counting().count() + selected_of_family().filter(|other| other.open_grant.is_none()).count();
    if scored.open_grant.is_some() || used < usize::try_from(family.per_window).unwrap_or(usize::MAX) {
        return None;
    }
    let until = counting().map(|grant| grant.granted_at + contact.cap_window).min();
    let limit = f64::from(family.per_window);
    Some(Ineligibility { until, ..Ineligibility::observed(WithheldReason::FamilyCapReached, limit, limit + 1.0) })
}

/// The rejection by the binding cap. A cap used up by this very slate does not bind yet, so only its limit is reported.
fn capped(reason: WithheldReason, kind: OfferKind, allowance: &Allowance) -> Ineligibility {
    let Some(cap) = allowance.binding(kind).map(|index| &allowance.caps[index]) else {
        let limit = f64::from(allowance.limit(kind));
        return Ineligibility::observed(reason, limit, limit + 1.0);
    };
    let (limit, used) = (f64::from(cap.limit), f64::from(cap.used));
    Ineligibility { until: cap.next_eligible_at, ..Ineligibility::observed(reason, limit, used + 1.0) }
}

fn cap_reason(kind: OfferKind, allowance: &Allowance) -> WithheldReason {
    match allowance.binding(kind) {
        Some(index) => withheld_reason(allowance.caps[index].kind),
        // Used up by this very slate.
        None if allowance.channel_left.is_some_and(|left| left < allowance.customer_left(kind)) => {
            WithheldReason::ChannelCapReached
        }
        None if kind == OfferKind::UpSell && allowance.up_sell_left < allowance.offers_left => {
            WithheldReason::UpSellCapReached
        }
        None => WithheldReason::CapReached,
    }
}

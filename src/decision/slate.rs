//! From weighed candidates to a slate: the best, as many as caps leave, not two that are too much alike, and no rule broken.

use std::collections::BTreeSet;

use super::contact_policy::{Allowance, withheld_reason};
use super::eligibility::others_of;
use super::grants;
use super::offer_query::{DecisionContext, OfferQuery};
use super::rejection_log::{RejectionLog, ScoredCandidate};
use crate::domain::customer::Customer;
use crate::domain::decision::WithheldReason;
use crate::domain::ids::ProductId;
use crate::domain::ledger::Grant;
use crate::domain::offer::OfferKind;
use crate::domain::product::Product;
use crate::domain::rejected_candidate::{DecisionStep, Ineligibility};
use crate::domain::time::Timestamp;

/// Takes the best, at most as many as asked for, as the caps leave, and not two that are too much alike.
pub fn choose<'w, 'a>(
    question: &OfferQuery<'_>,
    weighed: &'w [ScoredCandidate<'a>],
    customer: &Customer,
    grounds: &DecisionContext<'_>,
    allowance: &Allowance,
    withheld: &mut RejectionLog,
) -> Vec<&'w ScoredCandidate<'a>> {
    let repeatable = repeatable_offers(customer, question.kind, allowance, grounds.now);
    let mut left = allowance.left(question.kind);
    let mut chosen: Vec<&ScoredCandidate<'_>> = Vec::new();
    for weighed in weighed {
        if chosen.len() == question.offers_max {
            let last = chosen.last().map_or(weighed.score, |last| last.score);
            withheld.leave(
                weighed,
                DecisionStep::Cut,
                Ineligibility::seen(WithheldReason::SlateFull, weighed.score, last),
            );
        } else if let Some(other) = too_similar(weighed.product, &chosen, grounds.policy.contact.category_offers_max) {
            withheld.count(WithheldReason::TooSimilar);
            withheld.leave(
                weighed,
                DecisionStep::Diversity,
                Ineligibility::by(WithheldReason::TooSimilar, &other.product.id),
            );
        } else if let Some(ineligibility) = rule_of_slate(weighed, &chosen, customer, grounds) {
            withheld.count(ineligibility.reason);
            let of_family = ineligibility.reason == WithheldReason::FamilyCapReached;
            withheld.leave(
                weighed,
                if of_family { DecisionStep::ContactPolicy } else { DecisionStep::Diversity },
                ineligibility,
            );
        } else if weighed.is_repeat && repeatable.contains(&weighed.product.id) {
            chosen.push(weighed);
        } else if !weighed.is_repeat && left > 0 {
            left -= 1;
            chosen.push(weighed);
        } else {
            let reason = cap_reason(question.kind, allowance);
            withheld.count(reason);
            withheld.leave(weighed, DecisionStep::ContactPolicy, cap_refusal(reason, question.kind, allowance));
        }
    }
    chosen
}

/// The open offers that may be served again: when the cap has fallen below them, only the first granted.
fn repeatable_offers<'a>(
    customer: &'a Customer,
    kind: OfferKind,
    allowance: &Allowance,
    now: Timestamp,
) -> BTreeSet<&'a ProductId> {
    let within = |grants: Vec<&'a Grant>, limit: u32| -> Vec<&'a Grant> {
        grants.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)).collect()
    };
    let mut open: Vec<&Grant> = customer.ledger.grants.iter().filter(|grant| grants::is_open(grant, now)).collect();
    open.sort_by(|a, b| (a.granted_at, &a.offer).cmp(&(b.granted_at, &b.offer)));
    let of_any_kind = within(open, allowance.offers_limit);
    let of_this_kind = of_any_kind.into_iter().filter(|grant| grant.kind == kind).collect();
    within(of_this_kind, allowance.limit(kind)).into_iter().map(|grant| &grant.product).collect()
}

/// At most one of a ladder, and a few of a category: the offer that stands in the way.
fn too_similar<'c, 'w, 'a>(
    product: &Product,
    chosen: &'c [&'w ScoredCandidate<'a>],
    category_offers_max: usize,
) -> Option<&'c &'w ScoredCandidate<'a>> {
    let wanted = product.rung.as_ref().map(|rung| &rung.ladder);
    let same_ladder =
        chosen.iter().find(|other| wanted.is_some() && other.product.rung.as_ref().map(|rung| &rung.ladder) == wanted);
    let of_category = chosen.iter().filter(|other| other.product.category == product.category);
    let last_of_category =
        of_category.skip(category_offers_max.saturating_sub(1)).find(|_| !product.category.is_empty());
    same_ladder.or(last_of_category)
}

/// The rules of the policy that look at the slate so far, and the caps of families.
fn rule_of_slate(
    weighed: &ScoredCandidate<'_>,
    chosen: &[&ScoredCandidate<'_>],
    customer: &Customer,
    grounds: &DecisionContext<'_>,
) -> Option<Ineligibility> {
    let contact = &grounds.policy.contact;
    let product = weighed.product;
    let in_slate = |id: &ProductId| chosen.iter().any(|other| other.product.id == *id);
    if let Some(other) = others_of(&contact.never_together, &product.id).find(|other| in_slate(other)) {
        return Some(Ineligibility::by(WithheldReason::NeverTogether, other));
    }
    for rule in &contact.never_after {
        let other = if rule.then == product.id { &rule.first } else { &rule.then };
        if (rule.then == product.id || rule.first == product.id) && in_slate(other) {
            return Some(Ineligibility::by(WithheldReason::NeverAfter, other));
        }
    }
    for family in contact.families.iter().filter(|family| family.holds(product)) {
        let of_family = || chosen.iter().filter(|other| family.holds(other.product));
        if let Some(other) = of_family().nth(family.per_slate.saturating_sub(1)) {
            return Some(Ineligibility::by(WithheldReason::TooSimilar, &other.product.id));
        }
        let is_counting = |grant: &&Grant| {
            grants::counts(grant, contact, grounds.now)
                // What has left the catalogue may have been of any family.
                && grounds.catalog.get(&grant.product).is_none_or(|granted| family.holds(granted))
        };
        let counting = || customer.ledger.grants.iter().filter(is_counting);
        let used = counting().count() + of_family().filter(|other| !other.is_repeat).count();
        if !weighed.is_repeat && used >= usize::try_from(family.per_window).unwrap_or(usize::MAX) {
            let until = counting().map(|grant| grant.granted_at + contact.cap_window).min();
            let limit = f64::from(family.per_window);
            return Some(Ineligibility {
                until,
                ..Ineligibility::seen(WithheldReason::FamilyCapReached, limit, limit + 1.0)
            });
        }
    }
    None
}

/// What the cap that binds says; a cap spent by this very slate has no more to say.
fn cap_refusal(reason: WithheldReason, kind: OfferKind, allowance: &Allowance) -> Ineligibility {
    let Some(cap) = allowance.binding(kind).map(|place| &allowance.caps[place]) else {
        let limit = f64::from(allowance.limit(kind));
        return Ineligibility::seen(reason, limit, limit + 1.0);
    };
    let (limit, used) = (f64::from(cap.limit), f64::from(cap.used));
    Ineligibility { until: cap.next_eligible_at, ..Ineligibility::seen(reason, limit, used + 1.0) }
}

fn cap_reason(kind: OfferKind, allowance: &Allowance) -> WithheldReason {
    match allowance.binding(kind) {
        Some(place) => withheld_reason(allowance.caps[place].kind),
        // Spent by this very slate.
        None if allowance.channel_left.is_some_and(|left| left < allowance.customer_left(kind)) => {
            WithheldReason::ChannelCapReached
        }
        None if kind == OfferKind::UpSell && allowance.up_sell_left < allowance.offers_left => {
            WithheldReason::UpSellCapReached
        }
        None => WithheldReason::CapReached,
    }
}

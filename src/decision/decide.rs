//! The decision: from candidates to a slate, and from a slate to the next state of the ledger.
//!
//! The steps are relationship health, allowance, eligibility, arbitration, diversity and the cut to the requested
//! length. A preview runs this same function and drops the ledger that it returns.

use crate::decision::contact_policy::{self, binds};
use crate::decision::control_group::{arm_of, assignment};
use crate::decision::customer_assessment::CustomerAssessment;
use crate::decision::decision_context::DecisionContext;
use crate::decision::explicit_offer_index::product_under_terms;
use crate::decision::grants;
use crate::decision::look_ahead::next_eligible_at;
use crate::decision::offer_query::OfferQuery;
use crate::decision::rejection_log::{RejectionLog, ScoredCandidate};
use crate::decision::relationship::assess;
use crate::decision::scoring::score_eligible;
use crate::decision::slate::select_slate;
use crate::domain::candidate::{Candidate, Proposal, Support};
use crate::domain::customer::Customer;
use crate::domain::decision::{Decision, DecisionMessage};
use crate::domain::evidence::Evidence;
use crate::domain::experiment::Arm;
use crate::domain::ids::{GrantId, OfferId, ProductId};
use crate::domain::ledger::{Grant, GrantLease, GrantServing, Ledger};
use crate::domain::offer::{MentionedProduct, Offer, OfferKind, REASONS_MAX};
use crate::domain::product::Product;
use crate::domain::rejected_candidate::DecisionStep;
use crate::domain::relationship::RelationshipHealth;
use crate::domain::withheld_reason::WithheldReason;

/// Decides which offers a customer gets. Customers of the control group get an empty slate.
///
/// Returns the decision, and the ledger as it is once the decision is committed.
pub fn decide(
    query: &OfferQuery<'_>,
    customer: &Customer,
    proposal: &impl Proposal,
    context: &DecisionContext<'_>,
) -> (Decision, Ledger) {
    let now = customer.ledger.time(context.now);
    let context = &DecisionContext { now, ..*context };
    let control = &context.policy.control_group;
    let (mut decision, mut ledger) = match arm_of(&customer.id, control) {
        Arm::Control => decide_for_control(query, customer, proposal, context),
        Arm::Treatment => decide_in_either_arm(query, customer, proposal, context),
    };
    ledger.assignment = assignment(customer, control, decision.relationship_health.band, now);
    // It evaluates the allowance at many instants, so only where nothing is left now.
    if decision.caps.iter().any(|cap| binds(cap, query.kind)) {
        decision.next_eligible_at = next_eligible_at(customer, &ledger, query.kind, Some(query.channel), context);
        date_capped_rejections(&mut decision);
    }
    (decision, ledger)
}

/// Dates the rejections by caps: a request is worth repeating when offers are possible again, not when one cap has ended.
fn date_capped_rejections(decision: &mut Decision) {
    for rejected in &mut decision.rejected_candidates {
        // The cap of a product family has an end of its own.
        let is_of_family = rejected.ineligibility.reason == WithheldReason::FamilyCapReached;
        if rejected.step == DecisionStep::ContactPolicy && !is_of_family {
            rejected.ineligibility.until = decision.next_eligible_at;
        }
    }
}

/// Decides as for any other customer, then withholds the slate and keeps its grants apart.
fn decide_for_control(
    query: &OfferQuery<'_>,
    customer: &Customer,
    proposal: &impl Proposal,
    context: &DecisionContext<'_>,
) -> (Decision, Ledger) {
    let mut would_be_customer = customer.clone();
    swap_grants(&mut would_be_customer.ledger);
    let (mut decision, mut ledger) = decide_in_either_arm(query, &would_be_customer, proposal, context);
    swap_grants(&mut ledger);
    if !decision.slate.is_empty() {
        decision.would_be_slate = std::mem::take(&mut decision.slate);
        let count = u32::try_from(decision.would_be_slate.len()).unwrap_or(u32::MAX);
        decision.withheld.insert(WithheldReason::ControlGroup, count);
    }
    // The answer shows the customer's real caps, not those of the would-be grants.
    let customer = Customer { ledger, ..would_be_customer };
    let health = decision.relationship_health.clone();
    let mut allowance = CustomerAssessment::with(health, &customer, Some(query.channel), context).allowance;
    allowance.withhold_for_control_group();
    decision.binding_cap = allowance.binding(query.kind);
    decision.message = DecisionMessage::Capped;
    decision.caps = allowance.caps;
    (decision, customer.ledger)
}

/// Swaps the grants with the would-be grants.
fn swap_grants(ledger: &mut Ledger) {
    std::mem::swap(&mut ledger.grants, &mut ledger.would_be_grants);
}

/// Decides without regard to the customer's arm.
fn decide_in_either_arm(
    query: &OfferQuery<'_>,
    customer: &Customer,
    proposal: &impl Proposal,
    context: &DecisionContext<'_>,
) -> (Decision, Ledger) {
    let health = assess(customer, context.policy, context.outlook, context.catalog, context.now);
    decide_with_health(query, customer, proposal, context, health)
}

/// Decides for a customer whose relationship health is known, without regard to the arm.
pub(super) fn decide_with_health(
    query: &OfferQuery<'_>,
    customer: &Customer,
    proposal: &impl Proposal,
    context: &DecisionContext<'_>,
    health: RelationshipHealth,
) -> (Decision, Ledger) {
    let now = context.now;
    let assessment = CustomerAssessment::with(health, customer, Some(query.channel), context);

    let mut rejections = RejectionLog::with_limit(query.rejected_max);
    let mut scored = score_eligible(query, customer, proposal.candidates(), context, &assessment, &mut rejections);
    scored.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.product.id.cmp(&b.product.id)));
    let selected = select_slate(query, &scored, customer, context, &assessment.allowance, &mut rejections);

    let ledger = ledger_after(customer, &assessment.health, &selected, query, context);
    let after = assessment.with_ledger(customer, &ledger, Some(query.channel), context);
    let offers = selected.iter().zip(1..).map(|(scored, rank)| {
        let support = proposal.support(&scored.candidate);
        offer(scored, support, rank, query, customer, context)
    });
    let slate: Vec<Offer> = offers.collect();
    let was_capped = slate.is_empty() || rejections.was_capped();
    let binding_cap = after.allowance.binding(query.kind).filter(|_| was_capped);
    let decision = Decision {
        id: context.decision,
        customer: customer.id.clone(),
        kind: query.kind,
        at: now,
        channel: query.channel.name().cloned(),
        placement: query.placement.cloned(),
        message: message(&slate, binding_cap, query.kind, &after),
        slate,
        would_be_slate: Vec::new(),
        relationship_health: after.health,
        caps: after.allowance.caps,
        binding_cap,
        // Replays need none, and would-be slates of the control group must not have one.
        next_eligible_at: None,
        rejected_candidates: rejections.take_closest(),
        withheld: rejections.counts,
        policy_version: context.policy.version.clone(),
        model_version: context.model_version,
        ranked_at: proposal.ranked_at().unwrap_or(now).min(now),
    };
    (decision, ledger)
}

/// The ledger once the decision is committed: new grants, further servings of open ones, allowance level and clock.
fn ledger_after(
    customer: &Customer,
    health: &RelationshipHealth,
    selected: &[&ScoredCandidate<'_>],
    query: &OfferQuery<'_>,
    context: &DecisionContext<'_>,
) -> Ledger {
    let mut ledger = customer.ledger.clone();
    ledger.level = Some(contact_policy::level_under(health, &ledger, context.policy, context.now));
    ledger.clock = Some(context.now);
    for scored in selected {
        match scored.open_grant {
            Some(open) => {
                for grant in ledger.grants.iter_mut().filter(|grant| grant.id == open.id) {
                    grants::add_serving(grant, context.decision, context.now);
                }
            }
            None => ledger.grants.push(new_grant(scored, query, context)),
        }
    }
    grants::remove_expired(&mut ledger, context.now);
    ledger
}

fn new_grant(scored: &ScoredCandidate<'_>, query: &OfferQuery<'_>, context: &DecisionContext<'_>) -> Grant {
    let contact = &context.policy.contact;
    let lease = contact.lease_of(query.channel).min(contact.visit_window);
    let offer = offer_id(scored);
    Grant {
        id: GrantId::of(context.decision, &offer),
        offer,
        product: scored.product.id.clone(),
        kind: query.kind,
        channel: query.channel.name().cloned(),
        granted_at: context.now,
        lease: Some(GrantLease {
            ends_at: context.now + lease,
            servings: vec![GrantServing { decision: context.decision, is_released: false }],
            is_irrevocable: false,
        }),
        response: None,
    }
}

/// Id of the explicit offer whose terms apply, else of the implicit one.
fn offer_id(scored: &ScoredCandidate<'_>) -> OfferId {
    scored.terms.map_or_else(|| OfferId::implicit(&scored.product.id), |terms| terms.id.clone())
}

fn offer(
    scored: &ScoredCandidate<'_>,
    support: Support,
    rank: u32,
    query: &OfferQuery<'_>,
    customer: &Customer,
    context: &DecisionContext<'_>,
) -> Offer {
    let ScoredCandidate { candidate, product, terms, factors, open_grant, score: _ } = scored;
    let product = &*product_under_terms(product, *terms);
    let replaced = candidate.upgrade.as_ref().and_then(|upgrade| context.catalog.get(&upgrade.replaces));
    let replaced_price = replaced.and_then(|replaced| replaced.price);
    let reasons = reasons(candidate, product, support.evidence);
    let others = support.goes_with.iter().chain(reasons.iter().filter_map(Evidence::other_product));
    let others = others.chain(candidate.upgrade.as_ref().map(|upgrade| &upgrade.replaces));
    let mentioned = others.map(|other| (other.clone(), mentioned(other, query.kind, customer, context))).collect();
    let id = offer_id(scored);
    Offer {
        grant: open_grant.map_or_else(|| GrantId::of(context.decision, &id), |open| open.id),
        id,
        kind: query.kind,
        product: product.id.clone(),
        title: product.title.clone(),
        rank,
        price: product.price,
        valid_until: terms.and_then(|terms| terms.valid_until),
        price_step: product.price.zip(replaced_price).and_then(|(price, replaced)| price.minus(replaced)),
        factors: *factors,
        reasons,
        goes_with: support.goes_with,
        replaces: candidate.upgrade.as_ref().map(|upgrade| upgrade.replaces.clone()),
        gains: candidate.upgrade.as_ref().map_or_else(Vec::new, |upgrade| upgrade.gains.clone()),
        mentioned,
        is_already_granted: open_grant.is_some(),
    }
}

/// Reasons for offering a candidate, strongest first; without any other, that the product is part of the range.
fn reasons(candidate: &Candidate, product: &Product, evidence: Vec<Evidence>) -> Vec<Evidence> {
    let has_gains = candidate.upgrade.as_ref().is_some_and(|upgrade| !upgrade.gains.is_empty());
    let gains = has_gains.then_some(Evidence::BetterFeatures);
    let mut reasons: Vec<Evidence> = gains.into_iter().chain(evidence).take(REASONS_MAX).collect();
    if reasons.is_empty() {
        reasons.push(Evidence::InRange { category: product.category.clone() });
    }
    reasons
}

/// A product that an offer names. The products to upgrade count as owned, as the caller says.
fn mentioned(
    product: &ProductId,
    kind: OfferKind,
    customer: &Customer,
    context: &DecisionContext<'_>,
) -> MentionedProduct {
    MentionedProduct {
        title: context.catalog.get(product).map(|known| known.title.clone()).unwrap_or_default(),
        is_owned: kind == OfferKind::UpSell || customer.holdings.owns(product),
    }
}

fn message(slate: &[Offer], binding: Option<usize>, kind: OfferKind, after: &CustomerAssessment) -> DecisionMessage {
    if !slate.is_empty() {
        let made = u32::try_from(slate.len()).unwrap_or(u32::MAX);
        return DecisionMessage::Offers { made, left: after.allowance.left(kind) };
    }
    if binding.is_some() { DecisionMessage::Capped } else { DecisionMessage::NothingSuitable }
}

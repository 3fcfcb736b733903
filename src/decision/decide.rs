//! The decision: from candidates to a slate, and from a slate to the next state of the ledger.
//!
//! Relationship health, allowance, eligibility, arbitration, diversity, cut. A preview runs this same function and drops
//! the ledger it returns.

use crate::decision::arbitration::{VALUE_MAX, attention_price, weigh};
use crate::decision::contact_policy::{self, Allowance, allowance};
use crate::decision::control_group::{arm_of, assignment, decide_for_control};
use crate::decision::eligibility::EligibilityContext;
use crate::decision::explicit_offer_index::under_terms;
use crate::decision::holds::holds_in_force;
use crate::decision::offer_query::{DecisionContext, OfferQuery};
use crate::decision::rejection_log::{RejectionLog, ScoredCandidate};
use crate::decision::relationship::assess;
use crate::decision::slate::choose;
use crate::decision::{grants, wording};
use crate::domain::cached_ranking::CACHED_RANKING_LEN_MAX;
use crate::domain::candidate::{Candidate, Proposal, Support};
use crate::domain::customer::{Customer, HoldInForce};
use crate::domain::decision::{CapKind, Decision, WithheldReason};
use crate::domain::experiment::Arm;
use crate::domain::ids::{Channel, OfferId};
use crate::domain::ledger::{Grant, Ledger, Serving};
use crate::domain::offer::{Offer, OfferKind};
use crate::domain::rejected_candidate::{DecisionStep, Ineligibility};
use crate::domain::relationship::RelationshipHealth;
use crate::domain::time::Timestamp;

/// The most eligible candidates that are weighed against each other.
pub const WEIGHED_MAX: usize = 50;
/// Beyond the [`CACHED_RANKING_LEN_MAX`] likeliest candidates no more are looked at once so many can be chosen from for each offer.
const WEIGHED_PER_OFFER: usize = 4;
/// The most candidates that are looked at; a customer who owns most of a catalogue needs many looks.
pub const CONSIDERED_MAX: usize = 4000;

/// Decides. Candidates are drawn only as far as needed. Customers of the control group get no slate.
///
/// Returns the decision and the ledger as it is once the decision is committed.
pub fn decide(
    question: &OfferQuery<'_>,
    customer: &Customer,
    proposal: &impl Proposal,
    grounds: &DecisionContext<'_>,
) -> (Decision, Ledger) {
    let now = customer.ledger.time(grounds.now);
    let grounds = &DecisionContext { now, ..*grounds };
    let control = &grounds.policy.control_group;
    let (decision, mut ledger) = match arm_of(&customer.id, control) {
        Arm::Control => decide_for_control(question, customer, proposal, grounds),
        Arm::Rest => decide_freely(question, customer, proposal, grounds),
    };
    ledger.assignment = assignment(customer, control, decision.relationship_health.band, now);
    (decision, ledger)
}

/// Decides whatever the customer's arm.
pub(super) fn decide_freely(
    question: &OfferQuery<'_>,
    customer: &Customer,
    proposal: &impl Proposal,
    grounds: &DecisionContext<'_>,
) -> (Decision, Ledger) {
    let health = assess(customer, grounds.policy, grounds.outlook, grounds.now);
    decide_as(question, customer, proposal, grounds, health)
}

/// Decides for a customer whose relationship health is known already.
pub(super) fn decide_as(
    question: &OfferQuery<'_>,
    customer: &Customer,
    proposal: &impl Proposal,
    grounds: &DecisionContext<'_>,
    health: RelationshipHealth,
) -> (Decision, Ledger) {
    let now = grounds.now;
    let standing = CustomerAssessment::with(health, customer, question.channel, grounds);

    let mut withheld = RejectionLog::telling(question.rejected_max);
    let mut weighed = weigh_eligible(question, customer, proposal.candidates(), grounds, &standing, &mut withheld);
    weighed.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.product.id.cmp(&b.product.id)));
    let chosen = choose(question, &weighed, customer, grounds, &standing.allowance, &mut withheld);

    let ledger = enter_in_ledger(customer, &standing.health, &chosen, question, grounds);
    let after = standing.after(customer, &ledger, question.channel, grounds);
    let offered = chosen.iter().zip(1..).map(|(chosen, rank)| {
        let support = proposal.support(&chosen.candidate);
        offer(chosen, support, rank, question, grounds)
    });
    let slate: Vec<Offer> = offered.collect();
    let was_capped = slate.is_empty() || withheld.was_capped();
    let binding_cap = after.allowance.binding(question.kind).filter(|_| was_capped);
    let decision = Decision {
        id: grounds.decision,
        customer: customer.id.clone(),
        kind: question.kind,
        at: now,
        channel: question.channel.cloned(),
        placement: question.placement.cloned(),
        message: message(&slate, binding_cap, question.kind, &after, now),
        slate,
        would_be_slate: Vec::new(),
        relationship_health: after.health,
        caps: after.allowance.caps,
        binding_cap,
        rejected_candidates: withheld.rejected_candidates(),
        withheld: withheld.counts,
        policy_version: grounds.policy.version.clone(),
        model_version: grounds.model_version,
        ranked_at: proposal.ranked_at().unwrap_or(now).min(now),
    };
    (decision, ledger)
}

/// How a customer stands: relationship health, holds, and what is left of each cap.
pub struct CustomerAssessment {
    /// Relationship health.
    pub health: RelationshipHealth,
    /// Every hold in force.
    pub holds: Vec<HoldInForce>,
    /// What is left of each cap.
    pub allowance: Allowance,
}

impl CustomerAssessment {
    /// Assesses a customer. Nothing is left to those of the control group.
    pub fn of(customer: &Customer, channel: Option<&Channel>, grounds: &DecisionContext<'_>) -> Self {
        let mut standing = Self::freely_of(customer, channel, grounds);
        if arm_of(&customer.id, &grounds.policy.control_group) == Arm::Control {
            standing.allowance.withhold_from_control();
        }
        standing
    }

    /// Assesses a customer whatever the arm.
    fn freely_of(customer: &Customer, channel: Option<&Channel>, grounds: &DecisionContext<'_>) -> Self {
        let health = assess(customer, grounds.policy, grounds.outlook, grounds.now);
        Self::with(health, customer, channel, grounds)
    }

    /// The same with a relationship health that is known already.
    pub(super) fn with(
        health: RelationshipHealth,
        customer: &Customer,
        channel: Option<&Channel>,
        grounds: &DecisionContext<'_>,
    ) -> Self {
        let holds = holds_in_force(customer, &grounds.policy.contact, grounds.now);
        let allowance = allowance(customer, &customer.ledger, &health, &holds, channel, grounds.policy, grounds.now);
        Self { health, holds, allowance }
    }

    /// The same customer with another ledger: only the allowance changes.
    fn after(
        self,
        customer: &Customer,
        ledger: &Ledger,
        channel: Option<&Channel>,
        grounds: &DecisionContext<'_>,
    ) -> Self {
        let Self { health, holds, allowance: _ } = self;
        let allowance = allowance(customer, ledger, &health, &holds, channel, grounds.policy, grounds.now);
        Self { health, holds, allowance }
    }

    /// The sentence about the cap that binds calls of a kind; `None` while something is left.
    pub fn capped_message(&self, kind: OfferKind, now: Timestamp) -> Option<String> {
        let cap = &self.allowance.caps[self.allowance.binding(kind)?];
        let held = self.holds.iter().find(|held| cap.kind == CapKind::Hold(held.hold.reason));
        Some(wording::capped_message(cap, held.map(|held| &held.hold), now))
    }
}

fn weigh_eligible<'a>(
    question: &'a OfferQuery<'a>,
    customer: &'a Customer,
    candidates: impl Iterator<Item = Candidate>,
    grounds: &'a DecisionContext<'a>,
    standing: &CustomerAssessment,
    withheld: &mut RejectionLog,
) -> Vec<ScoredCandidate<'a>> {
    let circumstances = EligibilityContext::new(question, customer, grounds);
    let attention_price = attention_price(standing.health.score, &grounds.policy.arbitration);
    let worth_max = VALUE_MAX * grounds.offers.lever_max();
    let enough = (question.offers_max * WEIGHED_PER_OFFER).min(WEIGHED_MAX);
    let mut weighed = Vec::new();
    for (considered, candidate) in candidates.take(CONSIDERED_MAX).enumerate() {
        if weighed.len() == WEIGHED_MAX || (considered >= CACHED_RANKING_LEN_MAX && weighed.len() >= enough) {
            break;
        }
        if candidate.propensity * worth_max <= attention_price {
            // Whatever its value; and those that follow are even less likely.
            let best = candidate.propensity * worth_max - attention_price;
            let ineligibility = Ineligibility::seen(WithheldReason::NotWorthAttention, best, 0.0);
            withheld.refuse(&candidate, DecisionStep::Arbitration, ineligibility, None);
            break;
        }
        let product = match circumstances.check(&candidate) {
            Ok(product) => product,
            Err(ineligibility) => {
                withheld.refuse(&candidate, DecisionStep::Eligibility, ineligibility, None);
                continue;
            }
        };
        let open = circumstances.open_grant(&product.id);
        let refused = |offer: &OfferId, ineligibility| withheld.refuse_terms(&candidate, offer, ineligibility);
        let terms = match circumstances.terms(&product.id, open, refused) {
            Ok(terms) => terms,
            Err(ineligibility) => {
                withheld.refuse(&candidate, DecisionStep::Eligibility, ineligibility, None);
                continue;
            }
        };
        let priced = under_terms(product, terms);
        let lever = terms.map_or(1.0, |terms| terms.lever);
        let arbitration = &grounds.policy.arbitration;
        let ignored = grants::times_ignored(&customer.ledger, &product.id, grounds.now);
        let factors = weigh(&candidate, &priced, lever, grounds.catalog, standing.health.score, ignored, arbitration);
        let score = factors.score();
        if score.is_nan() || score <= 0.0 {
            let ineligibility = Ineligibility::seen(WithheldReason::NotWorthAttention, score, 0.0);
            withheld.refuse(&candidate, DecisionStep::Arbitration, ineligibility, Some(factors));
            continue;
        }
        weighed.push(ScoredCandidate { candidate, product, terms, factors, score, is_repeat: open.is_some() });
    }
    weighed
}

/// The ledger once the decision is committed: new grants, servings of open ones, the level, the clock.
fn enter_in_ledger(
    customer: &Customer,
    health: &RelationshipHealth,
    chosen: &[&ScoredCandidate<'_>],
    question: &OfferQuery<'_>,
    grounds: &DecisionContext<'_>,
) -> Ledger {
    let contact = &grounds.policy.contact;
    let mut ledger = customer.ledger.clone();
    ledger.level = Some(contact_policy::level_under(health, &ledger, grounds.policy, grounds.now));
    ledger.clock = Some(grounds.now);
    grants::forget_old(&mut ledger, contact, grounds.now);
    for weighed in chosen {
        let open = ledger.grants.iter_mut().find(|grant| {
            weighed.is_repeat && grant.product == weighed.product.id && grants::is_open(grant, grounds.now)
        });
        match open {
            Some(grant) => grants::serve_again(grant, grounds.decision, grounds.now),
            None => grants::enter(&mut ledger, new_grant(weighed, question, grounds)),
        }
    }
    ledger
}

fn new_grant(weighed: &ScoredCandidate<'_>, question: &OfferQuery<'_>, grounds: &DecisionContext<'_>) -> Grant {
    let contact = &grounds.policy.contact;
    let lease = contact.lease_of(question.channel.map(Channel::as_str)).min(contact.visit_window);
    Grant {
        offer: offer_id(weighed),
        product: weighed.product.id.clone(),
        kind: question.kind,
        channel: question.channel.cloned(),
        granted_at: grounds.now,
        lease_ends_at: grounds.now + lease,
        open_until: grounds.now + contact.visit_window.min(contact.cap_window),
        servings: vec![Serving { decision: grounds.decision, is_released: false }],
        is_irrevocable: false,
        answer: None,
    }
}

/// The explicit offer under whose terms it is made, else the implicit one.
fn offer_id(weighed: &ScoredCandidate<'_>) -> OfferId {
    weighed.terms.map_or_else(|| OfferId::implicit(&weighed.product.id), |terms| terms.id.clone())
}

fn offer(
    weighed: &ScoredCandidate<'_>,
    support: Support,
    rank: u32,
    question: &OfferQuery<'_>,
    grounds: &DecisionContext<'_>,
) -> Offer {
    let ScoredCandidate { candidate, product, terms, factors, is_repeat, score: _ } = weighed;
    let product = &*under_terms(product, *terms);
    let replaced = candidate.upgrade.as_ref().and_then(|upgrade| grounds.catalog.get(&upgrade.replaces));
    let replaced_price = replaced.and_then(|replaced| replaced.price);
    Offer {
        id: offer_id(weighed),
        kind: question.kind,
        product: product.id.clone(),
        title: product.title.clone(),
        rank,
        price: product.price,
        valid_until: terms.and_then(|terms| terms.valid_until),
        price_step: product.price.zip(replaced_price).and_then(|(price, replaced)| price.minus(replaced)),
        factors: *factors,
        reasons: wording::reasons(candidate, &support, product, grounds.catalog),
        goes_with: support.goes_with,
        replaces: candidate.upgrade.as_ref().map(|upgrade| upgrade.replaces.clone()),
        gains: candidate.upgrade.as_ref().map_or_else(Vec::new, |upgrade| upgrade.gains.clone()),
        is_repeat: *is_repeat,
    }
}

fn message(
    slate: &[Offer],
    binding: Option<usize>,
    kind: OfferKind,
    after: &CustomerAssessment,
    now: Timestamp,
) -> String {
    if !slate.is_empty() {
        return wording::offers_message(slate.len(), kind, after.allowance.left(kind));
    }
    let capped = binding.and_then(|_| after.capped_message(kind, now));
    capped.unwrap_or_else(|| wording::nothing_suitable_message(kind))
}

//! The decision: from candidates to a slate, and from a slate to the next state of the ledger.
//!
//! Relationship health, allowance, eligibility, arbitration, diversity, cut. A preview runs this same function and drops
//! the ledger it returns.

use std::collections::{BTreeMap, BTreeSet};

use crate::decision::arbitration::{VALUE_MAX, attention_price, weigh};
use crate::decision::contact_policy::{self, Allowance, allowance};
use crate::decision::eligibility::{Circumstances, others_of};
use crate::decision::holds::holds_in_force;
use crate::decision::question::{Grounds, Question};
use crate::decision::relationship::assess;
use crate::decision::{grants, wording};
use crate::domain::candidate::{Candidate, Proposal, Support};
use crate::domain::customer::{Customer, HoldInForce};
use crate::domain::decision::{CapKind, Decision, WithheldReason};
use crate::domain::departure::{Departure, Refusal, Stage};
use crate::domain::ids::{Channel, OfferId, ProductId};
use crate::domain::ledger::{Grant, Ledger, Serving};
use crate::domain::offer::{Factors, Offer, OfferKind};
use crate::domain::product::Product;
use crate::domain::relationship::RelationshipHealth;
use crate::domain::time::Timestamp;

/// The most eligible candidates that are weighed against each other.
pub const WEIGHED_MAX: usize = 50;
/// The most candidates that are looked at; a customer who owns most of a catalogue needs many looks.
pub const CONSIDERED_MAX: usize = 4000;

/// Decides. Candidates are drawn only as far as needed.
///
/// Returns the decision and the ledger as it is once the decision is committed.
#[must_use]
pub fn decide(
    question: &Question<'_>,
    customer: &Customer,
    proposal: &impl Proposal,
    grounds: &Grounds<'_>,
) -> (Decision, Ledger) {
    let now = customer.ledger.clock.map_or(grounds.now, |clock| clock.max(grounds.now));
    let grounds = &Grounds { now, ..*grounds };
    let standing = Standing::of(customer, question.channel, grounds);

    let mut withheld = Withheld { departures_max: question.departures_max, ..Withheld::default() };
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
        relationship_health: after.health,
        caps: after.allowance.caps,
        binding_cap,
        departures: withheld.departures(),
        withheld: withheld.counts,
        policy_version: grounds.policy.version.clone(),
        model_version: grounds.model_version,
    };
    (decision, ledger)
}

/// How a customer stands: relationship health, holds, and what is left of each cap.
pub struct Standing {
    /// Relationship health.
    pub health: RelationshipHealth,
    /// Every hold in force.
    pub holds: Vec<HoldInForce>,
    /// What is left of each cap.
    pub allowance: Allowance,
}

impl Standing {
    /// Assesses a customer.
    #[must_use]
    pub fn of(customer: &Customer, channel: Option<&Channel>, grounds: &Grounds<'_>) -> Self {
        let health = assess(customer, grounds.policy, grounds.outlook, grounds.now);
        let holds = holds_in_force(customer, &grounds.policy.contact, grounds.now);
        let allowance = allowance(customer, &customer.ledger, &health, &holds, channel, grounds.policy, grounds.now);
        Self { health, holds, allowance }
    }

    /// The same customer with another ledger: only the allowance changes.
    fn after(self, customer: &Customer, ledger: &Ledger, channel: Option<&Channel>, grounds: &Grounds<'_>) -> Self {
        let Self { health, holds, allowance: _ } = self;
        let allowance = allowance(customer, ledger, &health, &holds, channel, grounds.policy, grounds.now);
        Self { health, holds, allowance }
    }

    /// The sentence about the cap that binds calls of a kind; `None` while something is left.
    #[must_use]
    pub fn capped_message(&self, kind: OfferKind, now: Timestamp) -> Option<String> {
        let cap = &self.allowance.caps[self.allowance.binding(kind)?];
        let held = self.holds.iter().find(|held| cap.kind == CapKind::Hold(held.hold.reason));
        Some(wording::capped_message(cap, held.map(|held| &held.hold), now))
    }
}

/// Candidates kept back: counted by reason, and the first few told one by one.
#[derive(Default)]
struct Withheld {
    counts: BTreeMap<WithheldReason, u32>,
    departures_max: usize,
    /// Those that were weighed, in the order of their scores.
    weighed: Vec<Departure>,
    /// Those that were not, or were not worth it, in the order of their propensity.
    refused: Vec<Departure>,
}

impl Withheld {
    fn count(&mut self, reason: WithheldReason) {
        *self.counts.entry(reason).or_default() += 1;
    }

    fn refuse(&mut self, candidate: &Candidate, stage: Stage, refusal: Refusal, factors: Option<Factors>) {
        self.count(refusal.reason);
        if self.refused.len() < self.departures_max {
            let (product, propensity) = (candidate.product.clone(), candidate.propensity);
            self.refused.push(Departure { product, propensity, stage, refusal, factors });
        }
    }

    /// A candidate that was weighed and is not in the slate.
    fn leave(&mut self, weighed: &Weighed<'_>, stage: Stage, refusal: Refusal) {
        if self.weighed.len() < self.departures_max {
            let (product, propensity) = (weighed.product.id.clone(), weighed.candidate.propensity);
            self.weighed.push(Departure { product, propensity, stage, refusal, factors: Some(weighed.factors) });
        }
    }

    fn departures(&mut self) -> Vec<Departure> {
        let mut departures = std::mem::take(&mut self.weighed);
        departures.append(&mut self.refused);
        departures.truncate(self.departures_max);
        departures
    }

    fn was_capped(&self) -> bool {
        let by_cap = [
            WithheldReason::CapReached,
            WithheldReason::UpSellCapReached,
            WithheldReason::OnHold,
            WithheldReason::BackOff,
            WithheldReason::QuietPeriod,
            WithheldReason::OptedOut,
            WithheldReason::ChannelCapReached,
        ];
        by_cap.iter().any(|reason| self.counts.contains_key(reason))
    }
}

/// An eligible candidate with its score.
struct Weighed<'a> {
    candidate: Candidate,
    product: &'a Product,
    factors: Factors,
    score: f64,
    is_repeat: bool,
}

fn weigh_eligible<'a>(
    question: &'a Question<'a>,
    customer: &'a Customer,
    candidates: impl Iterator<Item = Candidate>,
    grounds: &'a Grounds<'a>,
    standing: &Standing,
    withheld: &mut Withheld,
) -> Vec<Weighed<'a>> {
    let circumstances = Circumstances::new(question, customer, grounds);
    let attention_price = attention_price(standing.health.score, &grounds.policy.arbitration);
    let mut weighed = Vec::new();
    for candidate in candidates.take(CONSIDERED_MAX) {
        if weighed.len() == WEIGHED_MAX {
            break;
        }
        if candidate.propensity * VALUE_MAX <= attention_price {
            // Whatever its value; and those that follow are even less likely.
            let best = candidate.propensity * VALUE_MAX - attention_price;
            let refusal = Refusal::seen(WithheldReason::NotWorthAttention, best, 0.0);
            withheld.refuse(&candidate, Stage::Arbitration, refusal, None);
            break;
        }
        let product = match circumstances.check(&candidate) {
            Ok(product) => product,
            Err(refusal) => {
                withheld.refuse(&candidate, Stage::Eligibility, refusal, None);
                continue;
            }
        };
        let factors = weigh(&candidate, product, grounds.catalog, standing.health.score, &grounds.policy.arbitration);
        let score = factors.score();
        if score.is_nan() || score <= 0.0 {
            let refusal = Refusal::seen(WithheldReason::NotWorthAttention, score, 0.0);
            withheld.refuse(&candidate, Stage::Arbitration, refusal, Some(factors));
            continue;
        }
        let is_repeat = circumstances.open_grant(&product.id).is_some();
        weighed.push(Weighed { candidate, product, factors, score, is_repeat });
    }
    weighed
}

/// Takes the best, at most as many as asked for, as the caps leave, and not two that are too much alike.
fn choose<'w, 'a>(
    question: &Question<'_>,
    weighed: &'w [Weighed<'a>],
    customer: &Customer,
    grounds: &Grounds<'_>,
    allowance: &Allowance,
    withheld: &mut Withheld,
) -> Vec<&'w Weighed<'a>> {
    let repeatable = repeatable_offers(customer, question.kind, allowance, grounds.now);
    let mut left = allowance.left(question.kind);
    let mut chosen: Vec<&Weighed<'_>> = Vec::new();
    for weighed in weighed {
        if chosen.len() == question.offers_max {
            let last = chosen.last().map_or(weighed.score, |last| last.score);
            withheld.leave(weighed, Stage::Cut, Refusal::seen(WithheldReason::SlateFull, weighed.score, last));
        } else if let Some(other) = too_similar(weighed.product, &chosen, grounds.policy.contact.category_offers_max) {
            withheld.count(WithheldReason::TooSimilar);
            withheld.leave(weighed, Stage::Diversity, Refusal::by(WithheldReason::TooSimilar, &other.product.id));
        } else if let Some(refusal) = rule_of_slate(weighed, &chosen, customer, grounds) {
            withheld.count(refusal.reason);
            let of_family = refusal.reason == WithheldReason::FamilyCapReached;
            withheld.leave(weighed, if of_family { Stage::ContactPolicy } else { Stage::Diversity }, refusal);
        } else if weighed.is_repeat && repeatable.contains(&weighed.product.id) {
            chosen.push(weighed);
        } else if !weighed.is_repeat && left > 0 {
            left -= 1;
            chosen.push(weighed);
        } else {
            let reason = cap_reason(question.kind, allowance);
            withheld.count(reason);
            withheld.leave(weighed, Stage::ContactPolicy, cap_refusal(reason, question.kind, allowance));
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
    chosen: &'c [&'w Weighed<'a>],
    category_offers_max: usize,
) -> Option<&'c &'w Weighed<'a>> {
    let ladder = |product: &'a Product| product.rung.as_ref().map(|rung| &rung.ladder);
    let wanted = product.rung.as_ref().map(|rung| &rung.ladder);
    let same_ladder = chosen.iter().find(|other| wanted.is_some() && ladder(other.product) == wanted);
    let of_category = chosen.iter().filter(|other| other.product.category == product.category);
    let last_of_category =
        of_category.skip(category_offers_max.saturating_sub(1)).find(|_| !product.category.is_empty());
    same_ladder.or(last_of_category)
}

/// The rules of the policy that look at the slate so far, and the caps of families.
fn rule_of_slate(
    weighed: &Weighed<'_>,
    chosen: &[&Weighed<'_>],
    customer: &Customer,
    grounds: &Grounds<'_>,
) -> Option<Refusal> {
    let contact = &grounds.policy.contact;
    let product = weighed.product;
    let in_slate = |id: &ProductId| chosen.iter().any(|other| other.product.id == *id);
    if let Some(other) = others_of(&contact.never_together, &product.id).find(|other| in_slate(other)) {
        return Some(Refusal::by(WithheldReason::NeverTogether, other));
    }
    for rule in &contact.never_after {
        let other = if rule.then == product.id { &rule.first } else { &rule.then };
        if (rule.then == product.id || rule.first == product.id) && in_slate(other) {
            return Some(Refusal::by(WithheldReason::NeverAfter, other));
        }
    }
    for family in contact.families.iter().filter(|family| family.holds(product)) {
        let of_family = || chosen.iter().filter(|other| family.holds(other.product));
        if let Some(other) = of_family().nth(family.per_slate.saturating_sub(1)) {
            return Some(Refusal::by(WithheldReason::TooSimilar, &other.product.id));
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
            return Some(Refusal { until, ..Refusal::seen(WithheldReason::FamilyCapReached, limit, limit + 1.0) });
        }
    }
    None
}

/// What the cap that binds says; a cap spent by this very slate has no more to say.
fn cap_refusal(reason: WithheldReason, kind: OfferKind, allowance: &Allowance) -> Refusal {
    let Some(cap) = allowance.binding(kind).map(|place| &allowance.caps[place]) else {
        let limit = f64::from(allowance.limit(kind));
        return Refusal::seen(reason, limit, limit + 1.0);
    };
    let (limit, used) = (f64::from(cap.limit), f64::from(cap.used));
    Refusal { until: cap.next_eligible_at, ..Refusal::seen(reason, limit, used + 1.0) }
}

fn cap_reason(kind: OfferKind, allowance: &Allowance) -> WithheldReason {
    match allowance.binding(kind).map(|place| allowance.caps[place].kind) {
        Some(CapKind::Hold(_)) => WithheldReason::OnHold,
        Some(CapKind::BackOff) => WithheldReason::BackOff,
        Some(CapKind::QuietPeriod) => WithheldReason::QuietPeriod,
        Some(CapKind::ChannelOptOut) => WithheldReason::OptedOut,
        Some(CapKind::Channel) => WithheldReason::ChannelCapReached,
        Some(CapKind::UpSell) => WithheldReason::UpSellCapReached,
        // Spent by this very slate.
        None if allowance.channel_left.is_some_and(|left| left < allowance.customer_left(kind)) => {
            WithheldReason::ChannelCapReached
        }
        None if kind == OfferKind::UpSell && allowance.up_sell_left < allowance.offers_left => {
            WithheldReason::UpSellCapReached
        }
        Some(CapKind::RelationshipHealth | CapKind::SlowRise) | None => WithheldReason::CapReached,
    }
}

/// The ledger once the decision is committed: new grants, servings of open ones, the level, the clock.
fn enter_in_ledger(
    customer: &Customer,
    health: &RelationshipHealth,
    chosen: &[&Weighed<'_>],
    question: &Question<'_>,
    grounds: &Grounds<'_>,
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
            None => grants::enter(&mut ledger, new_grant(weighed.product, question, grounds)),
        }
    }
    ledger
}

fn new_grant(product: &Product, question: &Question<'_>, grounds: &Grounds<'_>) -> Grant {
    let contact = &grounds.policy.contact;
    let lease = contact.lease_of(question.channel.map(Channel::as_str)).min(contact.visit_window);
    Grant {
        offer: OfferId::implicit(&product.id),
        product: product.id.clone(),
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

fn offer(weighed: &Weighed<'_>, support: Support, rank: u32, question: &Question<'_>, grounds: &Grounds<'_>) -> Offer {
    let Weighed { candidate, product, factors, is_repeat, score: _ } = weighed;
    let replaced = candidate.upgrade.as_ref().and_then(|upgrade| grounds.catalog.get(&upgrade.replaces));
    let replaced_price = replaced.and_then(|replaced| replaced.price);
    Offer {
        id: OfferId::implicit(&product.id),
        kind: question.kind,
        product: product.id.clone(),
        title: product.title.clone(),
        rank,
        price: product.price,
        price_step: product.price.zip(replaced_price).and_then(|(price, replaced)| price.minus(replaced)),
        factors: *factors,
        reasons: wording::reasons(candidate, &support, product, grounds.catalog),
        goes_with: support.goes_with,
        replaces: candidate.upgrade.as_ref().map(|upgrade| upgrade.replaces.clone()),
        gains: candidate.upgrade.as_ref().map_or_else(Vec::new, |upgrade| upgrade.gains.clone()),
        is_repeat: *is_repeat,
    }
}

fn message(slate: &[Offer], binding: Option<usize>, kind: OfferKind, after: &Standing, now: Timestamp) -> String {
    if !slate.is_empty() {
        return wording::offers_message(slate.len(), kind, after.allowance.left(kind));
    }
    let capped = binding.and_then(|_| after.capped_message(kind, now));
    capped.unwrap_or_else(|| wording::nothing_suitable_message(kind))
}

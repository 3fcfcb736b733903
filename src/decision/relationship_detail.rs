//! Details behind relationship health: the raw inputs of each component, its trend, and the events that would move the
//! score most.
//!
//! Trend and what-if effects come from the same assessment, run at a later time or after hypothetical events; nothing here
//! has a formula of its own. Not part of serving offers.

use crate::decision::apply_event::apply_event;
use crate::decision::contact_policy::band_caps;
use crate::decision::customer_assessment::CustomerAssessment;
use crate::decision::decision_context::DecisionContext;
use crate::decision::grants;
use crate::decision::look_ahead::next_eligible_at;
use crate::decision::relationship::assess_with;
use crate::decision::subscriptions::Subscriptions;
use crate::decision::value_delivered::AcceptancesInEffect;
use crate::domain::customer::Customer;
use crate::domain::event::{
    CaseReport, Event, EventKind, OrderLine, Outcome, OutcomeKind, ReturnReason, Severity, SurveyAnswer,
};
use crate::domain::ids::{DecisionId, EventId, GrantId, OfferId, ProductId};
use crate::domain::offer::OfferKind;
use crate::domain::policy::Policy;
use crate::domain::relationship::{ComponentKind, RelationshipHealth};
use crate::domain::relationship_detail::{
    ComponentDetail, HypotheticalEvent, RawInput, RelationshipDetail, TREND_DAYS, WHAT_IF_EFFECTS_MAX, WhatIfEffect,
};
use crate::domain::time::{DAY, Timestamp};

/// Smallest change of the score that counts as one.
const SCORE_CHANGE_MIN: f64 = 1e-9;

/// Computes the details behind the relationship health of a customer at the time of the context. `eligible_at` is the first
/// instant at which an offer is possible, which may be now; `None` when there is none.
pub(crate) fn detail(
    customer: &Customer,
    health: &RelationshipHealth,
    eligible_at: Option<Timestamp>,
    context: &DecisionContext<'_>,
) -> RelationshipDetail {
    let DecisionContext { policy, outlook, catalog, now, .. } = *context;
    let subscriptions = Subscriptions::of(customer, &policy.relationship, catalog);
    let later = assess_with(customer, &subscriptions, policy, outlook, now + DAY * TREND_DAYS);
    let components = health.components.iter().zip(&later.components);
    RelationshipDetail {
        components: components
            .map(|(now_component, later)| ComponentDetail {
                kind: now_component.kind,
                raw_inputs: raw_inputs(now_component.kind, customer, &subscriptions, policy, now),
                trend: later.value - now_component.value,
            })
            .collect(),
        what_if_effects: what_if_effects(customer, health.score, eligible_at, context),
    }
}

fn raw_inputs(
    kind: ComponentKind,
    customer: &Customer,
    subscriptions: &Subscriptions,
    policy: &Policy,
    now: Timestamp,
) -> Vec<RawInput> {
    let state = &customer.relationship;
    let input = |name, value| RawInput { name, value };
    let count = |name, count: usize| RawInput { name, value: f64::from(u32::try_from(count).unwrap_or(u32::MAX)) };
    let since = |name, at: Option<Timestamp>| at.map(|at| input(name, now.days_since(at)));
    match kind {
        ComponentKind::ServiceFriction => {
            let open = |is_complaint: bool| {
                state.cases.iter().filter(|case| case.is_open() && case.is_complaint == is_complaint).count()
            };
            let mut inputs = vec![
                count("open_complaints", open(true)),
                count("open_tickets", open(false)),
                count("cases", state.cases.len()),
            ];
            let latest = state.cases.iter().filter_map(|case| case.reported_at).max();
            inputs.extend(since("days_since_latest_report", latest));
            inputs
        }
        ComponentKind::Payment => since("days_since_trouble", state.last.payment_trouble).into_iter().collect(),
        ComponentKind::OfferPressure => {
            let grants = customer.ledger.grants.iter();
            let counting = grants.filter(|grant| grants::counts(grant, &policy.contact, now)).count();
            vec![count("offers_in_window", counting)]
        }
        ComponentKind::Sentiment => {
            let half_life = policy.relationship.component(kind).half_life;
            vec![input("satisfaction_sum", state.sentiment.at(now, half_life))]
        }
        ComponentKind::ValueDelivered => {
            let AcceptancesInEffect { accepted_at, regretted_at } =
                AcceptancesInEffect::of(state, &subscriptions.meanings, &policy.relationship);
            vec![count("accepted_offers", accepted_at.len()), count("regretted_offers", regretted_at.len())]
        }
        ComponentKind::EngagementTrend => {
            let recent = policy.relationship.engagement_recent_half_life;
            let usual = policy.relationship.component(kind).half_life;
            vec![
                input("visits_and_usage_recent", state.engagement.at(now, recent)),
                input("visits_and_usage_usual", state.engagement.at(now, usual)),
                count("purchase_days", state.purchase_days.len()),
            ]
        }
        ComponentKind::RetentionOutlook => {
            let running: Vec<f64> = subscriptions.running_since.iter().map(|since| now.days_since(*since)).collect();
            let mut inputs =
                vec![count("purchase_days", state.purchase_days.len()), count("running_subscriptions", running.len())];
            inputs.extend(since("days_since_purchase", state.purchase_days.last().map(|day| day.start())));
            inputs.extend(
                running.into_iter().max_by(f64::total_cmp).map(|days| input("longest_subscription_days", days)),
            );
            inputs
        }
    }
}

/// Applies each hypothetical event and keeps those that allow an offer sooner or move the score most.
///
/// What raises the score is not always what helps: during a hold only the event that ends it does. So the events after which
/// an offer is possible soonest come first, as the look-ahead over all caps says.
fn what_if_effects(
    customer: &Customer,
    score: f64,
    eligible_at: Option<Timestamp>,
    context: &DecisionContext<'_>,
) -> Vec<WhatIfEffect> {
    let effects = hypotheses(customer, context.now).into_iter();
    let effects: Vec<WhatIfEffect> =
        effects.map(|(event, events)| what_if_effect(customer, event, &events, context)).collect();
    let soonest = |effect: &WhatIfEffect| {
        if effect.offers_left > 0 { context.now } else { effect.next_eligible_at.unwrap_or(Timestamp::MAX) }
    };
    let is_sooner = |effect: &WhatIfEffect| soonest(effect) < eligible_at.unwrap_or(Timestamp::MAX);
    let (mut raising, others): (Vec<WhatIfEffect>, Vec<WhatIfEffect>) =
        effects.into_iter().partition(|effect| effect.score > score + SCORE_CHANGE_MIN || is_sooner(effect));
    let by_score = |a: &WhatIfEffect, b: &WhatIfEffect| b.score.total_cmp(&a.score).then_with(|| a.event.cmp(&b.event));
    raising.sort_by(|a, b| soonest(a).cmp(&soonest(b)).then_with(|| by_score(a, b)));
    raising.truncate(WHAT_IF_EFFECTS_MAX);
    let mut lowering: Vec<WhatIfEffect> =
        others.into_iter().filter(|effect| effect.score < score - SCORE_CHANGE_MIN).collect();
    lowering.sort_by(|a, b| by_score(b, a));
    raising.into_iter().chain(lowering.into_iter().take(WHAT_IF_EFFECTS_MAX)).collect()
}

/// The customer after one hypothetical event, which stands for `events`.
fn what_if_effect(
    customer: &Customer,
    event: HypotheticalEvent,
    events: &[Event],
    context: &DecisionContext<'_>,
) -> WhatIfEffect {
    let mut changed = customer.clone();
    for event in events {
        apply_event(&mut changed, event, context.policy, context.outlook, context.catalog);
    }
    let CustomerAssessment { health, holds, allowance } = CustomerAssessment::of(&changed, None, context);
    let offers_left = allowance.left(OfferKind::CrossSell);
    WhatIfEffect {
        event,
        score: health.score,
        band: health.band,
        offers_cap: if holds.is_empty() { band_caps(&health, context.policy).offers } else { 0 },
        offers_left,
        next_eligible_at: (offers_left == 0)
            .then(|| next_eligible_at(&changed, &changed.ledger, OfferKind::CrossSell, None, context))
            .flatten(),
    }
}

/// Hypothetical events, each with the events that it stands for.
fn hypotheses(customer: &Customer, now: Timestamp) -> Vec<(HypotheticalEvent, Vec<Event>)> {
    let event = |number: usize, kind: EventKind| Event {
        id: EventId::new(format!("hypothetical/{number}")).expect("a short text"),
        customer: Some(customer.id.clone()),
        at: now,
        kind,
    };
    let line = || OrderLine { product: hypothetical_product(), order: None, quantity: 1, unit_price: None };
    let report = |severity| CaseReport { case: None, severity: Severity::new(severity).expect("1 to 4") };
    let survey = |score: u8| SurveyAnswer::new(f64::from(score), 10.0).expect("within the scale");
    let single = [
        (HypotheticalEvent::Purchase, EventKind::Purchase(line())),
        (HypotheticalEvent::Return, EventKind::Return { line: line(), reason: ReturnReason::Unspecified }),
        (HypotheticalEvent::Ticket(2), EventKind::SupportTicket(report(2))),
        (HypotheticalEvent::Complaint(3), EventKind::Complaint(report(3))),
        (HypotheticalEvent::PaymentFailure, EventKind::PaymentFailed),
        (HypotheticalEvent::Survey(10), EventKind::Survey(survey(10))),
        (HypotheticalEvent::Survey(0), EventKind::Survey(survey(0))),
        (HypotheticalEvent::Visit, EventKind::Visit { product: None }),
        (HypotheticalEvent::OfferAccepted, outcome(OutcomeKind::Accepted)),
        (HypotheticalEvent::OfferRejected, outcome(OutcomeKind::Rejected)),
        (HypotheticalEvent::OfferIgnored, outcome(OutcomeKind::Shown)),
    ];
    let mut hypotheses: Vec<(HypotheticalEvent, Vec<Event>)> = single
        .into_iter()
        .zip(0..)
        .map(|((hypothetical, kind), number)| (hypothetical, vec![event(number, kind)]))
        .collect();
    let open = customer.relationship.cases.iter().filter(|case| case.is_open());
    let resolutions: Vec<Event> = open
        .zip(100..)
        .map(|(case, number)| event(number, EventKind::CaseResolved { case: case.id.clone() }))
        .collect();
    if !resolutions.is_empty() {
        hypotheses.push((HypotheticalEvent::CasesResolved { open: resolutions.len() }, resolutions));
    }
    hypotheses
}

/// A hypothetical outcome, of an offer that was never made.
pub(crate) fn outcome(kind: OutcomeKind) -> EventKind {
    let offer = OfferId::implicit(&hypothetical_product());
    let decision = DecisionId::from_bits(0);
    EventKind::Outcome(Outcome {
        decision,
        grant: GrantId::of(decision, &offer),
        offer,
        product: hypothetical_product(),
        kind,
        case: None,
    })
}

fn hypothetical_product() -> ProductId {
    ProductId::new("hypothetical").expect("a short text")
}

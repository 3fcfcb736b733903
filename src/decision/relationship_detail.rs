//! What stands behind relationship health, for people: the raw inputs of each component, where it is heading, and what
//! would move the score most.
//!
//! Everything here is told by running the same assessment on a customer to whom something more has happened; nothing has
//! a formula of its own. Not asked on the way to an offer.

use crate::decision::apply_event::apply_event;
use crate::decision::contact_policy::band_caps;
use crate::decision::grants;
use crate::decision::holds::holds_in_force;
use crate::decision::relationship::assess;
use crate::domain::customer::Customer;
use crate::domain::event::{CaseReport, Event, EventKind, OrderLine, Outcome, OutcomeKind, Severity, SurveyAnswer};
use crate::domain::ids::{DecisionId, EventId, OfferId, ProductId};
use crate::domain::outlook::Outlook;
use crate::domain::policy::Policy;
use crate::domain::relationship::{ComponentKind, RelationshipHealth};
use crate::domain::relationship_detail::{
    ComponentDetail, LEVERS_MAX, Lever, RawInput, RelationshipDetail, TREND_DAYS,
};
use crate::domain::time::{DAY, Timestamp};

/// Tells what stands behind the relationship health of a customer at `now`.
pub fn detail(
    customer: &Customer,
    health: &RelationshipHealth,
    policy: &Policy,
    outlook: &Outlook,
    now: Timestamp,
) -> RelationshipDetail {
    let later = assess(customer, policy, outlook, now + DAY * TREND_DAYS);
    let components = health.components.iter().zip(&later.components);
    RelationshipDetail {
        components: components
            .map(|(now_component, later)| ComponentDetail {
                kind: now_component.kind,
                raw_inputs: raw_inputs(now_component.kind, customer, policy, now),
                trend: later.value - now_component.value,
            })
            .collect(),
        levers: levers(customer, health.score, policy, outlook, now),
    }
}

fn raw_inputs(kind: ComponentKind, customer: &Customer, policy: &Policy, now: Timestamp) -> Vec<RawInput> {
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
            let counting = customer.ledger.grants.iter();
            let counting = counting.filter(|grant| grants::counts(grant, &policy.contact, now)).count();
            vec![count("offers_in_window", counting)]
        }
        ComponentKind::Sentiment => {
            let half_life = policy.relationship.component(kind).half_life;
            vec![input("satisfaction_sum", state.sentiment.at(now, half_life))]
        }
        ComponentKind::ValueDelivered => {
            let regretted = state.accepted_offers.iter().filter(|offer| offer.regretted_at.is_some()).count();
            vec![count("accepted_offers", state.accepted_offers.len()), count("regretted_offers", regretted)]
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
            let running: Vec<f64> = customer
                .holdings
                .latest
                .values()
                .filter(|holding| holding.is_subscribed())
                .map(|holding| now.days_since(holding.first_at))
                .collect();
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

/// Tries what could happen and keeps what moves the score most.
fn levers(customer: &Customer, score: f64, policy: &Policy, outlook: &Outlook, now: Timestamp) -> Vec<Lever> {
    let tried = hypotheses(customer, now).into_iter().map(|(what, events)| {
        let mut changed = customer.clone();
        for event in &events {
            apply_event(&mut changed, event, policy, outlook);
        }
        let health = assess(&changed, policy, outlook, now);
        let is_held = !holds_in_force(&changed, &policy.contact, now).is_empty();
        let offers_cap = if is_held { 0 } else { band_caps(&health, policy).offers };
        Lever { what, score: health.score, band: health.band, offers_cap }
    });
    let mut tried: Vec<Lever> = tried.filter(|lever| (lever.score - score).abs() > 1e-9).collect();
    tried.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.what.cmp(&b.what)));
    let raising: Vec<Lever> = tried.iter().filter(|lever| lever.score > score).take(LEVERS_MAX).cloned().collect();
    let lowering = tried.into_iter().rev().filter(|lever| lever.score < score).take(LEVERS_MAX);
    raising.into_iter().chain(lowering).collect()
}

/// What could happen now, each in plain words with its events.
fn hypotheses(customer: &Customer, now: Timestamp) -> Vec<(String, Vec<Event>)> {
    let event = |number: usize, kind: EventKind| Event {
        id: EventId::new(format!("hypothetical/{number}")).expect("a short text"),
        customer: Some(customer.id.clone()),
        at: now,
        kind,
    };
    let line = || OrderLine { product: something(), order: None, quantity: 1, unit_price: None };
    let report = |severity| CaseReport { case: None, severity: Severity::new(severity).expect("1 to 4") };
    let survey = |score| SurveyAnswer::new(score, 10.0).expect("within the scale");
    let single = [
        ("a purchase", EventKind::Purchase(line())),
        ("something is brought back", EventKind::Return(line())),
        ("a ticket of severity 2", EventKind::SupportTicket(report(2))),
        ("a complaint of severity 3", EventKind::Complaint(report(3))),
        ("a payment fails", EventKind::PaymentFailed),
        ("a survey answer of 10 of 10", EventKind::Survey(survey(10.0))),
        ("a survey answer of 0 of 10", EventKind::Survey(survey(0.0))),
        ("a visit", EventKind::Visit { product: None }),
        ("an offer is accepted", outcome(OutcomeKind::Accepted)),
        ("an offer is rejected", outcome(OutcomeKind::Rejected)),
        ("an offer is shown and ignored", outcome(OutcomeKind::Shown)),
    ];
    let mut hypotheses: Vec<(String, Vec<Event>)> = single
        .into_iter()
        .zip(0..)
        .map(|((what, kind), number)| (what.to_owned(), vec![event(number, kind)]))
        .collect();
    let open = customer.relationship.cases.iter().filter(|case| case.is_open());
    let settled: Vec<Event> = open
        .zip(100..)
        .map(|(case, number)| event(number, EventKind::CaseResolved { case: case.id.clone() }))
        .collect();
    if !settled.is_empty() {
        let what = if settled.len() == 1 { "the open case is settled" } else { "all open cases are settled" };
        hypotheses.push((what.to_owned(), settled));
    }
    hypotheses
}

/// An outcome of an offer that was never made.
pub fn outcome(kind: OutcomeKind) -> EventKind {
    let offer = OfferId::implicit(&something());
    EventKind::Outcome(Outcome { decision: DecisionId::from_bits(0), offer, product: something(), kind, case: None })
}

fn something() -> ProductId {
    ProductId::new("hypothetical").expect("a short text")
}

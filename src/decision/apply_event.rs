//! Effect of an event on the state of a customer.
//!
//! Every change commutes: maxima, minima, decayed sums, and lists that keep their latest entries by a rule of their own.
//! So the same events give the same customer in any order, up to rounding. Deduplication is not done here: the store knows
//! which event ids it has.

use crate::decision::active_holds::complaint_hold_end;
use crate::decision::folded_partings::{drop_old_starts, fold_parting, update_end};
use crate::decision::relationship::case_weight;
use crate::decision::{contact_policy, grants, value_delivered};
use crate::domain::catalog::Catalog;
use crate::domain::customer::Customer;
use crate::domain::event::{
    CaseReport, Event, EventKind, OrderLine, Outcome, OutcomeKind, PlanDirection, ReturnReason, Severity,
};
use crate::domain::holdings::{Holding, StartKind, SubscriptionStart};
use crate::domain::ids::{CaseId, Meter, ProductId};
use crate::domain::ledger::CustomerResponse;
use crate::domain::outlook::Outlook;
use crate::domain::policy::Policy;
use crate::domain::relationship::{Case, FoldedOpenCases, Parting, PartingKind};
use crate::domain::state_bounds::StateBounds;
use crate::domain::time::Timestamp;
use crate::domain::usage::Period;

/// Applies one event to its customer. The allowance level is updated before and after, so that a fall caused by the event
/// is not missed.
pub fn apply_event(customer: &mut Customer, event: &Event, policy: &Policy, outlook: &Outlook, catalog: &Catalog) {
    apply_event_within(customer, event, policy, outlook, catalog, &StateBounds::STORED);
}

/// Applies one event to a customer whose state has other bounds.
pub fn apply_event_within(
    customer: &mut Customer,
    event: &Event,
    policy: &Policy,
    outlook: &Outlook,
    catalog: &Catalog,
    bounds: &StateBounds,
) {
    let at = customer.ledger.time(event.at);
    contact_policy::update_level(customer, policy, outlook, catalog, at);
    EventApplication { customer, at: event.at, event, policy, bounds }.apply();
    customer.ledger.clock = Some(at);
    contact_policy::update_level(customer, policy, outlook, catalog, at);
}

struct EventApplication<'a> {
    customer: &'a mut Customer,
    at: Timestamp,
    event: &'a Event,
    policy: &'a Policy,
    bounds: &'a StateBounds,
}

impl EventApplication<'_> {
    fn apply(&mut self) {
        let [_, commitment_engagement, usage_engagement, visit_engagement] =
            self.policy.relationship.engagement_weights;
        let [cancellation_weight, ..] = self.policy.relationship.parting_weights;
        let [late_weight, failed_weight, disputed_weight] = self.policy.relationship.payment_weights;
        match &self.event.kind {
            EventKind::Purchase(line) => self.record_purchase(line),
            EventKind::Return { line, reason } => self.record_return(line, *reason),
            EventKind::Cancellation { product: Some(product) } => self.part(product, PartingKind::Cancellation),
            EventKind::Cancellation { product: None } => {
                latest(&mut self.customer.relationship.last.cancellation, self.at);
                self.customer.relationship.folded_friction.add(self.at, cancellation_weight);
            }
            EventKind::Downgrade { from, to } => {
                let to = to.clone().filter(|to| to != from);
                if let Some(to) = &to {
                    self.change_to(to);
                }
                self.part(from, PartingKind::Downgrade { to });
            }
            EventKind::PlanChange { from, to, direction } => self.change_plan(from, to, *direction),
            EventKind::SubscriptionStart { product } => {
                self.subscribe(product, StartKind::Start);
                latest(&mut self.customer.relationship.last.subscription_start, self.at);
                self.accept_open_offer(product);
                self.customer.relationship.engagement.add(self.at, commitment_engagement);
            }
            EventKind::SubscriptionRenewal { product } => {
                self.subscribe(product, StartKind::Renewal);
                self.customer.relationship.engagement.add(self.at, commitment_engagement);
            }
            EventKind::SubscriptionEnd { product } => self.part(product, PartingKind::SubscriptionEnd),
            EventKind::Usage { product, amount, allowance, meter, period } => {
                self.customer.relationship.engagement.add(self.at, usage_engagement);
                if let Some(allowance) = allowance {
                    let period = period.unwrap_or_else(|| Period::month_of(self.at));
                    self.record_usage(product, meter.clone(), period, amount / allowance);
                }
            }
            EventKind::SupportTicket(report) => {
                self.report_case(report, false);
                latest(&mut self.customer.relationship.last.ticket, self.at);
            }
            EventKind::Complaint(report) => self.report_case(report, true),
            EventKind::CaseResolved { case } => {
                let at = self.at;
                latest(&mut self.case(case.clone()).resolved_at, at);
                self.fold_old_cases();
            }
            EventKind::PaymentLate => self.record_payment_trouble(late_weight),
            EventKind::PaymentFailed => {
                self.record_payment_trouble(failed_weight);
                self.customer.relationship.last.record_payment_failure(self.at);
            }
            EventKind::PaymentDisputed => self.record_payment_trouble(disputed_weight),
            EventKind::Survey(answer) => {
                let relationship = &mut self.customer.relationship;
                relationship.sentiment.add(self.at, answer.satisfaction());
                if answer.is_detractor() {
                    latest(&mut relationship.last.detractor_survey, self.at);
                }
            }
            EventKind::Visit { product: _ } => {
                self.customer.relationship.engagement.add(self.at, visit_engagement);
            }
            EventKind::Outcome(outcome) => self.record_outcome(outcome),
        }
    }

    fn record_purchase(&mut self, line: &OrderLine) {
        let at = self.at;
        let StateBounds { movements, purchase_days, .. } = *self.bounds;
        let holding = self.holding(&line.product);
        holding.items.add(at, i64::from(line.quantity), movements);
        holding.acquire(at);
        let relationship = &mut self.customer.relationship;
        if let Some(dropped) = relationship.record_purchase_within(at, line.approximate_value(), purchase_days) {
            // Without it the usual engagement would look lower, and the recent one a rise.
            let [purchase_day_engagement, ..] = self.policy.relationship.engagement_weights;
            relationship.engagement.add(dropped.start(), purchase_day_engagement);
        }
        latest(&mut relationship.last.purchase, at);
        self.accept_open_offer(&line.product);
        update_end(self.customer, &line.product, &self.policy.relationship);
        self.trim_holdings();
    }

    fn record_return(&mut self, line: &OrderLine, reason: ReturnReason) {
        let at = self.at;
        let movements = self.bounds.movements;
        let holding = self.holding(&line.product);
        holding.items.add(at, -i64::from(line.quantity), movements);
        latest(&mut holding.returned_at, at);
        match reason {
            ReturnReason::Unspecified | ReturnReason::ChangedMind => latest(&mut holding.unwanted_at, at),
            ReturnReason::WrongVariant => latest(&mut holding.wrong_variant_at, at),
            ReturnReason::Faulty => {}
        }
        let return_weight = self.policy.relationship.return_weight;
        let relationship = &mut self.customer.relationship;
        latest(&mut relationship.last.return_, at);
        relationship.folded_value.add(at, -return_weight);
        relationship.record_return(at);
        if reason.is_unwanted() {
            value_delivered::record_return(relationship, &line.product, at, &self.policy.relationship, self.bounds);
        }
        self.trim_holdings();
    }

    fn subscribe(&mut self, product: &ProductId, kind: StartKind) {
        let at = self.at;
        self.start(product, kind);
        latest(&mut self.customer.relationship.last.commitment, at);
        self.trim_holdings();
    }

    /// Records that the customer moved to a product. Not recorded as a new subscription: that takes an event of its own, and
    /// a downgrade must not look like a new commitment to relationship health.
    fn change_to(&mut self, product: &ProductId) {
        self.start(product, StartKind::PlanChange);
        latest(&mut self.customer.relationship.last.subscription_start, self.at);
        self.trim_holdings();
    }

    fn change_plan(&mut self, from: &ProductId, to: &ProductId, direction: Option<PlanDirection>) {
        if from == to {
            return;
        }
        self.change_to(to);
        self.part(from, PartingKind::PlanChange { to: to.clone(), direction });
        if direction == Some(PlanDirection::Up) {
            let [_, commitment_engagement, ..] = self.policy.relationship.engagement_weights;
            self.accept_open_offer(to);
            latest(&mut self.customer.relationship.last.commitment, self.at);
            self.customer.relationship.engagement.add(self.at, commitment_engagement);
        }
    }

    fn start(&mut self, product: &ProductId, kind: StartKind) {
        let at = self.at;
        let policy = &self.policy.relationship;
        self.holding(product).add_start(SubscriptionStart { at, kind });
        drop_old_starts(self.customer, product, policy, self.bounds);
        update_end(self.customer, product, policy);
    }

    /// Records that a product was cancelled or given up for another, or that its subscription ended.
    fn part(&mut self, product: &ProductId, kind: PartingKind) {
        let at = self.at;
        self.holding(product);
        let parting = Parting { at, product: product.clone(), kind, follows_acceptance: false };
        let policy = &self.policy.relationship;
        let relationship = &mut self.customer.relationship;
        for dropped in value_delivered::record_parting(relationship, parting, policy, self.bounds) {
            fold_parting(self.customer, &dropped, policy);
        }
        update_end(self.customer, product, policy);
        self.trim_holdings();
    }

    fn record_usage(&mut self, product: &ProductId, meter: Option<Meter>, period: Period, share: f64) {
        self.holding(product).usage.record(meter, period, share);
        self.trim_holdings();
    }

    fn trim_holdings(&mut self) {
        let now = self.customer.ledger.time(self.at);
        self.customer.holdings.trim(self.bounds.holdings, self.bounds, now);
    }

    fn holding(&mut self, product: &ProductId) -> &mut Holding {
        let at = self.at;
        let holding = self.customer.holdings.touch(product, at);
        holding.first_event_at = holding.first_event_at.min(at);
        holding
    }

    fn record_payment_trouble(&mut self, weight: f64) {
        let relationship = &mut self.customer.relationship;
        relationship.payment_trouble.add(self.at, weight);
        latest(&mut relationship.last.payment_trouble, self.at);
    }

    fn report_case(&mut self, report: &CaseReport, is_complaint: bool) {
        let id = report.case.clone().unwrap_or_else(|| self.case_of_event());
        let at = self.at;
        let case = self.case(id);
        case.is_complaint |= is_complaint;
        case.severity = case.severity.max(Some(report.severity));
        latest(&mut case.reported_at, at);
        self.fold_old_cases();
    }

    /// Case id of a report without one: each such report is a case of its own.
    fn case_of_event(&self) -> CaseId {
        CaseId::new(self.event.id.as_str()).expect("an event id is as short and clean as a case id")
    }

    fn case(&mut self, id: CaseId) -> &mut Case {
        let cases = &mut self.customer.relationship.cases;
        let index = cases.iter().position(|case| case.id == id).unwrap_or_else(|| {
            cases.push(Case { id, is_complaint: false, severity: None, reported_at: None, resolved_at: None });
            cases.len() - 1
        });
        &mut cases[index]
    }

    /// Folds all but open complaints and the latest cases into the decayed sum of friction, so that a new report never
    /// lowers friction by displacing an old case.
    fn fold_old_cases(&mut self) {
        let Policy { relationship: weights, contact, .. } = self.policy;
        let now = self.customer.ledger.time(self.at);
        let relationship = &mut self.customer.relationship;
        let rank = |case: &Case| (case.is_complaint && case.is_open(), case.reported_at.max(case.resolved_at));
        relationship.cases.sort_by(|a, b| (rank(b), &b.id).cmp(&(rank(a), &a.id)));
        for case in relationship.cases.split_off(relationship.cases.len().min(self.bounds.cases)) {
            let Some(reported_at) = case.reported_at else { continue };
            let friction = case_weight(&case, weights);
            relationship.folded_friction.add(reported_at, friction);
            let open_until = reported_at + contact.complaint_hold_unresolved;
            if case.is_open() && now < open_until {
                let others = relationship.folded_open_cases.filter(|others| now < others.until);
                let others = others.unwrap_or(FoldedOpenCases { friction: 0.0, until: open_until });
                relationship.folded_open_cases = Some(FoldedOpenCases {
                    friction: others.friction + friction * weights.open_case_share,
                    until: others.until.max(open_until),
                });
            }
            if let Some(hold_end) = complaint_hold_end(&case, contact).filter(|_| case.is_complaint) {
                latest(&mut relationship.folded_complaints_hold_until, hold_end);
            }
        }
    }

    fn record_outcome(&mut self, outcome: &Outcome) {
        let [shown, dismissed, rejected, complained] = self.policy.relationship.pressure_weights;
        let [.., click_engagement] = self.policy.relationship.engagement_weights;
        match outcome.kind {
            OutcomeKind::Shown => self.add_pressure(shown),
            OutcomeKind::NotShown => {
                grants::release(&mut self.customer.ledger, outcome.grant, outcome.decision, self.at);
                return;
            }
            OutcomeKind::Clicked => self.customer.relationship.engagement.add(self.at, click_engagement),
            OutcomeKind::Accepted => {
                grants::record_response(&mut self.customer.ledger, outcome.grant, CustomerResponse::Accepted);
                self.accept(&outcome.product);
            }
            OutcomeKind::Rejected => {
                self.add_pressure(rejected);
                grants::record_response(&mut self.customer.ledger, outcome.grant, CustomerResponse::Rejected);
                let contact = &self.policy.contact;
                grants::record_rejection(&mut self.customer.ledger, outcome.decision, self.at);
                grants::start_cooldown(
                    &mut self.customer.ledger,
                    &outcome.product,
                    self.at + contact.rejected_product_cooldown,
                );
            }
            OutcomeKind::Dismissed => {
                self.add_pressure(dismissed);
                grants::record_response(&mut self.customer.ledger, outcome.grant, CustomerResponse::Dismissed);
                let cooldown = self.policy.contact.dismissed_product_cooldown;
                grants::start_cooldown(&mut self.customer.ledger, &outcome.product, self.at + cooldown);
            }
            OutcomeKind::Complained => {
                self.add_pressure(complained);
                self.report_case(&CaseReport { case: outcome.case.clone(), severity: Severity::DEFAULT }, true);
            }
            OutcomeKind::OptedOut => self.customer.consents.is_opted_out = true,
        }
        grants::mark_shown(&mut self.customer.ledger, outcome.grant);
    }

    fn add_pressure(&mut self, weight: f64) {
        self.customer.relationship.offer_pressure.add(self.at, weight);
    }

    /// Buying an offered product while the offer is open counts as accepting it, even if no outcome is reported.
    fn accept_open_offer(&mut self, product: &ProductId) {
        if grants::accept_by_purchase(&mut self.customer.ledger, product, &self.policy.contact, self.at) {
            self.accept(product);
        }
    }

    fn accept(&mut self, product: &ProductId) {
        latest(&mut self.customer.ledger.accepted_at, self.at);
        let relationship = &mut self.customer.relationship;
        value_delivered::record_acceptance(relationship, product, self.at, &self.policy.relationship, self.bounds);
    }
}

/// Moves a recorded time forwards, never back.
fn latest(recorded: &mut Option<Timestamp>, at: Timestamp) {
    *recorded = Some(recorded.map_or(at, |before| before.max(at)));
}

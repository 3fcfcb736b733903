//! Effect of an event on the state of a customer.
//!
//! Every change commutes: maxima, minima, decayed sums, and lists that keep their latest entries by a rule of their own.
//! So the same events give the same customer in any order, up to rounding. Deduplication is not done here: the store knows
//! which event ids it has.

use crate::decision::relationship::case_weight;
use crate::decision::{contact_policy, grants};
use crate::domain::customer::Customer;
use crate::domain::event::{CaseReport, Event, EventKind, OrderLine, Outcome, OutcomeKind, Severity};
use crate::domain::holdings::Holding;
use crate::domain::ids::{CaseId, ProductId};
use crate::domain::ledger::CustomerResponse;
use crate::domain::outlook::Outlook;
use crate::domain::policy::Policy;
use crate::domain::relationship::{AcceptedOffer, Case};
use crate::domain::state_bounds::StateBounds;
use crate::domain::time::Timestamp;

/// Applies one event to its customer. The allowance level is updated before and after, so that a fall caused by the event
/// is not missed.
pub fn apply_event(customer: &mut Customer, event: &Event, policy: &Policy, outlook: &Outlook) {
    apply_event_within(customer, event, policy, outlook, &StateBounds::STORED);
}

/// Applies one event to a customer whose state has other bounds.
pub fn apply_event_within(
    customer: &mut Customer,
    event: &Event,
    policy: &Policy,
    outlook: &Outlook,
    bounds: &StateBounds,
) {
    let at = customer.ledger.time(event.at);
    contact_policy::update_level(customer, policy, outlook, at);
    EventApplication { customer, at: event.at, event, policy, bounds }.apply();
    customer.ledger.clock = Some(at);
    contact_policy::update_level(customer, policy, outlook, at);
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
        let [cancellation_weight, downgrade_weight, end_weight] = self.policy.relationship.parting_weights;
        let [late_weight, failed_weight, disputed_weight] = self.policy.relationship.payment_weights;
        match &self.event.kind {
            EventKind::Purchase(line) => self.record_purchase(line),
            EventKind::Return(line) => self.record_return(line),
            EventKind::Cancellation { product } => {
                match product {
                    Some(product) => self.end_holding(product),
                    None => latest(&mut self.customer.relationship.last.cancellation, self.at),
                }
                self.customer.relationship.folded_friction.add(self.at, cancellation_weight);
            }
            EventKind::Downgrade { from, to } => {
                self.end_holding(from);
                // Not recorded as a subscription: that takes an event of its own, and a downgrade must not look like a new
                // commitment to relationship health.
                if let Some(to) = to {
                    self.add_downgraded(to);
                }
                self.customer.relationship.folded_friction.add(self.at, downgrade_weight);
            }
            EventKind::SubscriptionStart { product } => {
                self.subscribe(product);
                self.accept_open_offer(product);
                self.customer.relationship.engagement.add(self.at, commitment_engagement);
            }
            EventKind::SubscriptionRenewal { product } => {
                self.subscribe(product);
                self.customer.relationship.engagement.add(self.at, commitment_engagement);
            }
            EventKind::SubscriptionEnd { product } => {
                self.end_holding(product);
                self.customer.relationship.folded_friction.add(self.at, end_weight);
            }
            EventKind::Usage { product, amount, allowance } => {
                self.customer.relationship.engagement.add(self.at, usage_engagement);
                if let Some(allowance) = allowance {
                    self.record_usage(product, amount / allowance);
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
            EventKind::PaymentFailed => self.record_payment_trouble(failed_weight),
            EventKind::PaymentDisputed => self.record_payment_trouble(disputed_weight),
            EventKind::Survey(answer) => self.customer.relationship.sentiment.add(self.at, answer.satisfaction()),
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
        relationship.record_purchase_within(at, line.approximate_value(), purchase_days);
        latest(&mut relationship.last.purchase, at);
        self.accept_open_offer(&line.product);
        self.trim_holdings();
    }

    fn record_return(&mut self, line: &OrderLine) {
        let at = self.at;
        let movements = self.bounds.movements;
        let holding = self.holding(&line.product);
        holding.items.add(at, -i64::from(line.quantity), movements);
        latest(&mut holding.returned_at, at);
        let return_weight = self.policy.relationship.return_weight;
        let relationship = &mut self.customer.relationship;
        latest(&mut relationship.last.return_, at);
        relationship.folded_value.add(at, -return_weight);
        relationship.record_return(at);
        self.regret(&line.product);
        self.trim_holdings();
    }

    fn subscribe(&mut self, product: &ProductId) {
        let at = self.at;
        let holding = self.holding(product);
        latest(&mut holding.subscribed_at, at);
        holding.acquire(at);
        latest(&mut self.customer.relationship.last.commitment, at);
        self.trim_holdings();
    }

    fn add_downgraded(&mut self, product: &ProductId) {
        let at = self.at;
        let movements = self.bounds.movements;
        let holding = self.holding(product);
        holding.items.add(at, 1, movements);
        holding.acquire(at);
        self.trim_holdings();
    }

    fn end_holding(&mut self, product: &ProductId) {
        let at = self.at;
        latest(&mut self.holding(product).ended_at, at);
        self.regret(product);
        self.trim_holdings();
    }

    fn record_usage(&mut self, product: &ProductId, share: f64) {
        let at = self.at;
        let holding = self.holding(product);
        // Of two reports of one moment the larger counts, so that the order of arrival does not matter.
        let is_later = holding.usage.is_none_or(|(before, stored)| before < at || (before == at && stored < share));
        if is_later {
            holding.usage = Some((at, share));
        }
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
        let weights = &self.policy.relationship;
        let relationship = &mut self.customer.relationship;
        let rank = |case: &Case| (case.is_complaint && case.is_open(), case.reported_at.max(case.resolved_at));
        relationship.cases.sort_by(|a, b| (rank(b), &b.id).cmp(&(rank(a), &a.id)));
        for case in relationship.cases.split_off(relationship.cases.len().min(self.bounds.cases)) {
            if let Some(reported_at) = case.reported_at {
                let weight = case_weight(&case, weights);
                relationship.folded_friction.add(reported_at, weight);
                if case.is_open() {
                    relationship.folded_friction.add(self.at, weight * weights.open_case_share);
                }
            }
        }
    }

    fn record_outcome(&mut self, outcome: &Outcome) {
        let [shown, dismissed, rejected, complained] = self.policy.relationship.pressure_weights;
        let [.., click_engagement] = self.policy.relationship.engagement_weights;
        match outcome.kind {
            OutcomeKind::Shown => self.add_pressure(shown),
            OutcomeKind::NotShown => {
                grants::release(&mut self.customer.ledger, outcome.decision, &outcome.offer, self.at);
                return;
            }
            OutcomeKind::Clicked => self.customer.relationship.engagement.add(self.at, click_engagement),
            OutcomeKind::Accepted => {
                grants::record_response(&mut self.customer.ledger, &outcome.offer, CustomerResponse::Accepted);
                self.accept(&outcome.product);
            }
            OutcomeKind::Rejected => {
                self.add_pressure(rejected);
                grants::record_response(&mut self.customer.ledger, &outcome.offer, CustomerResponse::Rejected);
                let contact = &self.policy.contact;
                grants::start_back_off(&mut self.customer.ledger, outcome.decision, self.at);
                grants::start_cooldown(
                    &mut self.customer.ledger,
                    &outcome.product,
                    self.at + contact.rejected_product_cooldown,
                );
            }
            OutcomeKind::Dismissed => {
                self.add_pressure(dismissed);
                grants::record_response(&mut self.customer.ledger, &outcome.offer, CustomerResponse::Dismissed);
                let cooldown = self.policy.contact.dismissed_product_cooldown;
                grants::start_cooldown(&mut self.customer.ledger, &outcome.product, self.at + cooldown);
            }
            OutcomeKind::Complained => {
                self.add_pressure(complained);
                self.report_case(&CaseReport { case: outcome.case.clone(), severity: Severity::DEFAULT }, true);
            }
            OutcomeKind::OptedOut => self.customer.consents.is_opted_out = true,
        }
        grants::mark_shown(&mut self.customer.ledger, &outcome.offer);
    }

    fn add_pressure(&mut self, weight: f64) {
        self.customer.relationship.offer_pressure.add(self.at, weight);
    }

    /// Buying an offered product while the offer is open counts as accepting it, even if no outcome is reported.
    fn accept_open_offer(&mut self, product: &ProductId) {
        if grants::accept_by_purchase(&mut self.customer.ledger, product, self.at) {
            self.accept(product);
        }
    }

    fn accept(&mut self, product: &ProductId) {
        self.customer.ledger.back_off = None;
        let regret_window = self.policy.relationship.regret_window;
        let holding = self.customer.holdings.latest.get(product);
        let ends = holding.map_or([None, None], |holding| [holding.returned_at, holding.ended_at]);
        let at = self.at;
        let regretted_at = ends.into_iter().flatten().filter(|&end| end >= at && end <= at + regret_window).min();
        let relationship = &mut self.customer.relationship;
        // The same acceptance may be reported twice, as an outcome and as a purchase.
        let recorded = relationship
            .accepted_offers
            .iter_mut()
            .find(|offer| offer.product == *product && offer.at.since(at).max(at.since(offer.at)) <= regret_window);
        match recorded {
            Some(offer) => offer.at = offer.at.min(at),
            None => relationship.accepted_offers.push(AcceptedOffer { product: product.clone(), at, regretted_at }),
        }
        self.fold_old_acceptances();
    }

    fn fold_old_acceptances(&mut self) {
        let weights = &self.policy.relationship;
        let relationship = &mut self.customer.relationship;
        relationship.accepted_offers.sort_by(|a, b| (b.at, &b.product).cmp(&(a.at, &a.product)));
        let stored = relationship.accepted_offers.len().min(self.bounds.accepted_offers);
        for offer in relationship.accepted_offers.split_off(stored) {
            relationship.folded_value.add(offer.at, weights.accepted_weight);
            if let Some(regretted_at) = offer.regretted_at {
                relationship.folded_value.add(regretted_at, -weights.regretted_weight);
            }
        }
    }

    /// Marks accepted offers of a product that is returned, cancelled or downgraded within the regret window.
    fn regret(&mut self, product: &ProductId) {
        let window = self.policy.relationship.regret_window;
        let at = self.at;
        for offer in &mut self.customer.relationship.accepted_offers {
            if offer.product == *product && at >= offer.at && at <= offer.at + window {
                offer.regretted_at = Some(offer.regretted_at.map_or(at, |earlier| earlier.min(at)));
            }
        }
    }
}

/// Moves a recorded time forwards, never back.
fn latest(recorded: &mut Option<Timestamp>, at: Timestamp) {
    *recorded = Some(recorded.map_or(at, |before| before.max(at)));
}

//! What an event does to a customer.
//!
//! Every change commutes: maxima, minima, decayed sums, and lists that keep their latest entries by a rule of their own.
//! So the same events give the same customer in any order, to rounding. Recognising duplicates is not done here: the
//! store knows which ids it has.

use crate::decision::relationship::case_weight;
use crate::decision::{contact_policy, grants};
use crate::domain::customer::{Customer, HOLDINGS_MAX, Holding};
use crate::domain::event::{CaseReport, Event, EventKind, OrderLine, Outcome, OutcomeKind, Severity};
use crate::domain::ids::{CaseId, ProductId};
use crate::domain::ledger::CustomerResponse;
use crate::domain::outlook::Outlook;
use crate::domain::policy::Policy;
use crate::domain::relationship::{ACCEPTED_OFFERS_MAX, AcceptedOffer, CASES_MAX, Case};
use crate::domain::time::Timestamp;

/// Applies one event of this customer. The slow rise is brought up to date before and after, so that a fall on the way
/// is not forgotten.
pub fn apply_event(customer: &mut Customer, event: &Event, policy: &Policy, outlook: &Outlook) {
    let at = customer.ledger.time(event.at);
    contact_policy::update_level(customer, policy, outlook, at);
    Application { customer, at: event.at, event, policy }.apply();
    customer.ledger.clock = Some(at);
    contact_policy::update_level(customer, policy, outlook, at);
}

struct Application<'a> {
    customer: &'a mut Customer,
    at: Timestamp,
    event: &'a Event,
    policy: &'a Policy,
}

impl Application<'_> {
    fn apply(&mut self) {
        let [_, commitment_engagement, usage_engagement, visit_engagement] =
            self.policy.relationship.engagement_weights;
        let [cancellation_weight, downgrade_weight, end_weight] = self.policy.relationship.parting_weights;
        let [late_weight, failed_weight, disputed_weight] = self.policy.relationship.payment_weights;
        match &self.event.kind {
            EventKind::Purchase(line) => self.purchase(line),
            EventKind::Return(line) => self.bring_back(line),
            EventKind::Cancellation { product } => {
                match product {
                    Some(product) => self.end_holding(product),
                    None => latest(&mut self.customer.relationship.last.cancellation, self.at),
                }
                self.customer.relationship.folded_friction.add(self.at, cancellation_weight);
            }
            EventKind::Downgrade { from, to } => {
                self.end_holding(from);
                // That the lesser product is a subscription is for its own event to say: a downgrade must not look
                // like a new commitment to relationship health.
                if let Some(to) = to {
                    self.take_over(to);
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
                    self.use_allowance(product, amount / allowance);
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
            EventKind::PaymentLate => self.payment_trouble(late_weight),
            EventKind::PaymentFailed => self.payment_trouble(failed_weight),
            EventKind::PaymentDisputed => self.payment_trouble(disputed_weight),
            EventKind::Survey(answer) => self.customer.relationship.sentiment.add(self.at, answer.satisfaction()),
            EventKind::Visit { product: _ } => {
                self.customer.relationship.engagement.add(self.at, visit_engagement);
            }
            EventKind::Outcome(outcome) => self.outcome(outcome),
        }
    }

    fn purchase(&mut self, line: &OrderLine) {
        let at = self.at;
        let holding = self.holding(&line.product);
        holding.bought = holding.bought.saturating_add(u64::from(line.quantity));
        holding.last_at = holding.last_at.max(at);
        let relationship = &mut self.customer.relationship;
        relationship.note_purchase(at, line.approximate_value());
        latest(&mut relationship.last.purchase, at);
        self.accept_open_offer(&line.product);
        self.customer.holdings.trim(HOLDINGS_MAX);
    }

    fn bring_back(&mut self, line: &OrderLine) {
        let at = self.at;
        let holding = self.holding(&line.product);
        holding.returned = holding.returned.saturating_add(u64::from(line.quantity));
        latest(&mut holding.returned_at, at);
        let return_weight = self.policy.relationship.return_weight;
        let relationship = &mut self.customer.relationship;
        latest(&mut relationship.last.return_, at);
        relationship.folded_value.add(at, -return_weight);
        relationship.note_return(at);
        self.regret(&line.product);
        self.customer.holdings.trim(HOLDINGS_MAX);
    }

    fn subscribe(&mut self, product: &ProductId) {
        let at = self.at;
        let holding = self.holding(product);
        latest(&mut holding.subscribed_at, at);
        holding.last_at = holding.last_at.max(at);
        latest(&mut self.customer.relationship.last.commitment, at);
        self.customer.holdings.trim(HOLDINGS_MAX);
    }

    fn take_over(&mut self, product: &ProductId) {
        let at = self.at;
        let holding = self.holding(product);
        holding.bought = holding.bought.saturating_add(1);
        holding.last_at = holding.last_at.max(at);
        self.customer.holdings.trim(HOLDINGS_MAX);
    }

    fn end_holding(&mut self, product: &ProductId) {
        let at = self.at;
        latest(&mut self.holding(product).ended_at, at);
        self.regret(product);
        self.customer.holdings.trim(HOLDINGS_MAX);
    }

    fn use_allowance(&mut self, product: &ProductId, share: f64) {
        let at = self.at;
        let holding = self.holding(product);
        // Of two reports of one moment the larger counts, so that order does not.
        let is_later = holding.usage.is_none_or(|(before, kept)| before < at || (before == at && kept < share));
        if is_later {
            holding.usage = Some((at, share));
        }
        self.customer.holdings.trim(HOLDINGS_MAX);
    }

    fn holding(&mut self, product: &ProductId) -> &mut Holding {
        let at = self.at;
        let holding = self.customer.holdings.touch(product, at);
        holding.first_at = holding.first_at.min(at);
        holding
    }

    fn payment_trouble(&mut self, weight: f64) {
        let relationship = &mut self.customer.relationship;
        relationship.payment_trouble.add(self.at, weight);
        latest(&mut relationship.last.payment_trouble, self.at);
    }

    fn report_case(&mut self, report: &CaseReport, is_complaint: bool) {
        let id = report.case.clone().unwrap_or_else(|| self.own_case());
        let at = self.at;
        let case = self.case(id);
        case.is_complaint |= is_complaint;
        case.severity = case.severity.max(Some(report.severity));
        latest(&mut case.reported_at, at);
        self.fold_old_cases();
    }

    /// A report that names no case is a case of its own.
    fn own_case(&self) -> CaseId {
        CaseId::new(self.event.id.as_str()).expect("an event id is as short and clean as a case id")
    }

    fn case(&mut self, id: CaseId) -> &mut Case {
        let cases = &mut self.customer.relationship.cases;
        let place = cases.iter().position(|case| case.id == id).unwrap_or_else(|| {
            cases.push(Case { id, is_complaint: false, severity: None, reported_at: None, resolved_at: None });
            cases.len() - 1
        });
        &mut cases[place]
    }

    /// Keeps open complaints, then the latest cases, singly and the friction of the rest as a sum, so that a new report
    /// never lowers friction by pushing an old one out.
    fn fold_old_cases(&mut self) {
        let weights = &self.policy.relationship;
        let relationship = &mut self.customer.relationship;
        let touched = |case: &Case| (case.is_complaint && case.is_open(), case.reported_at.max(case.resolved_at));
        relationship.cases.sort_by(|a, b| (touched(b), &b.id).cmp(&(touched(a), &a.id)));
        for case in relationship.cases.split_off(relationship.cases.len().min(CASES_MAX)) {
            if let Some(reported_at) = case.reported_at {
                let weight = case_weight(&case, weights);
                relationship.folded_friction.add(reported_at, weight);
                if case.is_open() {
                    relationship.folded_friction.add(self.at, weight * weights.open_case_share);
                }
            }
        }
    }

    fn outcome(&mut self, outcome: &Outcome) {
        let [shown, dismissed, rejected, complained] = self.policy.relationship.pressure_weights;
        let [.., click_engagement] = self.policy.relationship.engagement_weights;
        match outcome.kind {
            OutcomeKind::Shown => self.press(shown),
            OutcomeKind::NotShown => {
                grants::release(&mut self.customer.ledger, outcome.decision, &outcome.offer, self.at);
                return;
            }
            OutcomeKind::Clicked => self.customer.relationship.engagement.add(self.at, click_engagement),
            OutcomeKind::Accepted => {
                grants::answer(&mut self.customer.ledger, &outcome.offer, CustomerResponse::Accepted);
                self.accept(&outcome.product);
            }
            OutcomeKind::Rejected => {
                self.press(rejected);
                grants::answer(&mut self.customer.ledger, &outcome.offer, CustomerResponse::Rejected);
                let contact = &self.policy.contact;
                grants::back_off(&mut self.customer.ledger, outcome.decision, self.at);
                grants::rest(&mut self.customer.ledger, &outcome.product, self.at + contact.rejected_product_rest);
            }
            OutcomeKind::Dismissed => {
                self.press(dismissed);
                grants::answer(&mut self.customer.ledger, &outcome.offer, CustomerResponse::Dismissed);
                let rest = self.policy.contact.dismissed_product_rest;
                grants::rest(&mut self.customer.ledger, &outcome.product, self.at + rest);
            }
            OutcomeKind::Complained => {
                self.press(complained);
                self.report_case(&CaseReport { case: outcome.case.clone(), severity: Severity::DEFAULT }, true);
            }
            OutcomeKind::OptedOut => self.customer.consents.is_opted_out = true,
        }
        grants::note_shown(&mut self.customer.ledger, &outcome.offer);
    }

    fn press(&mut self, weight: f64) {
        self.customer.relationship.offer_pressure.add(self.at, weight);
    }

    /// Buying an offered product while the offer is open counts as accepting it, without being told.
    fn accept_open_offer(&mut self, product: &ProductId) {
        if grants::answer_by_purchase(&mut self.customer.ledger, product, self.at) {
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
        // The same acceptance may be told twice, as an outcome and as a purchase.
        let known = relationship
            .accepted_offers
            .iter_mut()
            .find(|offer| offer.product == *product && offer.at.since(at).max(at.since(offer.at)) <= regret_window);
        match known {
            Some(offer) => offer.at = offer.at.min(at),
            None => relationship.accepted_offers.push(AcceptedOffer { product: product.clone(), at, regretted_at }),
        }
        self.fold_old_acceptances();
    }

    fn fold_old_acceptances(&mut self) {
        let weights = &self.policy.relationship;
        let relationship = &mut self.customer.relationship;
        relationship.accepted_offers.sort_by(|a, b| (b.at, &b.product).cmp(&(a.at, &a.product)));
        for offer in relationship.accepted_offers.split_off(relationship.accepted_offers.len().min(ACCEPTED_OFFERS_MAX))
        {
            relationship.folded_value.add(offer.at, weights.accepted_weight);
            if let Some(regretted_at) = offer.regretted_at {
                relationship.folded_value.add(regretted_at, -weights.regretted_weight);
            }
        }
    }

    /// Giving up an accepted offer soon is regret.
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

/// Moves a remembered moment forwards, never back.
fn latest(slot: &mut Option<Timestamp>, at: Timestamp) {
    *slot = Some(slot.map_or(at, |before| before.max(at)));
}

//! Simulation of one customer, week by week: spontaneous events, offers by the real decision, and the customer's responses.
//!
//! Irritation, friction and fatigue are hidden states of the customer; the company sees only events.

use std::collections::BTreeSet;

use super::parameters::Parameters;
use super::seeded_rng::{RandomStream, SeededRng};
use super::simulated_shop::{ADD_ONS, PLANS, SimulatedShop};
use crate::decision::apply_event::apply_event;
use crate::decision::decide::decide;
use crate::decision::decision_context::DecisionContext;
use crate::decision::explicit_offer_index::ExplicitOfferIndex;
use crate::decision::offer_query::OfferQuery;
use crate::domain::candidate::{Candidate, Upgrade};
use crate::domain::channel::QueryChannel;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::event::{CaseReport, Event, EventKind, OrderLine, Outcome, OutcomeKind, Severity};
use crate::domain::ids::{CaseId, CustomerId, DecisionId, EventId, GrantId, OfferId, ProductId};
use crate::domain::offer::{OfferKind, PropensityBasis};
use crate::domain::outlook::Outlook;
use crate::domain::policy::Policy;
use crate::domain::time::{DAY, Timestamp};

/// Mean number of weeks in a month.
const WEEKS_A_MONTH: f64 = 365.25 / 12.0 / 7.0;
/// Mean number of weeks in a year.
const WEEKS_A_YEAR: f64 = 365.25 / 7.0;
/// Weeks until a case is resolved.
const CASE_WEEKS: usize = 2;
/// Weeks until an accepted product that does not fit is returned.
const RETURN_WEEKS: usize = 4;
/// Possible opportunities to make an offer in a week, two days apart; each occurs with the probability of the parameters.
const OPPORTUNITIES: usize = 3;

static UNTRAINED_OUTLOOK: Outlook = Outlook { buying: None, staying: None };
static NO_EXHAUSTED_OFFERS: BTreeSet<OfferId> = BTreeSet::new();

/// Parameters, catalogue and policy that all customers of an arm share.
pub struct MarketContext<'a> {
    /// Parameters of the market.
    pub parameters: &'a Parameters,
    /// Catalogue of the market.
    pub shop: &'a SimulatedShop,
    /// Policy of the arm.
    pub policy: &'a Policy,
    /// Empty index of explicit offers, which the decision requires.
    pub offers: &'a ExplicitOfferIndex,
}

/// Totals of one customer over the simulated time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CustomerTotals {
    /// Margin over the simulated time, undiscounted.
    pub margin: f64,
    /// Discounted margin, with the residual value at the end.
    pub lifetime_value: f64,
    /// Number of offers shown.
    pub offers: f64,
    /// Number of offers accepted.
    pub accepted: f64,
    /// Number of complaints of any cause.
    pub complaints: f64,
    /// 1 when the customer left.
    pub churned: f64,
    /// 1 when the customer opted out.
    pub opted_out: f64,
}

/// An offer that is shown to a customer.
struct ShownOffer {
    offer: OfferId,
    grant: GrantId,
    product: ProductId,
    kind: OfferKind,
}

/// Fixed traits of a customer.
struct CustomerTraits {
    need: f64,
    sensitivity: f64,
    purchase_rate: f64,
    tastes: [f64; ADD_ONS],
}

impl CustomerTraits {
    fn of(rng: SeededRng, parameters: &Parameters) -> Self {
        let sigma = parameters.sensitivity_sigma;
        let even = |stream, place, spread: f64| 1.0 - spread + 2.0 * spread * rng.uniform(stream, place);
        Self {
            need: even(RandomStream::Need, 0, parameters.need_spread),
            sensitivity: (sigma * rng.normal(RandomStream::Sensitivity, 0) - sigma * sigma / 2.0).exp(),
            purchase_rate: rng.gamma(parameters.purchase_shape, RandomStream::PurchaseRate)
                / parameters.purchase_scale_weeks,
            tastes: std::array::from_fn(|number| even(RandomStream::Taste, number, parameters.taste_spread)),
        }
    }
}

/// A customer of the market with the current state.
pub struct SimulatedCustomer<'a> {
    context: &'a MarketContext<'a>,
    rng: SeededRng,
    traits: CustomerTraits,
    customer: Customer,
    start: Timestamp,
    week: usize,
    /// Index of the opportunity within the week.
    opportunity: usize,
    events: u64,
    decisions: u128,
    plan: usize,
    add_ons: [bool; ADD_ONS],
    irritation: f64,
    friction: f64,
    /// Decayed number of recent offers.
    recent_offers: f64,
    kept: u32,
    /// Open cases with the week in which each is resolved.
    open_cases: Vec<(usize, CaseId)>,
    /// Accepted products with the week in which each is returned.
    pending_returns: Vec<(usize, ProductId)>,
    totals: CustomerTotals,
}

impl<'a> SimulatedCustomer<'a> {
    /// Creates a customer of the market of a seed, as of the start.
    pub fn new(context: &'a MarketContext<'a>, seed: u64, number: usize) -> Self {
        let rng = SeededRng::new(seed, number);
        let start = Timestamp::from_unix_ms(1_893_456_000_000).expect("the year 2030");
        let id = CustomerId::new(format!("{seed}-{number}")).expect("a short text");
        let mut simulated = Self {
            context,
            rng,
            traits: CustomerTraits::of(rng, context.parameters),
            customer: Customer::unknown(id),
            start,
            week: 0,
            opportunity: 0,
            events: 0,
            decisions: 0,
            plan: 0,
            add_ons: [false; ADD_ONS],
            irritation: 0.0,
            friction: 0.0,
            recent_offers: 0.0,
            kept: 0,
            open_cases: Vec::new(),
            pending_returns: Vec::new(),
            totals: CustomerTotals::default(),
        };
        let weeks = 4.0 + (context.parameters.tenure_weeks - 4.0).max(0.0) * rng.uniform(RandomStream::Tenure, 0);
        let subscribed_at = start - DAY.mul_f64((weeks * 7.0).round());
        let product = context.shop.plans[0].clone();
        simulated.report(subscribed_at, EventKind::SubscriptionStart { product });
        simulated
    }

    /// Whether the customer would benefit from a bigger plan.
    pub fn would_benefit(&self) -> bool {
        self.traits.need >= 1.0
    }

    /// Simulates all weeks, with an offer at every opportunity that the policy allows.
    pub fn simulate(mut self) -> CustomerTotals {
        while self.week < self.context.parameters.weeks {
            self.simulate_own_events();
            for opportunity in 0..OPPORTUNITIES {
                self.opportunity = opportunity;
                let kind = self.is_opportunity().then(|| self.offer_kind()).flatten();
                if let Some(decision) = kind.map(|kind| self.decide_offers(kind)) {
                    self.respond(&decision);
                }
            }
            self.opportunity = 0;
            if !self.end_week() {
                return self.totals;
            }
        }
        self.totals.lifetime_value += self.residual();
        self.totals
    }

    /// Simulates weeks without offers, optionally with a recommendation of the bigger plan in the first; returns true when the
    /// customer left.
    pub fn leaves_within(mut self, weeks: usize, is_recommended: bool) -> bool {
        while self.week < weeks {
            self.simulate_own_events();
            if self.week == 0 && is_recommended {
                let product = self.context.shop.plans[1].clone();
                let (decision, offer) = (DecisionId::from_bits(1), OfferId::implicit(&product));
                let grant = GrantId::of(decision, &offer);
                self.shown(decision, &ShownOffer { offer, grant, product, kind: OfferKind::UpSell });
            }
            if !self.end_week() {
                return true;
            }
        }
        false
    }

    fn now(&self) -> Timestamp {
        self.start + DAY * u32::try_from(self.week * 7 + self.opportunity * 2).unwrap_or(u32::MAX)
    }

    fn report(&mut self, at: Timestamp, kind: EventKind) {
        self.events += 1;
        let id = EventId::new(self.events.to_string()).expect("a number");
        let event = Event { id, customer: Some(self.customer.id.clone()), at, kind };
        let MarketContext { policy, shop, .. } = self.context;
        apply_event(&mut self.customer, &event, policy, &UNTRAINED_OUTLOOK, &shop.catalog);
    }

    /// Simulates the customer's own purchases and complaints, and service incidents.
    fn simulate_own_events(&mut self) {
        let Parameters { incident_rate, incident_complaint_share, incident_sensitivity, .. } = *self.context.parameters;
        let (now, week) = (self.now(), self.week);
        for (_, case) in self.open_cases.extract_if(.., |(settled, _)| *settled <= week).collect::<Vec<_>>() {
            self.report(now, EventKind::CaseResolved { case });
        }
        for (_, product) in self.pending_returns.extract_if(.., |(back, _)| *back <= week).collect::<Vec<_>>() {
            self.return_product(product);
        }
        let incident_rate = incident_rate * self.traits.sensitivity.powf(incident_sensitivity);
        if self.rng.bernoulli(incident_rate, RandomStream::Incident, week) {
            self.friction += 1.0;
            let case = CaseId::new(format!("i{week}")).expect("a short text");
            let severity = Severity::DEFAULT;
            self.report(now, EventKind::SupportTicket(CaseReport { case: Some(case.clone()), severity }));
            if self.rng.bernoulli(incident_complaint_share, RandomStream::IncidentComplaint, week) {
                self.complain(case);
            } else {
                self.open_cases.push((week + CASE_WEEKS, case));
            }
        }
        let buys = 1.0 - (-self.traits.purchase_rate).exp();
        if self.rng.bernoulli(buys, RandomStream::Purchase, week) {
            let Parameters { purchase_value, purchase_margin_share, .. } = *self.context.parameters;
            self.earn(purchase_value * purchase_margin_share);
            let line =
                OrderLine { product: self.context.shop.item.clone(), order: None, quantity: 1, unit_price: None };
            self.report(now, EventKind::Purchase(line));
        }
        if self.rng.bernoulli(self.context.parameters.complaint_rate * self.irritation, RandomStream::Complaint, week) {
            self.complain(CaseId::new(format!("p{week}")).expect("a short text"));
        }
    }

    fn complain(&mut self, case: CaseId) {
        self.totals.complaints += 1.0;
        let severity = Severity::DEFAULT;
        self.report(self.now(), EventKind::Complaint(CaseReport { case: Some(case.clone()), severity }));
        self.open_cases.push((self.week + CASE_WEEKS, case));
    }

    fn earn(&mut self, margin: f64) {
        self.totals.margin += margin;
        self.totals.lifetime_value += margin * self.discount();
    }

    fn discount(&self) -> f64 {
        (1.0 + self.context.parameters.discount_yearly).powf(-(self.week as f64) / WEEKS_A_YEAR)
    }

    fn monthly_margin(&self) -> f64 {
        let add_ons = self.add_ons.iter().filter(|&&has| has).count() as f64;
        self.context.parameters.plan_margins[self.plan] + add_ons * self.context.parameters.add_on_margin
    }

    fn residual(&self) -> f64 {
        self.monthly_margin() * self.context.parameters.residual_months * self.discount()
    }

    /// Index of the opportunity over all weeks.
    fn opportunity_index(&self) -> usize {
        self.week * OPPORTUNITIES + self.opportunity
    }

    fn is_opportunity(&self) -> bool {
        self.rng.bernoulli(
            self.context.parameters.opportunity_rate,
            RandomStream::Opportunity,
            self.opportunity_index(),
        )
    }

    fn offer_kind(&self) -> Option<OfferKind> {
        let is_up_sell = self.rng.bernoulli(
            self.context.parameters.up_sell_share,
            RandomStream::OfferKind,
            self.opportunity_index(),
        );
        let (has_bigger, has_more) = (self.plan + 1 < PLANS, self.add_ons.contains(&false));
        match (is_up_sell && has_bigger, has_more) {
            (true, _) => Some(OfferKind::UpSell),
            (false, true) => Some(OfferKind::CrossSell),
            (false, false) if has_bigger => Some(OfferKind::UpSell),
            (false, false) => None,
        }
    }

    /// Makes the real decision and stores the new ledger.
    fn decide_offers(&mut self, kind: OfferKind) -> Decision {
        self.decisions += 1;
        let excluded = BTreeSet::new();
        let offer_kind = OfferQuery {
            kind,
            products: &[],
            excluded: &excluded,
            offers_max: 1,
            channel: QueryChannel::Unset,
            placement: None,
            currency: None,
            rejected_max: 0,
        };
        let decision_context = DecisionContext {
            policy: self.context.policy,
            outlook: &UNTRAINED_OUTLOOK,
            catalog: &self.context.shop.catalog,
            offers: self.context.offers,
            exhausted_offers: &NO_EXHAUSTED_OFFERS,
            model_version: 1,
            now: self.now(),
            decision: DecisionId::from_bits(self.decisions + 1),
        };
        let (decision, ledger) = decide(&offer_kind, &self.customer, &self.candidates(kind), &decision_context);
        self.customer.ledger = ledger;
        decision
    }

    /// Returns the candidates with estimated propensities: the true ones with an error that is fixed for customer and product.
    fn candidates(&self, kind: OfferKind) -> Vec<Candidate> {
        let Parameters { up_sell_acceptance, cross_sell_acceptance, estimate_sigma, .. } = *self.context.parameters;
        let error = |place: usize| (estimate_sigma * self.rng.normal(RandomStream::Estimate, place)).exp();
        let candidate = |product: &ProductId, propensity: f64, need: f64, upgrade| Candidate {
            product: product.clone(),
            propensity: propensity.clamp(1e-6, 1.0),
            propensity_basis: PropensityBasis::Outcomes,
            acceptance_lift: 1.0,
            need: need.clamp(0.0, 2.0),
            keep_probability: 0.8,
            upgrade,
        };
        let mut candidates: Vec<Candidate> = match kind {
            OfferKind::UpSell => {
                let estimated = self.traits.need * error(ADD_ONS);
                let replaces = self.context.shop.plans[self.plan].clone();
                let upgrade = Upgrade { replaces, gains: Vec::new(), allowance_use: None };
                let bigger = self.context.shop.plans.get(self.plan + 1);
                let bigger =
                    bigger.map(|plan| candidate(plan, up_sell_acceptance * estimated, estimated, Some(upgrade)));
                bigger.into_iter().collect()
            }
            OfferKind::CrossSell => {
                let missing = (0..ADD_ONS).filter(|&number| !self.add_ons[number]);
                let estimated = missing.map(|number| (number, self.traits.tastes[number] * error(number)));
                let add_ons = &self.context.shop.add_ons;
                estimated
                    .map(|(number, it)| candidate(&add_ons[number], cross_sell_acceptance * it, 1.0, None))
                    .collect()
            }
        };
        candidates.sort_by(|a, b| b.propensity.total_cmp(&a.propensity));
        candidates
    }

    fn respond(&mut self, decision: &Decision) {
        for offer in &decision.slate {
            let (grant, kind) = (offer.grant, offer.kind);
            let (offer, product) = (offer.id.clone(), offer.product.clone());
            self.shown(decision.id, &ShownOffer { offer, grant, product, kind });
        }
    }

    /// Shows an offer and simulates the response.
    fn shown(&mut self, decision: DecisionId, shown: &ShownOffer) {
        let ShownOffer { offer, grant, product, kind } = shown;
        let Parameters {
            up_sell_irritation,
            cross_sell_irritation,
            friction_amplifies,
            up_sell_acceptance,
            cross_sell_acceptance,
            fatigue,
            rejection_share,
            rejection_per_irritation,
            dismissal_share,
            opt_out_rate,
            ..
        } = *self.context.parameters;
        let report_outcome = |simulated: &mut Self, kind| {
            let outcome =
                Outcome { decision, offer: offer.clone(), grant: *grant, product: product.clone(), kind, case: None };
            simulated.report(simulated.now(), EventKind::Outcome(outcome));
        };
        self.totals.offers += 1.0;
        report_outcome(self, OutcomeKind::Shown);
        let (irritates, fit, accepts) = match kind {
            OfferKind::UpSell => (up_sell_irritation, self.traits.need, up_sell_acceptance),
            OfferKind::CrossSell => (cross_sell_irritation, self.taste(product), cross_sell_acceptance),
        };
        let accepts = (accepts * fit * (-fatigue * self.recent_offers).exp()).min(1.0);
        self.irritation += irritates * self.traits.sensitivity * (1.0 + friction_amplifies * self.friction);
        self.recent_offers += 1.0;
        if self.rng.bernoulli(accepts, RandomStream::Acceptance, self.opportunity_index()) {
            report_outcome(self, OutcomeKind::Accepted);
            self.accept(product, fit);
            return;
        }
        let rejects = (rejection_share + rejection_per_irritation * self.irritation).min(0.9);
        let response = self.rng.uniform(RandomStream::Response, self.opportunity_index());
        if response < rejects {
            report_outcome(self, OutcomeKind::Rejected);
        } else if response < rejects + dismissal_share {
            report_outcome(self, OutcomeKind::Dismissed);
        }
        if self.rng.bernoulli(opt_out_rate * self.irritation, RandomStream::OptOut, self.opportunity_index()) {
            self.totals.opted_out = 1.0;
            report_outcome(self, OutcomeKind::OptedOut);
        }
    }

    fn taste(&self, product: &ProductId) -> f64 {
        let number = self.context.shop.add_ons.iter().position(|add_on| add_on == product);
        number.map_or(1.0, |number| self.traits.tastes[number])
    }

    fn accept(&mut self, product: &ProductId, fit: f64) {
        self.totals.accepted += 1.0;
        let now = self.now();
        if let Some(tier) = self.context.shop.plans.iter().position(|plan| plan == product) {
            let before = self.context.shop.plans[self.plan].clone();
            self.report(now, EventKind::SubscriptionEnd { product: before });
            self.plan = tier;
        } else if let Some(number) = self.context.shop.add_ons.iter().position(|add_on| add_on == product) {
            self.add_ons[number] = true;
        }
        self.report(now, EventKind::SubscriptionStart { product: product.clone() });
        let Parameters { keep_midpoint, keep_steepness, .. } = *self.context.parameters;
        let keeps = 1.0 / (1.0 + (-keep_steepness * (fit - keep_midpoint)).exp());
        if self.rng.bernoulli(keeps, RandomStream::Keeping, self.opportunity_index()) {
            self.kept += 1;
        } else {
            self.pending_returns.push((self.week + RETURN_WEEKS, product.clone()));
        }
    }

    /// Returns a product that did not fit.
    fn return_product(&mut self, product: ProductId) {
        self.irritation += self.context.parameters.regret_irritation * self.traits.sensitivity;
        let now = self.now();
        if let Some(tier) = self.context.shop.plans.iter().position(|plan| *plan == product) {
            if self.plan != tier {
                return;
            }
            self.plan = tier.saturating_sub(1);
            let lesser = self.context.shop.plans[self.plan].clone();
            self.report(now, EventKind::Downgrade { from: product, to: Some(lesser.clone()) });
            self.report(now, EventKind::SubscriptionStart { product: lesser });
        } else if let Some(number) = self.context.shop.add_ons.iter().position(|add_on| *add_on == product) {
            self.add_ons[number] = false;
            self.report(now, EventKind::Cancellation { product: Some(product) });
        }
    }

    /// Earns the week's margin and simulates churn; returns false when the customer left.
    fn end_week(&mut self) -> bool {
        let Parameters {
            churn_rate,
            irritation_effect,
            friction_effect,
            kept_effect,
            irritation_half_life_days,
            friction_half_life_days,
            fatigue_half_life_days,
            ..
        } = *self.context.parameters;
        self.earn(self.monthly_margin() / WEEKS_A_MONTH);
        let hazard = churn_rate
            * (1.0 + irritation_effect * self.irritation)
            * (friction_effect * self.friction).exp()
            * kept_effect.powf(f64::from(self.kept));
        if self.rng.bernoulli(1.0 - (-hazard).exp(), RandomStream::Churn, self.week) {
            self.totals.churned = 1.0;
            return false;
        }
        let fades = |half_life: f64| (-7.0 / half_life).exp2();
        self.irritation *= fades(irritation_half_life_days);
        self.friction *= fades(friction_half_life_days);
        self.recent_offers *= fades(fatigue_half_life_days);
        self.week += 1;
        true
    }
}

//! One customer, week by week: what the customer does, what is offered by the real decision, and what comes of it.
//!
//! Irritation, friction and fatigue are the customer's own and hidden from the company, which sees events alone.

use std::collections::BTreeSet;

use super::draws::{About, Draws};
use super::parameters::Parameters;
use super::shop::{ADD_ONS, PLANS, Shop};
use crate::decision::apply_event::apply_event;
use crate::decision::decide::decide;
use crate::decision::decision_context::DecisionContext;
use crate::decision::explicit_offer_index::ExplicitOfferIndex;
use crate::decision::offer_query::OfferQuery;
use crate::domain::candidate::{Candidate, Upgrade};
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::event::{CaseReport, Event, EventKind, OrderLine, Outcome, OutcomeKind, Severity};
use crate::domain::ids::{CaseId, CustomerId, DecisionId, EventId, OfferId, ProductId};
use crate::domain::offer::{OfferKind, PropensityBasis};
use crate::domain::outlook::Outlook;
use crate::domain::policy::Policy;
use crate::domain::time::{DAY, Timestamp};

/// Weeks in a month.
const WEEKS_A_MONTH: f64 = 365.25 / 12.0 / 7.0;
/// Weeks in a year.
const WEEKS_A_YEAR: f64 = 365.25 / 7.0;
/// A complaint is settled after so many weeks; what is taken and not kept is given back after so many.
const SETTLED_AFTER: usize = 2;
const GIVEN_BACK_AFTER: usize = 4;
/// Occasions to pitch in a week, two days apart; each comes about with the probability that the parameters say.
const OCCASIONS: usize = 3;

static NOTHING_LEARNED: Outlook = Outlook { buying: None, staying: None };
static NONE_EXHAUSTED: BTreeSet<OfferId> = BTreeSet::new();

/// What an arm is like for everybody.
pub struct World<'a> {
    /// The assumptions.
    pub parameters: &'a Parameters,
    /// What is sold.
    pub shop: &'a Shop,
    /// How it is pitched.
    pub policy: &'a Policy,
    /// Nothing.
    pub offers: &'a ExplicitOfferIndex,
}

/// What one customer came to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Outcomes {
    /// Margin in the simulated time, not discounted.
    pub margin: f64,
    /// Margin discounted, and what the customer is still worth at the end.
    pub lifetime_value: f64,
    /// Offers shown.
    pub offers: f64,
    /// Offers taken.
    pub accepted: f64,
    /// Complaints, whatever of.
    pub complaints: f64,
    /// 1 when the customer left.
    pub churned: f64,
    /// 1 when the customer opted out.
    pub opted_out: f64,
}

/// Who a customer is.
struct Traits {
    need: f64,
    sensitivity: f64,
    purchase_rate: f64,
    tastes: [f64; ADD_ONS],
}

impl Traits {
    fn of(draws: Draws, parameters: &Parameters) -> Self {
        let sigma = parameters.sensitivity_sigma;
        let even = |about, place, spread: f64| 1.0 - spread + 2.0 * spread * draws.uniform(about, place);
        Self {
            need: even(About::Need, 0, parameters.need_spread),
            sensitivity: (sigma * draws.normal(About::Sensitivity, 0) - sigma * sigma / 2.0).exp(),
            purchase_rate: draws.gamma(parameters.purchase_shape, About::PurchaseRate)
                / parameters.purchase_scale_weeks,
            tastes: std::array::from_fn(|number| even(About::Taste, number, parameters.taste_spread)),
        }
    }
}

/// A customer alive.
pub struct Life<'a> {
    world: &'a World<'a>,
    draws: Draws,
    traits: Traits,
    customer: Customer,
    start: Timestamp,
    week: usize,
    /// Which occasion of the week.
    occasion: usize,
    events: u64,
    decisions: u128,
    plan: usize,
    add_ons: [bool; ADD_ONS],
    irritation: f64,
    friction: f64,
    /// Pitches of late.
    pitches: f64,
    kept: u32,
    complaints_open: Vec<(usize, CaseId)>,
    to_give_back: Vec<(usize, ProductId)>,
    outcomes: Outcomes,
}

impl<'a> Life<'a> {
    /// A customer of a market, at the start.
    pub fn begin(world: &'a World<'a>, seed: u64, number: usize) -> Self {
        let draws = Draws::of(seed, number);
        let start = Timestamp::from_unix_ms(1_893_456_000_000).expect("the year 2030");
        let id = CustomerId::new(format!("{seed}-{number}")).expect("a short text");
        let mut life = Self {
            world,
            draws,
            traits: Traits::of(draws, world.parameters),
            customer: Customer::unknown(id),
            start,
            week: 0,
            occasion: 0,
            events: 0,
            decisions: 0,
            plan: 0,
            add_ons: [false; ADD_ONS],
            irritation: 0.0,
            friction: 0.0,
            pitches: 0.0,
            kept: 0,
            complaints_open: Vec::new(),
            to_give_back: Vec::new(),
            outcomes: Outcomes::default(),
        };
        let weeks = 4.0 + (world.parameters.tenure_weeks - 4.0).max(0.0) * draws.uniform(About::Tenure, 0);
        let began = start - DAY.mul_f64((weeks * 7.0).round());
        let product = world.shop.plans[0].clone();
        life.report(began, EventKind::SubscriptionStart { product });
        life
    }

    /// True when a bigger plan would serve the customer.
    pub fn would_benefit(&self) -> bool {
        self.traits.need >= 1.0
    }

    /// Lives through the weeks, pitched to at every occasion that the policy leaves.
    pub fn live(mut self) -> Outcomes {
        while self.week < self.world.parameters.weeks {
            self.happen();
            for occasion in 0..OCCASIONS {
                self.occasion = occasion;
                let kind = self.is_occasion().then(|| self.question()).flatten();
                if let Some(decision) = kind.map(|kind| self.ask(kind)) {
                    self.respond(&decision);
                }
            }
            self.occasion = 0;
            if !self.end_week() {
                return self.outcomes;
            }
        }
        self.outcomes.lifetime_value += self.residual();
        self.outcomes
    }

    /// Lives through some weeks in which nobody asks; with a recommendation of the bigger plan in the first, or without. True
    /// when the customer left.
    pub fn live_with_one_recommendation(mut self, weeks: usize, is_recommended: bool) -> bool {
        while self.week < weeks {
            self.happen();
            if self.week == 0 && is_recommended {
                let product = self.world.shop.plans[1].clone();
                self.shown(DecisionId::from_bits(1), &OfferId::implicit(&product), &product, OfferKind::UpSell);
            }
            if !self.end_week() {
                return true;
            }
        }
        false
    }

    fn now(&self) -> Timestamp {
        self.start + DAY * u32::try_from(self.week * 7 + self.occasion * 2).unwrap_or(u32::MAX)
    }

    fn report(&mut self, at: Timestamp, kind: EventKind) {
        self.events += 1;
        let id = EventId::new(self.events.to_string()).expect("a number");
        let event = Event { id, customer: Some(self.customer.id.clone()), at, kind };
        apply_event(&mut self.customer, &event, self.world.policy, &NOTHING_LEARNED);
    }

    /// What the customer does of its own accord, and what goes wrong.
    fn happen(&mut self) {
        let Parameters { incident_rate, incident_complaint_share, incident_sensitivity, .. } = *self.world.parameters;
        let (now, week) = (self.now(), self.week);
        for (_, case) in self.complaints_open.extract_if(.., |(settled, _)| *settled <= week).collect::<Vec<_>>() {
            self.report(now, EventKind::CaseResolved { case });
        }
        for (_, product) in self.to_give_back.extract_if(.., |(back, _)| *back <= week).collect::<Vec<_>>() {
            self.give_back(product);
        }
        let incident_rate = incident_rate * self.traits.sensitivity.powf(incident_sensitivity);
        if self.draws.happens(incident_rate, About::Incident, week) {
            self.friction += 1.0;
            let case = CaseId::new(format!("i{week}")).expect("a short text");
            let severity = Severity::DEFAULT;
            self.report(now, EventKind::SupportTicket(CaseReport { case: Some(case.clone()), severity }));
            if self.draws.happens(incident_complaint_share, About::IncidentComplaint, week) {
                self.complain(case);
            } else {
                self.complaints_open.push((week + SETTLED_AFTER, case));
            }
        }
        let buys = 1.0 - (-self.traits.purchase_rate).exp();
        if self.draws.happens(buys, About::Purchase, week) {
            let Parameters { purchase_value, purchase_margin_share, .. } = *self.world.parameters;
            self.earn(purchase_value * purchase_margin_share);
            let line = OrderLine { product: self.world.shop.item.clone(), order: None, quantity: 1, unit_price: None };
            self.report(now, EventKind::Purchase(line));
        }
        if self.draws.happens(self.world.parameters.complaint_rate * self.irritation, About::Complaint, week) {
            self.complain(CaseId::new(format!("p{week}")).expect("a short text"));
        }
    }

    fn complain(&mut self, case: CaseId) {
        self.outcomes.complaints += 1.0;
        let severity = Severity::DEFAULT;
        self.report(self.now(), EventKind::Complaint(CaseReport { case: Some(case.clone()), severity }));
        self.complaints_open.push((self.week + SETTLED_AFTER, case));
    }

    fn earn(&mut self, margin: f64) {
        self.outcomes.margin += margin;
        self.outcomes.lifetime_value += margin * self.discount();
    }

    fn discount(&self) -> f64 {
        (1.0 + self.world.parameters.discount_yearly).powf(-(self.week as f64) / WEEKS_A_YEAR)
    }

    fn monthly_margin(&self) -> f64 {
        let add_ons = self.add_ons.iter().filter(|&&has| has).count() as f64;
        self.world.parameters.plan_margins[self.plan] + add_ons * self.world.parameters.add_on_margin
    }

    fn residual(&self) -> f64 {
        self.monthly_margin() * self.world.parameters.residual_months * self.discount()
    }

    /// Tells the occasions of all weeks apart.
    fn place(&self) -> usize {
        self.week * OCCASIONS + self.occasion
    }

    fn is_occasion(&self) -> bool {
        self.draws.happens(self.world.parameters.opportunity_rate, About::Opportunity, self.place())
    }

    fn question(&self) -> Option<OfferKind> {
        let is_up_sell = self.draws.happens(self.world.parameters.up_sell_share, About::Question, self.place());
        let (has_bigger, has_more) = (self.plan + 1 < PLANS, self.add_ons.contains(&false));
        match (is_up_sell && has_bigger, has_more) {
            (true, _) => Some(OfferKind::UpSell),
            (false, true) => Some(OfferKind::CrossSell),
            (false, false) if has_bigger => Some(OfferKind::UpSell),
            (false, false) => None,
        }
    }

    /// The real decision.
    fn ask(&mut self, kind: OfferKind) -> Decision {
        self.decisions += 1;
        let excluded = BTreeSet::new();
        let question = OfferQuery {
            kind,
            products: &[],
            excluded: &excluded,
            offers_max: 1,
            channel: None,
            placement: None,
            currency: None,
            rejected_max: 0,
        };
        let grounds = DecisionContext {
            policy: self.world.policy,
            outlook: &NOTHING_LEARNED,
            catalog: &self.world.shop.catalog,
            offers: self.world.offers,
            exhausted_offers: &NONE_EXHAUSTED,
            model_version: 1,
            now: self.now(),
            decision: DecisionId::from_bits(self.decisions + 1),
        };
        let (decision, ledger) = decide(&question, &self.customer, &self.candidates(kind), &grounds);
        self.customer.ledger = ledger;
        decision
    }

    /// What the company's model thinks would be taken: the truth with an error that stays with customer and product.
    fn candidates(&self, kind: OfferKind) -> Vec<Candidate> {
        let Parameters { up_sell_acceptance, cross_sell_acceptance, estimate_sigma, .. } = *self.world.parameters;
        let error = |place: usize| (estimate_sigma * self.draws.normal(About::Estimate, place)).exp();
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
                let upgrade = Upgrade { replaces: self.world.shop.plans[self.plan].clone(), gains: Vec::new() };
                let bigger = self.world.shop.plans.get(self.plan + 1);
                let bigger =
                    bigger.map(|plan| candidate(plan, up_sell_acceptance * estimated, estimated, Some(upgrade)));
                bigger.into_iter().collect()
            }
            OfferKind::CrossSell => {
                let missing = (0..ADD_ONS).filter(|&number| !self.add_ons[number]);
                let estimated = missing.map(|number| (number, self.traits.tastes[number] * error(number)));
                let add_ons = &self.world.shop.add_ons;
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
            self.shown(decision.id, &offer.id, &offer.product, offer.kind);
        }
    }

    /// The customer sees an offer, and answers or does not.
    fn shown(&mut self, decision: DecisionId, offer: &OfferId, product: &ProductId, kind: OfferKind) {
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
        } = *self.world.parameters;
        let tell = |life: &mut Self, kind| {
            let outcome = Outcome { decision, offer: offer.clone(), product: product.clone(), kind, case: None };
            life.report(life.now(), EventKind::Outcome(outcome));
        };
        self.outcomes.offers += 1.0;
        tell(self, OutcomeKind::Shown);
        let (irritates, fit, accepts) = match kind {
            OfferKind::UpSell => (up_sell_irritation, self.traits.need, up_sell_acceptance),
            OfferKind::CrossSell => (cross_sell_irritation, self.taste(product), cross_sell_acceptance),
        };
        let accepts = (accepts * fit * (-fatigue * self.pitches).exp()).min(1.0);
        self.irritation += irritates * self.traits.sensitivity * (1.0 + friction_amplifies * self.friction);
        self.pitches += 1.0;
        if self.draws.happens(accepts, About::Acceptance, self.place()) {
            tell(self, OutcomeKind::Accepted);
            self.take(product, fit);
            return;
        }
        let rejects = (rejection_share + rejection_per_irritation * self.irritation).min(0.9);
        let answer = self.draws.uniform(About::Answer, self.place());
        if answer < rejects {
            tell(self, OutcomeKind::Rejected);
        } else if answer < rejects + dismissal_share {
            tell(self, OutcomeKind::Dismissed);
        }
        if self.draws.happens(opt_out_rate * self.irritation, About::OptOut, self.place()) {
            self.outcomes.opted_out = 1.0;
            tell(self, OutcomeKind::OptedOut);
        }
    }

    fn taste(&self, product: &ProductId) -> f64 {
        let number = self.world.shop.add_ons.iter().position(|add_on| add_on == product);
        number.map_or(1.0, |number| self.traits.tastes[number])
    }

    fn take(&mut self, product: &ProductId, fit: f64) {
        self.outcomes.accepted += 1.0;
        let now = self.now();
        if let Some(tier) = self.world.shop.plans.iter().position(|plan| plan == product) {
            let before = self.world.shop.plans[self.plan].clone();
            self.report(now, EventKind::SubscriptionEnd { product: before });
            self.plan = tier;
        } else if let Some(number) = self.world.shop.add_ons.iter().position(|add_on| add_on == product) {
            self.add_ons[number] = true;
        }
        self.report(now, EventKind::SubscriptionStart { product: product.clone() });
        let Parameters { keep_midpoint, keep_steepness, .. } = *self.world.parameters;
        let keeps = 1.0 / (1.0 + (-keep_steepness * (fit - keep_midpoint)).exp());
        if self.draws.happens(keeps, About::Keeping, self.place()) {
            self.kept += 1;
        } else {
            self.to_give_back.push((self.week + GIVEN_BACK_AFTER, product.clone()));
        }
    }

    /// It did not fit.
    fn give_back(&mut self, product: ProductId) {
        self.irritation += self.world.parameters.regret_irritation * self.traits.sensitivity;
        let now = self.now();
        if let Some(tier) = self.world.shop.plans.iter().position(|plan| *plan == product) {
            if self.plan != tier {
                return;
            }
            self.plan = tier.saturating_sub(1);
            let lesser = self.world.shop.plans[self.plan].clone();
            self.report(now, EventKind::Downgrade { from: product, to: Some(lesser.clone()) });
            self.report(now, EventKind::SubscriptionStart { product: lesser });
        } else if let Some(number) = self.world.shop.add_ons.iter().position(|add_on| *add_on == product) {
            self.add_ons[number] = false;
            self.report(now, EventKind::Cancellation { product: Some(product) });
        }
    }

    /// Pays for the week, and stays or leaves. False when the customer left.
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
        } = *self.world.parameters;
        self.earn(self.monthly_margin() / WEEKS_A_MONTH);
        let hazard = churn_rate
            * (1.0 + irritation_effect * self.irritation)
            * (friction_effect * self.friction).exp()
            * kept_effect.powf(f64::from(self.kept));
        if self.draws.happens(1.0 - (-hazard).exp(), About::Churn, self.week) {
            self.outcomes.churned = 1.0;
            return false;
        }
        let fades = |half_life: f64| (-7.0 / half_life).exp2();
        self.irritation *= fades(irritation_half_life_days);
        self.friction *= fades(friction_half_life_days);
        self.pitches *= fades(fatigue_half_life_days);
        self.week += 1;
        true
    }
}

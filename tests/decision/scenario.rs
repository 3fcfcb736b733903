//! Customer, catalogue and policy of a test, with decisions that are committed one after another.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use tactful::decision::apply_event::apply_event;
use tactful::decision::customer_assessment::CustomerAssessment;
use tactful::decision::decide::decide;
use tactful::decision::decision_context::DecisionContext;
use tactful::decision::explicit_offer_index::ExplicitOfferIndex;
use tactful::decision::grants;
use tactful::decision::offer_query::OfferQuery;
use tactful::domain::candidate::Candidate;
use tactful::domain::catalog::Catalog;
use tactful::domain::channel::QueryChannel;
use tactful::domain::customer::Customer;
use tactful::domain::decision::Decision;
use tactful::domain::event::{Event, EventKind, Outcome, OutcomeKind};
use tactful::domain::ids::{Channel, DecisionId, OfferId, ProductId};
use tactful::domain::ledger::{Ledger, ReleaseResult};
use tactful::domain::money::Currency;
use tactful::domain::offer::{OfferKind, PropensityBasis};
use tactful::domain::outlook::Outlook;
use tactful::domain::policy::Policy;
use tactful::domain::product::Product;
use tactful::domain::time::{DAY, Timestamp};

use crate::support::shop::{customer, event, holding, now, product, product_id};

static NO_OFFERS: LazyLock<ExplicitOfferIndex> = LazyLock::new(ExplicitOfferIndex::default);
static NONE_EXHAUSTED: BTreeSet<OfferId> = BTreeSet::new();
static NONE_EXCLUDED: BTreeSet<ProductId> = BTreeSet::new();
/// Outlook before the first training.
const UNTRAINED: Outlook = Outlook { buying: None, staying: None };

pub fn candidate(product: ProductId) -> Candidate {
    Candidate {
        product,
        propensity: 0.2,
        propensity_basis: PropensityBasis::Purchases,
        acceptance_lift: 1.0,
        need: 1.0,
        keep_probability: 0.9,
        upgrade: None,
    }
}

/// Context of a decision without explicit offers.
pub fn decision_context<'a>(
    policy: &'a Policy,
    outlook: &'a Outlook,
    catalog: &'a Catalog,
    now: Timestamp,
    decision: u128,
) -> DecisionContext<'a> {
    DecisionContext {
        policy,
        outlook,
        catalog,
        offers: &NO_OFFERS,
        exhausted_offers: &NONE_EXHAUSTED,
        model_version: 1,
        now,
        decision: DecisionId::from_bits(decision),
    }
}

pub fn offer_query(kind: OfferKind, offers_max: usize) -> OfferQuery<'static> {
    OfferQuery {
        kind,
        products: &[],
        excluded: &NONE_EXCLUDED,
        offers_max,
        channel: QueryChannel::Unset,
        placement: None,
        currency: None,
        rejected_max: 16,
    }
}

pub struct Scenario {
    pub policy: Policy,
    pub catalog: Catalog,
    pub customer: Customer,
    pub now: Timestamp,
    /// Number of decisions and events so far.
    steps: u128,
    pub excluded: BTreeSet<ProductId>,
    pub context: Vec<ProductId>,
    pub channel: Option<Channel>,
    pub currency: Option<Currency>,
    pub offers_max: usize,
}

impl Scenario {
    pub fn new(products: Vec<Product>) -> Self {
        Self {
            policy: Policy::default(),
            catalog: Catalog::new(products),
            customer: customer("c"),
            now: now(),
            steps: 0,
            excluded: BTreeSet::new(),
            context: Vec::new(),
            channel: None,
            currency: None,
            offers_max: 20,
        }
    }

    /// Scenario with plain products `a` to `l`.
    pub fn plain() -> Self {
        Self::new(('a'..='l').map(|name| product(name, name.to_uppercase().to_string())).collect())
    }

    pub fn owning(mut self, name: &str) -> Self {
        let bought_at = self.now - DAY;
        self.customer.holdings.latest.insert(product_id(name), holding(bought_at));
        self
    }

    pub fn decision_context(&self) -> DecisionContext<'_> {
        decision_context(&self.policy, &UNTRAINED, &self.catalog, self.now, self.steps)
    }

    /// Decides and commits.
    pub fn decide(&mut self, kind: OfferKind, candidates: Vec<Candidate>) -> Decision {
        self.steps += 1;
        let (decision, ledger) = self.decision_and_ledger(kind, &candidates);
        self.customer.ledger = ledger;
        decision
    }

    /// Decides without committing.
    pub fn preview(&self, kind: OfferKind, candidates: &Vec<Candidate>) -> Decision {
        self.decision_and_ledger(kind, candidates).0
    }

    fn decision_and_ledger(&self, kind: OfferKind, candidates: &Vec<Candidate>) -> (Decision, Ledger) {
        let query = OfferQuery {
            products: &self.context,
            excluded: &self.excluded,
            channel: self.policy.contact.query_channel(self.channel.as_ref()).expect("a channel of the policy"),
            currency: self.currency,
            ..offer_query(kind, self.offers_max)
        };
        decide(&query, &self.customer, candidates, &self.decision_context())
    }

    pub fn apply(&mut self, kind: EventKind) {
        self.steps += 1;
        let event = event(format!("e{}", self.steps), self.customer.id.as_str(), self.now, kind);
        apply_event(&mut self.customer, &event, &self.policy, &UNTRAINED, &self.catalog);
    }

    /// Applies an event with a time of its own.
    pub fn apply_dated(&mut self, event: &Event) {
        apply_event(&mut self.customer, event, &self.policy, &UNTRAINED, &self.catalog);
    }

    /// Reports an outcome of the first offer.
    pub fn report(&mut self, decision: &Decision, kind: OutcomeKind) {
        let offer = &decision.slate[0];
        self.apply(EventKind::Outcome(Outcome {
            decision: decision.id,
            offer: offer.id.clone(),
            grant: offer.grant,
            product: offer.product.clone(),
            kind,
            case: None,
        }));
    }

    pub fn release(&mut self, decision: &Decision) -> Vec<ReleaseResult> {
        let offers = decision.slate.iter().map(|offer| offer.grant);
        offers.map(|grant| grants::release(&mut self.customer.ledger, grant, decision.id, self.now)).collect()
    }

    pub fn offers_left(&self) -> u32 {
        CustomerAssessment::of(&self.customer, None, &self.decision_context()).allowance.offers_left
    }
}

//! The rules one by one, as tables of cases: every refusal, every cap, the life of a grant.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use tactful::decision::apply_event::apply_event;
use tactful::decision::customer_assessment::CustomerAssessment;
use tactful::decision::decide::decide;
use tactful::decision::decision_context::DecisionContext;
use tactful::decision::explicit_offer_index::ExplicitOfferIndex;
use tactful::decision::grants;
use tactful::decision::offer_query::OfferQuery;
use tactful::domain::candidate::{Candidate, Upgrade};
use tactful::domain::catalog::Catalog;
use tactful::domain::customer::{Customer, HoldReason, Holding};
use tactful::domain::decision::{CapKind, Decision};
use tactful::domain::event::{CaseReport, Event, EventKind, OrderLine, Outcome, OutcomeKind, Severity};
use tactful::domain::ids::{CaseId, Channel, CustomerId, DecisionId, EventId, LadderId, OfferId, ProductId};
use tactful::domain::ledger::ReleaseResult;
use tactful::domain::money::{Currency, Money};
use tactful::domain::offer::{OfferKind, PropensityBasis};
use tactful::domain::outlook::Outlook;
use tactful::domain::policy::Policy;
use tactful::domain::product::{LadderPosition, Product};
use tactful::domain::time::{DAY, Timestamp};
use tactful::domain::withheld_reason::WithheldReason;

static NO_OFFERS: LazyLock<ExplicitOfferIndex> = LazyLock::new(ExplicitOfferIndex::default);
static NONE_EXHAUSTED: BTreeSet<OfferId> = BTreeSet::new();
/// No model was trained.
const NOTHING_LEARNED: Outlook = Outlook { buying: None, staying: None };
const MS: Duration = Duration::from_millis(1);

fn now() -> Timestamp {
    Timestamp::from_unix_ms(1_700_000_000_000).expect("in range")
}

fn id(name: &str) -> ProductId {
    ProductId::new(name).expect("a valid id")
}

fn plain(name: &str) -> Product {
    Product::new(id(name), name.to_uppercase())
}

fn on_ladder(name: &str, tier: u32) -> Product {
    let ladder = LadderId::new("ladder").expect("a valid id");
    Product { ladder_position: Some(LadderPosition { ladder, tier }), ..plain(name) }
}

fn candidate(name: &str) -> Candidate {
    Candidate {
        product: id(name),
        propensity: 0.2,
        propensity_basis: PropensityBasis::Purchases,
        acceptance_lift: 1.0,
        need: 1.0,
        keep_probability: 1.0,

        upgrade: None,
    }
}

/// A customer, a catalogue and a counter of decisions, asked one question after another.
struct Scene {
    policy: Policy,
    catalog: Catalog,
    customer: Customer,
    now: Timestamp,
    decisions: u128,
    excluded: BTreeSet<ProductId>,
    context: Vec<ProductId>,
    channel: Option<Channel>,
    currency: Option<Currency>,
}

impl Scene {
    fn new(products: Vec<Product>) -> Self {
        Self {
            policy: Policy::default(),
            catalog: Catalog::new(products),
            customer: Customer::unknown(CustomerId::new("c").expect("a valid id")),
            now: now(),
            decisions: 0,
            excluded: BTreeSet::new(),
            context: Vec::new(),
            channel: None,
            currency: None,
        }
    }

    /// A scene with plain products `a` to `l`.
    fn plain() -> Self {
        Self::new(('a'..='l').map(|name| plain(&name.to_string())).collect())
    }

    fn owning(mut self, name: &str) -> Self {
        let bought_at = self.now - DAY;
        let holding = Holding { bought: 1, ..Holding::touched_at(bought_at) };
        self.customer.holdings.latest.insert(id(name), holding);
        self
    }

    fn grounds(&self) -> DecisionContext<'_> {
        DecisionContext {
            policy: &self.policy,
            outlook: &NOTHING_LEARNED,
            catalog: &self.catalog,
            offers: &NO_OFFERS,
            exhausted_offers: &NONE_EXHAUSTED,
            model_version: 1,
            now: self.now,
            decision: DecisionId::from_bits(self.decisions),
        }
    }

    /// Decides and commits.
    fn ask(&mut self, kind: OfferKind, candidates: Vec<Candidate>) -> Decision {
        self.decisions += 1;
        let question = OfferQuery {
            kind,
            products: &self.context,
            excluded: &self.excluded,
            offers_max: 20,
            channel: self.channel.as_ref(),
            placement: None,
            currency: self.currency,
            rejected_max: 16,
        };
        let (decision, ledger) = decide(&question, &self.customer, &candidates, &self.grounds());
        self.customer.ledger = ledger;
        decision
    }

    fn cross_sell(&mut self, names: &[&str]) -> Decision {
        self.ask(OfferKind::CrossSell, names.iter().map(|name| candidate(name)).collect())
    }

    fn happen(&mut self, kind: EventKind) {
        self.decisions += 1;
        let id = EventId::new(format!("e{}", self.decisions)).expect("a valid id");
        let event = Event { id, customer: Some(self.customer.id.clone()), at: self.now, kind };
        apply_event(&mut self.customer, &event, &self.policy, &NOTHING_LEARNED);
    }

    fn report(&mut self, decision: &Decision, kind: OutcomeKind) {
        let offer = &decision.slate[0];
        let outcome = Outcome {
            decision: decision.id,
            offer: offer.id.clone(),
            product: offer.product.clone(),
            kind,
            case: None,
        };
        self.happen(EventKind::Outcome(outcome));
    }

    fn release(&mut self, decision: &Decision) -> Vec<ReleaseResult> {
        let offers = decision.slate.iter().map(|offer| &offer.id);
        offers.map(|offer| grants::release(&mut self.customer.ledger, decision.id, offer, self.now)).collect()
    }

    fn left(&self) -> u32 {
        CustomerAssessment::of(&self.customer, None, &self.grounds()).allowance.offers_left
    }
}

fn names(decision: &Decision) -> Vec<&str> {
    decision.slate.iter().map(|offer| offer.product.as_str()).collect()
}

fn assert_withheld(mut scene: Scene, candidate: Candidate, kind: OfferKind, reason: WithheldReason) {
    let decision = scene.ask(kind, vec![candidate]);
    assert_eq!(names(&decision), Vec::<&str>::new());
    assert_eq!(decision.withheld.keys().copied().collect::<Vec<_>>(), [reason]);
}

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::new("GBP").expect("a code")).expect("an amount")
}

#[test]
fn every_refusal_has_its_reason() {
    use OfferKind::{CrossSell, UpSell};
    use WithheldReason as Reason;
    let upgrade_of = |owned: &str, offered: &str| Candidate {
        upgrade: Some(Upgrade { replaces: id(owned), gains: Vec::new() }),
        ..candidate(offered)
    };
    let with = |change: &dyn Fn(&mut Product)| {
        let mut product = plain("a");
        change(&mut product);
        Scene::new(vec![product, plain("b")])
    };

    assert_withheld(Scene::new(vec![]), candidate("a"), CrossSell, Reason::NotInCatalog);
    assert_withheld(Scene::plain().owning("a"), candidate("a"), CrossSell, Reason::Owned);
    assert_withheld(with(&|a| a.available = false), candidate("a"), CrossSell, Reason::Unavailable);
    let from_tomorrow = |a: &mut Product| a.available_from = Some(now() + MS);
    assert_withheld(with(&from_tomorrow), candidate("a"), CrossSell, Reason::OutsideDates);
    let until_now = |a: &mut Product| a.available_until = Some(now());
    assert_withheld(with(&until_now), candidate("a"), CrossSell, Reason::OutsideDates);
    let requires_b = |a: &mut Product| a.requires = BTreeSet::from([id("b")]);
    assert_withheld(with(&requires_b), candidate("a"), CrossSell, Reason::RequirementMissing);
    let excludes_b = |a: &mut Product| a.excludes = BTreeSet::from([id("b")]);
    assert_withheld(with(&excludes_b).owning("b"), candidate("a"), CrossSell, Reason::ExcludedByHolding);
    let excluded_by_b = Scene::new(vec![plain("a"), Product { excludes: BTreeSet::from([id("a")]), ..plain("b") }]);
    assert_withheld(excluded_by_b.owning("b"), candidate("a"), CrossSell, Reason::ExcludedByHolding);

    let mut euros = with(&|a| a.price = Some(gbp("1")));
    euros.currency = Some(Currency::new("EUR").expect("a code"));
    assert_withheld(euros, candidate("a"), CrossSell, Reason::OtherCurrency);
    let mut in_basket = Scene::plain();
    in_basket.context = vec![id("a")];
    assert_withheld(in_basket, candidate("a"), CrossSell, Reason::InContext);
    let mut unwanted = Scene::plain();
    unwanted.excluded = BTreeSet::from([id("a")]);
    assert_withheld(unwanted, candidate("a"), CrossSell, Reason::ExcludedByCaller);

    let rungs = || Scene::new(vec![on_ladder("a", 1), on_ladder("b", 2), on_ladder("c", 3)]);
    assert_withheld(rungs().owning("a"), candidate("b"), CrossSell, Reason::SameLadder);
    assert_withheld(rungs().owning("a").owning("c"), upgrade_of("a", "b"), UpSell, Reason::NotBetter);
    let worthless = Candidate { propensity: 1e-9, ..candidate("a") };
    assert_withheld(Scene::plain(), worthless, CrossSell, Reason::NotWorthAttention);
}

#[test]
fn a_basket_satisfies_requirements() {
    let mut scene = Scene::new(vec![Product { requires: BTreeSet::from([id("line")]), ..plain("voice-mail") }]);
    scene.context = vec![id("line")];
    assert_eq!(names(&scene.cross_sell(&["voice-mail"])), ["voice-mail"]);
}

#[test]
fn an_offer_within_its_dates_is_made_from_the_first_to_the_last_millisecond() {
    let dated = Product { available_from: Some(now()), available_until: Some(now() + MS), ..plain("a") };
    assert_eq!(names(&Scene::new(vec![dated]).cross_sell(&["a"])), ["a"]);
}

#[test]
fn a_slate_has_one_of_a_ladder_and_two_of_a_category() {
    let shelf = |name| Product { category: vec!["shelf".into()], ..plain(name) };
    let products = vec![on_ladder("a", 1), on_ladder("b", 2), shelf("c"), shelf("d"), shelf("e")];
    let mut scene = Scene::new(products);
    let decision = scene.cross_sell(&["a", "b", "c", "d", "e"]);
    assert_eq!(names(&decision), ["a", "c", "d"]);
}

#[test]
fn the_window_slides_to_the_millisecond() {
    let mut scene = Scene::plain();
    assert_eq!(names(&scene.cross_sell(&["a", "b", "c", "d"])), ["a", "b", "c"]);
    let window = scene.policy.contact.cap_window;
    scene.now = now() + window - MS;
    let capped = scene.cross_sell(&["d"]);
    assert!(capped.slate.is_empty());
    let cap = &capped.caps[capped.binding_cap.expect("a cap bound")];
    assert_eq!((cap.kind, cap.limit, cap.used), (CapKind::RelationshipHealth, 3, 3));
    assert_eq!(cap.next_eligible_at, Some(now() + window));
    assert_eq!(capped.withheld, [(WithheldReason::CapReached, 1)].into());
    scene.now = now() + window;
    assert_eq!(names(&scene.cross_sell(&["d"])), ["d"]);
}

#[test]
fn an_open_offer_is_served_again_free_in_the_same_channel_and_kind_only() {
    let mut scene = Scene::plain();
    scene.cross_sell(&["a"]);
    assert_eq!(scene.left(), 2);
    scene.now = now() + DAY * 7 - MS;
    let again = scene.cross_sell(&["a"]);
    assert!(again.slate[0].is_already_granted);
    assert_eq!(scene.left(), 2, "a repeat costs nothing");
    scene.channel = Some(Channel::new("email").expect("a valid id"));
    let elsewhere = scene.cross_sell(&["a"]);
    assert_eq!(elsewhere.withheld, [(WithheldReason::OfferedRecently, 1)].into());
    scene.channel = None;
    scene.now = now() + DAY * 7;
    let closed = scene.cross_sell(&["a"]);
    assert_eq!(
        closed.withheld,
        [(WithheldReason::OfferedRecently, 1)].into(),
        "serving again never extends the window"
    );
}

#[test]
fn when_the_cap_falls_below_the_open_offers_only_so_many_are_served_again() {
    let mut scene = Scene::plain();
    assert_eq!(scene.cross_sell(&["a", "b", "c"]).slate.len(), 3);
    // Enough friction for guarded, which allows two; tickets hold nothing and quiet is over after a day.
    for number in 0..3 {
        let case = Some(CaseId::new(format!("t{number}")).expect("a valid id"));
        let severity = Severity::new(4).expect("1 to 4");
        scene.happen(EventKind::SupportTicket(CaseReport { case, severity }));
    }
    scene.now = now() + DAY;
    let again = scene.cross_sell(&["c", "b", "a"]);
    let limit = again.caps[0].limit as usize;
    assert!(limit < 3, "the friction was meant to lower the cap, it is {limit}");
    assert_eq!(again.slate.len(), limit);
}

#[test]
fn a_release_gives_the_cap_back_once_every_decision_has_released() {
    let mut scene = Scene::plain();
    let first = scene.cross_sell(&["a"]);
    let second = scene.cross_sell(&["a"]);
    assert_eq!(scene.release(&first), [ReleaseResult::StillServed]);
    assert_eq!(scene.left(), 2);
    assert_eq!(scene.release(&first), [ReleaseResult::StillServed], "safe to repeat");
    assert_eq!(scene.release(&second), [ReleaseResult::Released]);
    assert_eq!(scene.left(), 3);
    assert_eq!(scene.release(&second), [ReleaseResult::Released], "safe to repeat");
}

#[test]
fn after_the_lease_or_once_shown_nothing_is_given_back() {
    let mut late = Scene::plain();
    let decision = late.cross_sell(&["a"]);
    late.now = now() + late.policy.contact.lease;
    assert_eq!(late.release(&decision), [ReleaseResult::LeaseEnded]);
    assert_eq!(late.left(), 2);

    let mut shown = Scene::plain();
    let decision = shown.cross_sell(&["a"]);
    shown.report(&decision, OutcomeKind::Shown);
    assert_eq!(shown.release(&decision), [ReleaseResult::Shown]);
    assert_eq!(shown.left(), 2);
}

#[test]
fn not_shown_is_a_release() {
    let mut scene = Scene::plain();
    let decision = scene.cross_sell(&["a"]);
    scene.report(&decision, OutcomeKind::NotShown);
    assert_eq!(scene.left(), 3);
}

#[test]
fn e_mail_has_a_longer_lease() {
    let mut scene = Scene::plain();
    scene.channel = Some(Channel::new("email").expect("a valid id"));
    let decision = scene.cross_sell(&["a"]);
    scene.now = now() + DAY * 2 - MS;
    assert_eq!(scene.release(&decision), [ReleaseResult::Released]);
}

#[test]
fn rejections_pause_offers_for_14_days_doubling_to_180() {
    let mut scene = Scene::plain();
    let mut pauses = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        let decision = scene.cross_sell(&[name]);
        scene.report(&decision, OutcomeKind::Rejected);
        let standing = CustomerAssessment::of(&scene.customer, None, &scene.grounds());
        let pause = standing.allowance.caps.iter().find(|cap| cap.kind == CapKind::BackOff).expect("a back-off");
        let end = pause.next_eligible_at.expect("an end");
        pauses.push(end.since(scene.now).as_secs() / 86_400);
        assert!(scene.cross_sell(&["l"]).slate.is_empty());
        scene.now = end;
    }
    assert_eq!(pauses, [14, 28, 56, 112, 180, 180]);
}

#[test]
fn rejecting_a_whole_slate_is_one_rejection_and_an_acceptance_ends_the_row() {
    let mut scene = Scene::plain();
    let decision = scene.cross_sell(&["a", "b"]);
    scene.report(&decision, OutcomeKind::Rejected);
    let second = Decision { slate: vec![decision.slate[1].clone()], ..decision.clone() };
    scene.report(&second, OutcomeKind::Rejected);
    assert_eq!(scene.customer.ledger.back_off.expect("a back-off").rejections, 1);
    scene.report(&second, OutcomeKind::Accepted);
    assert_eq!(scene.customer.ledger.back_off, None);
}

/// Broken by: offers counted that are still open, were given back or are forgotten; offers forgotten with their caps.
#[test]
fn an_offer_made_in_vain_counts_less_until_it_is_forgotten() {
    let mut scene = Scene::plain();
    let month = scene.policy.contact.cap_window;
    let made = |scene: &mut Scene, name: &str| {
        let decision = scene.cross_sell(&[name]);
        let context = decision.slate.first().map(|offer| offer.factors.context);
        (context.unwrap_or_else(|| panic!("{:?}", decision.withheld)), decision)
    };
    for times in 0..3 {
        let expected = 0.7_f64.powi(times);
        assert_eq!(made(&mut scene, "a").0.to_bits(), expected.to_bits());
        assert_eq!(made(&mut scene, "a").0.to_bits(), expected.to_bits(), "it is still open");
        scene.now = scene.now + month;
    }
    let (_, given_back) = made(&mut scene, "b");
    assert_eq!(scene.release(&given_back), [ReleaseResult::Released]);
    scene.now = scene.now + month;
    let equals = scene.cross_sell(&["a", "b", "c"]);
    assert_eq!(names(&equals), ["b", "c", "a"], "what was not made in vain comes first");
    scene.now = scene.now + DAY * 180;
    assert_eq!(made(&mut scene, "a").0.to_bits(), 1.0_f64.to_bits());
}

#[test]
fn a_rejected_product_cooldowns_beyond_the_pause() {
    let mut scene = Scene::plain();
    let decision = scene.cross_sell(&["a"]);
    scene.report(&decision, OutcomeKind::Rejected);
    scene.now = now() + DAY * 30;
    assert_eq!(scene.cross_sell(&["a"]).withheld, [(WithheldReason::Declined, 1)].into());
    scene.now = now() + DAY * 180;
    assert_eq!(names(&scene.cross_sell(&["a"])), ["a"]);
}

#[test]
fn an_open_complaint_holds_everything_until_14_days_after_it_is_settled() {
    let mut scene = Scene::plain();
    let case = CaseId::new("complaint").expect("a valid id");
    let severity = Severity::DEFAULT;
    scene.happen(EventKind::Complaint(CaseReport { case: Some(case.clone()), severity }));
    let held = scene.cross_sell(&["a"]);
    let cap = &held.caps[held.binding_cap.expect("a cap bound")];
    assert_eq!(cap.kind, CapKind::Hold(HoldReason::OpenComplaint));
    assert_eq!(cap.next_eligible_at, Some(now() + DAY * 90));
    assert_eq!(held.withheld, [(WithheldReason::OnHold, 1)].into());
    assert_eq!(held.message, "No offers before 12 February 2024: complaint open since 14 November.");

    scene.now = now() + DAY * 3;
    scene.happen(EventKind::CaseResolved { case });
    scene.now = now() + DAY * 17 - MS;
    assert!(scene.cross_sell(&["a"]).slate.is_empty());
    scene.now = now() + DAY * 17;
    assert_eq!(names(&scene.cross_sell(&["a"])), ["a"]);
}

#[test]
fn up_sell_has_a_smaller_cap_within_the_common_one() {
    let mut scene = Scene::plain();
    let upgrade =
        |name: &str| Candidate { upgrade: Some(Upgrade { replaces: id("l"), gains: Vec::new() }), ..candidate(name) };
    let decision = scene.ask(OfferKind::UpSell, vec![upgrade("a"), upgrade("b")]);
    assert_eq!(names(&decision), ["a"]);
    assert_eq!(decision.withheld, [(WithheldReason::UpSellCapReached, 1)].into());
    assert_eq!(scene.left(), 2, "both kinds draw on one cap");
}

#[test]
fn time_never_runs_backwards_in_a_ledger() {
    let mut scene = Scene::plain();
    assert_eq!(scene.cross_sell(&["a", "b", "c"]).slate.len(), 3);
    scene.now = now() - DAY * 400;
    let stepped_back = scene.cross_sell(&["d"]);
    assert!(stepped_back.slate.is_empty(), "a clock that steps back never grants twice");
    assert_eq!(stepped_back.at, now());
}

#[test]
fn buying_an_offered_product_within_seven_days_is_an_acceptance() {
    let buy = |days: u32| {
        let mut scene = Scene::plain();
        scene.cross_sell(&["a"]);
        scene.now = now() + DAY * days;
        let line = OrderLine { product: id("a"), order: None, quantity: 1, unit_price: None };
        scene.happen(EventKind::Purchase(line.clone()));
        scene.now = scene.now + DAY * 59;
        scene.happen(EventKind::Return(line));
        scene.customer.relationship.accepted_offers
    };
    let accepted = buy(6);
    assert_eq!(accepted.len(), 1);
    assert!(accepted[0].regretted_at.is_some(), "brought back within 60 days");
    assert!(buy(7).is_empty());
}

#[test]
fn the_same_complaint_as_outcome_and_as_event_is_one_case() {
    let mut scene = Scene::plain();
    let decision = scene.cross_sell(&["a"]);
    let case = CaseId::new("case").expect("a valid id");
    let offer = &decision.slate[0];
    scene.happen(EventKind::Outcome(Outcome {
        decision: decision.id,
        offer: offer.id.clone(),
        product: offer.product.clone(),
        kind: OutcomeKind::Complained,
        case: Some(case.clone()),
    }));
    scene.happen(EventKind::Complaint(CaseReport { case: Some(case), severity: Severity::DEFAULT }));
    assert_eq!(scene.customer.relationship.cases.len(), 1);
}

//! A behavioural no: what was returned, cancelled or given up rests, with its variants and the rungs above it.

use std::time::Duration;

use proptest::prelude::*;
use tactful::domain::candidate::{Candidate, Upgrade};
use tactful::domain::decision::Decision;
use tactful::domain::event::{EventKind, OutcomeKind, ReturnReason};
use tactful::domain::ids::ItemGroupId;
use tactful::domain::offer::OfferKind;
use tactful::domain::product::Product;
use tactful::domain::time::{DAY, Timestamp};
use tactful::domain::withheld_reason::WithheldReason;

use crate::scenario::{self, Scenario};
use crate::support::shop::{MS, gbp, now, on_ladder, order_line, product, product_id};

fn plain(name: &str) -> Product {
    product(name, name.to_uppercase())
}

fn variant(group: &str, name: &str) -> Product {
    Product { item_group: Some(ItemGroupId::new(group).expect("a valid id")), ..plain(name) }
}

/// A hoodie in three colours, a plan of three tiers, and a kettle.
fn shop() -> Scenario {
    let tier = |tier, name| on_ladder("plans", tier, plain(name));
    Scenario::new(vec![
        variant("hoodie", "red"),
        variant("hoodie", "blue"),
        variant("hoodie", "green"),
        tier(1, "small"),
        tier(2, "medium"),
        tier(3, "large"),
        plain("kettle"),
    ])
}

fn buy(scenario: &mut Scenario, name: &str) {
    scenario.apply(EventKind::Purchase(order_line(product_id(name))));
    scenario.now = scenario.now + DAY;
}

fn give_back(scenario: &mut Scenario, name: &str, reason: ReturnReason) {
    scenario.apply(EventKind::Return { line: order_line(product_id(name)), reason });
}

fn cross_sell(scenario: &mut Scenario, name: &str) -> Decision {
    scenario.decide(OfferKind::CrossSell, vec![scenario::candidate(product_id(name))])
}

fn up_sell(scenario: &mut Scenario, owned: &str, name: &str) -> Decision {
    let upgrade = Some(Upgrade { replaces: product_id(owned), gains: Vec::new(), allowance_use: None });
    scenario.decide(OfferKind::UpSell, vec![Candidate { upgrade, ..scenario::candidate(product_id(name)) }])
}

/// Reason and end of the rest; `None` for an offer.
fn rest(decision: &Decision) -> Option<(WithheldReason, Option<Timestamp>)> {
    if !decision.slate.is_empty() {
        return None;
    }
    let rejected = &decision.rejected_candidates[0].ineligibility;
    Some((rejected.reason, rejected.until))
}

/// The rest of a product in a preview, so that one query does not change the next one; `None` when it is offered.
fn rest_of(scenario: &Scenario, name: &str) -> Option<(WithheldReason, Option<Timestamp>)> {
    rest(&scenario.preview(OfferKind::CrossSell, &vec![scenario::candidate(product_id(name))]))
}

/// Broken by: a return that only ends the holding.
#[test]
fn a_returned_product_and_its_variants_rest_to_the_millisecond() {
    let mut scenario = shop();
    buy(&mut scenario, "red");
    let returned_at = scenario.now;
    give_back(&mut scenario, "red", ReturnReason::Unspecified);
    let end = returned_at + DAY * 90;
    for at in [returned_at, end - MS] {
        scenario.now = at;
        for name in ["red", "blue"] {
            assert_eq!(rest_of(&scenario, name), Some((WithheldReason::GivenUp, Some(end))), "{name}");
        }
        assert_eq!(rest_of(&scenario, "kettle"), None);
    }
    scenario.now = end;
    assert_eq!((rest_of(&scenario, "red"), rest_of(&scenario, "blue")), (None, None));
}

/// Broken by: a reason that is dropped; a wrong variant that is offered again.
#[test]
fn a_reason_limits_what_rests() {
    let given_up = Some(WithheldReason::GivenUp);
    for (reason, red, blue) in [
        (ReturnReason::Unspecified, given_up, given_up),
        (ReturnReason::ChangedMind, given_up, given_up),
        (ReturnReason::WrongVariant, given_up, None),
        (ReturnReason::Faulty, None, None),
    ] {
        let mut scenario = shop();
        buy(&mut scenario, "red");
        give_back(&mut scenario, "red", reason);
        let reasons = ["red", "blue"].map(|name| rest_of(&scenario, name).map(|(reason, _)| reason));
        assert_eq!(reasons, [red, blue], "{reason:?}");
    }
}

/// An earlier change of mind is not forgotten when a faulty one is brought back later.
///
/// Broken by: one time of return for every reason.
#[test]
fn a_return_without_blame_does_not_lift_an_earlier_one() {
    for reasons in
        [[ReturnReason::ChangedMind, ReturnReason::Faulty], [ReturnReason::Faulty, ReturnReason::ChangedMind]]
    {
        let mut scenario = shop();
        buy(&mut scenario, "red");
        for reason in reasons {
            give_back(&mut scenario, "red", reason);
        }
        assert!(rest_of(&scenario, "red").is_some());
    }
}

/// Broken by: a purchase of another colour after the return that is not taken for an exchange.
#[test]
fn an_exchange_for_another_variant_does_not_rest_the_group() {
    let mut scenario = shop();
    buy(&mut scenario, "red");
    give_back(&mut scenario, "red", ReturnReason::Unspecified);
    scenario.now = scenario.now + DAY;
    buy(&mut scenario, "blue");
    // Its variant is owned now, which is checked first.
    assert_eq!(rest_of(&scenario, "red").map(|(reason, _)| reason), Some(WithheldReason::VariantOwned));
    assert_ne!(rest_of(&scenario, "green").map(|(reason, _)| reason), Some(WithheldReason::GivenUp));
}

/// Broken by: a rest of declared item groups alone, so that the other colours of a returned hoodie are offered the next day.
#[test]
fn variants_by_title_rest_as_those_of_an_item_group_do() {
    let hoodie = |name, colour: &str| Product {
        category: vec!["Clothing".into()],
        price: Some(gbp("45")),
        ..product(name, format!("Hoodie - {colour}"))
    };
    let mut scenario = Scenario::new(vec![hoodie("red", "Red"), hoodie("blue", "Blue"), plain("kettle")]);
    buy(&mut scenario, "red");
    give_back(&mut scenario, "red", ReturnReason::Unspecified);
    let returned_at = scenario.now;
    scenario.now = scenario.now + DAY * 8;
    let resting =
        Some((WithheldReason::GivenUp, Some(returned_at + scenario.policy.contact.returned_product_cooldown)));
    assert_eq!((rest_of(&scenario, "red"), rest_of(&scenario, "blue")), (resting, resting));
    assert_eq!(rest_of(&scenario, "kettle"), None);
}

/// Variants of what is bought again and again are offered beside each other, so that only a rest withholds them.
///
/// Broken by: an exchange that rests the group like a return; a return that rests only the product.
#[test]
fn an_exchange_leaves_the_other_variants_of_what_is_bought_again() {
    let repeatable = |name| Product { repeatable: true, ..variant("filter", name) };
    let mut scenario = Scenario::new(vec![repeatable("red"), repeatable("blue"), repeatable("green")]);
    buy(&mut scenario, "red");
    give_back(&mut scenario, "red", ReturnReason::Unspecified);
    scenario.now = scenario.now + DAY;
    let rests = |scenario: &Scenario, name| rest_of(scenario, name).is_some_and(|it| it.0 == WithheldReason::GivenUp);
    assert!(rests(&scenario, "red") && rests(&scenario, "green"));
    buy(&mut scenario, "blue");
    assert!(rests(&scenario, "red") && !rests(&scenario, "green"));
}

/// Broken by: an end that rests nothing; a rung that rests only itself.
#[test]
fn a_cancelled_rung_rests_with_those_above_it_unless_it_was_a_step_up() {
    let start = |name| EventKind::SubscriptionStart { product: product_id(name) };
    for end in [
        EventKind::SubscriptionEnd { product: product_id("medium") },
        EventKind::Cancellation { product: Some(product_id("medium")) },
        EventKind::Downgrade { from: product_id("medium"), to: None },
    ] {
        let mut scenario = shop();
        scenario.apply(start("medium"));
        scenario.apply(start("kettle"));
        scenario.now = scenario.now + DAY * 100;
        scenario.apply(end);
        // Beyond the hold after the end, which another subscription does not lift.
        let ended_at = scenario.now;
        scenario.now = ended_at + DAY * 31;
        let resting = Some((WithheldReason::GivenUp, Some(ended_at + DAY * 90)));
        assert_eq!((rest_of(&scenario, "medium"), rest_of(&scenario, "large")), (resting, resting));
        assert_eq!(rest_of(&scenario, "small"), None, "a lower one may suit");
    }
    let mut scenario = shop();
    scenario.apply(start("small"));
    scenario.now = scenario.now + DAY * 100;
    scenario.apply(EventKind::SubscriptionEnd { product: product_id("small") });
    scenario.now = scenario.now + MS;
    scenario.apply(start("medium"));
    scenario.now = scenario.now + DAY;
    assert_eq!(rest(&up_sell(&mut scenario, "medium", "large")), None, "a step up was taken");
}

/// Broken by: a cooldown of the declined product alone.
#[test]
fn a_declined_rung_rests_with_those_above_it_and_a_declined_variant_with_the_others() {
    let mut scenario = shop();
    buy(&mut scenario, "small");
    // Steady, so that up-sell is allowed.
    buy(&mut scenario, "kettle");
    let decision = up_sell(&mut scenario, "small", "medium");
    let rejected_at = scenario.now;
    scenario.report(&decision, OutcomeKind::Rejected);
    scenario.now = rejected_at + DAY * 30;
    let resting = Some((WithheldReason::Declined, Some(rejected_at + DAY * 180)));
    assert_eq!(rest(&up_sell(&mut scenario, "small", "large")), resting);
    scenario.now = rejected_at + DAY * 180;
    assert_eq!(rest(&up_sell(&mut scenario, "small", "large")), None);

    let mut scenario = shop();
    let decision = cross_sell(&mut scenario, "red");
    scenario.report(&decision, OutcomeKind::Dismissed);
    assert_eq!(rest_of(&scenario, "blue"), Some((WithheldReason::Declined, Some(now() + DAY * 28))));
}

/// Broken by: a regret that only lowers relationship health.
#[test]
fn a_regretted_offer_rests_for_longer() {
    let mut scenario = shop();
    let decision = cross_sell(&mut scenario, "kettle");
    scenario.report(&decision, OutcomeKind::Accepted);
    buy(&mut scenario, "kettle");
    give_back(&mut scenario, "kettle", ReturnReason::ChangedMind);
    let returned_at = scenario.now;
    scenario.now = returned_at + DAY * 91;
    let resting = Some((WithheldReason::GivenUp, Some(returned_at + DAY * 180)));
    assert_eq!(rest_of(&scenario, "kettle"), resting);
    scenario.now = returned_at + DAY * 180;
    assert_eq!(rest_of(&scenario, "kettle"), None);
}

/// Broken by: a rest that another purchase of the same product does not end.
#[test]
fn what_is_taken_up_again_does_not_rest() {
    let mut scenario = Scenario::new(vec![Product { repeatable: true, ..plain("coffee") }]);
    buy(&mut scenario, "coffee");
    give_back(&mut scenario, "coffee", ReturnReason::Unspecified);
    assert!(rest_of(&scenario, "coffee").is_some());
    scenario.now = scenario.now + DAY;
    buy(&mut scenario, "coffee");
    assert_eq!(rest_of(&scenario, "coffee"), None);
}

/// Broken by: a rule that looks at open grants alone.
#[test]
fn never_together_holds_against_what_is_owned_or_was_accepted() {
    let pair = || {
        let mut scenario = Scenario::plain();
        scenario.policy.contact.never_together = vec![(product_id("a"), product_id("b"))];
        scenario
    };
    let mut owning = pair().owning("a");
    assert_eq!(rest(&cross_sell(&mut owning, "b")), Some((WithheldReason::NeverTogether, None)));
    assert_eq!(rest(&up_sell(&mut owning, "a", "b")), None, "it would replace the other");
    let mut in_basket = pair();
    in_basket.context = vec![product_id("b")];
    assert_eq!(rest(&cross_sell(&mut in_basket, "a")), Some((WithheldReason::NeverTogether, None)));

    let mut accepting = pair();
    let decision = cross_sell(&mut accepting, "a");
    accepting.report(&decision, OutcomeKind::Accepted);
    accepting.now = accepting.now + DAY * 60;
    let expected = Some((WithheldReason::NeverTogether, Some(now() + DAY * 180)));
    assert_eq!(rest(&cross_sell(&mut accepting, "b")), expected);
    // Delivered, and given up again.
    buy(&mut accepting, "a");
    give_back(&mut accepting, "a", ReturnReason::Faulty);
    accepting.now = accepting.now + DAY;
    assert_eq!(rest(&cross_sell(&mut accepting, "b")), None);
}

/// A policy that is activated later holds at once, because rests are not stored.
///
/// Broken by: an end of the rest that is stored with the return.
#[test]
fn another_policy_changes_what_rests_now() {
    let mut scenario = shop();
    buy(&mut scenario, "red");
    give_back(&mut scenario, "red", ReturnReason::Unspecified);
    scenario.policy.contact.returned_product_cooldown = Duration::ZERO;
    assert_eq!(rest_of(&scenario, "red"), None);
    scenario.policy.contact.returned_product_cooldown = DAY * 400;
    scenario.now = scenario.now + DAY * 399;
    assert!(rest_of(&scenario, "red").is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// What rests does not depend on the order in which purchases, ends and returns of one product arrive.
    ///
    /// Broken by: a rest that is started or lifted when its event arrives.
    #[test]
    fn the_order_of_arrival_does_not_change_what_rests(
        events in proptest::collection::vec((0..5usize, 0..200u32), 1..8), seed in any::<u64>(),
    ) {
        let kind = |kind| match kind {
            0 => EventKind::Purchase(order_line(product_id("red"))),
            1 => EventKind::Purchase(order_line(product_id("blue"))),
            2 => EventKind::SubscriptionEnd { product: product_id("red") },
            3 => EventKind::Return { line: order_line(product_id("red")), reason: ReturnReason::WrongVariant },
            _ => EventKind::Return { line: order_line(product_id("red")), reason: ReturnReason::Unspecified },
        };
        let rest_after = |events: &[(usize, u32)]| {
            let mut scenario = shop();
            for &(number, days) in events {
                scenario.now = now() + DAY * days;
                scenario.apply(kind(number));
            }
            scenario.now = now() + DAY * 231;
            ["red", "blue", "green"].map(|name| rest_of(&scenario, name))
        };
        let mut shuffled = events.clone();
        shuffled.sort_by_key(|&(number, days)| (number as u64 * 1000 + u64::from(days) + 1).wrapping_mul(seed | 1));
        prop_assert_eq!(rest_after(&events), rest_after(&shuffled));
    }
}

//! Rules of the contact policy: caps of channels and families, and products that are never offered with, after or before others.
//!
//! Tables for the edges, to the millisecond, and a property over generated histories. Broken by, for each rule: its check left
//! out of `choose` or of `eligibility`.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tactful::decision::control_group::{arm_of, experiment};
use tactful::decision::relationship::assess;
use tactful::domain::candidate::Candidate;
use tactful::domain::decision::{CapKind, Decision};
use tactful::domain::experiment::Arm;
use tactful::domain::holdings::{Holding, StartKind, SubscriptionStart};
use tactful::domain::ids::ProductId;
use tactful::domain::offer::OfferKind;
use tactful::domain::outlook::{AttributeWeight, FeatureWeight, Outlook, StayingFeature, StayingOutlook};
use tactful::domain::policy::{BandCaps, ControlGroup, NeverAfter, OnlyAfter, Policy, ProductFamily};
use tactful::domain::product::Product;
use tactful::domain::time::{DAY, Timestamp};
use tactful::domain::withheld_reason::WithheldReason;

use crate::scenario::{self, Scenario};
use crate::support::shop::{MS, channel, customer, customer_id, holding, now, numbered_product_id, product};

const PRODUCTS: usize = 8;

/// Candidate that is better, the lower its number.
fn candidate(number: usize) -> Candidate {
    let propensity = 0.3 - f64::from(u32::try_from(number).expect("small")) / 100.0;
    Candidate { propensity, ..scenario::candidate(numbered_product_id(number)) }
}

/// Scenario of toasters and pots, with caps higher than by default.
fn scenario(change: impl FnOnce(&mut Policy)) -> Scenario {
    let kitchen = |number| Product {
        category: vec!["Kitchen".to_owned(), if number < 4 { "Toasters" } else { "Pots" }.to_owned()],
        ..product(format!("p{number}"), format!("Product {number}"))
    };
    let mut scenario = Scenario::new((0..PRODUCTS).map(kitchen).collect());
    scenario.policy.contact.caps = [BandCaps { offers: 20, up_sell: 5 }; 5];
    scenario.policy.contact.category_offers_max = 20;
    change(&mut scenario.policy);
    scenario
}

fn set_email_cap(policy: &mut Policy, cap: Option<u32>) {
    policy.contact.channels.terms_mut(&channel("email")).expect("a default channel").cap = cap;
}

fn cross_sell(scenario: &mut Scenario, numbers: &[usize], on: Option<&str>, offers_max: usize) -> Decision {
    scenario.channel = on.map(channel);
    scenario.offers_max = offers_max;
    scenario.decide(OfferKind::CrossSell, numbers.iter().map(|&number| candidate(number)).collect())
}

fn offered(decision: &Decision) -> Vec<String> {
    decision.slate.iter().map(|offer| offer.product.to_string()).collect()
}

/// Reason for which a product is not in the slate, and its end.
fn rejection(decision: &Decision, number: usize) -> Option<(WithheldReason, Option<Timestamp>)> {
    let rejected =
        decision.rejected_candidates.iter().find(|rejected| rejected.product == numbered_product_id(number))?;
    Some((rejected.ineligibility.reason, rejected.ineligibility.until))
}

#[test]
fn a_channel_has_a_cap_of_its_own() {
    let mut scenario = scenario(|policy| set_email_cap(policy, Some(2)));
    let first = cross_sell(&mut scenario, &[0, 1, 2], Some("email"), 3);
    assert_eq!(offered(&first), ["p0", "p1"]);
    assert_eq!(rejection(&first, 2).map(|(reason, _)| reason), Some(WithheldReason::ChannelCapReached));
    let granted_at = scenario.now;
    scenario.now = scenario.now + DAY * 8;
    let second = cross_sell(&mut scenario, &[3], Some("email"), 3);
    let cap = &second.caps[second.binding_cap.expect("a cap bound")];
    assert_eq!((cap.kind, cap.limit, cap.used), (CapKind::Channel, 2, 2));
    assert_eq!(cap.next_eligible_at, Some(granted_at + DAY * 28));
    assert_eq!(offered(&cross_sell(&mut scenario, &[3], Some("web"), 3)), ["p3"]);
    assert!(cross_sell(&mut scenario, &[4], None, 3).slate.is_empty(), "without a channel, the smallest cap counts");
    scenario.now = granted_at + DAY * 28 - MS;
    assert!(cross_sell(&mut scenario, &[5], Some("email"), 3).slate.is_empty());
    scenario.now = granted_at + DAY * 28;
    assert_eq!(offered(&cross_sell(&mut scenario, &[5], Some("email"), 3)), ["p5"]);
}

#[test]
fn a_family_has_caps_in_a_slate_and_within_the_window() {
    let toasters = ProductFamily {
        name: "toasters".to_owned(),
        category: vec!["Kitchen".to_owned(), "Toasters".to_owned()],
        products: vec![numbered_product_id(7)],
        per_slate: 1,
        per_window: 2,
    };
    let mut scenario = scenario(|policy| policy.contact.families = vec![toasters]);
    let first = cross_sell(&mut scenario, &[0, 1, 4, 7], None, 8);
    assert_eq!(offered(&first), ["p0", "p4"]);
    assert_eq!(rejection(&first, 7).map(|(reason, _)| reason), Some(WithheldReason::TooSimilar));
    scenario.now = scenario.now + DAY * 8;
    assert_eq!(offered(&cross_sell(&mut scenario, &[1, 5], None, 8)), ["p1", "p5"]);
    scenario.now = scenario.now + DAY * 8;
    let third = cross_sell(&mut scenario, &[2, 7, 6], None, 8);
    assert_eq!(offered(&third), ["p6"]);
    let until = Some(now() + DAY * 28);
    assert_eq!(rejection(&third, 2), Some((WithheldReason::FamilyCapReached, until)));
    scenario.now = now() + DAY * 28;
    assert_eq!(offered(&cross_sell(&mut scenario, &[2, 7], None, 8)), ["p2"]);
}

#[test]
fn never_together_holds_in_a_slate_and_while_the_other_is_open() {
    let mut scenario =
        scenario(|policy| policy.contact.never_together = vec![(numbered_product_id(1), numbered_product_id(0))]);
    let first = cross_sell(&mut scenario, &[0, 1, 2], None, 8);
    assert_eq!(offered(&first), ["p0", "p2"]);
    assert_eq!(rejection(&first, 1).map(|(reason, _)| reason), Some(WithheldReason::NeverTogether));
    scenario.now = now() + DAY * 7 - MS;
    let second = cross_sell(&mut scenario, &[1], None, 8);
    assert_eq!(rejection(&second, 1), Some((WithheldReason::NeverTogether, Some(now() + DAY * 7))));
    scenario.now = now() + DAY * 7;
    assert_eq!(offered(&cross_sell(&mut scenario, &[1], None, 8)), ["p1"]);
}

/// The rule reaches back further than any cap window, to a grant that is stored for this rule alone.
#[test]
fn never_after_holds_to_the_millisecond_and_beyond_the_window_of_caps() {
    let rule = NeverAfter { first: numbered_product_id(0), then: numbered_product_id(1), within: DAY * 90 };
    let mut scenario = scenario(|policy| policy.contact.never_after = vec![rule]);
    assert_eq!(offered(&cross_sell(&mut scenario, &[0, 1], None, 8)), ["p0"]);
    for days in [10, 40, 80] {
        scenario.now = now() + DAY * days;
        let decision = cross_sell(&mut scenario, &[1, 2], None, 8);
        assert_eq!(rejection(&decision, 1), Some((WithheldReason::NeverAfter, Some(now() + DAY * 90))), "{days} days");
    }
    scenario.now = now() + DAY * 90 - MS;
    assert!(!offered(&cross_sell(&mut scenario, &[1], None, 8)).contains(&"p1".to_owned()));
    scenario.now = now() + DAY * 90;
    assert_eq!(offered(&cross_sell(&mut scenario, &[1], None, 8)), ["p1"]);
    // There is no rule in the opposite direction.
    scenario.now = scenario.now + DAY;
    assert_eq!(offered(&cross_sell(&mut scenario, &[0], None, 8)), ["p0"]);
}

#[test]
fn only_after_holds_until_the_customer_owns_the_product() {
    let rule = OnlyAfter { product: numbered_product_id(0), after: numbered_product_id(5) };
    let mut scenario = scenario(|policy| policy.contact.only_after = vec![rule]);
    let decision = cross_sell(&mut scenario, &[0], None, 8);
    assert_eq!(rejection(&decision, 0), Some((WithheldReason::OnlyAfter, None)));
    scenario.customer.holdings.latest.insert(numbered_product_id(5), holding(now()));
    assert_eq!(offered(&cross_sell(&mut scenario, &[0], None, 8)), ["p0"]);
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let pair = || (0..PRODUCTS, 0..PRODUCTS).prop_filter("two products", |(a, b)| a != b);
    let family = (proptest::collection::vec(0..PRODUCTS, 1..5), 1..3usize, 1..4u32);
    (
        proptest::collection::vec(pair(), 0..3),
        proptest::collection::vec((pair(), 1..120u32), 0..3),
        proptest::collection::vec(family, 0..3),
        proptest::option::of(0..4u32),
    )
        .prop_map(|(together, after, families, email)| {
            let mut policy = Policy::default();
            policy.contact.caps = [BandCaps { offers: 12, up_sell: 5 }; 5];
            policy.contact.category_offers_max = 20;
            policy.contact.never_together =
                together.into_iter().map(|(a, b)| (numbered_product_id(a), numbered_product_id(b))).collect();
            let rule = |((first, then), days)| NeverAfter {
                first: numbered_product_id(first),
                then: numbered_product_id(then),
                within: DAY * days,
            };
            policy.contact.never_after = after.into_iter().map(rule).collect();
            let family =
                |(number, (products, per_slate, per_window)): (usize, (Vec<usize>, usize, u32))| ProductFamily {
                    name: format!("family {number}"),
                    category: Vec::new(),
                    products: products.into_iter().map(numbered_product_id).collect(),
                    per_slate,
                    per_window,
                };
            policy.contact.families = families.into_iter().enumerate().map(family).collect();
            set_email_cap(&mut policy, email);
            policy
        })
}

/// New grant, as the client sees it.
struct ObservedGrant {
    product: ProductId,
    at: Timestamp,
    channel: Option<String>,
    decision: usize,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// All caps and rules hold together, checked from the decisions alone.
    #[test]
    fn all_rules_hold_together(
        policy in any_policy(),
        steps in proptest::collection::vec((0..20u32, proptest::sample::subsequence((0..PRODUCTS).collect::<Vec<_>>(), 1..5), 0..3usize), 1..24),
    ) {
        let mut scenario = scenario(|default| *default = policy.clone());
        let contact = &policy.contact;
        let mut grants: Vec<ObservedGrant> = Vec::new();
        for (decision, (days, numbers, on)) in steps.into_iter().enumerate() {
            scenario.now = scenario.now + DAY * days;
            let now = scenario.now;
            let on = [None, Some("email"), Some("web")][on];
            let made = cross_sell(&mut scenario, &numbers, on, 4);
            let slate: Vec<&ProductId> = made.slate.iter().map(|offer| &offer.product).collect();
            for offer in made.slate.iter().filter(|offer| !offer.is_already_granted) {
                let channel = on.map(str::to_owned);
                grants.push(ObservedGrant { product: offer.product.clone(), at: now, channel, decision });
            }
            for (a, b) in &contact.never_together {
                prop_assert!(!(slate.contains(&a) && slate.contains(&b)), "{a} and {b} in one slate");
                let open = |id: &ProductId| grants.iter().any(|it| it.product == *id && now < it.at + contact.visit_window && it.decision < decision);
                prop_assert!(!(slate.contains(&a) && open(b) || slate.contains(&b) && open(a)), "{a} while {b} is open");
            }
            for rule in &contact.never_after {
                let before = grants.iter().any(|it| it.product == rule.first && now < it.at + rule.within);
                prop_assert!(!(before && slate.contains(&&rule.then)), "{rule:?}");
            }
            let counting = || grants.iter().filter(|it| now < it.at + contact.cap_window);
            for family in &contact.families {
                let in_slate = slate.iter().filter(|id| family.products.contains(id)).count();
                prop_assert!(in_slate <= family.per_slate, "{family:?}");
                let in_window = counting().filter(|it| family.products.contains(&it.product)).count();
                prop_assert!(in_window <= family.per_window as usize, "{family:?}");
            }
            for registered in contact.channels.iter() {
                let Some(cap) = registered.terms.cap else { continue };
                let is_on = |it: &&ObservedGrant| it.channel.as_deref().is_none_or(|it| it == registered.name().as_str());
                prop_assert!(counting().filter(is_on).count() <= cap as usize, "{registered:?}");
            }
            prop_assert!(counting().count() <= 12);
        }
    }
}

/// The control group affects only its own customers, who get no offers; their would-be slates are those of a policy without an
/// experiment. Broken by: would-be grants stored among the grants.
#[test]
fn the_control_group_gets_nothing_and_its_would_be_slates_obey_the_caps() {
    let (mut in_control, mut in_treatment) = (0, 0);
    for number in 0..200 {
        let with_share = |share: f64| {
            let mut scenario = scenario(|policy| {
                policy.contact.caps = [BandCaps { offers: 4, up_sell: 1 }; 5];
                policy.control_group.share = share;
            });
            scenario.customer = customer(&format!("customer-{number}"));
            scenario
        };
        let (mut with, mut without) = (with_share(0.3), with_share(0.0));
        for decision in 0..4 {
            let (with_decision, without_decision) = (
                cross_sell(&mut with, &[0, 1, 2, 3, 4, 5], None, 3),
                cross_sell(&mut without, &[0, 1, 2, 3, 4, 5], None, 3),
            );
            if decision == 1 {
                // A week later the open offers are no longer served again.
                with.now = with.now + DAY * 8;
                without.now = without.now + DAY * 8;
            }
            let assignment = with.customer.ledger.assignment.expect("assigned by the first decision");
            assert_eq!(assignment.at, now());
            match assignment.arm {
                Arm::Control => {
                    in_control += usize::from(decision == 0);
                    assert!(with_decision.slate.is_empty() && with.customer.ledger.grants.is_empty());
                    assert_eq!(with_decision.would_be_slate, without_decision.slate);
                    let binding = &with_decision.caps[with_decision.binding_cap.expect("a cap bound")];
                    assert_eq!((binding.kind, binding.next_eligible_at), (CapKind::ControlGroup, None));
                }
                Arm::Treatment => {
                    in_treatment += usize::from(decision == 0);
                    assert_eq!(with_decision, without_decision);
                }
            }
        }
        assert_eq!(without.customer.ledger.assignment, None);
    }
    assert!((40..=80).contains(&in_control), "{in_control} of {}", in_control + in_treatment);
}

/// Broken by: a hash without the salt.
#[test]
fn a_growing_control_group_keeps_its_customers_and_another_salt_draws_others() {
    let control = |share, salt: &str| ControlGroup { share, salt: salt.to_owned() };
    let members = |control: &ControlGroup| -> BTreeSet<u32> {
        let is_in = |number: &u32| arm_of(&customer_id(format!("customer-{number}")), control) == Arm::Control;
        (0..2000).filter(is_in).collect()
    };
    let (small, large, other) = (control(0.1, "a"), control(0.2, "a"), control(0.1, "b"));
    assert!(members(&small).is_subset(&members(&large)));
    let both = members(&small).intersection(&members(&other)).count();
    assert!((5..=45).contains(&both), "a tenth of a tenth of 2000, not {both}");
    assert_ne!(experiment(&small), experiment(&large));
    assert_eq!(experiment(&control(0.0, "a")), None);
}

/// Broken by: a first grant that uses up all that are allowed.
#[test]
fn a_product_is_offered_as_often_as_the_policy_allows() {
    let mut scenario = scenario(|policy| policy.contact.per_offer = 2);
    let first = scenario.now;
    assert_eq!(offered(&cross_sell(&mut scenario, &[0], None, 1)), ["p0"]);
    scenario.now = scenario.now + DAY * 8;
    let again = cross_sell(&mut scenario, &[0], None, 1);
    assert_eq!((offered(&again), again.slate[0].is_already_granted), (vec!["p0".to_owned()], false));
    scenario.now = scenario.now + DAY * 8;
    let third = cross_sell(&mut scenario, &[0], None, 1);
    assert_eq!(rejection(&third, 0), Some((WithheldReason::OfferedRecently, Some(first + DAY * 28))));
    scenario.now = first + DAY * 28 - MS;
    assert!(cross_sell(&mut scenario, &[0], None, 1).slate.is_empty());
    scenario.now = first + DAY * 28;
    assert_eq!(offered(&cross_sell(&mut scenario, &[0], None, 1)), ["p0"]);
}

/// Broken by: passing the whole profile to the outlook.
#[test]
fn a_sensitive_attribute_does_not_enter_relationship_health() {
    let mut scenario = scenario(|_| {});
    let words = [("old".to_owned(), -3.0)].into();
    let attributes = [("age_band".to_owned(), AttributeWeight::Categories(words))].into();
    let nothing = FeatureWeight { weight: 0.0, mean: 0.0, deviation: 1.0 };
    let weights = [nothing; StayingFeature::ALL.len()];
    let staying = StayingOutlook { learned_days: 91.0, intercept: 2.0, weights, attributes };
    let outlook = Outlook { buying: None, staying: Some(staying) };
    let mut line = Holding::touched_at(now());
    line.add_start(SubscriptionStart { at: now(), kind: StartKind::Start });
    scenario.customer.holdings.latest.insert(numbered_product_id(0), line);
    let now = now() + DAY * 100;
    let plain = assess(&scenario.customer, &scenario.policy, &outlook, &scenario.catalog, now).score;
    scenario.customer.attributes.insert("age_band".to_owned(), "old".to_owned());
    assert!(assess(&scenario.customer, &scenario.policy, &outlook, &scenario.catalog, now).score < plain);
    scenario.policy.privacy.sensitive_attributes = vec!["age_band".to_owned()];
    assert_eq!(
        assess(&scenario.customer, &scenario.policy, &outlook, &scenario.catalog, now).score.to_bits(),
        plain.to_bits()
    );
}

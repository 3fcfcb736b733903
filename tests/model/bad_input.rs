//! Training on distorted histories: thin, duplicated, of one second, of another century, of one customer with 50,000 purchases.
//! It returns an error, or a model whose propensities are ordered probabilities and which round-trips.
//!
//! Broken by: buyer shares divided by a sum that had decayed to zero (NaN); unranked candidates scaled to the last ranked one
//! without a maximum (out of order by one bit); numbers taken as spelled, or without a limit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::distorted_shop::{
    PRODUCTS, SOLD, at, bought, catalog, change_each, contracts, customer, days, line, price, shop,
};
use crate::support::shop::{now, numbered_product_id};
use proptest::prelude::*;
use tactful::domain::candidate::{Candidate, Proposal};
use tactful::domain::event::{Event, EventKind, QUANTITY_MAX, ReturnReason};
use tactful::domain::ids::{CustomerId, ProductId};
use tactful::domain::money::UNITS_MAX;
use tactful::domain::outlook::{Outlook, staying_features};
use tactful::domain::time::{DAY, Timestamp};
use tactful::model::bound_model::BoundModel;
use tactful::model::held_product::HeldProduct;
use tactful::model::history::TrainingHistory;
use tactful::model::offer_model::OfferModel;
use tactful::model::offer_queries::{CrossSellQuery, CustomerContext, UpSellQuery};
use tactful::model::outlook::learn_outlook;
use tactful::model::outlook_artifact;
use tactful::model::outlook_history::{EngagementWeights, OutlookHistory};
use tactful::model::train::{TrainingError, TrainingReport, train};
use tactful::model::training_settings::TrainingSettings;

const SETTINGS: TrainingSettings = TrainingSettings::new(2, 1 << 28);

type Profile = BTreeMap<String, String>;

/// History to train on, the time of training, and profiles by number of customer.
struct Case {
    name: &'static str,
    events: Vec<Event>,
    now: Timestamp,
    profiles: Vec<Profile>,
}

fn case(name: &'static str, events: Vec<Event>) -> Case {
    Case { name, events, now: now(), profiles: Vec::new() }
}

fn learn(case: &Case) -> Result<(OfferModel, TrainingReport), TrainingError> {
    let mut history = TrainingHistory::new();
    case.events.iter().for_each(|event| history.push(event));
    for (number, profile) in case.profiles.iter().enumerate() {
        history.set_profile(&customer(number), profile.clone());
    }
    train(&history, &catalog(), case.now, &SETTINGS, &|_| {})
}

/// Trains, round-trips the model, and queries it for unknown customers, owners and baskets, before, at and after its time.
fn check(case: &Case) {
    let Case { name, now, profiles, .. } = case;
    let (model, report) = learn(case).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(report.metrics.iter().all(|metric| (0.0..=1.0).contains(&metric.value)), "{name}: {:?}", report.metrics);
    assert_eq!(OfferModel::decode(&model.encode()).as_ref(), Ok(&model), "{name}: stored and read");
    let bound = BoundModel::new(Arc::new(model), Arc::new(catalog()));
    let held = |number| HeldProduct {
        product: numbered_product_id(number),
        first_at: Timestamp::MIN,
        last_at: *now,
        usage: Vec::new(),
    };
    for query_time in [*now, Timestamp::MIN, Timestamp::MAX] {
        for owned in [0..0, 0..1, SOLD..PRODUCTS, 0..PRODUCTS] {
            let owned: Vec<HeldProduct> = owned.map(held).collect();
            let profile = profiles.last().cloned().unwrap_or_default();
            let customer = CustomerContext { holdings: owned.clone(), profile, ..CustomerContext::default() };
            for context in [0..0, 1..2, 0..PRODUCTS] {
                let context = context.map(numbered_product_id).collect();
                let query = CrossSellQuery { customer: customer.clone(), context, now: query_time };
                let proposed = check_proposal(name, &bound.cross_sell(&query));
                assert!(
                    proposed + query.context.len() >= PRODUCTS,
                    "{name}: products without purchases are proposed too"
                );
            }
            check_proposal(
                name,
                &bound.up_sell(&UpSellQuery { customer, owned, low_usage_share: 0.5, now: query_time }),
            );
        }
    }
}

/// Checks that products are unique and propensities are descending probabilities. Returns the number of candidates.
fn check_proposal(name: &str, proposal: &impl Proposal) -> usize {
    let candidates: Vec<Candidate> = proposal.candidates().collect();
    for it in &candidates {
        let is_probability = it.propensity > 0.0 && it.propensity <= 1.0 && (0.0..=1.0).contains(&it.keep_probability);
        assert!(is_probability, "{name}: {it:?}");
    }
    assert!(candidates.is_sorted_by(|a, b| a.propensity >= b.propensity), "{name}: {candidates:?}");
    let products: BTreeSet<&ProductId> = candidates.iter().map(|it| &it.product).collect();
    assert_eq!(products.len(), candidates.len(), "{name}: a product comes once");
    candidates.len()
}

#[test]
fn a_history_without_purchases_is_rejected() {
    let returned = change_each(shop(3), |_, event| {
        event.kind = EventKind::Return { line: line(event).clone(), reason: ReturnReason::Unspecified }
    });
    let before = Case { now: now() - DAY * 400, ..case("before all events", shop(3)) };
    let profiles = vec![Profile::from([("plan".to_owned(), "a".to_owned())]); 300];
    let anonymous = Case { profiles, ..case("profiles alone", Vec::new()) };
    for case in [case("nothing", Vec::new()), case("only returns", returned), before, anonymous] {
        assert_eq!(learn(&case).err(), Some(TrainingError::NoPurchases), "{}", case.name);
    }
}

#[test]
fn a_thin_or_far_away_history_gives_a_model() {
    let up_to = |name, end: Timestamp| Case {
        now: end,
        ..case(name, change_each(shop(9), |_, event| event.at = end - now().since(event.at)))
    };
    let centuries = change_each(shop(60), |number, event| event.at = Timestamp::MIN + days(number * 91));
    let anonymous = change_each(shop(60), |number, event| {
        event.customer = None;
        line(event).order = line(event).order.clone().filter(|_| number % 2 == 0);
    });
    let one_with_many = |products: usize, of: usize| {
        (0..50_000).map(|it| bought(0, it % products, now() - days(it % of))).chain(shop(9)).collect()
    };
    let cases = [
        case("one customer", shop(1)),
        case("one purchase", vec![bought(0, 0, now())]),
        case("one second of one customer", (0..20).map(|it| bought(0, it % 3, now())).collect()),
        case("one second of a few", (0..20).map(|it| bought(it % 4, it, now())).collect()),
        case("anonymous, half of it in no basket", anonymous),
        case("50,000 purchases of one customer", one_with_many(SOLD, 300)),
        case("50,000 purchases of 3,000 products on one day", one_with_many(3000, 1)),
        Case { now: now() - DAY * 270, ..case("most of it later", shop(60)) },
        Case { now: Timestamp::MAX, ..case("all of it long ago", shop(60)) },
        up_to("1970", at(0)),
        up_to("the first year", Timestamp::MIN + DAY * 300),
        up_to("2200", Timestamp::MAX),
        Case { now: Timestamp::MAX, ..case("three centuries", centuries) },
    ];
    cases.iter().for_each(check);
}

/// Unusual spellings of finite numbers.
const ODD_NUMBERS: [&str; 12] = ["1e300", "-1e300", "1e-320", "-0", "+1", "2.", "3", "4e0", "05", "6", "7", "8"];

/// An attribute that all customers share, one that halves them, and numbers.
fn profile(number: usize) -> Profile {
    let half = if number.is_multiple_of(2) { "a" } else { "b" };
    let words = ["NaN", "inf", "", "\u{1F9E6}", "1"][number % 5];
    let odd = ODD_NUMBERS[number % ODD_NUMBERS.len()];
    [("same", "a"), ("half", half), ("words", words), ("odd", odd)]
        .map(|(name, value)| (name.into(), value.into()))
        .into()
}

/// Enough to grow forests from.
#[test]
fn a_distorted_shop_gives_a_model() {
    let prices = [0, UNITS_MAX, -UNITS_MAX, 1];
    let for_all =
        change_each(shop(90), |number, event| line(event).unit_price = Some(price(prices[number % prices.len()])));
    let cases = [
        case("every row twice", [shop(90), shop(90)].concat()),
        case("prices of zero and at the limits", for_all),
        Case { profiles: (0..90).map(profile).collect(), ..case("odd profiles", shop(90)) },
    ];
    cases.iter().for_each(check);
}

#[test]
fn a_shop_of_one_day_gives_a_model() {
    let within = |seconds: u64| {
        change_each(shop(60), move |number, event| event.at = now() - Duration::from_secs(number as u64 % seconds))
    };
    check(&case("one day", within(86_399)));
    check(&case("one second", within(1)));
}

/// Attributes come from clients: no spelling of a number may make a model undecodable.
#[test]
fn one_number_in_many_spellings_gives_a_model() {
    let ones = ["1", "1.0", "1.00", "01", "1e0", "+1", "001", "1.", "1.000", "01.0", "10e-1", "0.1e1"];
    let spelled = |it: usize| Profile::from([("size".into(), ones[(it % 2) * (it / 2) % ones.len()].into())]);
    check(&Case { profiles: (0..600).map(spelled).collect(), ..case("spellings", shop(9)) });
}

/// Checks the outlook part of training: retention and repeat purchases. `first` is the attribute of the first customer.
fn check_outlook(name: &str, events: &[Event], first: &str, now: Timestamp) {
    let mut history = OutlookHistory::new(EngagementWeights { commitment: 1.0, usage: 0.2, visit: 0.1 });
    for event in events {
        history.push(event);
    }
    let text = |it: usize| if it == 0 { first.to_owned() } else { format!("{}", it % 50) };
    let profiles: BTreeMap<CustomerId, Profile> =
        (0..300).map(|it| (customer(it), Profile::from([("size".to_owned(), text(it))]))).collect();
    let Outlook { buying, staying } = learn_outlook(&history, &|past| profiles.get(past.id), now, DAY * 90).outlook;
    for customer in history.as_of(now, now, 10) {
        let (state, signals) = (&customer.state, staying_features(&customer.state, 1, DAY, now));
        let staying = staying.iter().map(|it| it.probability(&signals, &profiles[customer.id], DAY * 90));
        let probabilities = buying.iter().filter_map(|it| it.probability(state, now, DAY * 90)).chain(staying);
        probabilities.for_each(|probability| assert!((0.0..=1.0).contains(&probability), "{name}: {probability}"));
    }
    let outlook = Outlook { buying, staying };
    assert_eq!(outlook_artifact::decode(&outlook_artifact::encode(&outlook)), Ok(outlook), "{name}: stored and read");
}

#[test]
fn a_distorted_history_gives_an_outlook() {
    let dear = change_each(contracts(), |_, event| {
        if let EventKind::Purchase(line) = &mut event.kind {
            (line.quantity, line.unit_price) = (QUANTITY_MAX, Some(price(UNITS_MAX)));
        }
    });
    check_outlook("nothing", &[], "1", now());
    check_outlook("contracts", &contracts(), "1", now());
    check_outlook("odd words", &contracts(), "NaN", now());
    check_outlook("dear", &dear, "1e100", now());
    check_outlook("one instant", &change_each(contracts(), |_, event| event.at = now() - DAY * 200), "1", now());
    check_outlook("long ago", &contracts(), "1", Timestamp::MAX);
    check_outlook("before all events", &contracts(), "1", Timestamp::MIN);
}

#[test]
fn a_huge_number_gives_an_outlook() {
    check_outlook("a huge number", &contracts(), "1e200", now());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    /// Few customers, days and products, so that most lines coincide with others.
    #[test]
    fn any_small_history_gives_a_model(
        lines in prop::collection::vec((0..5_usize, 0..9_usize, 0..4_usize, any::<bool>()), 1..150),
        days_apart in prop::sample::select(vec![0, 1, 30, 300]),
        profiles in prop::collection::vec(0..60_usize, 0..120),
    ) {
        let event = |&(who, what, day, is_named): &(usize, usize, usize, bool)| {
            let event = bought(who, what, now() - days(day * days_apart));
            Event { customer: event.customer.clone().filter(|_| is_named), ..event }
        };
        let profiles = profiles.into_iter().map(profile).collect();
        check(&Case { profiles, ..case("small", lines.iter().map(event).collect()) });
    }
}

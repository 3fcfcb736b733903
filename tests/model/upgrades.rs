//! Which products are upgrades of which: ladders, better features, and replacements seen in histories.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tactful::domain::candidate::{Candidate, Proposal};
use tactful::domain::catalog::Catalog;
use tactful::domain::catalog_settings::CatalogSettings;
use tactful::domain::event::{Event, EventKind};
use tactful::domain::evidence::Evidence;
use tactful::domain::feature_order::{FeatureOrder, FeatureOrders};
use tactful::domain::product::{FeatureValue, Product};
use tactful::domain::time::DAY;
use tactful::model::bound_model::BoundModel;
use tactful::model::held_product::HeldProduct;
use tactful::model::history::TrainingHistory;
use tactful::model::offer_queries::{CustomerContext, UpSellQuery};
use tactful::model::train::train;
use tactful::model::training_settings::TrainingSettings;

use crate::support::shop::{
    customer_id, event_id, gbp, item_group, now, numbered_product_id, on_ladder, order_id, order_line, product,
    with_feature,
};

/// One purchase: customer, product, days ago. Purchases of one customer on one day are one order.
type Purchase = (usize, usize, u32);

fn purchase_event(number: usize, &(customer, bought, days_ago): &Purchase) -> Event {
    let mut line = order_line(numbered_product_id(bought));
    line.order = Some(order_id(format!("order{customer}-{days_ago}")));
    Event {
        id: event_id(format!("e{number}")),
        customer: Some(customer_id(format!("c{customer}"))),
        at: now() - DAY * days_ago,
        kind: EventKind::Purchase(line),
    }
}

/// Customers who bought the first product, and the second ten days later.
fn moves(customers: std::ops::Range<usize>, first: usize, second: usize) -> Vec<Purchase> {
    customers.flat_map(|customer| [(customer, first, 20), (customer, second, 10)]).collect()
}

/// Upgrades from product 0 to product 1, with what was bought.
fn upgrades(
    products: [Product; 2],
    settings: CatalogSettings,
    purchases: &[Purchase],
) -> Vec<(Candidate, Vec<Evidence>)> {
    let catalog = Arc::new(Catalog::with_settings(products.to_vec(), settings));
    let mut history = TrainingHistory::new();
    // One more purchase, so that a model can be trained without others.
    let purchases = purchases.iter().chain(&[(999, 0, 5)]);
    purchases.enumerate().for_each(|(number, purchase)| history.push(&purchase_event(number, purchase)));
    let (model, _) = train(&history, &catalog, now(), &TrainingSettings::new(1, 1 << 30), &|_| {}).expect("a model");
    let held = HeldProduct { product: numbered_product_id(0), first_at: now(), last_at: now(), usage: Vec::new() };
    let bound = BoundModel::new(Arc::new(model), catalog);
    let proposal = bound.up_sell(&UpSellQuery {
        customer: CustomerContext::default(),
        owned: vec![held],
        low_usage_share: 0.5,
        now: now(),
    });
    let with_evidence = |candidate: Candidate| (candidate.clone(), proposal.support(&candidate).evidence);
    proposal.candidates().map(with_evidence).collect()
}

fn toaster(number: usize, price: &str) -> Product {
    titled(&format!("Toaster {number}"), number, price)
}

fn titled(title: &str, number: usize, price: &str) -> Product {
    Product { category: vec!["Kitchen".into()], price: Some(gbp(price)), ..product(format!("p{number}"), title) }
}

fn slots(slots: f64, of: Product) -> Product {
    with_feature("slots", FeatureValue::Number(slots), of)
}

fn wide(of: Product) -> Product {
    with_feature("wide", FeatureValue::Flag(true), of)
}

/// Broken by: any evidence left out of the rule: a price alone, features alone, moves alone.
#[test]
fn an_upgrade_needs_evidence_of_being_better() {
    let with_first = |of: Product| Product { compatible_with: BTreeSet::from([numbered_product_id(0)]), ..of };
    let on_tier = |tier: u32, of: Product| on_ladder("ladder", tier, of);
    let variant = |of: Product| Product { item_group: Some(item_group("toaster")), ..of };
    let (small, large) = (toaster(0, "10"), toaster(1, "15"));
    let cases = [
        ("a price alone", [small.clone(), large.clone()], moves(0..0, 0, 1), false),
        ("better features", [slots(2.0, small.clone()), slots(4.0, large.clone())], moves(0..0, 0, 1), true),
        ("better and worse", [wide(slots(2.0, small.clone())), slots(4.0, large.clone())], moves(0..9, 0, 1), false),
        ("a higher tier", [on_tier(1, small.clone()), on_tier(2, toaster(1, "90"))], moves(0..0, 0, 1), true),
        ("a lower tier", [on_tier(2, small.clone()), on_tier(1, large.clone())], moves(0..9, 0, 1), false),
        (
            "a variant of it",
            [variant(slots(2.0, small.clone())), variant(slots(4.0, large.clone()))],
            moves(0..9, 0, 1),
            false,
        ),
        ("a complement", [small.clone(), with_first(large.clone())], moves(0..9, 0, 1), false),
        ("from a ladder", [on_tier(1, small.clone()), large.clone()], moves(0..9, 0, 1), false),
        ("to a ladder", [small, on_tier(1, wide(large))], moves(0..9, 0, 1), false),
    ];
    for (name, products, purchases, is_upgrade) in cases {
        let upgrades = upgrades(products, CatalogSettings::default(), &purchases);
        assert_eq!(!upgrades.is_empty(), is_upgrade, "{name}: {upgrades:?}");
    }
}

/// A move seen in histories is evidence of replacement only when the two stand for each other.
///
/// Broken by: moves counted whatever the titles, the price, the orders that hold both, the way back, or what is bought again.
#[test]
fn only_products_that_stand_for_each_other_are_replaced() {
    let toasters = || [toaster(0, "10"), toaster(1, "15")];
    let with = |more: &[Vec<Purchase>]| [moves(0..9, 0, 1), more.concat()].concat();
    let at_once = |customers: std::ops::Range<usize>| -> Vec<Purchase> {
        customers.flat_map(|customer| [(customer, 0, 3), (customer, 1, 3)]).collect()
    };
    let again =
        |customers: std::ops::Range<usize>| customers.map(|customer| (customer, 0, 2)).collect::<Vec<Purchase>>();
    let cases = [
        ("clear moves", toasters(), with(&[]), true),
        ("five moves", toasters(), moves(0..5, 0, 1), true),
        ("four moves", toasters(), moves(0..4, 0, 1), false),
        ("some moves back", toasters(), with(&[moves(20..22, 1, 0)]), true),
        ("many moves back", toasters(), with(&[moves(20..24, 1, 0)]), false),
        ("bought at once by one", toasters(), with(&[at_once(20..21)]), true),
        ("bought at once by many", toasters(), with(&[at_once(20..24)]), false),
        ("bought again by one", toasters(), with(&[again(0..1)]), true),
        ("bought again by many", toasters(), with(&[again(0..4)]), false),
        ("another kind", [titled("Crumb tray", 0, "10"), titled("Bread knife", 1, "15")], with(&[]), false),
        ("a shared word", [titled("Coffee filters", 0, "10"), titled("Coffee beans", 1, "15")], with(&[]), false),
        ("pennies dearer", [toaster(0, "10"), toaster(1, "10.50")], with(&[]), false),
        ("cheaper", [toaster(0, "10"), toaster(1, "8")], with(&[]), false),
        ("far dearer", [toaster(0, "10"), toaster(1, "31")], with(&[]), false),
        (
            "another category",
            [toaster(0, "10"), Product { category: vec!["Garden".into()], ..toaster(1, "15") }],
            with(&[]),
            false,
        ),
    ];
    for (name, products, purchases, is_upgrade) in cases {
        let upgrades = upgrades(products, CatalogSettings::default(), &purchases);
        assert_eq!(!upgrades.is_empty(), is_upgrade, "{name}: {upgrades:?}");
    }
    // Where the orders of others show how often the two would be in one order by chance.
    let others: Vec<Purchase> = (100..500).map(|customer| (customer, 2, 3)).collect();
    for (name, at_once, is_upgrade) in [("moves of 30", at_once(0..0), true), ("10 at once", at_once(50..60), false)] {
        let purchases = [moves(0..30, 0, 1), at_once, others.clone()].concat();
        let upgrades = upgrades(toasters(), CatalogSettings::default(), &purchases);
        assert_eq!(!upgrades.is_empty(), is_upgrade, "{name}: {upgrades:?}");
    }
    let evidence = upgrades(toasters(), CatalogSettings::default(), &with(&[again(0..1)])).remove(0).1;
    let moved = evidence.iter().find(|evidence| matches!(evidence, Evidence::MovedUp { .. }));
    assert_eq!(moved, Some(&Evidence::MovedUp { customers: 8 }), "the one who bought it again did not replace it");
}

/// Broken by: "1 of 1 customers moved up", which says nothing.
#[test]
fn few_moves_and_buyers_are_no_reason() {
    let tiers = || [on_ladder("ladder", 1, toaster(0, "10")), on_ladder("ladder", 2, toaster(1, "15"))];
    for (customers, is_reason) in [(4, false), (5, true)] {
        let evidence = upgrades(tiers(), CatalogSettings::default(), &moves(0..customers, 0, 1)).remove(0).1;
        let is_moved = evidence.iter().any(|evidence| matches!(evidence, Evidence::MovedUp { .. }));
        let is_popular = evidence.iter().any(|evidence| matches!(evidence, Evidence::Popular { .. }));
        assert_eq!((is_moved, is_popular), (is_reason, is_reason), "{customers}: {evidence:?}");
    }
}

/// Broken by: higher numbers that are better whatever the price; declared orders that are ignored; products of different kinds
/// compared by one feature.
#[test]
fn more_is_better_only_where_it_is() {
    let number = |name: &str, value: f64, of: Product| with_feature(name, FeatureValue::Number(value), of);
    let declared = |orders: &[(&str, FeatureOrder)]| CatalogSettings {
        feature_orders: FeatureOrders::new(
            orders.iter().map(|&(name, order)| (name.to_owned(), order)).collect::<BTreeMap<_, _>>(),
        ),
        ..CatalogSettings::default()
    };
    let nothing = || declared(&[]);
    let of_both = |name: &str, from: f64, to: f64, prices: [&str; 2]| {
        [number(name, from, toaster(0, prices[0])), number(name, to, toaster(1, prices[1]))]
    };
    let kettle = titled("Kettle", 0, "10");
    let less = || declared(&[("weight", FeatureOrder::LessIsBetter)]);
    let cases = [
        ("more and dearer", of_both("slots", 2.0, 4.0, ["10", "15"]), nothing(), true),
        ("more at the same price", of_both("slots", 2.0, 4.0, ["10", "10"]), nothing(), false),
        ("more and cheaper", of_both("slots", 2.0, 4.0, ["10", "8"]), nothing(), false),
        (
            "declared, at the same price",
            of_both("slots", 2.0, 4.0, ["10", "10"]),
            declared(&[("slots", FeatureOrder::MoreIsBetter)]),
            true,
        ),
        ("a larger size", of_both("size", 42.0, 44.0, ["10", "15"]), nothing(), false),
        ("heavier and dearer", of_both("weight_kg", 1.1, 2.9, ["10", "15"]), nothing(), false),
        ("lighter, not declared", of_both("weight_kg", 2.9, 1.1, ["10", "15"]), nothing(), false),
        ("lighter, declared", of_both("weight_kg", 2.9, 1.1, ["10", "15"]), less(), true),
        ("lighter, declared, at the same price", of_both("weight_kg", 2.9, 1.1, ["10", "10"]), less(), true),
        ("heavier, declared", of_both("weight_kg", 1.1, 2.9, ["10", "15"]), less(), false),
        (
            "watts of another kind",
            [number("watts", 900.0, kettle), number("watts", 1500.0, toaster(1, "15"))],
            nothing(),
            false,
        ),
        ("a number that only one has", [toaster(0, "10"), slots(4.0, toaster(1, "15"))], nothing(), false),
    ];
    for (name, products, settings, is_upgrade) in cases {
        let upgrades = upgrades(products, settings, &[]);
        assert_eq!(!upgrades.is_empty(), is_upgrade, "{name}: {upgrades:?}");
    }
}

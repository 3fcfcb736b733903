//! What is sold in the market: three plans on a ladder, six add-ons, and things that are bought by the way.

use std::collections::BTreeSet;

use crate::domain::catalog::Catalog;
use crate::domain::ids::{LadderId, ProductId};
use crate::domain::money::{Currency, Money};
use crate::domain::product::{LadderPosition, Product};

/// Plans.
pub const PLANS: usize = 3;
/// Add-ons.
pub const ADD_ONS: usize = 6;

/// The catalogue and the names in it.
pub struct Shop {
    /// For decisions.
    pub catalog: Catalog,
    /// The plans, the smallest first.
    pub plans: [ProductId; PLANS],
    /// The add-ons.
    pub add_ons: [ProductId; ADD_ONS],
    /// What is bought by the way.
    pub item: ProductId,
}

impl Shop {
    /// Opens the shop.
    pub fn open(plan_margins: [f64; PLANS], add_on_margin: f64) -> Self {
        let id = |name: String| ProductId::new(name).expect("a short text");
        let plans = std::array::from_fn(|tier| id(format!("plan-{tier}")));
        let add_ons = std::array::from_fn(|number| id(format!("add-on-{number}")));
        let item = id("item".to_owned());
        let plan = |tier: usize| Product {
            category: vec!["Plans".to_owned()],
            ladder_position: Some(LadderPosition {
                ladder: LadderId::new("plans").expect("a short text"),
                tier: u32::try_from(tier).expect("three plans"),
            }),
            ..priced(&plans[tier], plan_margins[tier])
        };
        // Of different categories: the slate may hold any of them.
        let add_on = |number: usize| Product {
            category: vec![format!("Add-ons {number}")],
            requires: BTreeSet::new(),
            ..priced(&add_ons[number], add_on_margin)
        };
        let item_product = Product { available: false, repeatable: true, ..Product::new(item.clone(), "Item") };
        let products = (0..PLANS).map(plan).chain((0..ADD_ONS).map(add_on)).chain([item_product]);
        let catalog = Catalog::new(products.collect());
        Self { catalog, plans, add_ons, item }
    }
}

/// A product that earns this a month, and costs some three times as much.
fn priced(id: &ProductId, margin: f64) -> Product {
    let euros = Currency::new("EUR").expect("a currency");
    #[allow(clippy::cast_possible_truncation, reason = "at most a million")]
    let units = |amount: f64| Money::new(euros, amount.round() as i64, 0).expect("no fraction");
    Product {
        price: Some(units((margin * 3.0).max(1.0))),
        margin: Some(units(margin.max(1.0))),
        ..Product::new(id.clone(), id.to_string())
    }
}

//! Catalogue of the market: three plans on a ladder, six add-ons, and one item for spontaneous purchases.

use std::collections::BTreeSet;

use crate::domain::catalog::Catalog;
use crate::domain::ids::{LadderId, ProductId};
use crate::domain::money::{Currency, Money};
use crate::domain::product::{LadderPosition, Product};

/// Number of plans on the ladder.
pub const PLANS: usize = 3;
/// Number of add-ons in the catalogue.
pub const ADD_ONS: usize = 6;

/// Catalogue of the market with the ids of its products.
pub struct SimulatedShop {
    /// Catalogue that decisions use.
    pub catalog: Catalog,
    /// Ids of the plans, the smallest first.
    pub plans: [ProductId; PLANS],
    /// Ids of the add-ons.
    pub add_ons: [ProductId; ADD_ONS],
    /// Id of the item of spontaneous purchases.
    pub item: ProductId,
}

impl SimulatedShop {
    /// Builds the catalogue from monthly margins.
    pub fn new(plan_margins: [f64; PLANS], add_on_margin: f64) -> Self {
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
        // Each has a category of its own, so that the slate may hold any of them.
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

/// Makes a product with this monthly margin and a price of about three times the margin.
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

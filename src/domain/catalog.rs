//! The catalogue as an immutable snapshot, with the look-ups that rules and models need.

use std::collections::{BTreeMap, HashMap};

use super::catalog_settings::{CatalogSettings, ItemGroupSource};
use super::ids::{ItemGroupId, LadderId, ProductId};
use super::money::Currency;
use super::product::Product;
use super::variant_titles::variants_by_title;

/// All products at one moment. Shared behind an `Arc`; a change of the catalogue creates a new snapshot.
#[derive(Debug, Default)]
pub struct Catalog {
    settings: CatalogSettings,
    products: Vec<Product>,
    by_id: HashMap<ProductId, usize>,
    by_ladder: HashMap<LadderId, Vec<usize>>,
    /// Variants of one product each, at least two, in order of id.
    variant_groups: Vec<Vec<usize>>,
    /// Index of each product's group in `variant_groups`.
    variant_group_of: Vec<Option<usize>>,
    by_category: HashMap<Vec<String>, Vec<usize>>,
    /// By currency: amounts in different currencies cannot be compared.
    median_price: HashMap<Currency, f64>,
}

impl Catalog {
    /// Indexes the products by id, with the default settings; of several with the same id the last one wins.
    pub fn new(products: Vec<Product>) -> Self {
        Self::with_settings(products, CatalogSettings::default())
    }

    /// Indexes the products by id; of several with the same id the last one wins.
    pub fn with_settings(products: Vec<Product>, settings: CatalogSettings) -> Self {
        let mut latest: BTreeMap<ProductId, Product> = BTreeMap::new();
        for product in products {
            latest.insert(product.id.clone(), product);
        }
        let mut catalog = Self { settings, products: latest.into_values().collect(), ..Self::default() };
        let mut prices: HashMap<Currency, Vec<f64>> = HashMap::new();
        for (index, product) in catalog.products.iter().enumerate() {
            catalog.by_id.insert(product.id.clone(), index);
            if let Some(position) = &product.ladder_position {
                catalog.by_ladder.entry(position.ladder.clone()).or_default().push(index);
            }
            if !product.category.is_empty() {
                catalog.by_category.entry(product.category.clone()).or_default().push(index);
            }
            if let Some(price) = product.price {
                prices.entry(price.currency()).or_default().push(price.approximate());
            }
        }
        catalog.group_variants();
        catalog.median_price = prices.into_iter().map(|(currency, prices)| (currency, median(prices))).collect();
        catalog
    }

    /// Settings of the catalogue as a whole.
    pub fn settings(&self) -> &CatalogSettings {
        &self.settings
    }

    /// Looks up a product.
    pub fn get(&self, id: &ProductId) -> Option<&Product> {
        self.by_id.get(id).map(|&index| &self.products[index])
    }

    /// Index of a product in [`Catalog::products`].
    pub fn index_of(&self, id: &ProductId) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// All products, ordered by id.
    pub fn products(&self) -> &[Product] {
        &self.products
    }

    /// The products of a ladder, ordered by id.
    pub fn on_ladder(&self, ladder: &LadderId) -> impl Iterator<Item = &Product> {
        self.by_ladder.get(ladder).into_iter().flatten().map(|&index| &self.products[index])
    }

    fn group_variants(&mut self) {
        let mut declared: BTreeMap<&ItemGroupId, Vec<usize>> = BTreeMap::new();
        for (index, product) in self.products.iter().enumerate() {
            if let Some(group) = &product.item_group {
                declared.entry(group).or_default().push(index);
            }
        }
        let declared = declared.into_values().filter(|variants| variants.len() > 1);
        self.variant_groups = match self.settings.item_groups {
            ItemGroupSource::Inferred => declared.chain(variants_by_title(&self.products)).collect(),
            ItemGroupSource::Declared => declared.collect(),
        };
        self.variant_group_of = vec![None; self.products.len()];
        for (group, variants) in self.variant_groups.iter().enumerate() {
            for &index in variants {
                self.variant_group_of[index] = Some(group);
            }
        }
    }

    /// The other variants of a product: those of its item group, ordered by id.
    pub fn variants_of(&self, id: &ProductId) -> impl Iterator<Item = &Product> {
        let index = self.index_of(id);
        let variants = index.map_or(&[][..], |index| self.variants_at(index));
        variants.iter().filter(move |other| Some(**other) != index).map(|&other| &self.products[other])
    }

    /// True for two different products of one item group.
    pub fn are_variants(&self, one: &ProductId, other: &ProductId) -> bool {
        let group = |id| self.index_of(id).and_then(|index| self.variant_group_of[index]);
        one != other && group(one).is_some_and(|of_one| group(other) == Some(of_one))
    }

    /// Indices of all variants of the item group of the product at an index, itself included; empty without others.
    pub fn variants_at(&self, index: usize) -> &[usize] {
        self.variant_group_of[index].map_or(&[], |group| &self.variant_groups[group])
    }

    /// The product that stands for all variants of a product: the first of them by id; the product itself without others.
    pub fn representative_of<'a>(&'a self, id: &'a ProductId) -> &'a ProductId {
        let first = self.index_of(id).and_then(|index| self.variants_at(index).first());
        first.map_or(id, |&first| &self.products[first].id)
    }

    /// The products whose category path is exactly this one, ordered by id.
    pub fn in_category(&self, category: &[String]) -> impl Iterator<Item = &Product> {
        self.by_category.get(category).into_iter().flatten().map(|&index| &self.products[index])
    }

    /// Median price of the products priced in this currency, above zero; `None` when there is none.
    pub fn median_price(&self, currency: Currency) -> Option<f64> {
        self.median_price.get(&currency).copied().filter(|&median| median > 0.0)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken by: a product among its own variants, products without a group taken for variants of each other.
    #[test]
    fn variants_are_the_other_products_of_the_item_group() {
        let id = |text: &str| ProductId::new(text).expect("a valid id");
        let of_group = |text: &str, group: &str| Product {
            item_group: Some(ItemGroupId::new(group).expect("a valid id")),
            ..Product::new(id(text), text)
        };
        let plain = ["kettle", "toaster"].map(|text| Product::new(id(text), text));
        let variants = [("red", "hoodie"), ("blue", "hoodie"), ("green", "hoodie"), ("socks", "socks")];
        let catalog =
            Catalog::new(plain.into_iter().chain(variants.map(|(text, group)| of_group(text, group))).collect());
        let variants_of = |text: &str| -> Vec<String> {
            catalog.variants_of(&id(text)).map(|product| product.id.to_string()).collect()
        };
        assert_eq!(variants_of("red"), ["blue", "green"]);
        for alone in ["kettle", "toaster", "socks", "unknown"] {
            assert!(variants_of(alone).is_empty(), "{alone}");
        }
        assert_eq!(catalog.representative_of(&id("red")), &id("blue"));
        assert_eq!(catalog.representative_of(&id("kettle")), &id("kettle"));
        assert!(catalog.are_variants(&id("red"), &id("blue")));
        assert!(!catalog.are_variants(&id("red"), &id("red")) && !catalog.are_variants(&id("red"), &id("socks")));
    }
}

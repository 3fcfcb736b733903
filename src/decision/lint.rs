//! The lint of policy, catalogue and explicit offers: valid settings that are probably a mistake.
//!
//! It only reports; decisions never depend on it. Findings come in a fixed order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::explicit_offer_index::{ExplicitOfferIndex, IndexedOffer, product_under_terms};
use crate::domain::catalog::Catalog;
use crate::domain::ids::{LadderId, ProductId};
use crate::domain::lint_finding::{LintFinding, ProductRelation};
use crate::domain::money::Money;
use crate::domain::policy::{ContactPolicy, Policy, ProductFamily};
use crate::domain::product::Product;

/// Policy, catalogue and explicit offers to be linted together.
#[derive(Debug, Clone, Copy)]
pub struct LintContext<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The catalogue.
    pub catalog: &'a Catalog,
    /// The explicit offers, indexed under the policy.
    pub offers: &'a ExplicitOfferIndex,
}

impl LintContext<'_> {
    /// All findings.
    pub fn all(&self) -> Vec<LintFinding> {
        let mut findings = self.of_rules_and_conditions();
        findings.extend(self.of_products(self.catalog.products().iter().map(|product| &product.id)));
        findings
    }

    /// Findings of the rules and families of the policy, and of conditions under it.
    pub fn of_policy(&self) -> Vec<LintFinding> {
        let mut findings = self.of_rules_and_conditions();
        let with_needs: BTreeSet<&ProductId> =
            self.policy.contact.only_after.iter().map(|rule| &rule.product).collect();
        findings.extend(self.cycles(with_needs));
        findings
    }

    fn of_rules_and_conditions(&self) -> Vec<LintFinding> {
        let contact = &self.policy.contact;
        let named = products_named_by(contact);
        let unknown = named.into_iter().filter(|(_, product)| self.catalog.get(product).is_none());
        let mut findings: Vec<LintFinding> = unknown
            .map(|(key, product)| LintFinding::UnknownProductInPolicy { key, product: product.clone() })
            .collect();
        let has_no_product =
            |family: &&ProductFamily| !self.catalog.products().iter().any(|product| family.contains(product));
        let empty = contact.families.iter().filter(has_no_product);
        findings.extend(empty.map(|family| LintFinding::EmptyFamily { family: family.name.clone() }));
        let unusable = self.offers.unusable_conditions().into_iter();
        findings.extend(
            unusable.map(|(offer, error)| LintFinding::UnusableCondition {
                offer: offer.clone(),
                problem: error.to_string(),
            }),
        );
        findings
    }

    /// Findings of some products, their ladders, and their explicit offers.
    pub fn of_products<'p>(&self, products: impl IntoIterator<Item = &'p ProductId>) -> Vec<LintFinding> {
        let products: BTreeSet<&ProductId> = products.into_iter().collect();
        let known: Vec<&Product> = products.iter().filter_map(|product| self.catalog.get(product)).collect();
        let mut findings: Vec<LintFinding> = known.iter().flat_map(|product| self.of_product(product)).collect();
        findings.extend(self.cycles(known.iter().map(|product| &product.id)));
        let ladders = known.iter().filter_map(|product| product.ladder_position.as_ref());
        let ladders: BTreeSet<&LadderId> = ladders.map(|position| &position.ladder).collect();
        findings.extend(ladders.into_iter().flat_map(|ladder| self.duplicate_rungs(ladder)));
        findings.extend(products.iter().flat_map(|product| self.of_offers(product)));
        findings
    }

    fn of_product(&self, product: &Product) -> Vec<LintFinding> {
        let relations = [
            (ProductRelation::Requires, &product.requires),
            (ProductRelation::Excludes, &product.excludes),
            (ProductRelation::CompatibleWith, &product.compatible_with),
        ];
        let mut findings = Vec::new();
        for (relation, others) in relations {
            for other in others.iter().filter(|other| self.catalog.get(other).is_none()) {
                let (product, other) = (product.id.clone(), other.clone());
                findings.push(LintFinding::UnknownRelatedProduct { product, relation, other });
            }
        }
        findings.extend(self.required_and_excluded(product));
        if let Some(margin) = product.margin.filter(|margin| margin.is_negative()) {
            findings.push(LintFinding::NegativeMargin { product: product.id.clone(), margin });
        }
        findings
    }

    /// A required product that the customer cannot own, because one of the products involved excludes it.
    fn required_and_excluded(&self, product: &Product) -> Option<LintFinding> {
        let excludes = |by: &ProductId, excluded: &ProductId| {
            let by = if *by == product.id { Some(product) } else { self.catalog.get(by) };
            by.is_some_and(|by| by.excludes.contains(excluded))
        };
        let involved: Vec<&ProductId> = std::iter::once(&product.id).chain(&product.requires).collect();
        let pairs = involved.iter().flat_map(|by| involved.iter().map(move |excluded| (*by, *excluded)));
        let (excluded_by, required) =
            pairs.into_iter().find(|(by, excluded)| by != excluded && excludes(by, excluded))?;
        Some(LintFinding::RequiredAndExcluded {
            product: product.id.clone(),
            required: required.clone(),
            excluded_by: excluded_by.clone(),
        })
    }

    fn duplicate_rungs(&self, ladder: &LadderId) -> Vec<LintFinding> {
        let mut by_tier: BTreeMap<u32, Vec<ProductId>> = BTreeMap::new();
        for product in self.catalog.on_ladder(ladder) {
            if let Some(position) = &product.ladder_position {
                by_tier.entry(position.tier).or_default().push(product.id.clone());
            }
        }
        let duplicates = by_tier.into_iter().filter(|(_, products)| products.len() > 1);
        duplicates
            .map(|(tier, products)| LintFinding::DuplicateRung { ladder: ladder.clone(), tier, products })
            .collect()
    }

    /// Findings of the explicit offers of a product.
    pub fn of_offers(&self, product: &ProductId) -> Vec<LintFinding> {
        let mut findings = Vec::new();
        for IndexedOffer { offer, .. } in self.offers.of(product) {
            let Some(product) = self.catalog.get(product) else {
                let (offer, product) = (offer.id.clone(), product.clone());
                findings.push(LintFinding::UnknownOfferedProduct { offer, product });
                continue;
            };
            let prices = offer
                .price
                .zip(product.price)
                .filter(|(price, list_price)| list_price.minus(*price).is_some_and(Money::is_negative));
            if let Some((price, list_price)) = prices {
                findings.push(LintFinding::OfferPriceAboveListPrice { offer: offer.id.clone(), price, list_price });
            }
            let is_discounted = offer.price.is_some() && product.margin.is_none_or(|margin| !margin.is_negative());
            let margin = product_under_terms(product, Some(offer)).margin;
            if let Some(margin) = margin.filter(|margin| is_discounted && margin.is_negative()) {
                findings.push(LintFinding::NegativeOfferMargin { offer: offer.id.clone(), margin });
            }
        }
        findings
    }

    /// Shortest circles of needs through each of these products, each circle once.
    fn cycles<'p>(&self, products: impl IntoIterator<Item = &'p ProductId>) -> Vec<LintFinding> {
        let mut needs_of_rules: BTreeMap<&ProductId, Vec<&ProductId>> = BTreeMap::new();
        for rule in &self.policy.contact.only_after {
            needs_of_rules.entry(&rule.product).or_default().push(&rule.after);
        }
        let mut reported: BTreeSet<ProductId> = BTreeSet::new();
        let mut findings = Vec::new();
        for product in products {
            if reported.contains(product) {
                continue;
            }
            let Some(cycle) = self.shortest_cycle(product, &needs_of_rules) else { continue };
            reported.extend(cycle.iter().cloned());
            findings.push(LintFinding::RequiresCycle { products: from_smallest(cycle) });
        }
        findings
    }

    /// The shortest circle of needs through a product, found breadth first, among at most [`CYCLE_PRODUCTS_MAX`] products.
    fn shortest_cycle(
        &self,
        start: &ProductId,
        needs_of_rules: &BTreeMap<&ProductId, Vec<&ProductId>>,
    ) -> Option<Vec<ProductId>> {
        let mut needed_by: BTreeMap<ProductId, ProductId> = BTreeMap::new();
        let mut queue = VecDeque::from([start.clone()]);
        while let Some(product) = queue.pop_front() {
            let required = self.catalog.get(&product).into_iter().flat_map(|product| &product.requires);
            let of_rules = needs_of_rules.get(&product).into_iter().flatten().copied();
            for needed in required.chain(of_rules) {
                if needed == start {
                    let path = std::iter::successors(Some(product.clone()), |product| needed_by.get(product).cloned());
                    let mut path: Vec<ProductId> = path.collect();
                    path.reverse();
                    return Some(path);
                }
                if needed_by.len() < CYCLE_PRODUCTS_MAX && !needed_by.contains_key(needed) {
                    needed_by.insert(needed.clone(), product.clone());
                    queue.push_back(needed.clone());
                }
            }
        }
        None
    }
}

/// Maximum number of products that the search for one circle visits. Chains of needs have a few products.
const CYCLE_PRODUCTS_MAX: usize = 256;

/// Turns a circle so that it begins with its smallest id.
fn from_smallest(mut cycle: Vec<ProductId>) -> Vec<ProductId> {
    let smallest = cycle.iter().enumerate().min_by(|(_, a), (_, b)| a.cmp(b)).map_or(0, |(index, _)| index);
    cycle.rotate_left(smallest);
    cycle
}

/// Products that rules and families of a policy name, with the key that names them, ordered by key.
fn products_named_by<'p>(contact: &'p ContactPolicy) -> Vec<(String, &'p ProductId)> {
    let mut named: Vec<(String, &ProductId)> = Vec::new();
    let mut add = |key: &str, product: &'p ProductId| named.push((key.to_owned(), product));
    for family in &contact.families {
        family.products.iter().for_each(|product| add(&format!("contact.families.{}", family.name), product));
    }
    for (a, b) in &contact.never_together {
        add("contact.rules.never_together", a);
        add("contact.rules.never_together", b);
    }
    for rule in &contact.never_after {
        add("contact.rules.never_after", &rule.first);
        add("contact.rules.never_after", &rule.then);
    }
    for rule in &contact.only_after {
        add("contact.rules.only_after", &rule.product);
        add("contact.rules.only_after", &rule.after);
    }
    named.sort();
    named.dedup();
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::explicit_offer::{AttributeKind, AttributeKinds, ExplicitOffer};
    use crate::domain::ids::OfferId;
    use crate::domain::money::Currency;
    use crate::domain::policy::{NeverAfter, OnlyAfter};
    use crate::domain::product::LadderPosition;
    use crate::domain::time::DAY;

    fn id(text: &str) -> ProductId {
        ProductId::new(text).expect("an id")
    }

    fn gbp(text: &str) -> Money {
        Money::parse(text, Currency::new("GBP").expect("a code")).expect("an amount")
    }

    fn product(text: &str, requires: &[&str], excludes: &[&str]) -> Product {
        Product {
            requires: requires.iter().map(|it| id(it)).collect(),
            excludes: excludes.iter().map(|it| id(it)).collect(),
            ..Product::new(id(text), text)
        }
    }

    fn rung(text: &str, tier: u32) -> Product {
        let ladder = LadderId::new("toasters").expect("an id");
        Product { ladder_position: Some(LadderPosition { ladder, tier }), ..Product::new(id(text), text) }
    }

    fn offer(text: &str, product: &str, price: Option<Money>, condition: Option<&str>) -> ExplicitOffer {
        let condition = condition.map(str::to_owned);
        ExplicitOffer { price, condition, ..ExplicitOffer::new(OfferId::new(text).expect("an id"), id(product)) }
    }

    fn family(name: &str, category: &[&str], products: &[&str]) -> ProductFamily {
        ProductFamily {
            name: name.to_owned(),
            category: category.iter().map(|it| (*it).to_owned()).collect(),
            products: products.iter().map(|it| id(it)).collect(),
            per_slate: 1,
            per_window: 1,
        }
    }

    fn sentences(policy: &Policy, products: Vec<Product>, offers: Vec<ExplicitOffer>) -> Vec<String> {
        let catalog = Catalog::new(products);
        let offers = ExplicitOfferIndex::new(offers, &policy.condition_attributes);
        let findings = LintContext { policy, catalog: &catalog, offers: &offers }.all();
        findings.iter().map(|finding| format!("{} {}: {finding}", finding.code(), finding.subject())).collect()
    }

    /// Broken by: any check that is left out.
    #[test]
    fn each_mistake_is_found_once() {
        let mut policy = Policy::default();
        policy.contact.families = vec![family("empty", &["Toys"], &["ghost"]), family("tea", &[], &["kettle"])];
        policy.contact.never_together = vec![(id("kettle"), id("gone"))];
        policy.contact.never_after = vec![NeverAfter { first: id("kettle"), then: id("gone"), within: DAY }];
        policy.contact.only_after = vec![OnlyAfter { product: id("hob"), after: id("kettle") }];
        policy.condition_attributes = AttributeKinds::from([("age".to_owned(), AttributeKind::Number)]);
        let products = vec![
            Product { price: Some(gbp("20")), margin: Some(gbp("5")), ..product("kettle", &["hob"], &[]) },
            Product { margin: Some(gbp("-1")), price: Some(gbp("9")), ..product("hob", &[], &[]) },
            product("pan", &["lid"], &["lid"]),
            product("lid", &[], &[]),
            product("cup", &["saucer", "mug"], &[]),
            product("saucer", &[], &["mug"]),
            product("mug", &["rack"], &[]),
            product("rack", &[], &["mug"]),
            Product { compatible_with: [id("nowhere")].into(), ..product("tea", &[], &[]) },
            rung("small", 1),
            rung("medium", 2),
            rung("middle", 2),
        ];
        let offers = vec![
            offer("dear", "kettle", Some(gbp("21")), None),
            offer("cheap", "kettle", Some(gbp("14")), None),
            offer("fair", "kettle", Some(gbp("15")), Some("age >= 30")),
            offer("broken", "kettle", None, Some("age == '30'")),
        ];
        let expected = [
            "UNKNOWN_PRODUCT_IN_POLICY contact.families.empty: contact.families.empty names ghost, which is not in the \
             catalogue",
            "UNKNOWN_PRODUCT_IN_POLICY contact.rules.never_after: contact.rules.never_after names gone, which is not in \
             the catalogue",
            "UNKNOWN_PRODUCT_IN_POLICY contact.rules.never_together: contact.rules.never_together names gone, which is \
             not in the catalogue",
            "EMPTY_FAMILY contact.families.empty: no product of the catalogue belongs to the family empty",
            "UNUSABLE_CONDITION broken: the condition of broken has operands of the wrong kind: `==` cannot take a \
             number and a text at character 5; the offer applies to no customer",
            "REQUIRED_AND_EXCLUDED cup: cup requires mug and saucer, which exclude each other",
            "NEGATIVE_MARGIN hob: hob has a negative margin, -1.00 GBP",
            "REQUIRED_AND_EXCLUDED mug: mug requires rack, which excludes it, so it is never offered",
            "REQUIRED_AND_EXCLUDED pan: pan requires lid and excludes it, so it is never offered",
            "UNKNOWN_RELATED_PRODUCT tea: compatible_with of tea names nowhere, which is not in the catalogue",
            "REQUIRES_CYCLE hob: hob and kettle require each other in a circle, so none of them can be offered first",
            "DUPLICATE_RUNG toasters: medium and middle have the same tier 2 on the ladder toasters",
            "NEGATIVE_OFFER_MARGIN cheap: the discount of cheap leaves a negative margin, -1.00 GBP",
            "OFFER_PRICE_ABOVE_LIST_PRICE dear: dear costs 21.00 GBP, more than the price of the product, 20.00 GBP",
        ];
        assert_eq!(sentences(&policy, products, offers), expected);
    }

    #[test]
    fn a_shop_without_mistakes_has_no_findings() {
        let policy = Policy::default();
        let products = vec![
            Product { price: Some(gbp("20")), margin: Some(gbp("5")), ..product("kettle", &["hob"], &["samovar"]) },
            product("hob", &[], &[]),
            product("samovar", &[], &["kettle"]),
            rung("small", 1),
            rung("big", 2),
        ];
        let offers =
            vec![offer("fair", "kettle", Some(gbp("20")), None), offer("cheap", "kettle", Some(gbp("15")), None)];
        assert_eq!(sentences(&policy, products, offers), Vec::<String>::new());
    }

    /// Broken by: a search that recurses, or that visits a product for each path to it.
    #[test]
    fn long_and_dense_chains_of_needs_are_searched_within_limits() {
        let name = |number: usize| format!("p{number:05}");
        let dense = (0..60).map(|number| {
            let requires: Vec<String> = (number + 1..60).map(name).collect();
            product(&name(number), &requires.iter().map(String::as_str).collect::<Vec<_>>(), &[])
        });
        assert_eq!(sentences(&Policy::default(), dense.collect(), Vec::new()), Vec::<String>::new());
        let ring = (0..200).map(|number| product(&name(number), &[&name((number + 1) % 200)], &[]));
        let found = sentences(&Policy::default(), ring.collect(), Vec::new());
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("p00000, p00001, p00002, p00003, p00004 and 195 more require each other"),
            "{found:?}"
        );
    }
}

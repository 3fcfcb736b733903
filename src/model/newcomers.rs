//! Cold start of products: what nobody bought yet is taken to sell like its category, only less.
//!
//! Products with one category path of which the model knows some and not others are a family. Once the likeliest products
//! are ranked, the newcomers of their families join them. What is not on sale takes no place here; whether a newcomer may be
//! offered otherwise is for the rules to say.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use crate::domain::cached_ranking::RankedProduct;
use crate::domain::catalog::Catalog;
use crate::domain::product::Product;
use crate::domain::time::Timestamp;

use super::offer_model::LearnedProduct;
use super::ranking::ranker::WEIGHED_MAX;

/// The propensity of a newcomer, as a share of the mean of its learned siblings. Below 1, because what is known to sell is what
/// lasted; how far below is an assumption.
pub const NEWCOMER_SHARE: f64 = 0.5;
/// The most newcomers of one family among the ranked, so that a new collection does not crowd out what is known to sell.
pub const NEWCOMERS_MAX: usize = 3;

/// The products of a catalogue that nobody bought yet, in categories of which something was.
#[derive(Debug, Hash)]
pub struct Newcomers {
    families: Vec<Family>,
    /// What each product of the catalogue is to its family.
    kin: Vec<Option<Kin>>,
}

/// A category with products that the model has learned and products that it has not.
#[derive(Debug, Hash)]
struct Family {
    /// How many products were learned.
    siblings: usize,
    best_seller: Option<BestSeller>,
    /// The latest to become available first, then by id.
    newcomers: Vec<Newcomer>,
}

/// A product of a family, with the number of the family.
#[derive(Debug, Clone, Copy, Hash)]
enum Kin {
    /// The model has learned it.
    Sibling(usize),
    /// The model has not.
    Newcomer(usize),
}

#[derive(Debug, Hash)]
struct Newcomer {
    place: u32,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// The learned product of a family that most bought lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BestSeller {
    /// Its place in the catalogue.
    pub place: usize,
    /// Its [recent buyers](LearnedProduct::recent_buyers), at least one.
    pub buyers: u32,
}

impl Newcomers {
    /// Finds the families of a catalogue; `learned` tells what the model knows of the product at a place.
    pub fn new<'a>(catalog: &Catalog, learned: impl Fn(usize) -> Option<&'a LearnedProduct>) -> Self {
        let mut by_category: BTreeMap<&[String], (Vec<BestSeller>, Vec<Newcomer>)> = BTreeMap::new();
        for (place, product) in catalog.products().iter().enumerate() {
            if product.category.is_empty() {
                continue;
            }
            let (siblings, newcomers) = by_category.entry(&product.category).or_default();
            match learned(place) {
                Some(sibling) => siblings.push(BestSeller { place, buyers: sibling.recent_buyers }),
                None if product.available => newcomers.push(Newcomer::new(place, product)),
                None => {}
            }
        }
        let mut families = Vec::new();
        let mut kin = vec![None; catalog.products().len()];
        for (siblings, mut newcomers) in by_category.into_values() {
            if siblings.is_empty() || newcomers.is_empty() {
                continue;
            }
            newcomers.sort_by_key(|newcomer| (Reverse(newcomer.from), newcomer.place));
            for sibling in &siblings {
                kin[sibling.place] = Some(Kin::Sibling(families.len()));
            }
            for newcomer in &newcomers {
                kin[newcomer.place as usize] = Some(Kin::Newcomer(families.len()));
            }
            let most = siblings.iter().copied().max_by_key(|sibling| (sibling.buyers, Reverse(sibling.place)));
            let best_seller = most.filter(|sibling| sibling.buyers > 0);
            families.push(Family { siblings: siblings.len(), best_seller, newcomers });
        }
        Self { families, kin }
    }

    /// The ranked, best first, with the newcomers of their families among them: all where there is room, else those that are
    /// likelier than the last. A newcomer that was ranked already keeps its place if that is the better one.
    pub fn join(
        &self,
        mut ranked: Vec<RankedProduct>,
        now: Timestamp,
        may_join: impl Fn(u32) -> bool,
    ) -> Vec<RankedProduct> {
        let is_full = ranked.len() >= WEIGHED_MAX;
        let last = ranked.last().filter(|_| is_full).map_or(0.0, |last| last.propensity);
        for (family, propensity) in self.families.iter().zip(self.propensities(&ranked)) {
            if propensity > last {
                let newcomers = family.newcomers.iter().filter(|newcomer| newcomer.is_on_sale(now));
                let places = newcomers.map(|newcomer| newcomer.place).filter(|&place| may_join(place));
                ranked.extend(places.take(NEWCOMERS_MAX).map(|place| RankedProduct { place, propensity }));
            }
        }
        ranked.sort_by(|a, b| b.propensity.total_cmp(&a.propensity));
        // Only newcomers can be there twice.
        let mut joined = HashSet::new();
        ranked.retain(|ranked| match self.kin[ranked.place as usize] {
            Some(Kin::Newcomer(_)) => joined.insert(ranked.place),
            Some(Kin::Sibling(_)) | None => true,
        });
        ranked
    }

    /// How likely a newcomer of each family is, by its siblings among the ranked; the others count 0.
    fn propensities(&self, ranked: &[RankedProduct]) -> Vec<f32> {
        let mut sums = vec![0.0_f64; self.families.len()];
        for &RankedProduct { place, propensity } in ranked {
            if let Some(Kin::Sibling(family)) = self.kin[place as usize] {
                sums[family] += f64::from(propensity);
            }
        }
        let of_one = |(family, sum): (&Family, f64)| (NEWCOMER_SHARE * sum / family.siblings as f64) as f32;
        self.families.iter().zip(sums).map(of_one).collect()
    }

    /// The best seller beside the newcomer at a place; `None` where there is no newcomer, or nothing of its category was
    /// bought lately.
    pub fn best_seller_beside(&self, place: usize) -> Option<BestSeller> {
        match self.kin[place] {
            Some(Kin::Newcomer(family)) => self.families[family].best_seller,
            Some(Kin::Sibling(_)) | None => None,
        }
    }
}

impl Newcomer {
    fn new(place: usize, product: &Product) -> Self {
        Self { place: place as u32, from: product.available_from, until: product.available_until }
    }

    /// What is only announced would otherwise be the newest of all.
    fn is_on_sale(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ProductId;

    /// Broken by: newcomers joining a full list whatever their propensity.
    #[test]
    fn a_full_list_is_joined_only_by_what_is_likelier_than_its_last() {
        // Each learned product is of a category of its own, and has a newcomer beside it.
        let id = |name: String| ProductId::new(name).expect("a valid id");
        let of_pair = |number: usize, name: &str| Product {
            category: vec![number.to_string()],
            ..Product::new(id(format!("{name}-{number:03}")), "")
        };
        let pairs = (0..WEIGHED_MAX).flat_map(|number| [of_pair(number, "known"), of_pair(number, "new")]);
        let catalog = Catalog::new(pairs.collect());
        let known = LearnedProduct::unseen(id("known".to_owned()));
        let newcomers = Newcomers::new(&catalog, |place| (place < WEIGHED_MAX).then_some(&known));

        // From 1 down to 1/300.
        let share = |rank: usize| rank as f32 / WEIGHED_MAX as f32;
        let full: Vec<RankedProduct> = (0..WEIGHED_MAX as u32)
            .map(|place| RankedProduct { place, propensity: share(WEIGHED_MAX - place as usize) })
            .collect();
        let joined = newcomers.join(full.clone(), Timestamp::MAX, |_| true);
        assert!(joined.is_sorted_by(|a, b| a.propensity >= b.propensity));
        // Half of what is above twice the last is above the last.
        assert_eq!(joined.len(), WEIGHED_MAX + WEIGHED_MAX - 2);

        let room = newcomers.join(full[1..].to_vec(), Timestamp::MAX, |_| true);
        assert_eq!(room.len(), 2 * (WEIGHED_MAX - 1));
    }
}

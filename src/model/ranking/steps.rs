//! Steps from a product that a customer has to others of its ladder or category: how likely each is taken.
//!
//! A step is weighed like a complement to a basket that holds the owned product alone, and by what is known of the pair: who
//! moved from one to the other, who has both, and how they compare. Whether a step is one up is not asked here.

use crate::domain::catalog::Catalog;
use crate::domain::product::Product;

use super::super::propensity::Curve;
use super::super::upgrades::compare;
use super::asked::Asked;
use super::forest::Forest;
use super::lanes::{AllLanes, lanes_of_holdings};
use super::likeness::Likeness;
use super::ranker::Blend;
use super::shelves::Moves;
use super::signals::{Asker, Signals, rank_by, signals};
use super::tables::{DAY, Tables};

/// Owners that weigh as much as nothing in the share of owners who did something.
const OWNERS_PRIOR: f32 = 5.0;

signals! {
    /// What is known of a step beside the signals of the product that it leads to.
    PairSignals {
        moved: "The share of those who have the owned product who bought this one later.",
        moved_back: "The same share of those who did it the other way round.",
        together: "The share of those who have the owned product who have this one, too.",
        likeness: "The same beside those who have either: `together / sqrt(owners x owners)`.",
        gains: "How many features are better.",
        losses: "How many features are worse.",
        tiers: "How many tiers it is higher on the ladder; 0 on none.",
        siblings: "How many candidates there are.",
        place_price: "Its place among them by falling price.",
        place_together: "Its place by `together`.",
        owned_days: "Days since the owned product was last bought.",
    }
}

/// How many signals a step has.
pub const STEP_SIGNALS: usize = Signals::NAMES.len() + PairSignals::NAMES.len();

/// How steps are weighed.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRanker {
    /// Weighs them, where that was better on the last window than popularity.
    pub forest: Option<Forest>,
    /// From the forest's odds to probabilities.
    pub curve: Curve,
}

impl StepRanker {
    /// Nothing was learned.
    pub const UNLEARNED: Self = Self { forest: None, curve: Curve::DEFAULT };
}

/// What is known of products and of moves between them.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// Of products.
    pub tables: &'a Tables,
    /// Of how alike they are.
    pub likeness: &'a Likeness,
    /// Of moves.
    pub moves: &'a Moves,
    /// Of their features and ladders.
    pub catalog: &'a Catalog,
    /// How complements are picked for customers.
    pub blend: Blend,
}

/// A customer whose steps are weighed; looked at once for all steps.
pub struct Stepper<'a> {
    known: Known<'a>,
    asked: &'a Asked,
    products: Asker<'a>,
    lanes: AllLanes,
}

impl<'a> Stepper<'a> {
    /// Looks at what the customer has.
    pub fn new(known: Known<'a>, asked: &'a Asked) -> Self {
        let products = Asker::new(known.tables, known.likeness, asked);
        Self { known, asked, products, lanes: lanes_of_holdings(known.tables, asked) }
    }

    /// The signals of the steps from `owned` to each of `candidates`, in their order.
    pub fn signals(&self, owned: u32, candidates: &[u32]) -> Vec<[f32; STEP_SIGNALS]> {
        let Known { tables, blend, .. } = self.known;
        let lanes = |number: u32| self.lanes.of(number).with_product(tables, owned, number);
        let mut scored: Vec<(u32, f32)> =
            candidates.iter().map(|&number| (number, blend.score_of(tables, &lanes(number), number))).collect();
        scored.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let of_products = self.products.signals_beside(&[owned], true, lanes, &scored);
        let of_pairs = scored.iter().map(|&(number, _)| self.pair(owned, number, candidates.len()));
        let mut rows: Vec<(u32, Signals, PairSignals)> = scored
            .iter()
            .zip(of_products)
            .zip(of_pairs)
            .map(|(((number, _), one), other)| (*number, one, other))
            .collect();
        rank_by(&mut rows, |row| row.1.price, |row, place| row.2.place_price = place);
        rank_by(&mut rows, |row| row.2.together, |row, place| row.2.place_together = place);
        rows.sort_unstable_by_key(|row| row.0);
        let values = |number: &u32| {
            let found = rows.binary_search_by_key(number, |row| row.0).expect("every candidate has a row");
            let mut values = [0.0; STEP_SIGNALS];
            let (first, second) = values.split_at_mut(Signals::NAMES.len());
            first.copy_from_slice(&rows[found].1.values());
            second.copy_from_slice(&rows[found].2.values());
            values
        };
        candidates.iter().map(values).collect()
    }

    fn pair(&self, owned: u32, offered: u32, siblings: usize) -> PairSignals {
        let Known { tables, moves, catalog, .. } = self.known;
        let there = moves.get(&(owned, offered)).copied().unwrap_or_default();
        let back = moves.get(&(offered, owned)).copied().unwrap_or_default();
        let owners = |number: u32| tables.products[number as usize].customers as f32 + OWNERS_PRIOR;
        let share = |customers: u32| customers as f32 / owners(owned);
        let product = |number: u32| catalog.get(&tables.products[number as usize].id);
        let (gains, losses, tiers) = product(owned).zip(product(offered)).map_or((0, 0, 0.0), |(from, to)| {
            let (gains, losses) = compare(from, to);
            (gains.len(), losses, tiers(from, to))
        });
        let had = self.asked.had.binary_search_by_key(&owned, |had| had.product);
        PairSignals {
            moved: share(there.later),
            moved_back: share(back.later),
            together: share(there.together),
            likeness: there.together as f32 / (owners(owned) * owners(offered)).sqrt(),
            gains: gains as f32,
            losses: losses as f32,
            tiers,
            siblings: siblings as f32,
            owned_days: had.map_or(-1.0, |had| (self.asked.now - self.asked.had[had].last) as f32 / DAY as f32),
            ..PairSignals::default()
        }
    }
}

fn tiers(from: &Product, to: &Product) -> f32 {
    match (&from.ladder_position, &to.ladder_position) {
        (Some(from), Some(to)) if from.ladder == to.ladder => f64::from(to.tier) as f32 - f64::from(from.tier) as f32,
        (Some(_) | None, Some(_) | None) => 0.0,
    }
}

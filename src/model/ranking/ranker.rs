//! Orders complements: few are picked by a blend, and these are weighed by a forest.

use super::super::propensity::Curve;
use super::asked::Asked;
use super::forest::Forest;
use super::lanes::{AllLanes, Lanes};
use super::likeness::Likeness;
use super::signals::{Asker, Signals};
use super::tables::{DAY, Tables};

/// How many candidates a forest weighs. More hold more of what is bought next, and cost as much more.
pub const WEIGHED_MAX: usize = 300;
/// Popularity by this half-life enters a blend: the second shortest.
const BLENDED_POPULARITY: usize = 1;
/// What was not sold for so long is not weighed.
const UNSOLD_DAYS_MAX: i64 = 180;

/// Which sum over the holdings a blend takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fading {
    /// [`Lanes::lately_short`].
    Short,
    /// [`Lanes::lately_long`].
    Long,
    /// [`Lanes::lately_flat`].
    Flat,
}

impl Fading {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Short, Self::Long, Self::Flat];
}

/// A weighted sum of three signals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Blend {
    /// How the holdings fade.
    pub fading: Fading,
    /// The weight of what goes with the holdings and the profile.
    pub holdings: f32,
    /// The weight of what goes with the basket, or with what was bought last.
    pub basket: f32,
    /// The weight of recent popularity.
    pub popularity: f32,
}

impl Blend {
    /// For customers, where nothing better was learned.
    pub const CUSTOMERS: Self = Self { fading: Fading::Long, holdings: 1.0, basket: 0.0, popularity: 0.1 };
    /// The same for baskets.
    pub const BASKETS: Self = Self { fading: Fading::Long, holdings: 0.0, basket: 1.0, popularity: 0.01 };

    fn score(self, lanes: &Lanes, popularity: f32) -> f32 {
        let held = match self.fading {
            Fading::Short => lanes.lately_short,
            Fading::Long => lanes.lately_long,
            Fading::Flat => lanes.lately_flat,
        };
        self.holdings * (held + lanes.profile_lately) + self.basket * lanes.basket + self.popularity * popularity
    }

    /// The score of a product of which this is known.
    pub fn score_of(&self, tables: &Tables, lanes: &Lanes, number: u32) -> f32 {
        self.score(lanes, tables.products[number as usize].popularity[BLENDED_POPULARITY])
    }
}

/// How candidates are ordered for one kind of question.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranker {
    /// Picks the candidates.
    pub blend: Blend,
    /// Weighs them, where that was better on the last window.
    pub forest: Option<Forest>,
    /// From strengths to probabilities.
    pub curve: Curve,
}

impl Ranker {
    /// The strength of each candidate, all above 0 and in the order given: odds by the forest, or the score itself.
    pub fn strengths(
        &self,
        tables: &Tables,
        likeness: &Likeness,
        asked: &Asked,
        lanes: &AllLanes,
        candidates: &[(u32, f32)],
    ) -> Vec<f64> {
        match &self.forest {
            Some(forest) => {
                let rows = Asker::new(tables, likeness, asked).signals(|number| *lanes.of(number), candidates);
                let rows: Vec<_> = rows.iter().map(Signals::values).collect();
                forest.logits(&rows).into_iter().map(|logit| f64::from(logit).exp()).collect()
            }
            None => candidates.iter().map(|&(_, score)| f64::from(score)).collect(),
        }
    }
}

/// The candidates that are weighed: the best of those that may be offered, best first, at most [`WEIGHED_MAX`].
pub fn pick(may_be_offered: impl Iterator<Item = u32>, score: impl Fn(u32) -> f32) -> Vec<(u32, f32)> {
    best(may_be_offered, score, WEIGHED_MAX)
}

/// So many with the highest scores, best first.
pub fn best(numbers: impl Iterator<Item = u32>, score: impl Fn(u32) -> f32, count: usize) -> Vec<(u32, f32)> {
    let mut scored: Vec<(u32, f32)> = numbers.map(|number| (number, score(number))).collect();
    let best_first = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if scored.len() > count {
        scored.select_nth_unstable_by(count, best_first);
        scored.truncate(count);
    }
    scored.sort_unstable_by(best_first);
    scored
}

/// True for a product that was sold not too long ago.
pub fn is_current(tables: &Tables, now: i64, product: u32) -> bool {
    tables.products[product as usize].last_sold.is_some_and(|at| now - at <= UNSOLD_DAYS_MAX * DAY)
}

/// The products that were sold not too long ago, those first that are bought most lately.
pub fn current_by_popularity(tables: &Tables, now: i64) -> Vec<u32> {
    let popularity = |number: u32| tables.products[number as usize].popularity[BLENDED_POPULARITY];
    let mut current: Vec<u32> = current(tables, now).collect();
    current.sort_by(|&a, &b| popularity(b).total_cmp(&popularity(a)).then(a.cmp(&b)));
    current
}

/// The products sold not too long ago that a blend can put among its first `count`: those that something speaks for, and of the
/// others, whose scores differ by popularity alone, the most popular. Of a large catalogue that is a small part.
pub fn pool(
    tables: &Tables,
    lanes: &AllLanes,
    by_popularity: &[u32],
    now: i64,
    may_be_offered: impl Fn(u32) -> bool,
    count: usize,
) -> Vec<u32> {
    let spoken_for = lanes.products().iter().copied();
    let spoken_for = spoken_for.filter(|&number| is_current(tables, now, number) && may_be_offered(number));
    let others = by_popularity.iter().copied().filter(|&number| !lanes.speak_for(number) && may_be_offered(number));
    spoken_for.chain(others.take(count)).collect()
}

/// The products that were sold not too long ago, in order.
pub fn current(tables: &Tables, now: i64) -> impl Iterator<Item = u32> {
    (0..tables.products.len() as u32).filter(move |&number| is_current(tables, now, number))
}

#[cfg(test)]
mod tests {
    use super::super::super::offer_model::LearnedProduct;
    use super::super::super::ridge::Neighbour;
    use super::super::asked::Had;
    use super::super::lanes::lanes;
    use super::*;
    use crate::domain::ids::ProductId;

    const NOW: i64 = 1_700_000_000;

    /// Broken by: the popular ones left out of the pool, those with a lane left out, what may not be offered left in.
    #[test]
    fn the_first_of_the_pool_are_the_first_of_all() {
        let product = |number: u32| {
            let id = ProductId::new(format!("product-{number}")).expect("a valid id");
            let mut product = LearnedProduct::unseen(id);
            product.last_sold = (!number.is_multiple_of(7)).then_some(NOW - 5);
            product.popularity[BLENDED_POPULARITY] = (number * 37 % 101) as f32 / 100.0 + number as f32 * 1e-5;
            product
        };
        let neighbour = |from: u32, to: u32| Neighbour {
            product: (from * 13 + to * 17) % 400,
            weight: (to as f32 - 5.0) / 10.0 + from as f32 * 1e-4,
            together: 1,
        };
        let weights: Vec<Vec<Neighbour>> = (0..400)
            .map(|from| {
                let mut neighbours: Vec<Neighbour> = (0..12).map(|to| neighbour(from, to)).collect();
                neighbours.sort_unstable_by_key(|neighbour| neighbour.product);
                neighbours.dedup_by_key(|neighbour| neighbour.product);
                neighbours
            })
            .collect();
        let tables = Tables {
            products: (0..400).map(product).collect(),
            lately: weights.clone(),
            in_baskets: weights,
            ..Tables::default()
        };
        let had = [3, 8, 21].map(|product| Had { product, first: NOW - 10, last: NOW - 10 });
        let asked = Asked::new(NOW, had.to_vec(), vec![5, 9], Vec::new());
        let lanes = lanes(&tables, &asked);
        let may_be_offered = |number: u32| !number.is_multiple_of(5);
        let by_popularity = current_by_popularity(&tables, NOW);
        let pool = pool(&tables, &lanes, &by_popularity, NOW, may_be_offered, 10);
        assert!(pool.len() < 100, "a small part: {}", pool.len());
        for popularity in [0.01, 0.3, 3.0] {
            let blend = Blend { popularity, basket: 0.5, ..Blend::CUSTOMERS };
            let score = |number: u32| blend.score_of(&tables, lanes.of(number), number);
            let all = current(&tables, NOW).filter(|&number| may_be_offered(number));
            assert_eq!(best(pool.iter().copied(), score, 10), best(all, score, 10), "{blend:?}");
        }
    }
}

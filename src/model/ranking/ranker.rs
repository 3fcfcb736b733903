//! Orders complements: few are picked by a blend, and these are weighed by a forest.

use super::super::propensity::Curve;
use super::asked::Asked;
use super::forest::Forest;
use super::lanes::Lanes;
use super::likeness::Likeness;
use super::signals::signals;
use super::tables::{DAY, Tables};

/// How many candidates a forest weighs. More hold more of what is bought next, and cost as much more.
pub const WEIGHED_MAX: usize = 300;
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
    /// The weight of what goes with the holdings.
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

    /// The score of a product.
    #[must_use]
    pub fn score(&self, lanes: &Lanes, popularity: f32) -> f32 {
        let held = match self.fading {
            Fading::Short => lanes.lately_short,
            Fading::Long => lanes.lately_long,
            Fading::Flat => lanes.lately_flat,
        };
        self.holdings * held + self.basket * lanes.basket + self.popularity * popularity
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
    #[must_use]
    pub fn strengths(
        &self,
        tables: &Tables,
        likeness: &Likeness,
        asked: &Asked,
        lanes: &[Lanes],
        candidates: &[(u32, f32)],
    ) -> Vec<f64> {
        match &self.forest {
            Some(forest) => {
                let rows = signals(tables, likeness, asked, lanes, candidates);
                rows.iter().map(|row| f64::from(forest.logit(row)).exp()).collect()
            }
            None => candidates.iter().map(|&(_, score)| f64::from(score)).collect(),
        }
    }
}

/// The candidates that may be weighed, best first, at most [`WEIGHED_MAX`]: products that were sold not too long ago.
pub fn pick(
    tables: &Tables,
    now: i64,
    score: impl Fn(u32) -> f32,
    may_be_offered: impl Fn(u32) -> bool,
) -> Vec<(u32, f32)> {
    let is_current =
        |number: u32| tables.products[number as usize].last_sold.is_some_and(|at| now - at <= UNSOLD_DAYS_MAX * DAY);
    let numbers = (0..tables.products.len() as u32).filter(|&number| is_current(number) && may_be_offered(number));
    let mut picked: Vec<(u32, f32)> = numbers.map(|number| (number, score(number))).collect();
    let best_first = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if picked.len() > WEIGHED_MAX {
        picked.select_nth_unstable_by(WEIGHED_MAX, best_first);
        picked.truncate(WEIGHED_MAX);
    }
    picked.sort_unstable_by(best_first);
    picked
}

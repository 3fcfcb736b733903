//! Rankings judged side by side on the same queries, with errors.
//!
//! Every figure is a mean over the queries, so it has a standard error; two methods are compared by resampling the
//! differences of single queries (B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7,
//! 1979), because both were asked the same.

use std::collections::BTreeSet;

use super::judged::Estimate;
use super::queries::Query;
use crate::domain::ids::ProductId;

/// How many places of a ranking are kept; figures look at fewer.
pub const KEPT_MAX: usize = 100;
/// Resamples of a bootstrap interval.
const RESAMPLES: usize = 2000;
/// The cutoff of most figures.
const TOP: usize = 10;

/// A figure of one ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// The share of the right products among the first ten.
    RecallAt10,
    /// `DCG@10` with gain 1 and discount `1 / log2(1 + place)`, over that of the best ranking of `min(10, right ones)`
    /// (K. Järvelin and J. Kekäläinen, ACM TOIS 20, 2002).
    NdcgAt10,
    /// 1 when one of the first so many is right.
    HitAt(usize),
    /// 1 over the place of the first right one; 0 when none was ranked.
    ReciprocalRank,
}

impl Figure {
    /// The name in the output.
    pub fn name(self) -> String {
        match self {
            Self::RecallAt10 => "recall@10".to_owned(),
            Self::NdcgAt10 => "ndcg@10".to_owned(),
            Self::HitAt(places) => format!("hit@{places}"),
            Self::ReciprocalRank => "mrr".to_owned(),
        }
    }

    /// The figure of one ranking, 0 to 1.
    pub fn of(self, ranked: &[ProductId], truth: &BTreeSet<ProductId>) -> f64 {
        let places = ranked.iter().zip(1_u32..).filter(|(product, _)| truth.contains(product)).map(|(_, place)| place);
        let within = |limit: usize| places.clone().take_while(move |&place| place as usize <= limit);
        match self {
            Self::RecallAt10 => within(TOP).count() as f64 / truth.len().max(1) as f64,
            Self::NdcgAt10 => {
                let gain = |place: u32| 1.0 / f64::from(place + 1).log2();
                let best: f64 = (1..).take(truth.len().min(TOP)).map(gain).sum();
                // A sum of nothing is -0.0, which is no figure to show.
                (0.0 + within(TOP).map(gain).sum::<f64>()) / best.max(f64::MIN_POSITIVE)
            }
            Self::HitAt(limit) => f64::from(u8::from(within(limit).next().is_some())),
            Self::ReciprocalRank => places.clone().next().map_or(0.0, |place| 1.0 / f64::from(place)),
        }
    }
}

/// A method and how it ranked.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// Its name in the output.
    pub method: &'static str,
    /// One for each query, best first, at most [`KEPT_MAX`].
    pub lists: Vec<Vec<ProductId>>,
}

/// A difference of two methods, with the interval that holds 95 % of the resampled differences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gain {
    /// How much better.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Ranked {
    /// A figure, query by query.
    pub fn each(&self, figure: Figure, queries: &[Query]) -> Vec<f64> {
        self.lists.iter().zip(queries).map(|(ranked, query)| figure.of(ranked, &query.truth)).collect()
    }

    /// A figure with its standard error.
    pub fn mean(&self, figure: Figure, queries: &[Query]) -> Estimate {
        let each = self.each(figure, queries);
        let count = each.len().max(1) as f64;
        let mean = each.iter().sum::<f64>() / count;
        let spread = each.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        Estimate { value: mean, standard_error: (spread / (count - 1.0).max(1.0) / count).sqrt() }
    }

    /// The share of what could be ranked that stands among the first ten of any query.
    pub fn coverage(&self, rankable: usize) -> f64 {
        let shown: BTreeSet<&ProductId> = self.lists.iter().flat_map(|ranked| ranked.iter().take(TOP)).collect();
        shown.len() as f64 / rankable.max(1) as f64
    }

    /// How much better this method is than another on the same queries.
    pub fn gain_over(&self, other: &Self, figure: Figure, queries: &[Query]) -> Gain {
        let pairs = self.each(figure, queries).into_iter().zip(other.each(figure, queries));
        bootstrap(&pairs.map(|(a, b)| a - b).collect::<Vec<_>>())
    }
}

/// The mean of the differences and its percentile interval. The draws are the same in every run.
fn bootstrap(differences: &[f64]) -> Gain {
    let count = differences.len().max(1);
    let mut random = SplitMix(0x7461_6374_6675_6c00);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn = (0..differences.len()).map(|_| differences[random.below(count)]);
            drawn.sum::<f64>() / count as f64
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    let tail = RESAMPLES / 40;
    Gain { value: differences.iter().sum::<f64>() / count as f64, low: means[tail], high: means[RESAMPLES - 1 - tail] }
}

/// Numbers that look random and are the same everywhere (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom
/// number generators", OOPSLA 2014).
pub(super) struct SplitMix(pub(super) u64);

impl SplitMix {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count as u64).expect("less than a length")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(texts: &[&str]) -> Vec<ProductId> {
        texts.iter().map(|text| ProductId::new(*text).expect("an id")).collect()
    }

    /// Two of three right ones, at places 1 and 3: `DCG = 1 + 1/2`, the best `1 + 1/log2 3 + 1/2`.
    #[test]
    fn figures_are_those_of_the_literature() {
        let ranked = ids(&["a", "x", "b"]);
        let truth: BTreeSet<ProductId> = ids(&["a", "b", "c"]).into_iter().collect();
        let of = |figure: Figure| figure.of(&ranked, &truth);
        assert!((of(Figure::RecallAt10) - 2.0 / 3.0).abs() < 1e-12);
        assert!((of(Figure::NdcgAt10) - 1.5 / (1.5 + 1.0 / 3.0_f64.log2())).abs() < 1e-12);
        let late: BTreeSet<ProductId> = ids(&["b"]).into_iter().collect();
        assert_eq!((Figure::HitAt(2).of(&ranked, &late), Figure::HitAt(3).of(&ranked, &late)), (0.0, 1.0));
        assert!((Figure::ReciprocalRank.of(&ranked, &late) - 1.0 / 3.0).abs() < 1e-12);
        let none = BTreeSet::new();
        for figure in [Figure::RecallAt10, Figure::NdcgAt10, Figure::HitAt(3), Figure::ReciprocalRank] {
            assert!(figure.of(&ranked, &none).abs() < 1e-12, "{figure:?}");
        }
    }

    #[test]
    fn a_gain_has_an_interval_about_as_wide_as_the_normal_one() {
        let differences: Vec<f64> = (0..400).map(|number| f64::from(number % 4) - 1.0).collect();
        let Gain { value, low, high } = bootstrap(&differences);
        let half = 1.96 * (1.25_f64 / 400.0).sqrt();
        assert!((value - 0.5).abs() < 1e-12);
        assert!(((high - low) / 2.0 / half - 1.0).abs() < 0.1, "{low} to {high}");
    }
}

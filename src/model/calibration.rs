//! How good probabilities are: do they tell who from who (AUC), and do they keep their word (Brier, calibration error).

/// A probability that was told, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Told {
    /// 0 to 1.
    pub probability: f64,
    /// What came of it.
    pub hit: bool,
}

/// The bins of the calibration error, of equal width.
pub const BINS: usize = 10;

/// The quality of a set of probabilities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProbabilityQuality {
    /// The probability that a hit was told a higher probability than a miss, ties counting half: 0.5 is chance.
    pub auc: f64,
    /// The mean squared error, 0 (perfect) to 1 (Brier, "Verification of forecasts", Monthly Weather Review, 1950).
    pub brier: f64,
    /// The mean distance between what was told and what came, over [`BINS`] bins of equal width weighted by how many
    /// fall in each, 0 to 1.
    pub calibration_error: f64,
    /// How many.
    pub count: usize,
    /// The share of hits.
    pub hit_rate: f64,
}

impl ProbabilityQuality {
    /// Judges; `None` when there are not both hits and misses.
    pub fn of(told: &[Told]) -> Option<Self> {
        let count = told.len() as f64;
        let hits = told.iter().filter(|told| told.hit).count();
        let squared: f64 = told.iter().map(|told| (told.probability - number(told.hit)).powi(2)).sum();
        Some(Self {
            auc: auc(told)?,
            brier: squared / count,
            calibration_error: calibration_error(told),
            count: told.len(),
            hit_rate: hits as f64 / count,
        })
    }
}

fn number(hit: bool) -> f64 {
    f64::from(u8::from(hit))
}

/// The area under the curve of hits against misses, by ranks; `None` when there are not both.
pub fn auc(told: &[Told]) -> Option<f64> {
    let mut sorted: Vec<&Told> = told.iter().collect();
    sorted.sort_unstable_by(|a, b| a.probability.total_cmp(&b.probability));
    let (mut ranks_of_hits, mut hits, mut before) = (0.0, 0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.probability.total_cmp(&b.probability).is_eq()) {
        let hits_here = tied.iter().filter(|told| told.hit).count() as f64;
        ranks_of_hits += hits_here * (before + f64::midpoint(1.0, tied.len() as f64));
        hits += hits_here;
        before += tied.len() as f64;
    }
    let misses = told.len() as f64 - hits;
    (hits > 0.0 && misses > 0.0).then(|| (ranks_of_hits - hits * (hits + 1.0) / 2.0) / (hits * misses))
}

/// A tenth of probabilities in their order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tenth {
    /// The mean of what was told.
    pub told: f64,
    /// The share of hits.
    pub came: f64,
}

/// A reliability table: tenths of equal count, the lowest probabilities first; fewer of less than ten.
pub fn tenths(told: &[Told]) -> Vec<Tenth> {
    let mut sorted: Vec<&Told> = told.iter().collect();
    sorted.sort_unstable_by(|a, b| a.probability.total_cmp(&b.probability));
    let parts = BINS.min(sorted.len());
    let tenth = |part: usize| {
        let those = &sorted[part * sorted.len() / parts..(part + 1) * sorted.len() / parts];
        let mean =
            |value: &dyn Fn(&Told) -> f64| those.iter().map(|told| value(told)).sum::<f64>() / those.len() as f64;
        Tenth { told: mean(&|told| told.probability), came: mean(&|told| number(told.hit)) }
    };
    (0..parts).map(tenth).collect()
}

/// See [`ProbabilityQuality::calibration_error`].
pub fn calibration_error(told: &[Told]) -> f64 {
    let mut gaps = [0.0; BINS];
    for told in told {
        let bin = ((told.probability * BINS as f64) as usize).min(BINS - 1);
        gaps[bin] += told.probability - number(told.hit);
    }
    gaps.iter().map(|gap| gap.abs()).sum::<f64>() / told.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pairs: &[(f64, bool)]) -> Vec<Told> {
        pairs.iter().map(|&(probability, hit)| Told { probability, hit }).collect()
    }

    #[test]
    fn auc_counts_pairs_and_halves_ties() {
        let pairs = told(&[(0.1, false), (0.4, false), (0.4, true), (0.8, true)]);
        // Of four pairs three are right and one is tied.
        assert_eq!(auc(&pairs), Some(0.875));
        assert_eq!(auc(&told(&[(0.3, true)])), None);
    }

    #[test]
    fn brier_and_calibration_error_by_hand() {
        let pairs = told(&[(0.25, false), (0.25, true), (0.95, true), (1.0, true)]);
        let quality = ProbabilityQuality::of(&pairs).expect("both");
        assert!((quality.brier - (0.0625 + 0.5625 + 0.0025) / 4.0).abs() < 1e-12);
        // Bins .2 to .3: told .5 in sum, came 1; .9 to 1: told 1.95, came 2.
        assert!((quality.calibration_error - (0.5 + 0.05) / 4.0).abs() < 1e-12);
        assert!((quality.hit_rate - 0.75).abs() < 1e-12);
    }
}

//! Quality of predicted probabilities: discrimination (AUC) and calibration (Brier score, calibration error).

/// Predicted probability with its outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PredictedOutcome {
    /// Predicted probability, 0 to 1.
    pub probability: f64,
    /// True when the predicted event happened.
    pub hit: bool,
}

/// Number of bins of the calibration error, of equal width.
pub const BINS: usize = 10;

/// Quality of a set of predicted probabilities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProbabilityQuality {
    /// Probability that a hit had a higher prediction than a miss, ties counting half: 0.5 is chance.
    pub auc: f64,
    /// Mean squared error, 0 (perfect) to 1 (Brier, "Verification of forecasts", Monthly Weather Review, 1950).
    pub brier: f64,
    /// Mean distance between predicted and observed rates over [`BINS`] bins of equal width, weighted by their counts,
    /// 0 to 1.
    pub calibration_error: f64,
    pub count: usize,
    pub hit_rate: f64,
}

impl ProbabilityQuality {
    /// Evaluates predictions; `None` when there are not both hits and misses.
    pub fn of(predictions: &[PredictedOutcome]) -> Option<Self> {
        let count = predictions.len() as f64;
        let hits = predictions.iter().filter(|it| it.hit).count();
        let squared: f64 = predictions.iter().map(|it| (it.probability - number(it.hit)).powi(2)).sum();
        Some(Self {
            auc: auc(predictions)?,
            brier: squared / count,
            calibration_error: calibration_error(predictions),
            count: predictions.len(),
            hit_rate: hits as f64 / count,
        })
    }
}

fn number(hit: bool) -> f64 {
    f64::from(u8::from(hit))
}

/// Area under the ROC curve, by ranks; `None` when there are not both hits and misses.
pub fn auc(predictions: &[PredictedOutcome]) -> Option<f64> {
    let mut sorted: Vec<&PredictedOutcome> = predictions.iter().collect();
    sorted.sort_unstable_by(|a, b| a.probability.total_cmp(&b.probability));
    let (mut ranks_of_hits, mut hits, mut before) = (0.0, 0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.probability.total_cmp(&b.probability).is_eq()) {
        let hits_here = tied.iter().filter(|it| it.hit).count() as f64;
        ranks_of_hits += hits_here * (before + f64::midpoint(1.0, tied.len() as f64));
        hits += hits_here;
        before += tied.len() as f64;
    }
    let misses = predictions.len() as f64 - hits;
    (hits > 0.0 && misses > 0.0).then(|| (ranks_of_hits - hits * (hits + 1.0) / 2.0) / (hits * misses))
}

/// Bin of a reliability table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReliabilityBin {
    pub predicted: f64,
    pub observed: f64,
}

/// Reliability table: deciles by predicted probability, the lowest first; fewer bins for less than ten predictions.
pub fn reliability_bins(predictions: &[PredictedOutcome]) -> Vec<ReliabilityBin> {
    let mut sorted: Vec<&PredictedOutcome> = predictions.iter().collect();
    sorted.sort_unstable_by(|a, b| a.probability.total_cmp(&b.probability));
    let parts = BINS.min(sorted.len());
    let bin = |part: usize| {
        let members = &sorted[part * sorted.len() / parts..(part + 1) * sorted.len() / parts];
        let mean = |value: &dyn Fn(&PredictedOutcome) -> f64| {
            members.iter().map(|it| value(it)).sum::<f64>() / members.len() as f64
        };
        ReliabilityBin { predicted: mean(&|it| it.probability), observed: mean(&|it| number(it.hit)) }
    };
    (0..parts).map(bin).collect()
}

/// Expected calibration error, see [`ProbabilityQuality::calibration_error`].
pub fn calibration_error(predictions: &[PredictedOutcome]) -> f64 {
    let mut gaps = [0.0; BINS];
    for prediction in predictions {
        let bin = ((prediction.probability * BINS as f64) as usize).min(BINS - 1);
        gaps[bin] += prediction.probability - number(prediction.hit);
    }
    gaps.iter().map(|gap| gap.abs()).sum::<f64>() / predictions.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(pairs: &[(f64, bool)]) -> Vec<PredictedOutcome> {
        pairs.iter().map(|&(probability, hit)| PredictedOutcome { probability, hit }).collect()
    }

    #[test]
    fn auc_counts_pairs_and_halves_ties() {
        let pairs = predictions(&[(0.1, false), (0.4, false), (0.4, true), (0.8, true)]);
        // Of four pairs three are right and one is tied.
        assert_eq!(auc(&pairs), Some(0.875));
        assert_eq!(auc(&predictions(&[(0.3, true)])), None);
    }

    #[test]
    fn brier_and_calibration_error_by_hand() {
        let pairs = predictions(&[(0.25, false), (0.25, true), (0.95, true), (1.0, true)]);
        let quality = ProbabilityQuality::of(&pairs).expect("both");
        assert!((quality.brier - (0.0625 + 0.5625 + 0.0025) / 4.0).abs() < 1e-12);
        // Bins .2 to .3: predicted .5 in sum, observed 1; .9 to 1: predicted 1.95, observed 2.
        assert!((quality.calibration_error - (0.5 + 0.05) / 4.0).abs() < 1e-12);
        assert!((quality.hit_rate - 0.75).abs() < 1e-12);
    }
}

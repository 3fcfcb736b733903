//! Predicted probabilities of one method over all queries, with AUC and Brier score compared to another method's.
//!
//! AUC is compared by the method of E. and D. `DeLong` and D. Clarke-Pearson ("Comparing the areas under two or more correlated
//! receiver operating characteristic curves", Biometrics 44, 1988): its variance comes from the placement of each positive
//! among the negatives and of each negative among the positives, and the variance of a difference from the differences of
//! these placements, since both methods answered the same queries.

use super::estimate::Estimate;
use crate::model::probability_quality::{PredictedOutcome, ProbabilityQuality};

/// A method and its predictions.
#[derive(Debug, Clone)]
pub struct MethodPredictions {
    /// Name in the output.
    pub method: &'static str,
    /// One prediction with its outcome for each query, in the same order for every method.
    pub predictions: Vec<PredictedOutcome>,
    /// Quality of the predictions.
    pub quality: ProbabilityQuality,
}

impl MethodPredictions {
    /// Evaluates predictions; `None` when the queries lack positives or negatives.
    pub fn new(method: &'static str, predictions: Vec<PredictedOutcome>) -> Option<Self> {
        let quality = ProbabilityQuality::of(&predictions)?;
        Some(Self { method, predictions, quality })
    }

    /// Returns the AUC with its standard error.
    pub fn auc(&self) -> Estimate {
        let (hits, misses) = placements(&self.predictions);
        let standard_error = (variance(&hits) + variance(&misses)).sqrt();
        Estimate { value: self.quality.auc, standard_error }
    }

    /// Computes by how much the AUC exceeds that of another method on the same queries.
    pub fn auc_above(&self, other: &Self) -> Estimate {
        let ((hits, misses), (other_hits, other_misses)) =
            (placements(&self.predictions), placements(&other.predictions));
        let standard_error =
            (variance(&differences(&hits, &other_hits)) + variance(&differences(&misses, &other_misses))).sqrt();
        Estimate { value: self.quality.auc - other.quality.auc, standard_error }
    }

    /// Computes by how much the Brier score is below that of another method on the same queries.
    pub fn brier_below(&self, other: &Self) -> Estimate {
        let squared =
            |prediction: &PredictedOutcome| (prediction.probability - f64::from(u8::from(prediction.hit))).powi(2);
        let gained: Vec<f64> =
            other.predictions.iter().zip(&self.predictions).map(|(a, b)| squared(a) - squared(b)).collect();
        Estimate { value: other.quality.brier - self.quality.brier, standard_error: variance(&gained).sqrt() }
    }
}

/// Returns for each positive the share of negatives below it, and for each negative the share of positives above it; ties
/// count half.
fn placements(predictions: &[PredictedOutcome]) -> (Vec<f64>, Vec<f64>) {
    let sorted = |hit: bool| {
        let of_kind = predictions.iter().filter(|prediction| prediction.hit == hit);
        let mut sorted: Vec<f64> = of_kind.map(|prediction| prediction.probability).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    };
    let (hits, misses) = (sorted(true), sorted(false));
    let share_below = |sorted: &[f64], value: f64| {
        let below = sorted.partition_point(|other| *other < value);
        let not_above = sorted.partition_point(|other| *other <= value);
        f64::midpoint(below as f64, not_above as f64) / sorted.len().max(1) as f64
    };
    let of_hits = predictions
        .iter()
        .filter(|prediction| prediction.hit)
        .map(|prediction| share_below(&misses, prediction.probability))
        .collect();
    let of_misses = predictions
        .iter()
        .filter(|predictions| !predictions.hit)
        .map(|prediction| 1.0 - share_below(&hits, prediction.probability));
    (of_hits, of_misses.collect())
}

fn differences(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// Variance of the mean.
fn variance(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    if values.len() < 2 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / count;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0) / count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(probabilities: &[f64]) -> MethodPredictions {
        let predictions = probabilities.iter().zip(0_u32..);
        let predictions =
            predictions.map(|(&probability, number)| PredictedOutcome { probability, hit: number % 2 == 1 }).collect();
        MethodPredictions::new("a method", predictions).expect("both kinds")
    }

    #[test]
    fn placements_average_to_the_auc() {
        let method = method(&[0.1, 0.3, 0.3, 0.9, 0.2, 0.15]);
        let (hits, misses) = placements(&method.predictions);
        for side in [hits, misses] {
            assert!((side.iter().sum::<f64>() / side.len() as f64 - method.quality.auc).abs() < 1e-12);
        }
    }

    #[test]
    fn a_method_is_no_better_than_itself() {
        let method = method(&[0.1, 0.3, 0.3, 0.9, 0.2, 0.15]);
        assert_eq!(method.auc_above(&method), Estimate { value: 0.0, standard_error: 0.0 });
        assert_eq!(method.brier_below(&method), Estimate { value: 0.0, standard_error: 0.0 });
        assert!(method.auc().standard_error > 0.0);
    }
}

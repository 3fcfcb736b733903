//! Methods judged side by side on the same queries, with errors.
//!
//! The area under the curve is compared by the method of E. and D. Delong and D. Clarke-Pearson ("Comparing the areas under
//! two or more correlated receiver operating characteristic curves", Biometrics 44, 1988): its variance comes from how
//! each hit stands among the misses and each miss among the hits, and a difference of two methods from the differences
//! of these, since both were asked the same.

use crate::model::probability_quality::{PredictedOutcome, ProbabilityQuality};

/// A method and what it told.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Its name in the output.
    pub method: &'static str,
    /// One for each query, in the same order for every method.
    pub told: Vec<PredictedOutcome>,
    /// How good that was.
    pub quality: ProbabilityQuality,
}

/// A figure with its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
}

impl Judged {
    /// Judges a method; `None` when the queries have no hits or no misses.
    pub fn new(method: &'static str, told: Vec<PredictedOutcome>) -> Option<Self> {
        let quality = ProbabilityQuality::of(&told)?;
        Some(Self { method, told, quality })
    }

    /// The area under the curve with its error.
    pub fn auc(&self) -> Estimate {
        let (hits, misses) = placements(&self.told);
        let standard_error = (variance(&hits) + variance(&misses)).sqrt();
        Estimate { value: self.quality.auc, standard_error }
    }

    /// How much larger the area is than that of another method on the same queries.
    pub fn auc_above(&self, other: &Self) -> Estimate {
        let ((hits, misses), (other_hits, other_misses)) = (placements(&self.told), placements(&other.told));
        let standard_error =
            (variance(&differences(&hits, &other_hits)) + variance(&differences(&misses, &other_misses))).sqrt();
        Estimate { value: self.quality.auc - other.quality.auc, standard_error }
    }

    /// How much smaller the Brier score is than that of another method on the same queries.
    pub fn brier_below(&self, other: &Self) -> Estimate {
        let squared = |told: &PredictedOutcome| (told.probability - f64::from(u8::from(told.hit))).powi(2);
        let gained: Vec<f64> = other.told.iter().zip(&self.told).map(|(a, b)| squared(a) - squared(b)).collect();
        Estimate { value: other.quality.brier - self.quality.brier, standard_error: variance(&gained).sqrt() }
    }
}

/// For each hit the share of misses below it, for each miss the share of hits above it, ties counting half.
fn placements(told: &[PredictedOutcome]) -> (Vec<f64>, Vec<f64>) {
    let sorted = |hit: bool| {
        let of_kind = told.iter().filter(|told| told.hit == hit);
        let mut sorted: Vec<f64> = of_kind.map(|told| told.probability).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    };
    let (hits, misses) = (sorted(true), sorted(false));
    let share_below = |sorted: &[f64], value: f64| {
        let below = sorted.partition_point(|other| *other < value);
        let not_above = sorted.partition_point(|other| *other <= value);
        f64::midpoint(below as f64, not_above as f64) / sorted.len().max(1) as f64
    };
    let of_hits = told.iter().filter(|told| told.hit).map(|told| share_below(&misses, told.probability)).collect();
    let of_misses = told.iter().filter(|told| !told.hit).map(|told| 1.0 - share_below(&hits, told.probability));
    (of_hits, of_misses.collect())
}

fn differences(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// The variance of the mean.
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

    fn judged(probabilities: &[f64]) -> Judged {
        let told = probabilities.iter().zip(0_u32..);
        let told = told.map(|(&probability, number)| PredictedOutcome { probability, hit: number % 2 == 1 }).collect();
        Judged::new("a method", told).expect("both kinds")
    }

    #[test]
    fn placements_average_to_the_area() {
        let judged = judged(&[0.1, 0.3, 0.3, 0.9, 0.2, 0.15]);
        let (hits, misses) = placements(&judged.told);
        for side in [hits, misses] {
            assert!((side.iter().sum::<f64>() / side.len() as f64 - judged.quality.auc).abs() < 1e-12);
        }
    }

    #[test]
    fn a_method_is_no_better_than_itself() {
        let judged = judged(&[0.1, 0.3, 0.3, 0.9, 0.2, 0.15]);
        assert_eq!(judged.auc_above(&judged), Estimate { value: 0.0, standard_error: 0.0 });
        assert_eq!(judged.brier_below(&judged), Estimate { value: 0.0, standard_error: 0.0 });
        assert!(judged.auc().standard_error > 0.0);
    }
}

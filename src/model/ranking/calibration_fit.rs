//! Fitting of probability calibrations, and how reliable they are.

use super::super::probability_calibration::ProbabilityCalibration;
use super::super::probability_quality::{PredictedOutcome, reliability_bins};
use super::super::training_log::{Metric, TrainingLog};

/// Minimum number of positives of either half for a reliability table.
const HITS_MIN: usize = 20;
/// Name of the metric in the report.
const METRIC: &str = "propensity_calibration_error";

/// Fits a calibration to the raw scores of the candidates of several queries, each with whether it was a hit. Its
/// reliability is reported on one half of the queries for a calibration fitted to the other.
pub fn fit_calibration(ranker: &str, queries: &[Vec<(f64, bool)>], log: &mut TrainingLog) -> ProbabilityCalibration {
    let half =
        |which: usize| -> Vec<(f64, bool)> { queries.iter().skip(which).step_by(2).flatten().copied().collect() };
    let (training, holdout) = (half(0), half(1));
    let hits = |observed: &[(f64, bool)]| observed.iter().filter(|(_, hit)| *hit).count();
    if hits(&training).min(hits(&holdout)) >= HITS_MIN {
        let calibration = ProbabilityCalibration::fit(&training);
        let predicted =
            |&(score, hit): &(f64, bool)| PredictedOutcome { probability: calibration.probability(score), hit };
        let bins = reliability_bins(&holdout.iter().map(predicted).collect::<Vec<_>>());
        let error = bins.iter().map(|bin| (bin.predicted - bin.observed).abs()).sum::<f64>() / bins.len() as f64;
        let table: Vec<String> = bins.iter().map(|bin| format!("{:.4}/{:.4}", bin.predicted, bin.observed)).collect();
        log.notes.push(format!(
            "{ranker}: predicted/observed propensity by decile of {} holdout candidates: {}; mean calibration error \
             {error:.4}",
            holdout.len(),
            table.join(" ")
        ));
        if ranker == "customers" {
            log.metrics.push(Metric { name: METRIC, method: "tactful", value: error, queries: queries.len() / 2 });
        }
    }
    ProbabilityCalibration::fit(&queries.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken by: a calibration evaluated on what it was fitted to; bins of equal width.
    #[test]
    fn predicted_probabilities_match_observed_rates() {
        let query = |number: usize| -> Vec<(f64, bool)> {
            (1..50)
                .map(|score| (f64::from(score) / 50.0, (number * 37 + score as usize * 11) % 60 < score as usize / 5))
                .collect()
        };
        let queries: Vec<Vec<(f64, bool)>> = (0..400).map(query).collect();
        let mut log = TrainingLog::default();
        let calibration = fit_calibration("customers", &queries, &mut log);
        assert!(calibration.probability(0.9) > 3.0 * calibration.probability(0.2));
        let [note] = &log.notes[..] else { panic!("{:?}", log.notes) };
        assert_eq!(note.matches('/').count(), 11, "ten pairs: {note}");
        assert!(log.metrics[0].value < 0.02, "{note}");
        let mut empty = TrainingLog::default();
        assert_eq!(fit_calibration("customers", &queries[..1], &mut empty), ProbabilityCalibration::DEFAULT);
        assert_eq!(empty, TrainingLog::default());
    }
}

//! From strengths to probabilities, and whether these keep their word.

use super::super::calibration::{Told as Probability, tenths};
use super::super::metric::{Metric, Told};
use super::super::propensity::Curve;

/// Fewer hits than this on either half tell nothing of how reliable a curve is.
const HITS_MIN: usize = 20;
/// The figure of the report.
const FIGURE: &str = "propensity_calibration_error";

/// Fits a curve to the strengths that candidates of several questions had, and what came of them. How reliable its
/// probabilities are is told of one half of the questions by a curve fitted to the other.
pub fn fit_curve(what: &str, questions: &[Vec<(f64, bool)>], told: &mut Told) -> Curve {
    let half =
        |which: usize| -> Vec<(f64, bool)> { questions.iter().skip(which).step_by(2).flatten().copied().collect() };
    let (fitted, judged) = (half(0), half(1));
    let hits = |observed: &[(f64, bool)]| observed.iter().filter(|(_, hit)| *hit).count();
    if hits(&fitted).min(hits(&judged)) >= HITS_MIN {
        let curve = Curve::fit(&fitted);
        let of_one = |&(strength, hit): &(f64, bool)| Probability { probability: curve.probability(strength), hit };
        let tenths = tenths(&judged.iter().map(of_one).collect::<Vec<_>>());
        let error = tenths.iter().map(|tenth| (tenth.told - tenth.came).abs()).sum::<f64>() / tenths.len() as f64;
        let table: Vec<String> = tenths.iter().map(|tenth| format!("{:.4}/{:.4}", tenth.told, tenth.came)).collect();
        told.notes.push(format!(
            "{what}: propensities told / what came of them, in tenths of {} candidates that the curve was not fitted to: \
             {}; apart by {error:.4} on average",
            judged.len(),
            table.join(" ")
        ));
        if what == "customers" {
            told.metrics.push(Metric { name: FIGURE, method: "tactful", value: error, queries: questions.len() / 2 });
        }
    }
    Curve::fit(&questions.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken by: a curve judged on what it was fitted to; tenths of equal width.
    #[test]
    fn what_is_told_is_what_came() {
        let question = |number: usize| -> Vec<(f64, bool)> {
            (1..50)
                .map(|strength| {
                    (f64::from(strength) / 50.0, (number * 37 + strength as usize * 11) % 60 < strength as usize / 5)
                })
                .collect()
        };
        let questions: Vec<Vec<(f64, bool)>> = (0..400).map(question).collect();
        let mut told = Told::default();
        let curve = fit_curve("customers", &questions, &mut told);
        assert!(curve.probability(0.9) > 3.0 * curve.probability(0.2));
        let [note] = &told.notes[..] else { panic!("{:?}", told.notes) };
        assert_eq!(note.matches('/').count(), 11, "ten pairs: {note}");
        assert!(told.metrics[0].value < 0.02, "{note}");
        let mut nothing = Told::default();
        assert_eq!(fit_curve("customers", &questions[..1], &mut nothing), Curve::DEFAULT);
        assert_eq!(nothing, Told::default());
    }
}

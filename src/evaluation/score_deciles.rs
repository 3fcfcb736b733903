//! Relationship health by decile: customers in ten groups by score, with the share of each group that returned. Health is
//! a brake and not a forecast, but groups that return more often should not have lower scores.

use crate::measurement::interval::Z_95;
use crate::model::probability_quality::PredictedOutcome;

/// A tenth of the customers, ordered by score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decile {
    /// Number of customers in the group.
    pub count: usize,
    /// Mean score, 0 to 1.
    pub mean_score: f64,
    /// Share of the customers that returned.
    pub share: f64,
    /// 95 % interval of the share (Wilson, "Probable inference", Journal of the American Statistical Association 22,
    /// 1927).
    pub interval: [f64; 2],
}

const GROUPS: usize = 10;

/// Groups the customers from the lowest scores to the highest. Ties stay together, so there may be fewer than ten groups.
pub fn deciles(scored: &[PredictedOutcome]) -> Vec<Decile> {
    let mut sorted = scored.to_vec();
    sorted.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    let mut groups: Vec<Vec<PredictedOutcome>> = Vec::new();
    let mut before = 0;
    for tied in sorted.chunk_by(|a, b| a.probability.total_cmp(&b.probability).is_eq()) {
        let group = before * GROUPS / sorted.len();
        before += tied.len();
        if groups.last().is_none_or(|_| group >= groups.len()) {
            groups.push(Vec::new());
        }
        groups.last_mut().expect("just pushed").extend_from_slice(tied);
    }
    groups.iter().map(|group| decile(group)).collect()
}

fn decile(group: &[PredictedOutcome]) -> Decile {
    let count = group.len() as f64;
    let hits = group.iter().filter(|prediction| prediction.hit).count() as f64;
    Decile {
        count: group.len(),
        mean_score: group.iter().map(|prediction| prediction.probability).sum::<f64>() / count,
        share: hits / count,
        interval: wilson(hits, count),
    }
}

/// Wilson score interval of a share.
fn wilson(hits: f64, count: f64) -> [f64; 2] {
    let square = Z_95 * Z_95;
    let share = hits / count;
    let middle = (share + square / (2.0 * count)) / (1.0 + square / count);
    let half = Z_95 / (1.0 + square / count) * (share * (1.0 - share) / count + square / (4.0 * count * count)).sqrt();
    [(middle - half).max(0.0), (middle + half).min(1.0)]
}

/// Whether the share never falls from one decile to the next by more than their intervals allow.
pub fn is_monotone(deciles: &[Decile]) -> bool {
    deciles.windows(2).all(|pair| pair[1].interval[1] >= pair[0].interval[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(score: f64, hit: bool) -> PredictedOutcome {
        PredictedOutcome { probability: score, hit }
    }

    #[test]
    fn groups_are_of_equal_size_and_ties_stay_together() {
        let scored: Vec<PredictedOutcome> =
            (0..100).map(|number| prediction(f64::from(number), number % 2 == 0)).collect();
        let groups = deciles(&scored);
        assert_eq!(groups.iter().map(|group| group.count).collect::<Vec<_>>(), [10; 10]);
        assert!(groups.iter().all(|group| (group.share - 0.5).abs() < 1e-12));
        let tied: Vec<PredictedOutcome> = (0..100).map(|number| prediction(f64::from(number / 30), true)).collect();
        assert_eq!(deciles(&tied).iter().map(|group| group.count).collect::<Vec<_>>(), [30, 30, 30, 10]);
    }

    /// Agresti and Coull (1998): 0 of 10 gives 0 to .278.
    #[test]
    fn intervals_are_wilsons() {
        let [low, high] = wilson(0.0, 10.0);
        assert!(low.abs() < 1e-12 && (high - 0.2775).abs() < 1e-3, "{low} {high}");
    }

    #[test]
    fn a_fall_within_the_intervals_is_no_fall() {
        let decile = |low, high| Decile { count: 10, mean_score: 0.5, share: 0.5, interval: [low, high] };
        assert!(is_monotone(&[decile(0.2, 0.4), decile(0.15, 0.35)]));
        assert!(!is_monotone(&[decile(0.4, 0.6), decile(0.1, 0.3)]));
    }
}

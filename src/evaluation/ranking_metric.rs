//! Metrics of a single ranking.

use std::collections::BTreeSet;

use super::task::TaskKind;
use crate::domain::ids::ProductId;

/// Rank cutoff of most metrics.
pub(super) const TOP: usize = 10;

/// Metric of one ranking against the ground truth of its query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RankingMetric {
    /// Share of the relevant products that rank among the first ten.
    RecallAt10,
    /// `DCG@10` with gain 1 and discount `1 / log2(1 + rank)`, over that of the ideal ranking of `min(10, relevant)` products
    /// (K. Järvelin and J. Kekäläinen, ACM TOIS 20, 2002).
    NdcgAt10,
    /// Hit rate: 1 when a relevant product ranks among the first `k`.
    HitAt(usize),
    /// Reciprocal of the rank of the first relevant product; 0 when none was ranked.
    ReciprocalRank,
}

impl RankingMetric {
    /// Metrics of a task; the first one is the deciding one.
    pub(super) fn of_task(kind: &TaskKind) -> Vec<Self> {
        match kind {
            TaskKind::NextPurchase => vec![Self::NdcgAt10, Self::RecallAt10, Self::HitAt(10)],
            TaskKind::BasketCompletion => vec![Self::NdcgAt10, Self::HitAt(10)],
            TaskKind::Upgrade => vec![Self::ReciprocalRank, Self::HitAt(3)],
            TaskKind::AddOn { .. } => vec![Self::ReciprocalRank, Self::HitAt(1), Self::HitAt(3)],
        }
    }

    /// Name in the output.
    pub fn name(self) -> String {
        match self {
            Self::RecallAt10 => "recall@10".to_owned(),
            Self::NdcgAt10 => "ndcg@10".to_owned(),
            Self::HitAt(k) => format!("hit@{k}"),
            Self::ReciprocalRank => "mrr".to_owned(),
        }
    }

    /// Computes the metric of one ranking, 0 to 1.
    pub fn compute(self, ranked: &[ProductId], truth: &BTreeSet<ProductId>) -> f64 {
        let ranks = ranked.iter().zip(1_u32..).filter(|(product, _)| truth.contains(product)).map(|(_, rank)| rank);
        let within = |limit: usize| ranks.clone().take_while(move |&rank| rank as usize <= limit);
        match self {
            Self::RecallAt10 => within(TOP).count() as f64 / truth.len().max(1) as f64,
            Self::NdcgAt10 => {
                let gain = |rank: u32| 1.0 / f64::from(rank + 1).log2();
                let ideal: f64 = (1..).take(truth.len().min(TOP)).map(gain).sum();
                // The sum of an empty iterator is -0.0, which must not be printed.
                (0.0 + within(TOP).map(gain).sum::<f64>()) / ideal.max(f64::MIN_POSITIVE)
            }
            Self::HitAt(k) => f64::from(u8::from(within(k).next().is_some())),
            Self::ReciprocalRank => ranks.clone().next().map_or(0.0, |rank| 1.0 / f64::from(rank)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(texts: &[&str]) -> Vec<ProductId> {
        texts.iter().map(|text| ProductId::new(*text).expect("an id")).collect()
    }

    /// Two of three relevant products, at ranks 1 and 3: `DCG = 1 + 1/2`, the ideal one `1 + 1/log2 3 + 1/2`.
    #[test]
    fn metrics_are_those_of_the_literature() {
        let ranked = ids(&["a", "x", "b"]);
        let truth: BTreeSet<ProductId> = ids(&["a", "b", "c"]).into_iter().collect();
        let of = |metric: RankingMetric| metric.compute(&ranked, &truth);
        assert!((of(RankingMetric::RecallAt10) - 2.0 / 3.0).abs() < 1e-12);
        assert!((of(RankingMetric::NdcgAt10) - 1.5 / (1.5 + 1.0 / 3.0_f64.log2())).abs() < 1e-12);
        let late: BTreeSet<ProductId> = ids(&["b"]).into_iter().collect();
        let hit = |k: usize| RankingMetric::HitAt(k).compute(&ranked, &late);
        assert_eq!((hit(2), hit(3)), (0.0, 1.0));
        assert!((RankingMetric::ReciprocalRank.compute(&ranked, &late) - 1.0 / 3.0).abs() < 1e-12);
        let none = BTreeSet::new();
        let all = [
            RankingMetric::RecallAt10,
            RankingMetric::NdcgAt10,
            RankingMetric::HitAt(3),
            RankingMetric::ReciprocalRank,
        ];
        for metric in all {
            assert!(metric.compute(&ranked, &none).abs() < 1e-12, "{metric:?}");
        }
    }
}

//! Training of the rankers of complements: a forest on the older folds, kept only if it beats the blend on the latest.

use rayon::prelude::*;

use super::super::training_log::{Metric, TrainingLog};
use super::super::training_settings::TrainingSettings;
use super::calibration_fit::fit_calibration;
use super::features::{FeatureExtractor, Features};
use super::fitted_fold::FittedFold;
use super::forest::Forest;
use super::holdout_queries::HoldoutQuery;
use super::query_kind::{EVALUATION_QUERIES_MAX, QUERIES_MIN, QueryKind, with_relevant_items};
use super::ranker::{Blend, Decay, Ranker};
use super::ranking_quality::{METRIC_NAMES, QueryQuality, TOP, mean_quality, ndcg_gain, query_quality};
use super::sampling::{is_sampled, spread};
use super::training_examples::TrainingExamples;

/// Maximum number of queries of one fold that make examples.
const TRAINING_QUERIES_MAX: usize = 2500;
/// Maximum number of examples of one fold: negatives are sampled, and weighted by what each stands for.
const EXAMPLES_MAX: usize = 112_500;
/// Number of candidates of a query that the calibration is fitted to.
const CALIBRATED_CANDIDATES: usize = 50;

/// Examples of a fold: every positive, and a weighted sample of the negatives.
pub fn ranker_examples(fitted: &FittedFold<'_>, kind: QueryKind, blend: &Blend) -> TrainingExamples {
    let queries = with_relevant_items(kind.queries(fitted.fold), TRAINING_QUERIES_MAX);
    let candidates = queries.first().map_or(1, |holdout| fitted.retrieve(holdout, blend).0.len());
    let share = (EXAMPLES_MAX as f64 / (queries.len() * candidates.max(1)).max(1) as f64).min(1.0);
    let examples = queries.par_iter().enumerate().map(|(number, holdout)| {
        let (candidates, associations) = fitted.retrieve(holdout, blend);
        let extractor = FeatureExtractor::new(&fitted.model, &fitted.content, &holdout.query);
        let rows = extractor.features(|item| *associations.of(item), &candidates);
        let mut examples = TrainingExamples::new(Features::NAMES.len());
        for (row, (item, _)) in rows.into_iter().zip(candidates) {
            let label = holdout.is_relevant(item);
            if label || is_sampled(number, item, share) {
                examples.push(&row.values(), label, if label { 1.0 } else { (1.0 / share) as f32 });
            }
        }
        examples
    });
    let examples: Vec<TrainingExamples> = examples.collect();
    TrainingExamples::concat(Features::NAMES.len(), &examples)
}

/// Trains a ranker on the older folds and evaluates it on the latest. `examples` are of all folds, the latest first.
pub fn train_ranker(
    latest: &FittedFold<'_>,
    examples: &[&TrainingExamples],
    kind: QueryKind,
    blend: Blend,
    settings: &TrainingSettings,
    log: &mut TrainingLog,
) -> Ranker {
    let queries = with_relevant_items(kind.queries(latest.fold), EVALUATION_QUERIES_MAX);
    if queries.len() < QUERIES_MIN {
        log.notes.push(format!("{}: too few queries to evaluate a forest; ranked by the blend", kind.name()));
        return Ranker::untrained(blend);
    }
    let by_blend = Ranker::untrained(blend);
    let mut best = (evaluate_ranker(latest, &queries, &by_blend), by_blend);
    let older = TrainingExamples::concat(Features::NAMES.len(), &examples[1..]);
    if let Some(forest) = Forest::grow(&older, settings.threads) {
        let by_forest = Ranker { forest: Some(forest), ..Ranker::untrained(blend) };
        let quality = evaluate_ranker(latest, &queries, &by_forest);
        let (gain, error) = ndcg_gain(&quality, &best.0);
        log.notes.push(format!(
            "{}: ndcg@10 {:.4} by a forest trained on {} examples of {} earlier windows, {:.4} by the blend ({} queries, \
             standard error of the difference {error:.4})",
            kind.name(),
            mean_quality(&quality)[0],
            older.len(),
            examples.len() - 1,
            mean_quality(&best.0)[0],
            queries.len()
        ));
        if gain > error {
            best = (quality, by_forest);
        }
    }
    drop(older);
    let (quality, mut ranker) = best;
    ranker.calibration = fit_calibration(kind.name(), &raw_scores(latest, kind, &ranker), log);
    // Once the latest fold has served for evaluation, it is learned from as well.
    if ranker.forest.is_some() {
        let all = TrainingExamples::concat(Features::NAMES.len(), examples);
        ranker.forest = Forest::grow(&all, settings.threads);
    }
    if kind == QueryKind::Customers {
        let popularity = Blend { decay: Decay::Undecayed, holdings: 0.0, basket: 0.0, popularity: 1.0 };
        let by_popularity = evaluate_ranker(latest, &queries, &Ranker::untrained(popularity));
        for (method, quality) in [("tactful", quality), ("popularity", by_popularity)] {
            for (name, value) in METRIC_NAMES.into_iter().zip(mean_quality(&quality)) {
                log.metrics.push(Metric { name, method, value, queries: queries.len() });
            }
        }
    }
    ranker
}

/// Quality of the ranking of each query.
fn evaluate_ranker(latest: &FittedFold<'_>, queries: &[&HoldoutQuery], ranker: &Ranker) -> Vec<QueryQuality> {
    queries
        .par_iter()
        .map(|holdout| {
            let ranked: Vec<u32> = rank(latest, holdout, ranker).into_iter().take(TOP).map(|it| it.0).collect();
            query_quality(&ranked, holdout)
        })
        .collect()
}

/// Candidates of a query with their raw scores, best first.
fn rank(latest: &FittedFold<'_>, holdout: &HoldoutQuery, ranker: &Ranker) -> Vec<(u32, f64)> {
    let (candidates, associations) = latest.retrieve(holdout, &ranker.blend);
    let scores = ranker.raw_scores(&latest.model, &latest.content, &holdout.query, &associations, &candidates);
    let mut ranked: Vec<(u32, f64)> = candidates.into_iter().map(|it| it.0).zip(scores).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}

/// Raw scores of the best candidates of all queries with whether each is relevant, including queries without any relevant
/// item.
fn raw_scores(latest: &FittedFold<'_>, kind: QueryKind, ranker: &Ranker) -> Vec<Vec<(f64, bool)>> {
    let queries = spread(kind.queries(latest.fold).iter().collect(), EVALUATION_QUERIES_MAX);
    queries
        .par_iter()
        .map(|holdout| {
            let ranked = rank(latest, holdout, ranker).into_iter().take(CALIBRATED_CANDIDATES);
            ranked.map(|(item, score)| (score, holdout.is_relevant(item))).collect()
        })
        .collect()
}

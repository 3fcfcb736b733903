//! Tuning of hyperparameters on the latest fold: regularizers and half-life of the item model, one after the other, and
//! the blend that retrieves candidates.

use rayon::prelude::*;

use super::super::training_log::TrainingLog;
use super::super::training_settings::TrainingSettings;
use super::association_scores::score_associations;
use super::fitted_fold::FittedFold;
use super::holdout_queries::HoldoutQuery;
use super::interaction_rows::{CustomerRegression, CustomerWeights, InteractionRows, UnsolvableRegression};
use super::item_model::{ItemModel, Regularization};
use super::item_statistics::item_statistics;
use super::query_kind::{EVALUATION_QUERIES_MAX, QUERIES_MIN, QueryKind, with_relevant_items};
use super::ranker::{Blend, Decay, candidate_pool, current_by_popularity, top_scored};
use super::ranking_quality::{TOP, mean, ndcg};
use super::temporal_folds::TemporalFold;

/// Regularization where the history is too short to tune it.
pub const DEFAULT_REGULARIZATION: Regularization =
    Regularization { customer_lambda: 300.0, basket_lambda: 10.0, half_life_days: 180.0 };
const CUSTOMER_LAMBDAS: [f64; 4] = [30.0, 100.0, 300.0, 1000.0];
const BASKET_LAMBDAS: [f64; 3] = [10.0, 30.0, 100.0];
const HALF_LIVES_DAYS: [f64; 3] = [90.0, 180.0, 360.0];
const POPULARITY_WEIGHTS: [f32; 4] = [0.0, 0.02, 0.1, 0.3];
/// Weights of the basket for customers, and of the holdings for baskets.
const SIDE_WEIGHTS: [f32; 3] = [0.0, 0.1, 0.3];

/// Regularizers and half-life with the best ranking of the latest fold.
pub fn tune_regularization(
    fold: &TemporalFold<'_>,
    rows: &InteractionRows,
    settings: &TrainingSettings,
    log: &mut TrainingLog,
) -> Result<Regularization, UnsolvableRegression> {
    let mut tuned = DEFAULT_REGULARIZATION;
    // Rankings by each candidate model differ only in the weights; the statistics are shared.
    let unweighted = ItemModel { products: item_statistics(&fold.history, fold.cutoff), ..ItemModel::default() };
    let by_popularity = current_by_popularity(&unweighted, fold.cutoff);
    let data = TuningData { fold, rows, unweighted: &unweighted, by_popularity: &by_popularity, settings };
    tune_customer_regression(&data, &mut tuned, log)?;
    tune_basket_regression(&data, &mut tuned, log)?;
    Ok(tuned)
}

/// Data that each tried regression is fitted to and evaluated on.
struct TuningData<'a> {
    /// The latest fold, whose queries evaluate.
    fold: &'a TemporalFold<'a>,
    /// Interactions before the cutoff of the fold.
    rows: &'a InteractionRows,
    /// The statistics of the items, without weights.
    unweighted: &'a ItemModel,
    /// Items by falling recent popularity.
    by_popularity: &'a [u32],
    settings: &'a TrainingSettings,
}

fn tune_customer_regression(
    data: &TuningData<'_>,
    tuned: &mut Regularization,
    log: &mut TrainingLog,
) -> Result<(), UnsolvableRegression> {
    let TuningData { fold, rows, unweighted, by_popularity, settings } = *data;
    let queries = with_relevant_items(&fold.customers, EVALUATION_QUERIES_MAX / 2);
    if queries.len() < QUERIES_MIN {
        return Ok(());
    }
    let evaluate = |regression: &CustomerRegression<'_>, lambda: f64| -> Result<f64, UnsolvableRegression> {
        let CustomerWeights { items: recency_weighted, profile: profile_recency_weighted } =
            regression.solve_recency_weighted(lambda)?;
        let model = ItemModel {
            products: unweighted.products.clone(),
            recency_weighted,
            profile_recency_weighted,
            ..ItemModel::default()
        };
        let blends = Decay::ALL.map(|decay| Blend { decay, ..Blend::CUSTOMERS });
        Ok(evaluate_blends(&model, by_popularity, &queries, &blends).into_iter().fold(0.0, f64::max))
    };
    let mut best = -1.0;
    let regression = rows.by_customer(DEFAULT_REGULARIZATION.half_life_days, settings);
    for lambda in CUSTOMER_LAMBDAS {
        let ndcg = evaluate(&regression, lambda)?;
        if ndcg > best {
            (best, tuned.customer_lambda) = (ndcg, lambda);
        }
    }
    drop(regression);
    for half_life in HALF_LIVES_DAYS.into_iter().filter(|days| *days != DEFAULT_REGULARIZATION.half_life_days) {
        let ndcg = evaluate(&rows.by_customer(half_life, settings), tuned.customer_lambda)?;
        if ndcg > best {
            (best, tuned.half_life_days) = (ndcg, half_life);
        }
    }
    log.notes.push(format!(
        "customers: regularization {} of {CUSTOMER_LAMBDAS:?} and half-life {} of {HALF_LIVES_DAYS:?} days, ndcg@10 \
         {best:.4} on {} queries",
        tuned.customer_lambda,
        tuned.half_life_days,
        queries.len()
    ));
    Ok(())
}

fn tune_basket_regression(
    data: &TuningData<'_>,
    tuned: &mut Regularization,
    log: &mut TrainingLog,
) -> Result<(), UnsolvableRegression> {
    let TuningData { fold, rows, unweighted, by_popularity, settings } = *data;
    let queries = with_relevant_items(&fold.baskets, EVALUATION_QUERIES_MAX);
    if queries.len() < QUERIES_MIN {
        return Ok(());
    }
    let mut best = -1.0;
    let regression = rows.by_basket(settings);
    for lambda in BASKET_LAMBDAS {
        let within_basket = regression.solve(lambda)?;
        let model = ItemModel { products: unweighted.products.clone(), within_basket, ..ItemModel::default() };
        let [ndcg] = evaluate_blends(&model, by_popularity, &queries, &[Blend::BASKETS])[..] else { continue };
        if ndcg > best {
            (best, tuned.basket_lambda) = (ndcg, lambda);
        }
    }
    log.notes.push(format!(
        "baskets: regularization {} of {BASKET_LAMBDAS:?}, ndcg@10 {best:.4} on {} queries",
        tuned.basket_lambda,
        queries.len()
    ));
    Ok(())
}

/// Blend with the best ranking of the latest fold.
pub fn tune_blend(latest: &FittedFold<'_>, kind: QueryKind, log: &mut TrainingLog) -> Blend {
    let default = match kind {
        QueryKind::Customers => Blend::CUSTOMERS,
        QueryKind::Baskets => Blend::BASKETS,
    };
    let queries = with_relevant_items(kind.queries(latest.fold), EVALUATION_QUERIES_MAX / 2);
    if queries.len() < QUERIES_MIN {
        return default;
    }
    let mut blends = Vec::new();
    for popularity in POPULARITY_WEIGHTS {
        for side in SIDE_WEIGHTS {
            match kind {
                QueryKind::Customers => {
                    for decay in Decay::ALL {
                        blends.push(Blend { decay, holdings: 1.0, basket: side, popularity });
                    }
                }
                QueryKind::Baskets => {
                    blends.push(Blend { decay: Decay::Long, holdings: side, basket: 1.0, popularity });
                }
            }
        }
    }
    let evaluated = evaluate_blends(&latest.model, &latest.by_popularity, &queries, &blends).into_iter().zip(blends);
    let (ndcg, blend) = evaluated.fold((-1.0, default), |best, tried| if tried.0 > best.0 { tried } else { best });
    let Blend { decay, holdings, basket, popularity } = blend;
    log.notes.push(format!(
        "{}: retrieval by {holdings} x holdings ({}) + {basket} x basket + {popularity} x popularity, ndcg@10 {ndcg:.4}",
        kind.name(),
        decay.name()
    ));
    blend
}

/// Mean NDCG of each blend over the queries.
fn evaluate_blends(model: &ItemModel, by_popularity: &[u32], queries: &[&HoldoutQuery], blends: &[Blend]) -> Vec<f64> {
    let of_query = |holdout: &&HoldoutQuery| -> Vec<f64> {
        let associations = score_associations(model, &holdout.query);
        let is_candidate = |item: u32| holdout.is_candidate(item);
        let pool = candidate_pool(model, &associations, by_popularity, holdout.query.now, is_candidate, TOP);
        let evaluate = |blend: &Blend| {
            let score = |item: u32| blend.score_of(model, associations.of(item), item);
            let ranked = top_scored(pool.iter().copied(), score, TOP);
            ndcg(&ranked.into_iter().map(|it| it.0).collect::<Vec<u32>>(), holdout)
        };
        blends.iter().map(evaluate).collect()
    };
    let each: Vec<Vec<f64>> = queries.par_iter().map(of_query).collect();
    (0..blends.len()).map(|blend| mean(each.iter().map(|of_query| of_query[blend]))).collect()
}

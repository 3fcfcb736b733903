//! Item-to-item weights and statistics of all items as of a moment.

use super::super::history::OrderedHistory;
use super::super::learned_product::LearnedProduct;
use super::super::profile::ProfileEncoder;
use super::super::ridge::Neighbours;
use super::super::training_settings::TrainingSettings;
use super::interaction_rows::{InteractionRows, UnsolvableRegression};
use super::item_statistics::{baskets_before, customers_before, item_statistics};

/// Hyperparameters of the regressions, tuned on the history itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regularization {
    /// Regularizer over customer histories, for 4,000 rows and more.
    pub customer_lambda: f64,
    pub basket_lambda: f64,
    /// Half-life of a purchase in [`ItemModel::recency_weighted`], in days.
    pub half_life_days: f64,
}

/// Item-to-item weights and statistics as of a moment. All lists are parallel.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ItemModel {
    /// Statistics of each item.
    pub products: Vec<LearnedProduct>,
    /// Number of customers with a purchase.
    pub customers: u32,
    /// Number of baskets of two items and more.
    pub baskets: u32,
    /// Weights over customer histories, purchases decayed by their age.
    pub recency_weighted: Neighbours,
    /// Weights over customer histories, without decay.
    pub all_time: Neighbours,
    pub within_basket: Neighbours,
    /// Encoding of customer attributes as columns.
    pub profile_encoder: ProfileEncoder,
    /// Weights of profile columns on items, learned with `recency_weighted`.
    pub profile_recency_weighted: Neighbours,
    /// Weights of profile columns on items, learned with `all_time`.
    pub profile_all_time: Neighbours,
}

/// Learns weights and statistics as of the moment of the rows.
pub fn fit_item_model(
    history: &OrderedHistory,
    rows: &InteractionRows,
    regularization: Regularization,
    settings: &TrainingSettings,
) -> Result<ItemModel, UnsolvableRegression> {
    let Regularization { customer_lambda, basket_lambda, half_life_days } = regularization;
    let by_customer = rows.by_customer(half_life_days, settings);
    let recency_weighted = by_customer.solve_recency_weighted(customer_lambda)?;
    let all_time = by_customer.solve_all_time(customer_lambda)?;
    drop(by_customer);
    Ok(ItemModel {
        products: item_statistics(history, rows.end),
        customers: customers_before(history, rows.end),
        baskets: baskets_before(history, rows.end),
        recency_weighted: recency_weighted.items,
        all_time: all_time.items,
        within_basket: rows.by_basket(settings).solve(basket_lambda)?,
        profile_encoder: history.profile_encoder.clone(),
        profile_recency_weighted: recency_weighted.profile,
        profile_all_time: all_time.profile,
    })
}

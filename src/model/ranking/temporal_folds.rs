//! Temporal folds of a history: cutoffs, each with holdout queries from the weeks after it.
//!
//! A history of one day has no time to be cut by. It is cut like a cross-validation instead: each fold holds out some
//! customers and baskets, of which one item is hidden.

use std::borrow::Cow;

use super::super::history::{OrderedHistory, Purchase, UNKNOWN_ID};
use super::decay::DAY;
use super::holdout_queries::{HoldoutQuery, basket_queries, customer_queries};
use super::ranking_query::{RankingQuery, held_before};
use super::sampling::hash_pair;

/// Length of the window after a cutoff, in days.
pub const WINDOW_DAYS: i64 = 28;
/// Maximum number of folds: the latest evaluates what was learned from the others.
const FOLDS_MAX: i64 = 4;
/// Minimum length of the history before a cutoff, in days.
const HISTORY_BEFORE_DAYS: i64 = 56;
/// Maximum number of queries about customers of one fold.
const CUSTOMERS_MAX: usize = 12_000;
/// Maximum number of queries about baskets of one fold.
const BASKETS_MAX: usize = 4_000;

/// Cutoff in a history with holdout queries from the window after it.
pub struct TemporalFold<'a> {
    /// History to learn from; purchases after the cutoff may be in it and are ignored.
    pub history: Cow<'a, OrderedHistory>,
    /// Cutoff, in seconds after 1970.
    pub cutoff: i64,
    /// Queries about customers, including those who bought nothing.
    pub customers: Vec<HoldoutQuery>,
    pub baskets: Vec<HoldoutQuery>,
}

/// Folds of a history that ends at `end`, the latest first.
pub fn temporal_folds(history: &OrderedHistory, end: i64) -> Vec<TemporalFold<'_>> {
    let Some(first) = history.purchases.iter().map(|purchase| purchase.second).min() else { return Vec::new() };
    let last = history.purchases.iter().map(|purchase| purchase.second).max().unwrap_or(first);
    if last - first < DAY {
        return one_day_folds(history, end);
    }
    let windows = (end - first - HISTORY_BEFORE_DAYS * DAY).div_euclid(WINDOW_DAYS * DAY).clamp(0, FOLDS_MAX);
    let fold = |window: i64| {
        let cutoff = end - window * WINDOW_DAYS * DAY;
        let until = cutoff + WINDOW_DAYS * DAY;
        TemporalFold {
            history: Cow::Borrowed(history),
            cutoff,
            customers: customer_queries(history, cutoff, until, CUSTOMERS_MAX),
            baskets: basket_queries(history, cutoff, &(cutoff..until), BASKETS_MAX),
        }
    };
    (1..=windows).map(fold).collect()
}

/// Folds of a history of one day: one part of its customers and baskets is held out in each, and one part in none.
fn one_day_folds(history: &OrderedHistory, end: i64) -> Vec<TemporalFold<'_>> {
    let parts = FOLDS_MAX as u64 + 1;
    let part_of = |purchase: &Purchase| {
        let buyer = if purchase.customer == UNKNOWN_ID { purchase.basket } else { purchase.customer };
        hash_pair(buyer, u32::from(purchase.customer == UNKNOWN_ID)) % parts
    };
    let fold = |part: u64| {
        let (held_out, rest): (Vec<Purchase>, Vec<Purchase>) =
            history.purchases.iter().partition(|purchase| part_of(purchase) == part);
        let held_out = OrderedHistory { purchases: held_out, ..history.clone() };
        TemporalFold {
            history: Cow::Owned(OrderedHistory { purchases: rest, ..history.clone() }),
            cutoff: end,
            customers: hidden_item_queries(&held_out, end),
            baskets: basket_queries(&held_out, end, &(i64::MIN..end), BASKETS_MAX),
        }
    };
    (0..FOLDS_MAX as u64).map(fold).collect()
}

/// Queries about customers with two items and more, one of them hidden.
fn hidden_item_queries(history: &OrderedHistory, end: i64) -> Vec<HoldoutQuery> {
    let hide = |bought: &[Purchase]| {
        let mut held = held_before(bought, end);
        let hidden = held.iter().map(|held| held.item).min_by_key(|&item| hash_pair(bought[0].customer, item))?;
        held.retain(|held| held.item != hidden);
        let owned: Vec<u32> = held.iter().map(|held| held.item).collect();
        (!owned.is_empty()).then(|| HoldoutQuery {
            query: RankingQuery::new(end, held, Vec::new(), history.profiles[bought[0].customer as usize].clone()),
            owned,
            relevant: vec![hidden],
        })
    };
    history.by_customer().filter_map(hide).take(CUSTOMERS_MAX).collect()
}

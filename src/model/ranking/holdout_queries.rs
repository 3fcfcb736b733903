//! Queries from the history with known relevant items: later purchases of a customer, or hidden items of a basket.

use std::collections::HashMap;
use std::ops::Range;

use super::super::history::{OrderedHistory, Purchase, UNKNOWN_ID};
use super::ranking_query::{RankingQuery, held_before};
use super::sampling::hash_pair;

/// Longer baskets are left out: they cost much and carry little information.
const BASKET_MAX: usize = 300;
/// Number of items of a basket that are hidden, one at a time.
const HIDDEN_PER_BASKET: usize = 2;

/// Query with its held-out relevant items.
#[derive(Debug, Clone)]
pub struct HoldoutQuery {
    /// The query, as of its time.
    pub query: RankingQuery,
    /// All items that the customer had ever bought, in order; not to be ranked.
    pub owned: Vec<u32>,
    /// Relevant items, in order; none when the customer bought nothing new.
    pub relevant: Vec<u32>,
}

impl HoldoutQuery {
    /// True for an item that is neither owned nor in the basket.
    pub fn is_candidate(&self, item: u32) -> bool {
        let is_in_basket = self.query.is_basket && self.query.basket.contains(&item);
        !is_in_basket && self.owned.binary_search(&item).is_err()
    }

    /// True for a relevant item.
    pub fn is_relevant(&self, item: u32) -> bool {
        self.relevant.binary_search(&item).is_ok()
    }
}

/// Queries about every customer with a purchase before `at`; relevant is what was new until `until`. At most about `count`,
/// spread over all customers.
pub fn customer_queries(history: &OrderedHistory, at: i64, until: i64, count: usize) -> Vec<HoldoutQuery> {
    let mut customers: Vec<&[Purchase]> = history.by_customer().collect();
    customers.retain(|bought| bought.iter().any(|purchase| purchase.second < at));
    let stride = customers.len().div_ceil(count.max(1)).max(1);
    let holdout = |bought: &[Purchase]| {
        let held = held_before(bought, at);
        let owned: Vec<u32> = held.iter().map(|held| held.item).collect();
        let after = bought.iter().filter(|purchase| (at..until).contains(&purchase.second));
        let mut relevant: Vec<u32> = after.map(|purchase| purchase.item).collect();
        relevant.dedup();
        relevant.retain(|item| owned.binary_search(item).is_err());
        let profile = history.profiles[bought[0].customer as usize].clone();
        HoldoutQuery { query: RankingQuery::new(at, held, Vec::new(), profile), owned, relevant }
    };
    customers.into_iter().step_by(stride).map(holdout).collect()
}

/// Queries about the baskets of a window as of `now`, each with one item hidden that is new to the customer. The customer
/// holds what was bought before the window, however late the basket. At most about `count`, spread over all baskets.
pub fn basket_queries(history: &OrderedHistory, now: i64, window: &Range<i64>, count: usize) -> Vec<HoldoutQuery> {
    let mut customer_of: HashMap<u32, u32> = HashMap::new();
    let mut lines: Vec<(u32, u32)> = Vec::new();
    for purchase in history.purchases.iter().filter(|purchase| window.contains(&purchase.second)) {
        if purchase.basket != UNKNOWN_ID {
            lines.push((purchase.basket, purchase.item));
            customer_of.insert(purchase.basket, purchase.customer);
        }
    }
    lines.sort_unstable();
    lines.dedup();
    let baskets: Vec<&[(u32, u32)]> =
        lines.chunk_by(|a, b| a.0 == b.0).filter(|lines| (2..=BASKET_MAX).contains(&lines.len())).collect();
    let by_customer: HashMap<u32, &[Purchase]> =
        history.by_customer().map(|bought| (bought[0].customer, bought)).collect();
    let stride = (baskets.len() * HIDDEN_PER_BASKET).div_ceil(count.max(1)).max(1);
    let mut queries = Vec::new();
    for basket in baskets.into_iter().step_by(stride) {
        let bought = customer_of.get(&basket[0].0).and_then(|customer| by_customer.get(customer));
        let held = bought.map_or_else(Vec::new, |bought| held_before(bought, window.start));
        let profile = bought.map_or_else(Vec::new, |bought| history.profiles[bought[0].customer as usize].clone());
        let owned: Vec<u32> = held.iter().map(|held| held.item).collect();
        let mut new: Vec<u32> = basket.iter().map(|line| line.1).collect();
        new.retain(|item| owned.binary_search(item).is_err());
        new.sort_by_key(|&item| hash_pair(basket[0].0, item));
        for &hidden in new.iter().take(HIDDEN_PER_BASKET) {
            let rest = basket.iter().map(|line| line.1).filter(|&item| item != hidden).collect();
            let query = RankingQuery::new(now, held.clone(), rest, profile.clone());
            queries.push(HoldoutQuery { query, owned: owned.clone(), relevant: vec![hidden] });
        }
    }
    queries
}

//! Query of a ranking, in item indices of the model.

use super::super::history::Purchase;

/// Maximum number of held items whose purchase times are known, the latest: as many as a customer's record stores in full.
const DATED_MAX: usize = crate::domain::state_bounds::StateBounds::STORED.holdings;

/// Placeholder for an unknown purchase time.
pub const UNDATED: i64 = i64::MIN;

/// Item that the customer has bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldItem {
    /// Index of the item in the model.
    pub item: u32,
    /// First purchase, in seconds after 1970.
    pub first_bought: i64,
    /// Last purchase, in seconds after 1970.
    pub last_bought: i64,
}

/// Query about a customer, a basket, or a customer with a basket.
#[derive(Debug, Clone, PartialEq)]
pub struct RankingQuery {
    /// Time of the query, in seconds after 1970.
    pub now: i64,
    /// Items that the customer has, each once, by index.
    pub held: Vec<HeldItem>,
    /// Items of the basket or page; without one, the customer's latest purchases.
    pub basket: Vec<u32>,
    /// True when the query is about a basket.
    pub is_basket: bool,
    /// Columns of the encoded profile.
    pub profile: Vec<u32>,
}

impl RankingQuery {
    /// Query about a basket when `context` holds anything, else about the customer. Held items beyond what a customer's
    /// record stores in full are only known to be older than the others.
    pub fn new(now: i64, mut held: Vec<HeldItem>, context: Vec<u32>, profile: Vec<u32>) -> Self {
        let dated = held.iter().filter(|held| held.last_bought != UNDATED).count().min(DATED_MAX);
        if dated < held.len() {
            held.sort_unstable_by_key(|held| (std::cmp::Reverse(held.last_bought), held.item));
            let oldest = held[..dated].last().map_or(now, |held| held.last_bought);
            for undated in &mut held[dated..] {
                (undated.first_bought, undated.last_bought) = (oldest, oldest);
            }
            held.sort_unstable_by_key(|held| held.item);
        }
        let is_basket = !context.is_empty();
        let basket = if is_basket { context } else { last_basket(&held) };
        Self { now, held, basket, is_basket, profile }
    }
}

/// Items bought on the customer's last day with a purchase.
fn last_basket(held: &[HeldItem]) -> Vec<u32> {
    let day = |second: i64| second.div_euclid(86_400);
    let last = held.iter().map(|held| day(held.last_bought)).max();
    held.iter().filter(|held| Some(day(held.last_bought)) == last).map(|held| held.item).collect()
}

/// Items that a customer had bought before a second.
pub fn held_before(bought: &[Purchase], second: i64) -> Vec<HeldItem> {
    let each = bought.chunk_by(|a, b| a.item == b.item).filter_map(|purchases| {
        let before = &purchases[..purchases.partition_point(|purchase| purchase.second < second)];
        let (first, last) = (before.first()?, before.last()?);
        Some(HeldItem { item: first.item, first_bought: first.second, last_bought: last.second })
    });
    each.collect()
}

//! What a ranker is asked about, in the numbers of the model.

use super::super::history::Purchase;

/// The most holdings of which it is known when they were bought, the latest: as many as a customer's record keeps in full.
const DATED_MAX: usize = crate::domain::customer::HOLDINGS_MAX;

/// When something was bought of which that is not known.
pub const UNDATED: i64 = i64::MIN;

/// A product that the customer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Had {
    /// The product's number.
    pub product: u32,
    /// When it was first bought, in seconds after 1970.
    pub first: i64,
    /// When it was last bought.
    pub last: i64,
}

/// A customer, a basket, or a customer with a basket.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Now, in seconds after 1970.
    pub now: i64,
    /// What the customer has, each product once.
    pub had: Vec<Had>,
    /// The basket or page asked about; what the customer bought last when nothing is in it.
    pub basket: Vec<u32>,
    /// True when a basket is asked about.
    pub is_basket: bool,
    /// The columns that the customer's profile falls into.
    pub profile: Vec<u32>,
}

impl Asked {
    /// Asks about a customer, or about a basket of the customer's when it holds anything. Of holdings that are too many for a
    /// customer's record it is known only that they are older than the others.
    pub fn new(now: i64, mut had: Vec<Had>, context: Vec<u32>, profile: Vec<u32>) -> Self {
        let dated = had.iter().filter(|had| had.last != UNDATED).count().min(DATED_MAX);
        if dated < had.len() {
            had.sort_unstable_by_key(|had| (std::cmp::Reverse(had.last), had.product));
            let oldest = had[..dated].last().map_or(now, |had| had.last);
            for undated in &mut had[dated..] {
                (undated.first, undated.last) = (oldest, oldest);
            }
            had.sort_unstable_by_key(|had| had.product);
        }
        let is_basket = !context.is_empty();
        let basket = if is_basket { context } else { last_basket(&had) };
        Self { now, had, basket, is_basket, profile }
    }
}

/// What was bought on the last day that anything was.
fn last_basket(had: &[Had]) -> Vec<u32> {
    let day = |second: i64| second.div_euclid(86_400);
    let last = had.iter().map(|had| day(had.last)).max();
    had.iter().filter(|had| Some(day(had.last)) == last).map(|had| had.product).collect()
}

/// What a customer had bought before a second.
pub fn had_before(bought: &[Purchase], second: i64) -> Vec<Had> {
    let each = bought.chunk_by(|a, b| a.product == b.product).filter_map(|lines| {
        let before = &lines[..lines.partition_point(|line| line.second < second)];
        let (first, last) = (before.first()?, before.last()?);
        Some(Had { product: first.product, first: first.second, last: last.second })
    });
    each.collect()
}

//! Single questions of the past whose answers are known: what customers bought next, and which product of a basket was hidden.

use std::collections::HashMap;
use std::ops::Range;

use super::super::history::{NOBODY, OrderedHistory, Purchase};
use super::asked::{Asked, had_before};

/// Of longer baskets nothing is hidden: they take long and tell little.
const BASKET_MAX: usize = 300;
/// Products hidden of one basket, one at a time.
const HIDDEN_PER_BASKET: usize = 2;

/// A question of the past.
#[derive(Debug, Clone)]
pub struct PastQuestion {
    /// What was asked.
    pub asked: Asked,
    /// What the customer had ever bought, in order; not to be offered.
    pub owned: Vec<u32>,
    /// What was right, in order; none when the customer bought nothing new.
    pub truth: Vec<u32>,
}

impl PastQuestion {
    /// True for what is neither owned nor in the basket.
    pub fn may_be_offered(&self, product: u32) -> bool {
        let is_in_basket = self.asked.is_basket && self.asked.basket.contains(&product);
        !is_in_basket && self.owned.binary_search(&product).is_err()
    }

    /// True for what was right.
    pub fn is_right(&self, product: u32) -> bool {
        self.truth.binary_search(&product).is_ok()
    }
}

/// Every customer who had bought something before `at`, and what was new until `until`. At most about `count`, spread over
/// all customers.
pub fn of_customers(history: &OrderedHistory, at: i64, until: i64, count: usize) -> Vec<PastQuestion> {
    let mut customers: Vec<&[Purchase]> = history.by_customer().collect();
    customers.retain(|bought| bought.iter().any(|purchase| purchase.second < at));
    let stride = customers.len().div_ceil(count.max(1)).max(1);
    let question = |bought: &[Purchase]| {
        let had = had_before(bought, at);
        let owned: Vec<u32> = had.iter().map(|had| had.product).collect();
        let after = bought.iter().filter(|purchase| (at..until).contains(&purchase.second));
        let mut truth: Vec<u32> = after.map(|purchase| purchase.product).collect();
        truth.dedup();
        truth.retain(|product| owned.binary_search(product).is_err());
        let profile = history.profiles[bought[0].customer as usize].clone();
        PastQuestion { asked: Asked::new(at, had, Vec::new(), profile), owned, truth }
    };
    customers.into_iter().step_by(stride).map(question).collect()
}

/// Baskets of a window, each with one product hidden that is new to its customer, asked at `now`. Who is asked has what
/// was bought before the window, however late the basket. At most about `count`, spread over all baskets.
pub fn of_baskets(history: &OrderedHistory, now: i64, window: &Range<i64>, count: usize) -> Vec<PastQuestion> {
    let mut customer_of: HashMap<u32, u32> = HashMap::new();
    let mut lines: Vec<(u32, u32)> = Vec::new();
    for purchase in history.purchases.iter().filter(|purchase| window.contains(&purchase.second)) {
        if purchase.basket != NOBODY {
            lines.push((purchase.basket, purchase.product));
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
    let mut questions = Vec::new();
    for basket in baskets.into_iter().step_by(stride) {
        let bought = customer_of.get(&basket[0].0).and_then(|customer| by_customer.get(customer));
        let had = bought.map_or_else(Vec::new, |bought| had_before(bought, window.start));
        let profile = bought.map_or_else(Vec::new, |bought| history.profiles[bought[0].customer as usize].clone());
        let owned: Vec<u32> = had.iter().map(|had| had.product).collect();
        let mut new: Vec<u32> = basket.iter().map(|line| line.1).collect();
        new.retain(|product| owned.binary_search(product).is_err());
        new.sort_by_key(|&product| scattered(basket[0].0, product));
        for &hidden in new.iter().take(HIDDEN_PER_BASKET) {
            let rest = basket.iter().map(|line| line.1).filter(|&product| product != hidden).collect();
            let asked = Asked::new(now, had.clone(), rest, profile.clone());
            questions.push(PastQuestion { asked, owned: owned.clone(), truth: vec![hidden] });
        }
    }
    questions
}

/// A number that looks random and is the same in every run: the finaliser of splitmix64 (OOPSLA 2014).
pub fn scattered(one: u32, other: u32) -> u64 {
    let seed = (u64::from(one) << 32 | u64::from(other)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// True for a share of all pairs of a question and a product: the same in every run.
pub fn is_drawn(question: usize, product: u32, share: f64) -> bool {
    ((scattered(question as u32, product) % 1_000_000) as f64) < share * 1e6
}

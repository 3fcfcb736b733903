//! Statistics of each item as of a moment: sales, buyers, popularity and reversals.

use std::collections::BTreeMap;

use super::super::history::{OrderedHistory, Purchase, UNKNOWN_ID};
use super::super::learned_product::{LearnedProduct, POPULARITY_HALF_LIVES, RECENT_DAYS};
use super::decay::{DAY, decay_weight};
use super::ranking_query::{HeldItem, held_before};

/// Half-lives of [`LearnedProduct::new_buyers`], in days.
const NEW_BUYERS_HALF_LIVES: [f64; 2] = [21.0, 7.0];

/// Statistics of all items as of `end`.
pub fn item_statistics(history: &OrderedHistory, end: i64) -> Vec<LearnedProduct> {
    let mut learned: Vec<LearnedProduct> =
        history.products.iter().map(|id| LearnedProduct::unseen(id.clone())).collect();
    for ((product, &price), variants) in learned.iter_mut().zip(&history.mean_prices).zip(&history.variants) {
        product.price = price;
        product.variants.clone_from(variants);
    }
    for purchase in history.purchases.iter().filter(|purchase| purchase.second < end) {
        learned[purchase.item as usize].bought += 1;
    }
    for &(item, _) in history.reversals.iter().filter(|(_, second)| *second < end) {
        learned[item as usize].reversed += 1;
    }
    for bought in history.by_customer() {
        for held in held_before(bought, end) {
            learned[held.item as usize].customers += 1;
        }
    }
    for (at, items) in history.by_basket() {
        if at < end && items.len() > 1 {
            for item in items {
                learned[item as usize].baskets += 1;
            }
        }
    }
    add_buyer_statistics(&mut learned, &buyers_before(history, end), end);
    add_last_year_shares(&mut learned, history, end);
    learned
}

/// Number of customers with a purchase before `end`.
pub fn customers_before(history: &OrderedHistory, end: i64) -> u32 {
    let has_bought = |bought: &&[Purchase]| bought.iter().any(|purchase| purchase.second < end);
    history.by_customer().filter(has_bought).count() as u32
}

/// Number of baskets of two items and more before `end`.
pub fn baskets_before(history: &OrderedHistory, end: i64) -> u32 {
    history.by_basket().iter().filter(|(at, items)| *at < end && items.len() > 1).count() as u32
}

/// Items of each buyer: of customers, and of anonymous baskets.
fn buyers_before(history: &OrderedHistory, end: i64) -> Vec<Vec<HeldItem>> {
    let named = history.by_customer().map(|bought| held_before(bought, end));
    let mut anonymous: BTreeMap<u32, Vec<HeldItem>> = BTreeMap::new();
    let purchases = history.purchases.iter();
    for purchase in purchases.filter(|purchase| purchase.customer == UNKNOWN_ID && purchase.second < end) {
        if purchase.basket != UNKNOWN_ID {
            let held = HeldItem { item: purchase.item, first_bought: purchase.second, last_bought: purchase.second };
            anonymous.entry(purchase.basket).or_default().push(held);
        }
    }
    let distinct = |mut basket: Vec<HeldItem>| {
        basket.sort_unstable_by_key(|held| (held.item, held.last_bought));
        // An item on two lines of a basket counts once, from the first until the last.
        basket.dedup_by(|later, held| {
            let is_same = later.item == held.item;
            if is_same {
                held.last_bought = held.last_bought.max(later.last_bought);
            }
            is_same
        });
        basket
    };
    named.chain(anonymous.into_values().map(distinct)).filter(|buyer| !buyer.is_empty()).collect()
}

fn add_buyer_statistics(learned: &mut [LearnedProduct], buyers: &[Vec<HeldItem>], end: i64) {
    // `end` is the second after the last that counts.
    let recent_from = end - 1 - i64::from(RECENT_DAYS) * DAY;
    let mut all_buyers = [0.0_f32; POPULARITY_HALF_LIVES.len()];
    let mut all_new_buyers = [0.0_f32; NEW_BUYERS_HALF_LIVES.len()];
    for buyer in buyers {
        let latest = buyer.iter().map(|held| held.last_bought).max().unwrap_or(end);
        for (sum, days) in all_buyers.iter_mut().zip(POPULARITY_HALF_LIVES) {
            *sum += decay_weight(end - latest, days);
        }
        for (sum, days) in all_new_buyers.iter_mut().zip(NEW_BUYERS_HALF_LIVES) {
            *sum += decay_weight(end - latest, days);
        }
        for &HeldItem { item, first_bought, last_bought } in buyer {
            let product = &mut learned[item as usize];
            product.buyers += 1;
            product.recent_buyers += u32::from(last_bought >= recent_from);
            product.first_sold = Some(product.first_sold.map_or(first_bought, |first| first.min(first_bought)));
            product.last_sold = Some(product.last_sold.map_or(last_bought, |last| last.max(last_bought)));
            for (share, days) in product.popularity.iter_mut().zip(POPULARITY_HALF_LIVES) {
                *share += decay_weight(end - last_bought, days);
            }
            for (share, days) in product.new_buyers.iter_mut().zip(NEW_BUYERS_HALF_LIVES) {
                *share += decay_weight(end - first_bought, days);
            }
        }
    }
    for product in learned {
        for (share, sum) in product.popularity.iter_mut().zip(all_buyers) {
            *share = (*share / sum.max(f32::MIN_POSITIVE)).min(1.0);
        }
        for (share, sum) in product.new_buyers.iter_mut().zip(all_new_buyers) {
            *share = (*share / sum.max(f32::MIN_POSITIVE)).min(1.0);
        }
    }
}

/// Adds the share of baskets that held each item in the same weeks of last year: a week before to five weeks after.
fn add_last_year_shares(learned: &mut [LearnedProduct], history: &OrderedHistory, end: i64) {
    let then = end - 365 * DAY;
    let weeks = (then - 7 * DAY)..(then + 35 * DAY);
    let first_purchase = history.purchases.iter().map(|purchase| purchase.second).min();
    if first_purchase.is_none_or(|first| first > weeks.start) {
        return;
    }
    let mut baskets = 0.0_f32;
    let mut shares = vec![0.0_f32; learned.len()];
    for (_, items) in history.by_basket().into_iter().filter(|(at, _)| weeks.contains(at)) {
        baskets += 1.0;
        for item in items {
            shares[item as usize] += 1.0;
        }
    }
    for (product, share) in learned.iter_mut().zip(shares) {
        product.last_year = Some(share / baskets.max(1.0));
    }
}

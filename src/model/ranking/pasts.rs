//! Earlier moments of a history, each with questions whose answers it knows.
//!
//! Where there is time, a past is a moment with the weeks after it. Where there is none, as in a history of one day, it is
//! the history without some of its customers and baskets, and these with something hidden.

use std::borrow::Cow;

use super::super::history::{NOBODY, OrderedHistory, Purchase};
use super::asked::{Asked, had_before};
use super::lessons::{PastQuestion, of_baskets, of_customers, scattered};
use super::tables::DAY;

/// How long after a moment counts as what came next, in days.
pub const WINDOW_DAYS: i64 = 28;
/// The most pasts: the newest tells how good the others' lessons are.
const PASTS_MAX: i64 = 4;
/// A past needs as much history before it as lies after it, and this much at least.
const HISTORY_BEFORE_DAYS: i64 = 56;
/// The most customers and baskets asked about in one past.
const CUSTOMERS_MAX: usize = 12_000;
const BASKETS_MAX: usize = 4_000;

/// A moment and the questions it knows the answers of.
pub struct Past<'a> {
    /// What is known then; later purchases may be in it and are not looked at.
    pub history: Cow<'a, OrderedHistory>,
    /// The moment, in seconds after 1970.
    pub at: i64,
    /// About customers; also about those who bought nothing.
    pub customers: Vec<PastQuestion>,
    /// About baskets.
    pub baskets: Vec<PastQuestion>,
}

/// The pasts of a history that ends at `end`, the newest first.
pub fn pasts(history: &OrderedHistory, end: i64) -> Vec<Past<'_>> {
    let Some(begins) = history.purchases.iter().map(|purchase| purchase.second).min() else { return Vec::new() };
    let last = history.purchases.iter().map(|purchase| purchase.second).max().unwrap_or(begins);
    if last - begins < DAY {
        return folds(history, end);
    }
    let windows = (end - begins - HISTORY_BEFORE_DAYS * DAY).div_euclid(WINDOW_DAYS * DAY).clamp(0, PASTS_MAX);
    let past = |window: i64| {
        let at = end - window * WINDOW_DAYS * DAY;
        let until = at + WINDOW_DAYS * DAY;
        Past {
            history: Cow::Borrowed(history),
            at,
            customers: of_customers(history, at, until, CUSTOMERS_MAX),
            baskets: of_baskets(history, at, &(at..until), BASKETS_MAX),
        }
    };
    (1..=windows).map(past).collect()
}

/// A history of one day in as many parts as there would be windows, plus one that is only ever learned from.
fn folds(history: &OrderedHistory, end: i64) -> Vec<Past<'_>> {
    let parts = PASTS_MAX as u64 + 1;
    let part_of = |purchase: &Purchase| {
        let whose = if purchase.customer == NOBODY { purchase.basket } else { purchase.customer };
        scattered(whose, u32::from(purchase.customer == NOBODY)) % parts
    };
    let past = |fold: u64| {
        let (asked, known): (Vec<Purchase>, Vec<Purchase>) =
            history.purchases.iter().partition(|purchase| part_of(purchase) == fold);
        let asked = OrderedHistory { purchases: asked, ..history.clone() };
        Past {
            history: Cow::Owned(OrderedHistory { purchases: known, ..history.clone() }),
            at: end,
            customers: hidden_of_customers(&asked, end),
            baskets: of_baskets(&asked, end, &(i64::MIN..end), BASKETS_MAX),
        }
    };
    (0..PASTS_MAX as u64).map(past).collect()
}

/// Customers of two things and more, each with one of them hidden.
fn hidden_of_customers(history: &OrderedHistory, end: i64) -> Vec<PastQuestion> {
    let hide = |bought: &[Purchase]| {
        let mut had = had_before(bought, end);
        let hidden = had.iter().map(|had| had.product).min_by_key(|&it| scattered(bought[0].customer, it))?;
        had.retain(|had| had.product != hidden);
        let owned: Vec<u32> = had.iter().map(|had| had.product).collect();
        (!owned.is_empty()).then(|| PastQuestion {
            asked: Asked::new(end, had, Vec::new(), history.profiles[bought[0].customer as usize].clone()),
            owned,
            truth: vec![hidden],
        })
    };
    history.by_customer().filter_map(hide).take(CUSTOMERS_MAX).collect()
}

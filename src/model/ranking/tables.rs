//! What is known of products as of a moment: weights between them, and how each stands.

use std::collections::BTreeMap;

use super::super::history::{NOBODY, OrderedHistory, Purchase};
use super::super::offer_model::{LearnedProduct, POPULARITY_HALF_LIVES, RECENT_DAYS};
use super::super::profile::ProfileColumns;
use super::super::ridge::{Neighbours, Problem, Row};
use super::super::train::TrainingSettings;
use super::asked::{Had, had_before};

/// A day, in seconds.
pub const DAY: i64 = 86_400;
/// With fewer rows a full regulariser would silence everything: it shrinks in proportion.
const ROWS_FOR_FULL_LAMBDA: f64 = 4000.0;
/// Of customers with more products the latest count: a row takes time by its square.
const CUSTOMER_PRODUCTS_MAX: usize = 2_000;
/// A product enters the regression once it was bought so often, by whomever: where few buy much, asking for as many buyers
/// leaves out much of what baskets hold ...
const BOUGHT_MIN: u32 = 3;
/// ... and at last within so many days.
const SOLD_WITHIN_DAYS: i64 = 400;
/// Baskets of more products say nothing about what goes together.
const BASKET_MAX: usize = 500;
/// How fast being new wears off, in days.
const NEW_BUYERS_HALF_LIVES: [f64; 2] = [21.0, 7.0];

/// What the regressions depend on. Chosen on the history itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regularity {
    /// The regulariser over histories of customers, of 4,000 rows and more.
    pub customer_lambda: f64,
    /// The regulariser over baskets.
    pub basket_lambda: f64,
    /// How fast a purchase fades in [`Tables::lately`], in days.
    pub half_life_days: f64,
}

/// What is known of products as of a moment. All lists are parallel.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tables {
    /// How each product stands.
    pub products: Vec<LearnedProduct>,
    /// Weights over the histories of customers, what is long ago counting less.
    pub lately: Neighbours,
    /// Weights over the histories of customers, however long ago.
    pub ever: Neighbours,
    /// Weights within baskets.
    pub in_baskets: Neighbours,
    /// Attributes of customers as columns.
    pub attributes: ProfileColumns,
    /// Weights of the columns on products, learned with `lately`.
    pub profile_lately: Neighbours,
    /// The same with `ever`.
    pub profile_ever: Neighbours,
}

/// The regression could not be solved in floating point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotSolvable;

/// A customer's products with the second of the latest purchase, and the columns of the profile.
struct CustomerRow {
    products: Vec<(u32, i64)>,
    profile: Vec<u32>,
}

/// Weights over the histories of customers.
pub struct CustomerWeights {
    /// Of products on products.
    pub products: Neighbours,
    /// Of columns of profiles on products.
    pub profile: Neighbours,
}

/// Rows of the regressions as of a moment, for as many solutions as are wanted.
pub struct Rows {
    end: i64,
    count: usize,
    columns: Vec<u32>,
    attributes: usize,
    customers: Vec<CustomerRow>,
    baskets: Vec<Row>,
}

impl CustomerRow {
    #[allow(clippy::ptr_arg, reason = "so that it fits `map`")]
    fn without_products(profile: &Vec<u32>) -> Self {
        Self { products: Vec::new(), profile: profile.clone() }
    }
}

impl Rows {
    /// The rows of what was bought before `end`. Of more than so many products the most bought are in them.
    pub fn before(history: &OrderedHistory, end: i64, products_max: usize) -> Self {
        let latest = |bought: &[Purchase]| -> Vec<(u32, i64)> {
            let each = bought.chunk_by(|a, b| a.product == b.product);
            let mut products: Vec<(u32, i64)> = each
                .filter_map(|lines| {
                    let before = &lines[..lines.partition_point(|line| line.second < end)];
                    before.last().map(|last| (last.product, last.second))
                })
                .collect();
            if products.len() > CUSTOMER_PRODUCTS_MAX {
                products.sort_unstable_by_key(|&(product, second)| (std::cmp::Reverse(second), product));
                products.truncate(CUSTOMER_PRODUCTS_MAX);
            }
            products
        };
        // Also who has bought nothing tells what a profile is worth.
        let mut customers: Vec<CustomerRow> = history.profiles.iter().map(CustomerRow::without_products).collect();
        for bought in history.by_customer() {
            customers[bought[0].customer as usize].products = latest(bought);
        }
        customers.retain(|row| !row.products.is_empty() || !row.profile.is_empty());
        let baskets = history
            .by_basket()
            .into_iter()
            .filter(|(at, products)| *at < end && (2..=BASKET_MAX).contains(&products.len()));
        let baskets = baskets.map(|(_, products)| products.into_iter().map(|product| (product, 1.0)).collect());
        Self {
            end,
            count: history.products.len(),
            columns: columns(history, end, products_max),
            attributes: history.attributes.count(),
            customers,
            baskets: baskets.collect(),
        }
    }

    /// The problem of weights over the histories of customers.
    pub fn by_customer(&self, half_life_days: f64, settings: &TrainingSettings) -> CustomerProblem<'_> {
        let weight = |second: i64| fading(self.end - second, half_life_days);
        let first = self.count as u32;
        let row = |row: &CustomerRow| -> Row {
            let products = row.products.iter().map(|&(product, second)| (product, weight(second)));
            products.chain(row.profile.iter().map(|column| (first + column, 1.0))).collect()
        };
        CustomerProblem(self.problem(self.customers.iter().map(row).collect(), self.attributes, settings))
    }

    /// The problem of weights within baskets.
    pub fn by_basket(&self, settings: &TrainingSettings) -> BasketProblem<'_> {
        BasketProblem(self.problem(self.baskets.clone(), 0, settings))
    }

    /// The problem of the weights of products, then of so many attributes, on products.
    fn problem(&self, mut rows: Vec<Row>, attributes: usize, settings: &TrainingSettings) -> TableProblem<'_> {
        let count = self.count as u32;
        let columns: Vec<u32> = self.columns.iter().copied().chain(count..count + attributes as u32).collect();
        let mut places = vec![NOBODY; self.count + attributes];
        for (place, &number) in columns.iter().enumerate() {
            places[number as usize] = place as u32;
        }
        for row in &mut rows {
            row.retain_mut(|entry| {
                entry.0 = places[entry.0 as usize];
                entry.0 != NOBODY
            });
        }
        let targets = self.columns.len();
        let problem = Problem::new(columns.len(), targets, &rows, settings);
        TableProblem { of: self, columns, rows: rows.len(), problem }
    }
}

/// A regression over the history of customers, for as many regularisers as are wanted.
pub struct CustomerProblem<'a>(TableProblem<'a>);

impl CustomerProblem<'_> {
    /// The weights with a regulariser, what is long ago counting less.
    pub fn solve_lately(&self, lambda: f64) -> Result<CustomerWeights, NotSolvable> {
        Ok(self.split(self.0.solve(lambda, Problem::solve)?))
    }

    /// The weights with a regulariser, nothing fading.
    pub fn solve_ever(&self, lambda: f64) -> Result<CustomerWeights, NotSolvable> {
        Ok(self.split(self.0.solve(lambda, Problem::solve_unweighted)?))
    }

    fn split(&self, mut products: Neighbours) -> CustomerWeights {
        let profile = products.split_off(self.0.of.count);
        CustomerWeights { products, profile }
    }
}

/// A regression within baskets, for as many regularisers as are wanted.
pub struct BasketProblem<'a>(TableProblem<'a>);

impl BasketProblem<'_> {
    /// The weights with a regulariser.
    pub fn solve(&self, lambda: f64) -> Result<Neighbours, NotSolvable> {
        self.0.solve(lambda, Problem::solve)
    }
}

/// A regression in the numbers of the model, for as many regularisers as are wanted.
struct TableProblem<'a> {
    of: &'a Rows,
    /// Which product or attribute each column of the problem is; attributes are numbered after all products.
    columns: Vec<u32>,
    rows: usize,
    problem: Problem,
}

impl TableProblem<'_> {
    /// The weights with a regulariser: of all products, then of all attributes.
    fn solve(&self, lambda: f64, by: fn(&Problem, f64) -> Option<Neighbours>) -> Result<Neighbours, NotSolvable> {
        let lambda = lambda * (self.rows as f64 / ROWS_FOR_FULL_LAMBDA).clamp(0.005, 1.0);
        let solved = by(&self.problem, lambda).ok_or(NotSolvable)?;
        let attributes = self.columns.len() - self.of.columns.len();
        let mut neighbours = vec![Vec::new(); self.of.count + attributes];
        for (place, mut row) in solved.into_iter().enumerate() {
            for neighbour in &mut row {
                neighbour.product = self.columns[neighbour.product as usize];
            }
            neighbours[self.columns[place] as usize] = row;
        }
        Ok(neighbours)
    }
}

/// The products that enter the regression: those that were bought several times, at last not too long ago; of too many
/// the most bought. In a history of very few, all.
fn columns(history: &OrderedHistory, end: i64, products_max: usize) -> Vec<u32> {
    let mut bought = vec![0_u32; history.products.len()];
    let mut last_sold = vec![i64::MIN; history.products.len()];
    for purchase in history.purchases.iter().filter(|purchase| purchase.second < end) {
        bought[purchase.product as usize] += 1;
        last_sold[purchase.product as usize] = last_sold[purchase.product as usize].max(purchase.second);
    }
    let is_alive = |product: usize| last_sold[product] >= end - SOLD_WITHIN_DAYS * DAY && bought[product] > 0;
    let mut columns: Vec<u32> = (0..bought.len() as u32)
        .filter(|&product| is_alive(product as usize) && bought[product as usize] >= BOUGHT_MIN)
        .collect();
    if columns.len() < 10 {
        columns = (0..bought.len() as u32).filter(|&product| is_alive(product as usize)).collect();
    }
    if columns.len() > products_max {
        columns.sort_unstable_by_key(|&product| (std::cmp::Reverse(bought[product as usize]), product));
        columns.truncate(products_max);
        columns.sort_unstable();
    }
    columns
}

/// All tables as of a moment.
pub fn learn_tables(
    history: &OrderedHistory,
    rows: &Rows,
    regularity: Regularity,
    settings: &TrainingSettings,
) -> Result<Tables, NotSolvable> {
    let Regularity { customer_lambda, basket_lambda, half_life_days } = regularity;
    let by_customer = rows.by_customer(half_life_days, settings);
    let (lately, ever) = (by_customer.solve_lately(customer_lambda)?, by_customer.solve_ever(customer_lambda)?);
    drop(by_customer);
    Ok(Tables {
        products: standings(history, rows.end),
        lately: lately.products,
        ever: ever.products,
        in_baskets: rows.by_basket(settings).solve(basket_lambda)?,
        attributes: history.attributes.clone(),
        profile_lately: lately.profile,
        profile_ever: ever.profile,
    })
}

/// What is left of something after a time, in halves for every half-life.
pub fn fading(age_seconds: i64, half_life_days: f64) -> f32 {
    (-(age_seconds.max(0) as f64) / DAY as f64 / half_life_days).exp2() as f32
}

/// What each buyer had: customers, and baskets of nobody in particular.
fn buyers_before(history: &OrderedHistory, end: i64) -> Vec<Vec<Had>> {
    let named = history.by_customer().map(|bought| had_before(bought, end));
    let mut nameless: BTreeMap<u32, Vec<Had>> = BTreeMap::new();
    for purchase in history.purchases.iter().filter(|purchase| purchase.customer == NOBODY && purchase.second < end) {
        if purchase.basket != NOBODY {
            let had = Had { product: purchase.product, first: purchase.second, last: purchase.second };
            nameless.entry(purchase.basket).or_default().push(had);
        }
    }
    let once = |mut basket: Vec<Had>| {
        basket.sort_unstable_by_key(|had| (had.product, had.last));
        // A basket with one product on two lines has it once, since the first and until the last.
        basket.dedup_by(|later, had| {
            let is_same = later.product == had.product;
            if is_same {
                had.last = had.last.max(later.last);
            }
            is_same
        });
        basket
    };
    named.chain(nameless.into_values().map(once)).filter(|buyer| !buyer.is_empty()).collect()
}

/// How each product stands as of `end`.
pub fn standings(history: &OrderedHistory, end: i64) -> Vec<LearnedProduct> {
    let mut learned: Vec<LearnedProduct> =
        history.products.iter().map(|id| LearnedProduct::unseen(id.clone())).collect();
    for (product, &paid) in learned.iter_mut().zip(&history.paid) {
        product.price = paid;
    }
    for purchase in history.purchases.iter().filter(|purchase| purchase.second < end) {
        learned[purchase.product as usize].bought += 1;
    }
    for &(product, _) in history.given_up.iter().filter(|(_, second)| *second < end) {
        learned[product as usize].given_up += 1;
    }
    for bought in history.by_customer() {
        for had in had_before(bought, end) {
            learned[had.product as usize].customers += 1;
        }
    }
    for (at, products) in history.by_basket() {
        if at < end && products.len() > 1 {
            for product in products {
                learned[product as usize].baskets += 1;
            }
        }
    }
    stand_among_buyers(&mut learned, &buyers_before(history, end), end);
    stand_a_year_ago(&mut learned, history, end);
    learned
}

fn stand_among_buyers(learned: &mut [LearnedProduct], buyers: &[Vec<Had>], end: i64) {
    // `end` is the second after the last that counts.
    let recent_from = end - 1 - i64::from(RECENT_DAYS) * DAY;
    let mut everybody = [0.0_f32; POPULARITY_HALF_LIVES.len()];
    let mut newcomers = [0.0_f32; NEW_BUYERS_HALF_LIVES.len()];
    for buyer in buyers {
        let latest = buyer.iter().map(|had| had.last).max().unwrap_or(end);
        for (sum, days) in everybody.iter_mut().zip(POPULARITY_HALF_LIVES) {
            *sum += fading(end - latest, days);
        }
        for (sum, days) in newcomers.iter_mut().zip(NEW_BUYERS_HALF_LIVES) {
            *sum += fading(end - latest, days);
        }
        for &Had { product, first, last } in buyer {
            let product = &mut learned[product as usize];
            product.buyers += 1;
            product.recent_buyers += u32::from(last >= recent_from);
            product.first_sold = Some(product.first_sold.map_or(first, |known| known.min(first)));
            product.last_sold = Some(product.last_sold.map_or(last, |known| known.max(last)));
            for (share, days) in product.popularity.iter_mut().zip(POPULARITY_HALF_LIVES) {
                *share += fading(end - last, days);
            }
            for (share, days) in product.new_buyers.iter_mut().zip(NEW_BUYERS_HALF_LIVES) {
                *share += fading(end - first, days);
            }
        }
    }
    for product in learned {
        for (share, sum) in product.popularity.iter_mut().zip(everybody) {
            *share = (*share / sum.max(f32::MIN_POSITIVE)).min(1.0);
        }
        for (share, sum) in product.new_buyers.iter_mut().zip(newcomers) {
            *share = (*share / sum.max(f32::MIN_POSITIVE)).min(1.0);
        }
    }
}

/// The share of baskets that held each product in the same weeks of last year: a week before to five weeks after.
fn stand_a_year_ago(learned: &mut [LearnedProduct], history: &OrderedHistory, end: i64) {
    let then = end - 365 * DAY;
    let weeks = (then - 7 * DAY)..(then + 35 * DAY);
    let begins = history.purchases.iter().map(|purchase| purchase.second).min();
    if begins.is_none_or(|begins| begins > weeks.start) {
        return;
    }
    let mut baskets = 0.0_f32;
    let mut shares = vec![0.0_f32; learned.len()];
    for (_, products) in history.by_basket().into_iter().filter(|(at, _)| weeks.contains(at)) {
        baskets += 1.0;
        for product in products {
            shares[product as usize] += 1.0;
        }
    }
    for (product, share) in learned.iter_mut().zip(shares) {
        product.last_year = Some(share / baskets.max(1.0));
    }
}

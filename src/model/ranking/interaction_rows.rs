//! Rows of the item-to-item regressions as of a moment, and the regressions over them.

use super::super::history::{OrderedHistory, Purchase, UNKNOWN_ID};
use super::super::ridge::{Neighbours, RidgeProblem, SparseRow};
use super::super::training_settings::TrainingSettings;
use super::decay::{DAY, decay_weight};

/// The regularizer shrinks in proportion when there are fewer rows than this: in full it would suppress all weights.
const ROWS_FOR_FULL_LAMBDA: f64 = 4000.0;
/// Maximum number of items of a customer's row, the latest: the cost of a row grows with its square.
const CUSTOMER_ITEMS_MAX: usize = 2_000;
/// Minimum number of purchases for an item to enter the regression. Purchases and not buyers: where few customers buy much,
/// a minimum of buyers leaves out much of what baskets hold.
const BOUGHT_MIN: u32 = 3;
/// Maximum number of days since the last sale of an item in the regression.
const SOLD_WITHIN_DAYS: i64 = 400;
/// Baskets of more items are left out: they carry no information on what is bought together.
const BASKET_MAX: usize = 500;

/// Failure to solve a regression in floating point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the regression could not be solved")]
pub struct UnsolvableRegression;

/// Items of a customer with the second of the latest purchase, and the columns of the profile.
struct CustomerRow {
    items: Vec<(u32, i64)>,
    profile: Vec<u32>,
}

/// Item-to-item weights over customer histories.
pub struct CustomerWeights {
    /// Weights of items on items.
    pub items: Neighbours,
    /// Weights of profile columns on items.
    pub profile: Neighbours,
}

/// Rows of the regressions as of a moment.
pub struct InteractionRows {
    /// The moment, in seconds after 1970.
    pub end: i64,
    item_count: usize,
    /// Items that enter the regression.
    columns: Vec<u32>,
    profile_columns: usize,
    customers: Vec<CustomerRow>,
    baskets: Vec<SparseRow>,
}

impl CustomerRow {
    #[allow(clippy::ptr_arg, reason = "so that it fits `map`")]
    fn without_items(profile: &Vec<u32>) -> Self {
        Self { items: Vec::new(), profile: profile.clone() }
    }
}

impl InteractionRows {
    /// Rows of all purchases before `end`, with at most `items_max` items, the most bought ones.
    pub fn before(history: &OrderedHistory, end: i64, items_max: usize) -> Self {
        // Customers without a purchase are rows as well: they count for the weight of their profile.
        let mut customers: Vec<CustomerRow> = history.profiles.iter().map(CustomerRow::without_items).collect();
        for bought in history.by_customer() {
            customers[bought[0].customer as usize].items = latest_purchases(bought, end);
        }
        customers.retain(|row| !row.items.is_empty() || !row.profile.is_empty());
        let baskets =
            history.by_basket().into_iter().filter(|(at, items)| *at < end && (2..=BASKET_MAX).contains(&items.len()));
        let baskets = baskets.map(|(_, items)| items.into_iter().map(|item| (item, 1.0)).collect());
        Self {
            end,
            item_count: history.products.len(),
            columns: columns(history, end, items_max),
            profile_columns: history.profile_encoder.column_count(),
            customers,
            baskets: baskets.collect(),
        }
    }

    /// Regression over customer histories, where a purchase decays with a half-life.
    pub fn by_customer(&self, half_life_days: f64, settings: &TrainingSettings) -> CustomerRegression<'_> {
        let weight = |second: i64| decay_weight(self.end - second, half_life_days);
        let first = self.item_count as u32;
        let row = |row: &CustomerRow| -> SparseRow {
            let items = row.items.iter().map(|&(item, second)| (item, weight(second)));
            items.chain(row.profile.iter().map(|column| (first + column, 1.0))).collect()
        };
        CustomerRegression(self.regression(self.customers.iter().map(row).collect(), self.profile_columns, settings))
    }

    pub fn by_basket(&self, settings: &TrainingSettings) -> BasketRegression<'_> {
        BasketRegression(self.regression(self.baskets.clone(), 0, settings))
    }

    /// Regression of items on items, then on so many columns of profiles.
    fn regression(
        &self,
        mut rows: Vec<SparseRow>,
        profile_columns: usize,
        settings: &TrainingSettings,
    ) -> ItemRegression<'_> {
        let count = self.item_count as u32;
        let columns: Vec<u32> = self.columns.iter().copied().chain(count..count + profile_columns as u32).collect();
        let mut slots = vec![UNKNOWN_ID; self.item_count + profile_columns];
        for (slot, &column) in columns.iter().enumerate() {
            slots[column as usize] = slot as u32;
        }
        for row in &mut rows {
            row.retain_mut(|entry| {
                entry.0 = slots[entry.0 as usize];
                entry.0 != UNKNOWN_ID
            });
        }
        let targets = self.columns.len();
        let problem = RidgeProblem::new(columns.len(), targets, &rows, settings);
        ItemRegression { rows: self, columns, row_count: rows.len(), problem }
    }
}

/// Items that a customer bought before `end`, each with the second of the latest purchase.
fn latest_purchases(bought: &[Purchase], end: i64) -> Vec<(u32, i64)> {
    let each = bought.chunk_by(|a, b| a.item == b.item);
    let mut items: Vec<(u32, i64)> = each
        .filter_map(|purchases| {
            let before = &purchases[..purchases.partition_point(|purchase| purchase.second < end)];
            before.last().map(|last| (last.item, last.second))
        })
        .collect();
    if items.len() > CUSTOMER_ITEMS_MAX {
        items.sort_unstable_by_key(|&(item, second)| (std::cmp::Reverse(second), item));
        items.truncate(CUSTOMER_ITEMS_MAX);
    }
    items
}

/// Items that enter the regression: bought several times, at last not too long ago, and the most bought when there are too
/// many. In a very short history, all items.
fn columns(history: &OrderedHistory, end: i64, items_max: usize) -> Vec<u32> {
    let mut bought = vec![0_u32; history.products.len()];
    let mut last_sold = vec![i64::MIN; history.products.len()];
    for purchase in history.purchases.iter().filter(|purchase| purchase.second < end) {
        bought[purchase.item as usize] += 1;
        last_sold[purchase.item as usize] = last_sold[purchase.item as usize].max(purchase.second);
    }
    let is_sold = |item: usize| last_sold[item] >= end - SOLD_WITHIN_DAYS * DAY && bought[item] > 0;
    let mut columns: Vec<u32> = (0..bought.len() as u32)
        .filter(|&item| is_sold(item as usize) && bought[item as usize] >= BOUGHT_MIN)
        .collect();
    if columns.len() < 10 {
        columns = (0..bought.len() as u32).filter(|&item| is_sold(item as usize)).collect();
    }
    if columns.len() > items_max {
        columns.sort_unstable_by_key(|&item| (std::cmp::Reverse(bought[item as usize]), item));
        columns.truncate(items_max);
        columns.sort_unstable();
    }
    columns
}

/// Regression over customer histories, solvable for any number of regularizers.
pub struct CustomerRegression<'a>(ItemRegression<'a>);

impl CustomerRegression<'_> {
    /// Weights with purchases decayed by their age.
    pub fn solve_recency_weighted(&self, lambda: f64) -> Result<CustomerWeights, UnsolvableRegression> {
        Ok(self.split(self.0.solve(lambda, RidgeProblem::solve)?))
    }

    pub fn solve_all_time(&self, lambda: f64) -> Result<CustomerWeights, UnsolvableRegression> {
        Ok(self.split(self.0.solve(lambda, RidgeProblem::solve_unweighted)?))
    }

    fn split(&self, mut items: Neighbours) -> CustomerWeights {
        let profile = items.split_off(self.0.rows.item_count);
        CustomerWeights { items, profile }
    }
}

/// Regression within baskets, solvable for any number of regularizers.
pub struct BasketRegression<'a>(ItemRegression<'a>);

impl BasketRegression<'_> {
    /// Weights for a regularizer.
    pub fn solve(&self, lambda: f64) -> Result<Neighbours, UnsolvableRegression> {
        self.0.solve(lambda, RidgeProblem::solve)
    }
}

/// Regression in item indices of the model.
struct ItemRegression<'a> {
    rows: &'a InteractionRows,
    /// Item or profile column of each column of the problem; profile columns are numbered after all items.
    columns: Vec<u32>,
    row_count: usize,
    problem: RidgeProblem,
}

impl ItemRegression<'_> {
    /// Weights for a regularizer: of all items, then of all profile columns.
    fn solve(
        &self,
        lambda: f64,
        by: fn(&RidgeProblem, f64) -> Option<Neighbours>,
    ) -> Result<Neighbours, UnsolvableRegression> {
        let lambda = lambda * (self.row_count as f64 / ROWS_FOR_FULL_LAMBDA).clamp(0.005, 1.0);
        let solved = by(&self.problem, lambda).ok_or(UnsolvableRegression)?;
        let profile_columns = self.columns.len() - self.rows.columns.len();
        let mut neighbours = vec![Vec::new(); self.rows.item_count + profile_columns];
        for (slot, mut row) in solved.into_iter().enumerate() {
            for neighbour in &mut row {
                neighbour.item = self.columns[neighbour.item as usize];
            }
            neighbours[self.columns[slot] as usize] = row;
        }
        Ok(neighbours)
    }
}

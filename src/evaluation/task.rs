//! Evaluation tasks.

use std::path::PathBuf;

/// Evaluation of the retention outlook.
#[derive(Debug, Clone, PartialEq)]
pub enum HealthTask {
    /// Probability of a purchase within the window after the cutoff.
    RepeatPurchase {
        /// Length of the window in days, above 0.
        window_days: f64,
        /// File of customers and labels; without it all earlier buyers are queried and the events give the labels.
        queries: Option<PathBuf>,
    },
    /// Probability that a subscriber stays, by cross-validation over customer profiles.
    Retention {
        /// Window over which the outcome was observed, in days, above 0.
        window_days: f64,
        /// Attribute with the outcome.
        outcome_attribute: String,
        /// Value of that attribute for customers who stayed.
        retained_value: String,
        /// Attribute with the tenure in months.
        tenure_months_attribute: String,
        /// Number of folds, 2 to 100.
        folds: usize,
    },
}

/// Ranking task with its file of queries, one JSON object per line.
#[derive(Debug, Clone, PartialEq)]
pub struct RankingTask {
    /// Kind of the task.
    pub kind: TaskKind,
    /// File of queries with their ground truth.
    pub queries: PathBuf,
    /// Granularity of the ranked items.
    pub items: RankedItems,
    /// Ranks only items sold within this many days before the cutoff; every item ever sold when unset.
    pub sold_within_days: Option<u32>,
}

/// Kind of a ranking task. The order is that of the output.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskKind {
    /// Cross-sell to a customer: predict the items that the customer buys for the first time.
    NextPurchase,
    /// Cross-sell to a basket: predict the product that was hidden from it.
    BasketCompletion,
    /// Up-sell: predict the more expensive product of the category that the customer buys after the one owned.
    Upgrade,
    /// Cross-sell by holdings and profile: predict the held add-on that was hidden.
    AddOn {
        /// Customer attributes that are products.
        product_attributes: Vec<String>,
        /// Value of these attributes when the customer has the product.
        held_value: String,
        /// Attributes that leak the answer and are excluded from the profile.
        excluded_attributes: Vec<String>,
    },
}

/// Granularity of the ranked items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RankedItems {
    /// A product of the catalogue.
    Products,
    /// A category of the catalogue, its levels joined by ` | `; buying any product of it counts as buying it.
    Categories,
}

//! The questions that a data set can ask.

use std::path::PathBuf;

/// Which question about the relationship.
#[derive(Debug, Clone, PartialEq)]
pub enum HealthTask {
    /// Who buys within the window after the cutoff?
    Returns {
        /// In days, above 0.
        window_days: f64,
        /// Who is asked about, and the truth.
        queries: Option<PathBuf>,
    },
    /// Who stays?
    Stays {
        /// Over which the outcome was observed, in days, above 0.
        window_days: f64,
        /// The attribute that tells the outcome.
        outcome: String,
        /// Its value for customers who stayed.
        stayed: String,
        /// The attribute that tells the tenure in months.
        tenure_months: String,
        /// 2 to 100.
        folds: usize,
    },
}

/// A question about offers, with a file of queries: a JSON object a line.
#[derive(Debug, Clone, PartialEq)]
pub struct RankingTask {
    /// Which question.
    pub question: Question,
    /// Who is asked about, and the truth.
    pub queries: PathBuf,
    /// What is ranked.
    pub items: Items,
    /// Only what was sold in so many days before the cutoff is ranked; everything ever sold without it.
    pub sold_within_days: Option<u32>,
}

/// What is asked. The order is that of the output.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// Cross-sell to a customer: what will the customer buy that the customer never bought?
    NextPurchase,
    /// Cross-sell to a basket: which product of a basket was hidden?
    HiddenProduct,
    /// Up-sell: which dearer product of its category does the customer buy after the one owned?
    Upgrade,
    /// Cross-sell by holdings and profile: which of the things that a customer holds was hidden?
    AddOn {
        /// The attributes of a customer that are products.
        products: Vec<String>,
        /// Their value when the customer has the product.
        held: String,
        /// The attributes that are neither: they would tell the answer.
        left_out: Vec<String>,
    },
}

/// What counts as a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Items {
    /// A product of the catalogue.
    Products,
    /// A category of the catalogue, its levels joined by ` | `: who bought any product of it bought it.
    Categories,
}

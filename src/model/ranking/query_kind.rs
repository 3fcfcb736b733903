//! Kinds of queries, each with a ranker of its own.

use super::holdout_queries::HoldoutQuery;
use super::sampling::spread;
use super::temporal_folds::TemporalFold;

/// Minimum number of queries with relevant items to tune or evaluate on.
pub const QUERIES_MIN: usize = 50;
/// Maximum number of queries of one fold to evaluate on.
pub const EVALUATION_QUERIES_MAX: usize = 1500;

/// Kind of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryKind {
    Customers,
    Baskets,
}

impl QueryKind {
    /// Name in the training report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Baskets => "baskets",
        }
    }

    /// Queries of this kind of a fold.
    pub fn queries<'a>(self, fold: &'a TemporalFold<'_>) -> &'a [HoldoutQuery] {
        match self {
            Self::Customers => &fold.customers,
            Self::Baskets => &fold.baskets,
        }
    }
}

/// At most about `count` of the queries with relevant items, spread over all.
pub fn with_relevant_items(queries: &[HoldoutQuery], count: usize) -> Vec<&HoldoutQuery> {
    spread(queries.iter().filter(|holdout| !holdout.relevant.is_empty()).collect(), count)
}

//! Candidates of a customer that were ranked beforehand: what they were ranked from is noted beside them, and they hold as
//! long as that has not changed.
//!
//! They can be lost at any time; ranking again makes the same.

use super::time::Timestamp;

/// The most candidates kept of a customer. A decision seldom looks at more, and ranks again when it does.
pub const CACHED_RANKING_LEN_MAX: usize = 100;

/// Candidates for a customer who has no basket in hand.
#[derive(Debug, Clone, PartialEq)]
pub struct CachedRanking {
    /// What they were ranked from.
    pub ranked_from: CacheKey,
    /// When.
    pub ranked_at: Timestamp,
    /// The likeliest first, at most [`CACHED_RANKING_LEN_MAX`].
    pub ranked: Vec<RankedProduct>,
}

/// What a ranking looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheKey {
    /// The version of the model.
    pub model_version: u64,
    /// A digest of the catalogue's products and of what it says goes together; prices and texts are not in it.
    pub catalog: u64,
    /// A digest of what the customer has and of the profile.
    pub customer: u64,
}

/// A product with its propensity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankedProduct {
    /// The place of the product in the catalogue.
    pub place: u32,
    /// Above 0, at most 1.
    pub propensity: f32,
}

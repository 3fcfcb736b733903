//! Cached ranking of a customer's candidates, valid as long as its cache key does not change.
//!
//! It can be lost at any time: ranking again gives the same result.

use super::time::Timestamp;

/// Maximum length of a cached ranking. A decision seldom considers more candidates, and ranks again when it does.
pub const CACHED_RANKING_LEN_MAX: usize = 100;

/// Ranked candidates for a customer, for queries without context products.
#[derive(Debug, Clone, PartialEq)]
pub struct CachedRanking {
    /// Digest of everything that the ranking depends on.
    pub cache_key: CacheKey,
    /// Time of the ranking.
    pub ranked_at: Timestamp,
    /// Likeliest first, at most [`CACHED_RANKING_LEN_MAX`].
    pub ranked: Vec<RankedProduct>,
}

/// Everything that a ranking depends on, as version and digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheKey {
    /// Version of the model.
    pub model_version: u64,
    /// Digest of the catalogue's products and their relations, without prices and texts.
    pub catalog: u64,
    /// Digest of the customer's holdings and profile.
    pub customer: u64,
}

/// A ranked product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankedProduct {
    /// Index of the product in the catalogue.
    pub catalog_index: u32,
    /// Probability that the customer takes it, above 0 and at most 1.
    pub propensity: f32,
}

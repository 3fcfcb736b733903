//! Cached rankings.

use serde::{Deserialize, Serialize};

use super::frame::{self, CodecError};
use super::scalar::timestamp;
use crate::domain::cached_ranking::{CacheKey, CachedRanking, RankedProduct};
use crate::store::contract::StoreError;

const VERSION: u8 = 1;
const RECORD: &str = "cached ranking";

/// Stored [`CachedRanking`].
#[derive(Serialize, Deserialize)]
pub(super) struct StoredCachedRanking {
    model_version: u64,
    catalog: u64,
    customer: u64,
    ranked_at: i64,
    /// Catalogue indices with their propensities.
    ranked: Vec<(u32, f32)>,
}

/// Encodes a cached ranking.
pub fn encode_cached_ranking(ranking: &CachedRanking) -> Result<Vec<u8>, StoreError> {
    frame::encode(VERSION, &StoredCachedRanking::from(ranking)).map_err(|error| error.into_store_error(RECORD))
}

/// Decodes a cached ranking.
pub fn decode_cached_ranking(bytes: &[u8]) -> Result<CachedRanking, StoreError> {
    let read = || frame::decode::<StoredCachedRanking>(VERSION, bytes)?.ranking();
    read().map_err(|error| error.into_store_error(RECORD))
}

impl From<&CachedRanking> for StoredCachedRanking {
    fn from(ranking: &CachedRanking) -> Self {
        let CachedRanking { ranked_from, ranked_at, ranked } = ranking;
        let CacheKey { model_version, catalog, customer } = *ranked_from;
        let ranked = ranked.iter().map(|&RankedProduct { place, propensity }| (place, propensity)).collect();
        Self { model_version, catalog, customer, ranked_at: ranked_at.unix_ms(), ranked }
    }
}

impl StoredCachedRanking {
    fn ranking(self) -> Result<CachedRanking, CodecError> {
        let Self { model_version, catalog, customer, ranked_at, ranked } = self;
        if ranked.iter().any(|(_, propensity)| !(*propensity > 0.0 && *propensity <= 1.0)) {
            return Err(CodecError("a propensity is outside (0, 1]".to_owned()));
        }
        Ok(CachedRanking {
            ranked_from: CacheKey { model_version, catalog, customer },
            ranked_at: timestamp(ranked_at)?,
            ranked: ranked.into_iter().map(|(place, propensity)| RankedProduct { place, propensity }).collect(),
        })
    }
}

//! Cached rankings.

use serde::{Deserialize, Serialize};

use super::frame::{self, CodecError};
use super::scalar::timestamp;
use crate::domain::cached_ranking::{CacheKey, CachedRanking, RankedProduct};
use crate::store::contract::error::StoreError;

const VERSION: u8 = 1;
const RECORD: &str = "cached ranking";

/// Stored [`CachedRanking`].
#[derive(Serialize, Deserialize)]
struct StoredCachedRankingV1 {
    model_version: u64,
    catalog: u64,
    customer: u64,
    ranked_at: i64,
    ranked: Vec<StoredRankedProduct>,
}

#[derive(Serialize, Deserialize)]
struct StoredRankedProduct {
    /// Index in the catalogue.
    index: u32,
    propensity: f32,
}

/// Encodes a cached ranking.
pub fn encode_cached_ranking(ranking: &CachedRanking) -> Result<Vec<u8>, StoreError> {
    frame::encode(VERSION, &StoredCachedRankingV1::from(ranking)).map_err(|error| error.into_store_error(RECORD))
}

/// Decodes a cached ranking.
pub fn decode_cached_ranking(bytes: &[u8]) -> Result<CachedRanking, StoreError> {
    let read = || frame::decode::<StoredCachedRankingV1>(VERSION, bytes)?.ranking();
    read().map_err(|error| error.into_store_error(RECORD))
}

impl From<&CachedRanking> for StoredCachedRankingV1 {
    fn from(ranking: &CachedRanking) -> Self {
        let CachedRanking { cache_key, ranked_at, ranked } = ranking;
        let CacheKey { model_version, catalog, customer } = *cache_key;
        let ranked = ranked
            .iter()
            .map(|&RankedProduct { catalog_index, propensity }| StoredRankedProduct {
                index: catalog_index,
                propensity,
            })
            .collect();
        Self { model_version, catalog, customer, ranked_at: ranked_at.unix_ms(), ranked }
    }
}

impl StoredCachedRankingV1 {
    fn ranking(self) -> Result<CachedRanking, CodecError> {
        let Self { model_version, catalog, customer, ranked_at, ranked } = self;
        if ranked.iter().any(|product| !(product.propensity > 0.0 && product.propensity <= 1.0)) {
            return Err(CodecError("a propensity is outside (0, 1]".to_owned()));
        }
        Ok(CachedRanking {
            cache_key: CacheKey { model_version, catalog, customer },
            ranked_at: timestamp(ranked_at)?,
            ranked: ranked
                .into_iter()
                .map(|StoredRankedProduct { index, propensity }| RankedProduct { catalog_index: index, propensity })
                .collect(),
        })
    }
}

//! Prepared candidates.

use serde::{Deserialize, Serialize};

use super::frame::{self, Unfit};
use super::scalar::moment;
use crate::domain::cached_ranking::{CacheKey, CachedRanking, RankedProduct};
use crate::store::contract::StoreError;

const VERSION: u8 = 1;
const WHAT: &str = "prepared candidates";

/// Prepared candidates as they are stored.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredCachedRanking {
    model_version: u64,
    catalog: u64,
    customer: u64,
    ranked_at: i64,
    /// Places in the catalogue with their propensities.
    ranked: Vec<(u32, f32)>,
}

/// Writes prepared candidates.
pub fn encode_prepared(prepared: &CachedRanking) -> Result<Vec<u8>, StoreError> {
    frame::encode(VERSION, &StoredCachedRanking::from(prepared)).map_err(|unfit| unfit.of(WHAT))
}

/// Reads prepared candidates.
pub fn decode_prepared(bytes: &[u8]) -> Result<CachedRanking, StoreError> {
    let read = || frame::decode::<StoredCachedRanking>(VERSION, bytes)?.prepared();
    read().map_err(|unfit| unfit.of(WHAT))
}

impl From<&CachedRanking> for StoredCachedRanking {
    fn from(prepared: &CachedRanking) -> Self {
        let CachedRanking { ranked_from, ranked_at, ranked } = prepared;
        let CacheKey { model_version, catalog, customer } = *ranked_from;
        let ranked = ranked.iter().map(|&RankedProduct { place, propensity }| (place, propensity)).collect();
        Self { model_version, catalog, customer, ranked_at: ranked_at.unix_ms(), ranked }
    }
}

impl StoredCachedRanking {
    fn prepared(self) -> Result<CachedRanking, Unfit> {
        let Self { model_version, catalog, customer, ranked_at, ranked } = self;
        if ranked.iter().any(|(_, propensity)| !(*propensity > 0.0 && *propensity <= 1.0)) {
            return Err(Unfit("a propensity is not above 0 and at most 1".to_owned()));
        }
        Ok(CachedRanking {
            ranked_from: CacheKey { model_version, catalog, customer },
            ranked_at: moment(ranked_at)?,
            ranked: ranked.into_iter().map(|(place, propensity)| RankedProduct { place, propensity }).collect(),
        })
    }
}

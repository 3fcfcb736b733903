//! Prepared candidates.

use serde::{Deserialize, Serialize};

use super::frame::{self, Unfit};
use super::scalar::moment;
use crate::domain::prepared::{PreparedCandidates, Ranked, RankedFrom};
use crate::store::contract::StoreError;

const VERSION: u8 = 1;
const WHAT: &str = "prepared candidates";

/// Prepared candidates as they are stored.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredPrepared {
    model_version: u64,
    catalog: u64,
    customer: u64,
    ranked_at: i64,
    /// Places in the catalogue with their propensities.
    ranked: Vec<(u32, f32)>,
}

/// Writes prepared candidates.
pub fn encode_prepared(prepared: &PreparedCandidates) -> Result<Vec<u8>, StoreError> {
    frame::encode(VERSION, &StoredPrepared::from(prepared)).map_err(|unfit| unfit.of(WHAT))
}

/// Reads prepared candidates.
pub fn decode_prepared(bytes: &[u8]) -> Result<PreparedCandidates, StoreError> {
    let read = || frame::decode::<StoredPrepared>(VERSION, bytes)?.prepared();
    read().map_err(|unfit| unfit.of(WHAT))
}

impl From<&PreparedCandidates> for StoredPrepared {
    fn from(prepared: &PreparedCandidates) -> Self {
        let PreparedCandidates { ranked_from, ranked_at, ranked } = prepared;
        let RankedFrom { model_version, catalog, customer } = *ranked_from;
        let ranked = ranked.iter().map(|&Ranked { place, propensity }| (place, propensity)).collect();
        Self { model_version, catalog, customer, ranked_at: ranked_at.unix_ms(), ranked }
    }
}

impl StoredPrepared {
    fn prepared(self) -> Result<PreparedCandidates, Unfit> {
        let Self { model_version, catalog, customer, ranked_at, ranked } = self;
        if ranked.iter().any(|(_, propensity)| !(*propensity > 0.0 && *propensity <= 1.0)) {
            return Err(Unfit("a propensity is not above 0 and at most 1".to_owned()));
        }
        Ok(PreparedCandidates {
            ranked_from: RankedFrom { model_version, catalog, customer },
            ranked_at: moment(ranked_at)?,
            ranked: ranked.into_iter().map(|(place, propensity)| Ranked { place, propensity }).collect(),
        })
    }
}

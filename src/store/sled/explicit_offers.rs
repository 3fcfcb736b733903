//! Explicit offers, ordered by id.

use std::sync::Arc;

use super::engine::SledEngine;
use super::scan::blocking;
use crate::domain::explicit_offer::ExplicitOffer;
use crate::domain::ids::OfferId;
use crate::store::codec::explicit_offer::{decode_explicit_offer, encode_explicit_offer};
use crate::store::contract::error::StoreError;

impl SledEngine {
    /// Writes offers; returns for each whether it changed the stored one.
    pub async fn put_offers(self: &Arc<Self>, offers: &[ExplicitOffer]) -> Result<Vec<bool>, StoreError> {
        let encoded = offers.iter().map(|offer| Ok((offer.id.to_string(), encode_explicit_offer(offer)?)));
        let encoded: Vec<_> = encoded.collect::<Result<_, StoreError>>()?;
        blocking(self, move |engine| {
            let _write = engine.committer.begin_write();
            let put = |(id, bytes): (String, Vec<u8>)| {
                let before = engine.check(engine.trees.offers.insert(id, bytes.as_slice()))?;
                Ok(before.is_none_or(|before| before != bytes))
            };
            encoded.into_iter().map(put).collect()
        })
        .await
    }

    /// Removes an offer; the units taken of its volume stay recorded.
    pub fn delete_offer(&self, id: &OfferId) -> Result<bool, StoreError> {
        let _write = self.committer.begin_write();
        Ok(self.check(self.trees.offers.remove(id.as_str()))?.is_some())
    }

    /// Reads all offers, ordered by id.
    pub async fn load_offers(self: &Arc<Self>) -> Result<Vec<ExplicitOffer>, StoreError> {
        blocking(self, |engine| {
            let values = engine.trees.offers.iter().values();
            values.map(|bytes| decode_explicit_offer(&engine.check(bytes)?)).collect()
        })
        .await
    }
}

//! Explicit offers and their volumes. A volume is one value changed by compare-and-swap, as a customer is.

use std::sync::Arc;

use super::inner::Inner;
use super::scan::blocking;
use crate::domain::explicit_offer::{ExplicitOffer, Volume};
use crate::domain::ids::OfferId;
use crate::store::codec::explicit_offer::{decode_explicit_offer, decode_volume, encode_explicit_offer, encode_volume};
use crate::store::contract::error::StoreError;

impl Inner {
    /// Writes offers; true for each that was not stored just so already.
    pub async fn put_offers(self: &Arc<Self>, offers: &[ExplicitOffer]) -> Result<Vec<bool>, StoreError> {
        let encoded = offers.iter().map(|offer| Ok((offer.id.to_string(), encode_explicit_offer(offer)?)));
        let encoded: Vec<_> = encoded.collect::<Result<_, StoreError>>()?;
        blocking(self, move |inner| {
            let _write = inner.committer.begin_write();
            let put = |(id, bytes): (String, Vec<u8>)| {
                let before = inner.healthy(inner.trees.offers.insert(id, bytes.as_slice()))?;
                Ok(before.is_none_or(|before| before != bytes))
            };
            encoded.into_iter().map(put).collect()
        })
        .await
    }

    /// Removes an offer; what is gone of its volume stays known.
    pub fn delete_offer(&self, id: &OfferId) -> Result<bool, StoreError> {
        let _write = self.committer.begin_write();
        Ok(self.healthy(self.trees.offers.remove(id.as_str()))?.is_some())
    }

    /// Reads all offers, ordered by id.
    pub async fn load_offers(self: &Arc<Self>) -> Result<Vec<ExplicitOffer>, StoreError> {
        blocking(self, |inner| {
            let values = inner.trees.offers.iter().values();
            values.map(|bytes| decode_explicit_offer(&inner.healthy(bytes)?)).collect()
        })
        .await
    }

    /// How much of an offer's volume is gone.
    pub fn load_volume(&self, offer: &OfferId) -> Result<Volume, StoreError> {
        let bytes = self.healthy(self.trees.volumes.get(offer.as_str()))?;
        bytes.map_or_else(|| Ok(Volume::default()), |bytes| decode_volume(offer, &bytes))
    }

    /// Every volume of which something is gone.
    pub async fn load_volumes(self: &Arc<Self>) -> Result<Vec<(OfferId, Volume)>, StoreError> {
        blocking(self, |inner| {
            let read = |record: sled::Result<(sled::IVec, sled::IVec)>| {
                let (key, bytes) = inner.healthy(record)?;
                let damaged = |detail| StoreError::Damaged { what: "volume", detail };
                let id = String::from_utf8(key.to_vec()).map_err(|error| damaged(error.to_string()))?;
                let id = OfferId::new(id).map_err(|error| damaged(error.to_string()))?;
                let volume = decode_volume(&id, &bytes)?;
                Ok((id, volume))
            };
            inner.trees.volumes.iter().map(read).collect()
        })
        .await
    }

    /// Changes a volume, again and again until nobody else changed it meanwhile, and returns what `change` returned last.
    pub fn change_volume<T>(&self, offer: &OfferId, mut change: impl FnMut(&mut Volume) -> T) -> Result<T, StoreError> {
        let _write = self.committer.begin_write();
        loop {
            let before = self.healthy(self.trees.volumes.get(offer.as_str()))?;
            let mut volume = before.as_ref().map_or_else(|| Ok(Volume::default()), |it| decode_volume(offer, it))?;
            let unchanged = volume.clone();
            let result = change(&mut volume);
            if volume == unchanged {
                return Ok(result);
            }
            let is_blank = volume == Volume::default();
            let after = if is_blank { None } else { Some(encode_volume(&volume)?) };
            let swapped = self.trees.volumes.compare_and_swap(offer.as_str(), before, after);
            if self.healthy(swapped)?.is_ok() {
                return Ok(result);
            }
        }
    }
}

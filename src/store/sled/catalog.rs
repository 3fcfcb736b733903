//! Products, explicit offers and their volumes as the contract sees them, on disk.

use super::scan::blocking;
use super::store::SledStore;
use crate::domain::explicit_offer::{ExplicitOffer, Volume, VolumeToken};
use crate::domain::ids::{DecisionId, OfferId, ProductId};
use crate::domain::product::Product;
use crate::store::contract::catalog::CatalogStore;
use crate::store::contract::error::StoreError;
use async_trait::async_trait;

#[async_trait]
impl CatalogStore for SledStore {
    async fn put_products(&self, products: &[Product]) -> Result<Vec<bool>, StoreError> {
        let products = products.to_vec();
        blocking(self.inner()?, move |inner| inner.put_products(&products)).await
    }

    async fn delete_product(&self, id: &ProductId) -> Result<bool, StoreError> {
        self.inner()?.delete_product(id)
    }

    async fn load_products(&self) -> Result<Vec<Product>, StoreError> {
        self.inner()?.load_products().await
    }

    async fn put_offers(&self, offers: &[ExplicitOffer]) -> Result<Vec<bool>, StoreError> {
        self.inner()?.put_offers(offers).await
    }

    async fn delete_offer(&self, id: &OfferId) -> Result<bool, StoreError> {
        self.inner()?.delete_offer(id)
    }

    async fn load_offers(&self) -> Result<Vec<ExplicitOffer>, StoreError> {
        self.inner()?.load_offers().await
    }

    async fn take_volume(&self, token: &VolumeToken, cap: u64) -> Result<bool, StoreError> {
        self.inner()?.change_volume(&token.offer, |volume| volume.take(token, cap))
    }

    async fn settle_volume(&self, offer: &OfferId, decision: DecisionId) -> Result<(), StoreError> {
        self.inner()?.change_volume(offer, |volume| volume.settle(decision))
    }

    async fn abandon_volume(&self, offer: &OfferId, decision: DecisionId) -> Result<(), StoreError> {
        self.inner()?.change_volume(offer, |volume| volume.abandon(decision))
    }

    async fn release_volume(&self, offer: &OfferId, decision: DecisionId) -> Result<(), StoreError> {
        self.inner()?.releases.note(offer);
        self.inner()?.change_volume(offer, |volume| volume.release(decision))
    }

    async fn load_volume(&self, offer: &OfferId) -> Result<Volume, StoreError> {
        self.inner()?.load_volume(offer)
    }

    async fn load_volumes(&self) -> Result<Vec<(OfferId, Volume)>, StoreError> {
        self.inner()?.load_volumes().await
    }
}

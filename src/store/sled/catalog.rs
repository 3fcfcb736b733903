//! Products, explicit offers and their volumes: the store contract implemented on sled.

use super::scan::blocking;
use super::store::SledStore;
use crate::domain::explicit_offer::ExplicitOffer;
use crate::domain::ids::{OfferId, ProductId};
use crate::domain::product::Product;
use crate::store::contract::catalog::CatalogStore;
use crate::store::contract::error::StoreError;
use async_trait::async_trait;

#[async_trait]
impl CatalogStore for SledStore {
    async fn put_products(&self, products: &[Product]) -> Result<Vec<bool>, StoreError> {
        let products = products.to_vec();
        blocking(self.engine()?, move |engine| engine.put_products(&products)).await
    }

    async fn delete_product(&self, id: &ProductId) -> Result<bool, StoreError> {
        self.engine()?.delete_product(id)
    }

    async fn load_products(&self) -> Result<Vec<Product>, StoreError> {
        self.engine()?.load_products().await
    }

    async fn put_offers(&self, offers: &[ExplicitOffer]) -> Result<Vec<bool>, StoreError> {
        self.engine()?.put_offers(offers).await
    }

    async fn delete_offer(&self, id: &OfferId) -> Result<bool, StoreError> {
        self.engine()?.delete_offer(id)
    }

    async fn load_offers(&self) -> Result<Vec<ExplicitOffer>, StoreError> {
        self.engine()?.load_offers().await
    }

    async fn used_volume(&self, offer: &OfferId) -> Result<u64, StoreError> {
        self.engine()?.used_volume(offer)
    }
}

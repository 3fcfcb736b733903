//! Products, explicit offers and their volumes in memory.

use super::store::MemoryStore;
use crate::domain::explicit_offer::{ExplicitOffer, Volume};
use crate::domain::ids::{OfferId, ProductId};
use crate::domain::product::Product;
use crate::store::codec::explicit_offer::encode_explicit_offer;
use crate::store::codec::product::encode_product;
use crate::store::contract::catalog::CatalogStore;
use crate::store::contract::error::StoreError;
use async_trait::async_trait;

#[async_trait]
impl CatalogStore for MemoryStore {
    async fn put_products(&self, products: &[Product]) -> Result<Vec<bool>, StoreError> {
        for product in products {
            encode_product(product)?;
        }
        let mut contents = self.contents();
        let put = |product: &Product| {
            let before = contents.products.insert(product.id.clone(), product.clone());
            before.as_ref() != Some(product)
        };
        Ok(products.iter().map(put).collect())
    }

    async fn delete_product(&self, id: &ProductId) -> Result<bool, StoreError> {
        Ok(self.contents().products.remove(id).is_some())
    }

    async fn load_products(&self) -> Result<Vec<Product>, StoreError> {
        Ok(self.contents().products.values().cloned().collect())
    }

    async fn put_offers(&self, offers: &[ExplicitOffer]) -> Result<Vec<bool>, StoreError> {
        for offer in offers {
            encode_explicit_offer(offer)?;
        }
        let mut contents = self.contents();
        let put =
            |offer: &ExplicitOffer| contents.offers.insert(offer.id.clone(), offer.clone()).as_ref() != Some(offer);
        Ok(offers.iter().map(put).collect())
    }

    async fn delete_offer(&self, id: &OfferId) -> Result<bool, StoreError> {
        Ok(self.contents().offers.remove(id).is_some())
    }

    async fn load_offers(&self) -> Result<Vec<ExplicitOffer>, StoreError> {
        Ok(self.contents().offers.values().cloned().collect())
    }

    async fn used_volume(&self, offer: &OfferId) -> Result<u64, StoreError> {
        Ok(self.contents().volumes.get(offer).map_or(0, Volume::used))
    }
}

//! Products, explicit offers and their volumes.

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::explicit_offer::ExplicitOffer;
use crate::domain::ids::{OfferId, ProductId};
use crate::domain::product::Product;

/// The catalogue: products, explicit offers, and the units taken of each offer's volume.
#[async_trait]
pub trait CatalogStore: Send + Sync + 'static {
    /// Writes products, each replacing the one with its id. Returns for each whether it changed anything.
    async fn put_products(&self, products: &[Product]) -> Result<Vec<bool>, StoreError>;

    /// Removes a product; false when there was none.
    async fn delete_product(&self, id: &ProductId) -> Result<bool, StoreError>;

    /// Reads all products, ordered by id.
    async fn load_products(&self) -> Result<Vec<Product>, StoreError>;

    /// Writes explicit offers, each replacing the one with its id. Returns for each whether it changed anything.
    async fn put_offers(&self, offers: &[ExplicitOffer]) -> Result<Vec<bool>, StoreError>;

    /// Removes an explicit offer; false when there was none. The units taken of its volume stay recorded.
    async fn delete_offer(&self, id: &OfferId) -> Result<bool, StoreError>;

    /// Reads all explicit offers, ordered by id.
    async fn load_offers(&self) -> Result<Vec<ExplicitOffer>, StoreError>;

    /// Returns how many units of an offer's volume are taken.
    async fn used_volume(&self, offer: &OfferId) -> Result<u64, StoreError>;
}

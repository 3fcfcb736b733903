//! Keeps the catalogue: writes products to the store and publishes the new catalogue in one piece.

use super::tactful::Tactful;
use crate::domain::ids::ProductId;
use crate::domain::product::Product;
use crate::store::contract::StoreError;

/// Adds or replaces products, durable when it returns. True for each product that changed anything. The new catalogue
/// is not served before [`publish_catalog`].
pub async fn upsert_products(tactful: &Tactful, products: &[Product]) -> Result<Vec<bool>, StoreError> {
    let changes = tactful.store.put_products(products).await?;
    tactful.store.durable().await?;
    Ok(changes)
}

/// Serves the products as they are stored now.
pub async fn publish_catalog(tactful: &Tactful) -> Result<(), StoreError> {
    tactful.publish_catalog().await
}

/// Removes a product and publishes; false when there was none.
pub async fn delete_product(tactful: &Tactful, product: &ProductId) -> Result<bool, StoreError> {
    let was_there = tactful.store.delete_product(product).await?;
    tactful.store.durable().await?;
    tactful.publish_catalog().await?;
    Ok(was_there)
}

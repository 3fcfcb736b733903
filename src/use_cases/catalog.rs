//! Keeps the catalogue: writes products to the store and publishes the new catalogue in one piece.

use super::app::App;
use crate::domain::ids::ProductId;
use crate::domain::product::Product;
use crate::store::contract::StoreError;

/// Adds or replaces products, durable when it returns. True for each product that changed anything. The new catalogue
/// is not served before [`publish_catalog`].
pub async fn upsert_products(app: &App, products: &[Product]) -> Result<Vec<bool>, StoreError> {
    let changes = app.store.put_products(products).await?;
    app.store.durable().await?;
    Ok(changes)
}

/// Serves the products as they are stored now.
pub async fn publish_catalog(app: &App) -> Result<(), StoreError> {
    app.publish_catalog().await
}

/// Removes a product and publishes; false when there was none.
pub async fn delete_product(app: &App, product: &ProductId) -> Result<bool, StoreError> {
    let was_there = app.store.delete_product(product).await?;
    app.store.durable().await?;
    app.publish_catalog().await?;
    Ok(was_there)
}

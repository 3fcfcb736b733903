//! Products of the catalogue: stored one by one, and published together.

use super::app::App;
use crate::domain::ids::ProductId;
use crate::domain::product::Product;
use crate::store::contract::error::StoreError;

/// Stores products, each replacing the one with its id; durable when it returns. Returns whether each product changed
/// anything. They are not served before [`publish_catalog`].
pub async fn upsert_products(app: &App, products: &[Product]) -> Result<Vec<bool>, StoreError> {
    let changes = app.store.put_products(products).await?;
    app.store.durable().await?;
    Ok(changes)
}

/// Publishes the products as they are stored now.
pub async fn publish_catalog(app: &App) -> Result<(), StoreError> {
    app.publish_catalog().await
}

/// Deletes a product and publishes the rest. Returns whether it existed.
pub async fn delete_product(app: &App, product: &ProductId) -> Result<bool, StoreError> {
    let was_there = app.store.delete_product(product).await?;
    app.store.durable().await?;
    app.publish_catalog().await?;
    Ok(was_there)
}

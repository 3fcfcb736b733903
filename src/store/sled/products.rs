//! Products, ordered by id.

use super::engine::SledEngine;
use super::scan::PAGE_LEN;
use crate::domain::ids::ProductId;
use crate::domain::product::Product;
use crate::store::codec::product::decode_product;
use crate::store::codec::product::encode_product;
use crate::store::contract::error::StoreError;
use std::sync::Arc;

impl SledEngine {
    /// Writes products; returns for each whether it changed the stored one.
    pub fn put_products(&self, products: &[Product]) -> Result<Vec<bool>, StoreError> {
        let mut encoded = Vec::with_capacity(products.len());
        for product in products {
            encoded.push((product.id.as_str(), encode_product(product)?));
        }
        let _write = self.committer.begin_write();
        let mut changes = Vec::with_capacity(encoded.len());
        for (id, bytes) in encoded {
            let before = self.check(self.trees.products.insert(id, bytes.as_slice()))?;
            self.counters.products.add_if(before.is_none());
            changes.push(before.is_none_or(|before| before != bytes));
        }
        Ok(changes)
    }

    /// Removes a product; false when there was none.
    pub fn delete_product(&self, id: &ProductId) -> Result<bool, StoreError> {
        let _write = self.committer.begin_write();
        let was_stored = self.check(self.trees.products.remove(id.as_str()))?.is_some();
        self.counters.products.subtract_if(was_stored);
        Ok(was_stored)
    }

    pub async fn load_products(self: &Arc<Self>) -> Result<Vec<Product>, StoreError> {
        let mut products = Vec::new();
        self.visit(&self.trees.products, PAGE_LEN, decode_product, &mut |page| products.extend(page)).await?;
        Ok(products)
    }
}

//! Products, explicit offers and their volumes in PostgreSQL.

use async_trait::async_trait;

use super::error::store_error;
use super::records::{column, from_bigint};
use super::shared::{CATALOG, OFFERS, publish};
use super::store::PostgresStore;
use super::volumes::{SharedCap, share_out};
use crate::domain::explicit_offer::ExplicitOffer;
use crate::domain::ids::{OfferId, ProductId};
use crate::domain::product::Product;
use crate::store::codec::explicit_offer::{decode_explicit_offer, encode_explicit_offer};
use crate::store::codec::product::{decode_product, encode_product};
use crate::store::contract::catalog::CatalogStore;
use crate::store::contract::error::StoreError;

#[async_trait]
impl CatalogStore for PostgresStore {
    async fn put_products(&self, products: &[Product]) -> Result<Vec<bool>, StoreError> {
        let encoded = products.iter().map(encode_product).collect::<Result<Vec<Vec<u8>>, StoreError>>()?;
        let transaction = self.connections.begin().await?;
        let client = transaction.client();
        let put = async {
            let statement = "INSERT INTO product (id, body) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE \
                             SET body = EXCLUDED.body WHERE product.body <> EXCLUDED.body";
            let statement = client.prepare_cached(statement).await?;
            let mut changed = Vec::with_capacity(products.len());
            for (product, body) in products.iter().zip(&encoded) {
                changed.push(client.execute(&statement, &[&product.id.as_str(), body]).await? > 0);
            }
            if changed.contains(&true) {
                publish(client, CATALOG).await?;
            }
            Ok(changed)
        };
        let changed = put.await.map_err(|error: tokio_postgres::Error| store_error(&error))?;
        transaction.commit().await?;
        Ok(changed)
    }

    async fn delete_product(&self, id: &ProductId) -> Result<bool, StoreError> {
        let transaction = self.connections.begin().await?;
        let client = transaction.client();
        let delete = async {
            let count = client.execute("DELETE FROM product WHERE id = $1", &[&id.as_str()]).await?;
            if count > 0 {
                publish(client, CATALOG).await?;
            }
            Ok(count > 0)
        };
        let was_stored = delete.await.map_err(|error: tokio_postgres::Error| store_error(&error))?;
        transaction.commit().await?;
        Ok(was_stored)
    }

    async fn load_products(&self) -> Result<Vec<Product>, StoreError> {
        let rows = self.query("SELECT body FROM product ORDER BY id", &[]).await?;
        rows.iter().map(|row| decode_product(column(row, 0)?)).collect()
    }

    async fn put_offers(&self, offers: &[ExplicitOffer]) -> Result<Vec<bool>, StoreError> {
        let encoded = offers.iter().map(encode_explicit_offer).collect::<Result<Vec<Vec<u8>>, StoreError>>()?;
        let transaction = self.connections.begin().await?;
        let client = transaction.client();
        let put = async {
            let statement = "INSERT INTO offer (id, body) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE \
                             SET body = EXCLUDED.body WHERE offer.body <> EXCLUDED.body";
            let statement = client.prepare_cached(statement).await?;
            let mut changed = Vec::with_capacity(offers.len());
            for (offer, body) in offers.iter().zip(&encoded) {
                let is_changed = client.execute(&statement, &[&offer.id.as_str(), body]).await? > 0;
                if is_changed {
                    share_out(client, &offer.id, cap_of(offer)).await?;
                }
                changed.push(is_changed);
            }
            if changed.contains(&true) {
                publish(client, OFFERS).await?;
            }
            Ok(changed)
        };
        let changed = put.await.map_err(|error: tokio_postgres::Error| store_error(&error))?;
        transaction.commit().await?;
        Ok(changed)
    }

    async fn delete_offer(&self, id: &OfferId) -> Result<bool, StoreError> {
        let transaction = self.connections.begin().await?;
        let client = transaction.client();
        let delete = async {
            let count = client.execute("DELETE FROM offer WHERE id = $1", &[&id.as_str()]).await?;
            client.execute("UPDATE volume SET share = 0 WHERE offer = $1", &[&id.as_str()]).await?;
            if count > 0 {
                publish(client, OFFERS).await?;
            }
            Ok(count > 0)
        };
        let was_stored = delete.await.map_err(|error: tokio_postgres::Error| store_error(&error))?;
        transaction.commit().await?;
        Ok(was_stored)
    }

    async fn load_offers(&self) -> Result<Vec<ExplicitOffer>, StoreError> {
        let rows = self.query("SELECT body FROM offer ORDER BY id", &[]).await?;
        rows.iter().map(|row| decode_explicit_offer(column(row, 0)?)).collect()
    }

    async fn used_volume(&self, offer: &OfferId) -> Result<u64, StoreError> {
        let statement = "SELECT coalesce(sum(used), 0)::bigint FROM volume WHERE offer = $1";
        let rows = self.query(statement, &[&offer.as_str()]).await?;
        rows.first().map_or(Ok(0), |row| column(row, 0).map(from_bigint))
    }
}

/// The cap that the buckets of a stored offer share.
pub(super) fn cap_of(offer: &ExplicitOffer) -> SharedCap {
    offer.volume_cap.map_or(SharedCap::Unlimited, SharedCap::Limited)
}

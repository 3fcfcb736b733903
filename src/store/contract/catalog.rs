//! Products, explicit offers and their volumes.

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::explicit_offer::{ExplicitOffer, Volume, VolumeToken};
use crate::domain::ids::{DecisionId, OfferId, ProductId};
use crate::domain::product::Product;

/// The catalogue: products, explicit offers, and how much of each offer's volume is used.
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

    /// Removes an explicit offer; false when there was none. How much of its volume is used is remembered.
    async fn delete_offer(&self, id: &OfferId) -> Result<bool, StoreError>;

    /// Reads all explicit offers, ordered by id.
    async fn load_offers(&self) -> Result<Vec<ExplicitOffer>, StoreError>;

    /// Takes one of an offer's volume for a decision that is about to be committed; false when `cap` are used. The order is:
    /// take, commit the customer, settle; and for a release: commit the customer, then release. So a crash may waste one and
    /// never grants one too many.
    async fn take_volume(&self, token: &VolumeToken, cap: u64) -> Result<bool, StoreError>;

    /// The decision that took it was committed.
    async fn settle_volume(&self, offer: &OfferId, decision: DecisionId) -> Result<(), StoreError>;

    /// The decision that took it was not committed and never can be. Again, or after it was settled, changes nothing.
    async fn abandon_volume(&self, offer: &OfferId, decision: DecisionId) -> Result<(), StoreError>;

    /// The grant that the decision made was released unseen. Call once for each.
    async fn release_volume(&self, offer: &OfferId, decision: DecisionId) -> Result<(), StoreError>;

    /// Reads how much of an offer's volume is used.
    async fn load_volume(&self, offer: &OfferId) -> Result<Volume, StoreError>;

    /// Reads every volume of which something was taken, ordered by offer.
    async fn load_volumes(&self) -> Result<Vec<(OfferId, Volume)>, StoreError>;
}

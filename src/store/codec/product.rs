//! Products of the catalogue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::frame::{self, CodecError};
use super::scalar::{
    StoredFeatureValue, StoredMoney, optional_money, optional_timestamp, product_set, product_strings,
};
use crate::domain::ids::{ItemGroupId, LadderId, ProductId};
use crate::domain::product::{LadderPosition, Product};
use crate::store::contract::error::StoreError;

const VERSION: u8 = 1;
const RECORD: &str = "product";

/// Encodes a product.
pub fn encode_product(product: &Product) -> Result<Vec<u8>, StoreError> {
    frame::encode(VERSION, &StoredProductV1::from(product)).map_err(|error| error.into_store_error(RECORD))
}

/// Decodes a product.
pub fn decode_product(bytes: &[u8]) -> Result<Product, StoreError> {
    frame::decode::<StoredProductV1>(VERSION, bytes)
        .and_then(StoredProductV1::product)
        .map_err(|error| error.into_store_error(RECORD))
}

#[derive(Serialize, Deserialize)]
struct StoredProductV1 {
    id: String,
    title: String,
    category: Vec<String>,
    price: Option<StoredMoney>,
    margin: Option<StoredMoney>,
    ladder_position: Option<StoredLadderPosition>,
    item_group: Option<String>,
    features: BTreeMap<String, StoredFeatureValue>,
    requires: Vec<String>,
    excludes: Vec<String>,
    compatible_with: Vec<String>,
    repeatable: bool,
    available: bool,
    available_from: Option<i64>,
    available_until: Option<i64>,
    attributes: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct StoredLadderPosition {
    ladder: String,
    tier: u32,
}

impl From<&Product> for StoredProductV1 {
    fn from(product: &Product) -> Self {
        let Product {
            id,
            title,
            category,
            price,
            margin,
            ladder_position,
            item_group,
            features,
            requires,
            excludes,
            compatible_with,
            repeatable,
            available,
            available_from,
            available_until,
            attributes,
        } = product;
        Self {
            id: id.to_string(),
            title: title.clone(),
            category: category.clone(),
            price: price.map(StoredMoney::from),
            margin: margin.map(StoredMoney::from),
            ladder_position: ladder_position.as_ref().map(StoredLadderPosition::from),
            item_group: item_group.as_ref().map(ToString::to_string),
            features: features.iter().map(|(name, value)| (name.clone(), value.into())).collect(),
            requires: product_strings(requires),
            excludes: product_strings(excludes),
            compatible_with: product_strings(compatible_with),
            repeatable: *repeatable,
            available: *available,
            available_from: available_from.map(crate::domain::time::Timestamp::unix_ms),
            available_until: available_until.map(crate::domain::time::Timestamp::unix_ms),
            attributes: attributes.clone(),
        }
    }
}

impl StoredProductV1 {
    fn product(self) -> Result<Product, CodecError> {
        let Self {
            id,
            title,
            category,
            price,
            margin,
            ladder_position,
            item_group,
            features,
            requires,
            excludes,
            compatible_with,
            repeatable,
            available,
            available_from,
            available_until,
            attributes,
        } = self;
        Ok(Product {
            id: ProductId::new(id)?,
            title,
            category,
            price: optional_money(price.as_ref())?,
            margin: optional_money(margin.as_ref())?,
            ladder_position: ladder_position.map(StoredLadderPosition::ladder_position).transpose()?,
            item_group: item_group.map(ItemGroupId::new).transpose()?,
            features: features.into_iter().map(|(name, value)| (name, value.into())).collect(),
            requires: product_set(requires)?,
            excludes: product_set(excludes)?,
            compatible_with: product_set(compatible_with)?,
            repeatable,
            available,
            available_from: optional_timestamp(available_from)?,
            available_until: optional_timestamp(available_until)?,
            attributes,
        })
    }
}

impl From<&LadderPosition> for StoredLadderPosition {
    fn from(ladder_position: &LadderPosition) -> Self {
        let LadderPosition { ladder, tier } = ladder_position;
        Self { ladder: ladder.to_string(), tier: *tier }
    }
}

impl StoredLadderPosition {
    fn ladder_position(self) -> Result<LadderPosition, CodecError> {
        let Self { ladder, tier } = self;
        Ok(LadderPosition { ladder: LadderId::new(ladder)?, tier })
    }
}

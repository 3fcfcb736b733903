//! Scalars inside the stored shapes: timestamps, numbers, money and ids, and the macro for stored enums.

use std::collections::BTreeSet;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::frame::CodecError;
use crate::domain::ids::{Channel, ProductId};
use crate::domain::money::{Currency, Money};
use crate::domain::product::FeatureValue;
use crate::domain::time::Timestamp;

/// Declares the stored counterpart of a domain enum without fields. Both matches are exhaustive, so a new variant is a
/// compile error here. Variants may be appended, never moved: postcard stores their position.
macro_rules! stored_enum {
    ($(#[$doc:meta])* $stored:ident of $domain:path { $($variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub(super) enum $stored { $($variant),+ }

        impl From<$domain> for $stored {
            fn from(domain: $domain) -> Self {
                match domain { $(<$domain>::$variant => Self::$variant),+ }
            }
        }

        impl From<$stored> for $domain {
            fn from(stored: $stored) -> Self {
                match stored { $($stored::$variant => Self::$variant),+ }
            }
        }
    };
}
pub(super) use stored_enum;

/// A finite number, checked in both directions: an infinity or NaN that could not be read back is not written either.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct FiniteF64(pub f64);

impl Serialize for FiniteF64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.0.is_finite() {
            return Err(S::Error::custom("a number is not finite"));
        }
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for FiniteF64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        if number.is_finite() { Ok(Self(number)) } else { Err(D::Error::custom("a number is not finite")) }
    }
}

/// A 128-bit id of fixed length: random bits would take up to 19 bytes as a varint.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FixedU128([u8; 16]);

impl FixedU128 {
    pub fn of(bits: u128) -> Self {
        Self(bits.to_le_bytes())
    }

    pub fn bits(self) -> u128 {
        u128::from_le_bytes(self.0)
    }
}

/// A 64-bit digest of fixed length, for the same reason.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FixedU64([u8; 8]);

impl FixedU64 {
    pub fn of(bits: u64) -> Self {
        Self(bits.to_le_bytes())
    }

    pub fn bits(self) -> u64 {
        u64::from_le_bytes(self.0)
    }
}

/// Converts milliseconds since the Unix epoch.
pub(super) fn timestamp(unix_ms: i64) -> Result<Timestamp, CodecError> {
    Timestamp::from_unix_ms(unix_ms).ok_or_else(|| CodecError("a time is outside the years 1900 to 2200".to_owned()))
}

/// Converts optional milliseconds since the Unix epoch.
pub(super) fn optional_timestamp(unix_ms: Option<i64>) -> Result<Option<Timestamp>, CodecError> {
    unix_ms.map(timestamp).transpose()
}

/// Milliseconds from `origin` to `at`: a short varint when they are close.
pub(super) fn ms_since(origin: Timestamp, at: Timestamp) -> i64 {
    at.unix_ms() - origin.unix_ms()
}

/// The inverse of [`ms_since`].
pub(super) fn timestamp_after(origin: Timestamp, ms: i64) -> Result<Timestamp, CodecError> {
    timestamp(origin.unix_ms().saturating_add(ms))
}

/// Stored [`Money`]: billionths of a unit, and the three letters of the currency.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredMoney {
    currency: [u8; 3],
    total_nanos: i128,
}

impl From<Money> for StoredMoney {
    fn from(money: Money) -> Self {
        let currency = money.currency();
        let mut letters = [0; 3];
        letters.copy_from_slice(currency.as_str().as_bytes());
        Self { currency: letters, total_nanos: money.total_nanos() }
    }
}

impl StoredMoney {
    pub fn money(&self) -> Result<Money, CodecError> {
        let letters = std::str::from_utf8(&self.currency).unwrap_or_default();
        Ok(Money::from_total_nanos(Currency::new(letters)?, self.total_nanos)?)
    }
}

/// Converts an optional amount.
pub(super) fn optional_money(money: Option<&StoredMoney>) -> Result<Option<Money>, CodecError> {
    money.map(StoredMoney::money).transpose()
}

/// Stored [`FeatureValue`].
#[derive(Serialize, Deserialize)]
pub(super) enum StoredFeatureValue {
    Number(FiniteF64),
    Flag(bool),
    Text(String),
}

impl From<&FeatureValue> for StoredFeatureValue {
    fn from(value: &FeatureValue) -> Self {
        match value {
            FeatureValue::Number(number) => Self::Number(FiniteF64(*number)),
            FeatureValue::Flag(flag) => Self::Flag(*flag),
            FeatureValue::Text(text) => Self::Text(text.clone()),
        }
    }
}

impl From<StoredFeatureValue> for FeatureValue {
    fn from(stored: StoredFeatureValue) -> Self {
        match stored {
            StoredFeatureValue::Number(FiniteF64(number)) => Self::Number(number),
            StoredFeatureValue::Flag(flag) => Self::Flag(flag),
            StoredFeatureValue::Text(text) => Self::Text(text),
        }
    }
}

/// Converts product ids to strings, in their order.
pub(super) fn product_strings<'ids>(ids: impl IntoIterator<Item = &'ids ProductId>) -> Vec<String> {
    ids.into_iter().map(|id| id.as_str().to_owned()).collect()
}

/// Converts strings to product ids, in their order.
pub(super) fn product_list(ids: Vec<String>) -> Result<Vec<ProductId>, CodecError> {
    let mut products = Vec::with_capacity(ids.len());
    for id in ids {
        products.push(ProductId::new(id)?);
    }
    Ok(products)
}

/// Converts strings to a set of product ids.
pub(super) fn product_set(ids: Vec<String>) -> Result<BTreeSet<ProductId>, CodecError> {
    Ok(product_list(ids)?.into_iter().collect())
}

/// Converts an optional product id.
pub(super) fn optional_product(text: Option<String>) -> Result<Option<ProductId>, CodecError> {
    Ok(text.map(ProductId::new).transpose()?)
}

/// Converts an optional channel.
pub(super) fn optional_channel(text: Option<String>) -> Result<Option<Channel>, CodecError> {
    Ok(text.map(Channel::new).transpose()?)
}

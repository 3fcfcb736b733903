//! Small values inside the stored shapes: moments, numbers, money, and the enums that several shapes share.

use std::collections::BTreeSet;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::frame::Unfit;
use crate::domain::ids::{Channel, ProductId};
use crate::domain::money::{Currency, Money};
use crate::domain::offer::OfferKind;
use crate::domain::product::FeatureValue;
use crate::domain::time::Timestamp;

/// A stored twin of a domain enum without fields. Both matches are exhaustive, so a new variant is a compile error
/// here. Variants may be appended, never moved: postcard stores their position.
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

stored_enum! {
    /// Cross-sell or up-sell.
    StoredOfferKind of OfferKind { CrossSell, UpSell }
}

/// A number that is neither infinite nor NaN, in either direction: writing what cannot be read back is refused too.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Finite(pub f64);

impl Serialize for Finite {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.0.is_finite() {
            return Err(S::Error::custom("a number is not finite"));
        }
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Finite {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        if number.is_finite() { Ok(Self(number)) } else { Err(D::Error::custom("a number is not finite")) }
    }
}

/// A 128-bit id. Random bits take up to 19 bytes as a varint, so they are stored as they are.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Bits128([u8; 16]);

impl Serialize for Bits128 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(&format_args!("{:032x}", self.bits()));
        }
        self.0.serialize(serializer)
    }
}

impl Bits128 {
    pub fn of(bits: u128) -> Self {
        Self(bits.to_le_bytes())
    }

    pub fn bits(self) -> u128 {
        u128::from_le_bytes(self.0)
    }
}

/// A 64-bit digest, stored as it is for the same reason.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Bits64([u8; 8]);

impl Serialize for Bits64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(&format_args!("{:016x}", self.bits()));
        }
        self.0.serialize(serializer)
    }
}

impl Bits64 {
    pub fn of(bits: u64) -> Self {
        Self(bits.to_le_bytes())
    }

    pub fn bits(self) -> u64 {
        u64::from_le_bytes(self.0)
    }
}

/// A moment in milliseconds after 1970.
pub(super) fn moment(unix_ms: i64) -> Result<Timestamp, Unfit> {
    Timestamp::from_unix_ms(unix_ms).ok_or_else(|| Unfit("a time is outside the years 1900 to 2200".to_owned()))
}

/// An optional moment in milliseconds after 1970.
pub(super) fn optional_moment(unix_ms: Option<i64>) -> Result<Option<Timestamp>, Unfit> {
    unix_ms.map(moment).transpose()
}

/// A moment as the milliseconds after another one: short when they are close.
pub(super) fn after(origin: Timestamp, at: Timestamp) -> i64 {
    at.unix_ms() - origin.unix_ms()
}

/// The moment this many milliseconds after another one.
pub(super) fn moment_after(origin: Timestamp, ms: i64) -> Result<Timestamp, Unfit> {
    moment(origin.unix_ms().saturating_add(ms))
}

/// An amount: billionths of a unit, and the three letters of the currency.
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
    pub fn money(&self) -> Result<Money, Unfit> {
        let letters = std::str::from_utf8(&self.currency).unwrap_or_default();
        Ok(Money::from_total_nanos(Currency::new(letters)?, self.total_nanos)?)
    }
}

/// The amount, if there is one.
pub(super) fn optional_money(money: Option<&StoredMoney>) -> Result<Option<Money>, Unfit> {
    money.map(StoredMoney::money).transpose()
}

/// The value of a product's feature.
#[derive(Serialize, Deserialize)]
pub(super) enum StoredFeatureValue {
    Number(Finite),
    Flag(bool),
    Text(String),
}

impl From<&FeatureValue> for StoredFeatureValue {
    fn from(value: &FeatureValue) -> Self {
        match value {
            FeatureValue::Number(number) => Self::Number(Finite(*number)),
            FeatureValue::Flag(flag) => Self::Flag(*flag),
            FeatureValue::Text(text) => Self::Text(text.clone()),
        }
    }
}

impl From<StoredFeatureValue> for FeatureValue {
    fn from(stored: StoredFeatureValue) -> Self {
        match stored {
            StoredFeatureValue::Number(Finite(number)) => Self::Number(number),
            StoredFeatureValue::Flag(flag) => Self::Flag(flag),
            StoredFeatureValue::Text(text) => Self::Text(text),
        }
    }
}

/// The texts of product ids, in their order.
pub(super) fn product_texts<'ids>(ids: impl IntoIterator<Item = &'ids ProductId>) -> Vec<String> {
    ids.into_iter().map(|id| id.as_str().to_owned()).collect()
}

/// Product ids, in the order of their texts.
pub(super) fn product_list(texts: Vec<String>) -> Result<Vec<ProductId>, Unfit> {
    let mut products = Vec::with_capacity(texts.len());
    for text in texts {
        products.push(ProductId::new(text)?);
    }
    Ok(products)
}

/// A set of product ids.
pub(super) fn product_set(texts: Vec<String>) -> Result<BTreeSet<ProductId>, Unfit> {
    Ok(product_list(texts)?.into_iter().collect())
}

/// A product id, if there is one.
pub(super) fn optional_product(text: Option<String>) -> Result<Option<ProductId>, Unfit> {
    Ok(text.map(ProductId::new).transpose()?)
}

/// A channel, if there is one.
pub(super) fn optional_channel(text: Option<String>) -> Result<Option<Channel>, Unfit> {
    Ok(text.map(Channel::new).transpose()?)
}

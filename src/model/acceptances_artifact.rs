//! Stored format of acceptance counts: one byte of format version and the `postcard` encoding of `StoredAcceptancesV1`. Only
//! stores that several processes share keep them.
//!
//! `store::codec` says what a change of the shapes has to do.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::acceptances::{Acceptances, OfferCounts};
use crate::domain::ids::ProductId;

/// Format version of the encoded counts.
const FORMAT: u8 = 1;

/// Error returned when bytes do not decode to acceptance counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the acceptance counts cannot be read: {detail}")]
pub struct UnreadableAcceptances {
    detail: String,
}

#[allow(clippy::needless_pass_by_value, reason = "so that it fits `map_err`")]
fn unreadable(detail: impl Display) -> UnreadableAcceptances {
    UnreadableAcceptances { detail: detail.to_string() }
}

#[derive(Serialize, Deserialize)]
struct StoredAcceptancesV1 {
    by_product: BTreeMap<String, StoredOfferCounts>,
    all: StoredOfferCounts,
}

#[derive(Serialize, Deserialize)]
struct StoredOfferCounts {
    offered: u32,
    accepted: u32,
    expected: f64,
}

/// Encodes counts; equal counts have equal bytes.
pub fn encode(acceptances: &Acceptances) -> Vec<u8> {
    let stored = StoredAcceptancesV1 {
        by_product: acceptances.by_product().map(|(product, counts)| (product.to_string(), counts.into())).collect(),
        all: (&acceptances.all()).into(),
    };
    postcard::to_extend(&stored, vec![FORMAT]).expect("a Vec takes any number of bytes")
}

/// Decodes counts.
///
/// # Errors
/// When the bytes are of another format, or damaged.
pub fn decode(bytes: &[u8]) -> Result<Acceptances, UnreadableAcceptances> {
    let stored: StoredAcceptancesV1 = match bytes.split_first() {
        Some((&FORMAT, encoded)) => postcard::from_bytes(encoded).map_err(unreadable)?,
        Some((&found, _)) => return Err(unreadable(format!("format version {found} is unknown"))),
        None => return Err(unreadable("it is empty")),
    };
    let mut by_product = Vec::with_capacity(stored.by_product.len());
    for (product, counts) in stored.by_product {
        by_product.push((ProductId::new(product).map_err(unreadable)?, counts.checked()?));
    }
    Ok(Acceptances::of_counts(by_product, stored.all.checked()?))
}

impl StoredOfferCounts {
    fn checked(self) -> Result<OfferCounts, UnreadableAcceptances> {
        let Self { offered, accepted, expected } = self;
        if accepted > offered || !(0.0..=f64::from(u32::MAX)).contains(&expected) {
            return Err(unreadable("a count is out of range"));
        }
        Ok(OfferCounts { offered, accepted, expected })
    }
}

impl From<&OfferCounts> for StoredOfferCounts {
    fn from(counts: &OfferCounts) -> Self {
        let OfferCounts { offered, accepted, expected } = *counts;
        Self { offered, accepted, expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted() -> Acceptances {
        let mut acceptances = Acceptances::default();
        for number in 0..40 {
            let product = ProductId::new(format!("p{}", number % 7)).expect("valid");
            acceptances.count(&product, 0.01 * f64::from(number), number % 3 == 0);
        }
        acceptances
    }

    #[test]
    fn counts_come_back() {
        for acceptances in [Acceptances::default(), counted()] {
            assert_eq!(decode(&encode(&acceptances)).expect("decodes"), acceptances);
        }
    }

    /// Broken by: a format that is not looked at; counts that are taken over unchecked.
    #[test]
    fn other_bytes_are_errors() {
        let bytes = encode(&counted());
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length} bytes");
        }
        assert!(decode(&[&[9], &bytes[1..]].concat()).is_err());
        let more_accepted = OfferCounts { offered: 1, accepted: 2, expected: 1.0 };
        let endless = OfferCounts { offered: 2, accepted: 1, expected: f64::NAN };
        for counts in [more_accepted, endless] {
            assert!(decode(&encode(&Acceptances::of_counts([], counts))).is_err(), "{counts:?}");
        }
    }
}

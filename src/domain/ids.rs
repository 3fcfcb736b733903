//! Identifiers: short opaque texts that callers choose, and 128-bit numbers that the server generates.

use std::fmt;

use super::plain_text::has_control_characters;

/// Maximum length of a text identifier, in bytes. Identifiers become store keys and are repeated in every record, so they
/// are kept short.
pub const ID_BYTES_MAX: usize = 128;

/// Error returned for a text that is not a valid identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidId {
    /// The text is empty.
    Empty,
    /// The text has more than [`ID_BYTES_MAX`] bytes.
    TooLong {
        /// Length of the text.
        bytes: usize,
    },
    /// The text contains a control character, or starts or ends with white space.
    BadCharacter,
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "must not be empty"),
            Self::TooLong { bytes } => write!(f, "has {bytes} bytes, at most {ID_BYTES_MAX} are allowed"),
            Self::BadCharacter => {
                write!(f, "must not contain control characters, and must not start or end with white space")
            }
        }
    }
}

impl std::error::Error for InvalidId {}

fn validate(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > ID_BYTES_MAX {
        return Err(InvalidId::TooLong { bytes: text.len() });
    }
    if has_control_characters(text) || text.trim().len() != text.len() {
        return Err(InvalidId::BadCharacter);
    }
    Ok(())
}

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Creates an identifier from a text of 1 to [`ID_BYTES_MAX`] bytes without control characters or outer white space.
            ///
            /// # Errors
            /// [`InvalidId`] for any other text.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                validate(&text)?;
                Ok(Self(text))
            }

            /// The text as the caller wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

text_id! {
    /// Id of a customer. All data about customers is partitioned by it.
    CustomerId;
    /// Id of a product of the catalogue.
    ProductId;
    /// Id of an event; the same id counts once per customer.
    EventId;
    /// Id of an order; the purchases with the same order id are one basket.
    OrderId;
    /// Id of a support case: the tickets, complaints and resolutions that belong together.
    CaseId;
    /// Id of a hold on a customer.
    HoldId;
    /// Id of a ladder: a series of better and better versions of a product.
    LadderId;
    /// Id of an item group: the variants of one product, such as its sizes and colours.
    ItemGroupId;
    /// Meter of what a product includes, such as `gigabytes`; named like the feature that says how much is included.
    Meter;
    /// Channel through which an offer reaches the customer, such as `web`, `email` or `store`, as the caller wrote it. The
    /// channels of the policy resolve it.
    Channel;
    /// Placement within a channel, such as `basket-page`.
    Placement;
}

/// Id of an offer: a product under terms. Each product has an implicit offer at its catalogue price.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfferId(String);

impl OfferId {
    /// Id of the implicit offer of a product.
    pub fn implicit(product: &ProductId) -> Self {
        Self(format!("{IMPLICIT_OFFER_PREFIX}{product}"))
    }

    /// Whether this is the id of an implicit offer.
    pub fn is_implicit(&self) -> bool {
        self.0.starts_with(IMPLICIT_OFFER_PREFIX)
    }

    /// Creates an offer id from a text as callers send it.
    ///
    /// # Errors
    /// [`InvalidId`] for any other text.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
        let text = text.into();
        // The prefix does not count, so that the implicit offer of the longest product id is itself a valid id.
        validate(text.strip_prefix(IMPLICIT_OFFER_PREFIX).unwrap_or(&text))?;
        Ok(Self(text))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OfferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const IMPLICIT_OFFER_PREFIX: &str = "product/";

macro_rules! number_id {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// Creates an id from its 128 bits.
            pub fn from_bits(bits: u128) -> Self {
                Self(bits)
            }

            /// The 128 bits of the id.
            pub fn bits(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            /// Writes the usual hyphenated form of a UUID.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let hex = format!("{:032x}", self.0);
                write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
            }
        }
    )+};
}

number_id! {
    /// Id of a decision: the slate of a RESERVE call and everything that led to it.
    DecisionId;
    /// Idempotency key of a request (a UUID, AIP-155): the same id gets the same decision.
    RequestId;
}

/// Id of a grant among those of its customer: a digest of the decision that made it and of the offer, short because the
/// customer's record keeps it for as long as the grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId(u64);

impl GrantId {
    /// Id of the grant that a decision makes of an offer. A slate has each offer once.
    pub fn of(decision: DecisionId, offer: &OfferId) -> Self {
        let bytes = decision.bits().to_le_bytes().into_iter().chain(offer.as_str().bytes());
        // FNV-1a. Decision ids are random, so two of a customer's grants have the same digest practically never.
        Self(bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
    }

    /// Creates an id from its 64 bits.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The 64 bits of the id.
    pub fn bits(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_clean_texts() {
        assert!(CustomerId::new("c-1").is_ok());
        assert_eq!(CustomerId::new(""), Err(InvalidId::Empty));
        assert_eq!(CustomerId::new("x".repeat(129)), Err(InvalidId::TooLong { bytes: 129 }));
        assert_eq!(CustomerId::new("a\nb"), Err(InvalidId::BadCharacter));
        assert_eq!(CustomerId::new(" a"), Err(InvalidId::BadCharacter));
    }

    #[test]
    fn the_implicit_offer_of_the_longest_product_id_is_a_valid_offer_id() {
        let product = ProductId::new("p".repeat(ID_BYTES_MAX)).expect("a valid product id");
        let offer = OfferId::implicit(&product);
        assert_eq!(OfferId::new(offer.as_str()), Ok(offer));
    }

    #[test]
    fn number_ids_print_as_uuids() {
        assert_eq!(DecisionId::from_bits(1).to_string(), "00000000-0000-0000-0000-000000000001");
    }
}

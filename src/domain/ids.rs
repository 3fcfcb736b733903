//! Identifiers: short opaque texts that callers choose, and 128-bit numbers that the server makes.

use std::fmt;

/// The longest text identifier accepted, in bytes. Identifiers become store keys and are repeated in every record, so
/// they stay short.
pub const ID_BYTES_MAX: usize = 128;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidId {
    /// The text is empty.
    Empty,
    /// The text has more than [`ID_BYTES_MAX`] bytes.
    TooLong {
        /// How many it has.
        bytes: usize,
    },
    /// The text holds a control character or begins or ends with white space.
    BadCharacter,
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "must not be empty"),
            Self::TooLong { bytes } => write!(f, "has {bytes} bytes, at most {ID_BYTES_MAX} are allowed"),
            Self::BadCharacter => {
                write!(f, "must not contain control characters, nor begin or end with white space")
            }
        }
    }
}

impl std::error::Error for InvalidId {}

fn check(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > ID_BYTES_MAX {
        return Err(InvalidId::TooLong { bytes: text.len() });
    }
    if text.chars().any(char::is_control) || text.trim().len() != text.len() {
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
            /// Takes a text of 1 to [`ID_BYTES_MAX`] bytes without control characters or outer white space.
            ///
            /// # Errors
            /// [`InvalidId`] says what is wrong with the text.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                check(&text)?;
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
    /// Names one customer. Everything known about a customer is partitioned by it.
    CustomerId;
    /// Names one product of the catalogue.
    ProductId;
    /// Names one thing that happened to a customer; the same id counts once per customer.
    EventId;
    /// Names one order; the events with the same order id are one basket.
    OrderId;
    /// Names one support case: the tickets, complaints and resolutions that belong together.
    CaseId;
    /// Names a hold on a customer.
    HoldId;
    /// Names a line of better and better versions of a product.
    LadderId;
    /// Names the way an offer reaches the customer, such as `web`, `email` or `call-centre`.
    Channel;
    /// Names the place within a channel, such as `basket-page`.
    Placement;
}

/// Names an offer: a product under terms. Each product has an implicit offer at its own price.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfferId(String);

impl OfferId {
    /// The offer of a product at its own catalogue price.
    pub fn implicit(product: &ProductId) -> Self {
        Self(format!("{IMPLICIT_OFFER_PREFIX}{product}"))
    }

    /// True for the name of a product's implicit offer.
    pub fn is_implicit(&self) -> bool {
        self.0.starts_with(IMPLICIT_OFFER_PREFIX)
    }

    /// Takes the text of an offer id as a caller gives it back.
    ///
    /// # Errors
    /// [`InvalidId`] says what is wrong with the text.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
        let text = text.into();
        // The prefix does not count, so that the implicit offer of the longest product id is itself a valid id.
        check(text.strip_prefix(IMPLICIT_OFFER_PREFIX).unwrap_or(&text))?;
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
            /// Takes the 128 bits of the id.
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
    /// Names one answered RESERVE call: the slate and everything that led to it.
    DecisionId;
    /// Names one attempt of a caller to get a decision (a UUID, AIP-155); the same id is the same decision.
    RequestId;
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

//! A customer as it is read.

use super::erasure::Erasure;
use super::versioned::Versioned;
use crate::domain::cached_ranking::CachedRanking;
use crate::domain::customer::Customer;

/// Result of reading a customer.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one for each load, and a box would allocate on the path of each call")]
pub enum LoadedCustomer {
    /// The customer is stored.
    Stored {
        /// The customer and its version.
        customer: Versioned<Customer>,
        /// The cached ranking, when it was read too and there is one that decodes.
        cached_ranking: Option<CachedRanking>,
    },
    /// Nothing is stored under the id.
    Unknown,
    /// The customer was erased, and the id is blocked.
    Erased(Erasure),
}

impl LoadedCustomer {
    /// Returns the customer when it is stored.
    pub fn stored(self) -> Option<Versioned<Customer>> {
        match self {
            Self::Stored { customer, cached_ranking: _ } => Some(customer),
            Self::Unknown | Self::Erased(_) => None,
        }
    }
}

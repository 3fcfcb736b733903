//! A customer as it is read.

use super::erasure::Erasure;
use super::versioned::Versioned;
use crate::domain::customer::Customer;

/// Result of reading a customer.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one for each load, and a box would allocate on the path of each call")]
pub enum LoadedCustomer {
    /// The customer, with its version.
    Stored(Versioned<Customer>),
    /// Nothing is stored under the id.
    Unknown,
    /// The customer was erased, and the id is blocked.
    Erased(Erasure),
}

impl LoadedCustomer {
    /// Returns the customer when it is stored.
    pub fn stored(self) -> Option<Versioned<Customer>> {
        match self {
            Self::Stored(customer) => Some(customer),
            Self::Unknown | Self::Erased(_) => None,
        }
    }
}

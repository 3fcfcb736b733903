//! A value with the version that a later commit is compared against.

/// A value and the version at which it was read; 0 stands for a customer that is not stored yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Versioned<T> {
    /// Version of the customer; grows by one with each commit.
    pub version: u64,
    /// The customer as of that version.
    pub value: T,
}

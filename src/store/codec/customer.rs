//! The value of a customer: a header at fixed offsets, the customer, and the outbox.
//!
//! ```text
//! byte 0      format version
//! bytes 1-8   commit version, little endian
//! bytes 9-12  length of the customer, little endian
//! ...         the customer
//! ...         the outbox, oldest entry first
//! last 4      CRC-32 of all before
//! ```
//!
//! A commit checks the version and moves outbox entries without decoding the customer.

use super::frame::{self, CodecError};
use super::outbox::{Outbox, OutboxEntry};
use super::profile::{StoredCustomerV1, merge_state};
use crate::domain::customer::Customer;
use crate::domain::merge::MergeState;
use crate::store::contract::error::StoreError;
use crate::store::contract::versioned::Versioned;

const VERSION: u8 = 1;
const RECORD: &str = "customer";
/// Length of commit version and customer length, in bytes.
const HEADER_BYTES: usize = 8 + 4;

/// An encoded customer without header and outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerBody(Vec<u8>);

impl CustomerBody {
    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Encodes a customer.
    pub fn of(customer: &Customer) -> Result<Self, StoreError> {
        let body = postcard::to_extend(&StoredCustomerV1::from(customer), Vec::new());
        Ok(Self(body.map_err(|error| CodecError::from(error).into_store_error(RECORD))?))
    }
}

/// Encodes the value of a customer.
pub fn encode_customer(version: u64, body: &CustomerBody, outbox: &Outbox) -> Result<Vec<u8>, StoreError> {
    join(version, &body.0, outbox).map_err(|error| error.into_store_error(RECORD))
}

/// Decodes a customer and its commit version; the outbox is checked and dropped.
pub fn decode_customer(bytes: &[u8]) -> Result<Versioned<Customer>, StoreError> {
    CustomerValue::parse(bytes)?.customer()
}

/// The parsed value of a customer; the customer itself is not yet decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerValue<'bytes> {
    /// The commit version.
    pub version: u64,
    /// Events and decisions not yet copied out of the value.
    pub outbox: Outbox,
    body: &'bytes [u8],
}

impl<'bytes> CustomerValue<'bytes> {
    /// Parses a value.
    pub fn parse(bytes: &'bytes [u8]) -> Result<Self, StoreError> {
        Self::split(bytes).map_err(|error| error.into_store_error(RECORD))
    }

    /// Decodes the customer.
    pub fn customer(&self) -> Result<Versioned<Customer>, StoreError> {
        let customer = frame::decode_all::<StoredCustomerV1>(self.body).and_then(StoredCustomerV1::customer);
        let customer = customer.map_err(|error| error.into_store_error(RECORD))?;
        Ok(Versioned { version: self.version, value: customer })
    }

    /// Decodes the merge state alone, which costs little.
    pub fn merge_state(&self) -> Result<MergeState, StoreError> {
        merge_state(self.body).map_err(|error| error.into_store_error(RECORD))
    }

    /// Encodes the same version of the same customer with another outbox.
    pub fn with_outbox(&self, outbox: &Outbox) -> Result<Vec<u8>, StoreError> {
        join(self.version, self.body, outbox).map_err(|error| error.into_store_error(RECORD))
    }

    /// Returns the encoded customer alone.
    pub fn body(&self) -> CustomerBody {
        CustomerBody(self.body.to_vec())
    }

    fn split(bytes: &'bytes [u8]) -> Result<Self, CodecError> {
        let content = frame::check(VERSION, bytes)?;
        let too_short = || CodecError("shorter than its header".to_owned());
        let (version, rest) = content.split_first_chunk::<8>().ok_or_else(too_short)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(too_short)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| too_short())?;
        let (body, outbox) = rest.split_at_checked(length).ok_or_else(too_short)?;
        let entries = frame::decode_all::<Vec<OutboxEntry>>(outbox)?;
        Ok(Self { version: u64::from_le_bytes(*version), outbox: Outbox(entries), body })
    }
}

fn join(version: u64, body: &[u8], outbox: &Outbox) -> Result<Vec<u8>, CodecError> {
    let Outbox(entries) = outbox;
    let length = u32::try_from(body.len()).map_err(|_| CodecError("larger than 4 GiB".to_owned()))?;
    let mut bytes = Vec::with_capacity(1 + HEADER_BYTES + body.len() + 64);
    bytes.push(VERSION);
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(body);
    Ok(frame::append_checksum(postcard::to_extend(entries, bytes)?))
}

//! Framing shared by all stored values: a version byte in front, a CRC-32 behind, and the error of both directions.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::ids::InvalidId;
use crate::domain::money::InvalidMoney;
use crate::store::contract::error::StoreError;

/// Length of the checksum at the end of each value, in bytes.
pub(super) const CHECKSUM_BYTES: usize = 4;

/// Error returned when bytes do not decode to a value, or a value cannot be encoded.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct CodecError(pub String);

impl CodecError {
    /// Converts the error for callers of the store; `record` is the kind of value, such as `event`.
    pub fn into_store_error(self, record: &'static str) -> StoreError {
        StoreError::Damaged { what: record, detail: self.0 }
    }
}

impl From<InvalidId> for CodecError {
    fn from(invalid: InvalidId) -> Self {
        Self(format!("an identifier {invalid}"))
    }
}

impl From<InvalidMoney> for CodecError {
    fn from(invalid: InvalidMoney) -> Self {
        Self(format!("an amount of money {invalid}"))
    }
}

impl From<postcard::Error> for CodecError {
    fn from(error: postcard::Error) -> Self {
        Self(error.to_string())
    }
}

/// Encodes a shape as version byte, postcard, checksum.
pub(super) fn encode<Shape: Serialize>(version: u8, shape: &Shape) -> Result<Vec<u8>, CodecError> {
    let bytes = postcard::to_extend(shape, vec![version])?;
    Ok(append_checksum(bytes))
}

/// Decodes a shape that [`encode`] wrote with the same version.
pub(super) fn decode<Shape: DeserializeOwned>(version: u8, bytes: &[u8]) -> Result<Shape, CodecError> {
    decode_all(check(version, bytes)?)
}

/// Appends the checksum of all bytes so far.
pub(super) fn append_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Checks the checksum, then the version, and returns the payload between them.
pub(super) fn check(version: u8, bytes: &[u8]) -> Result<&[u8], CodecError> {
    let Some((content, checksum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
        return Err(CodecError(format!("{} bytes are too few", bytes.len())));
    };
    if crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
        return Err(CodecError("checksum mismatch".to_owned()));
    }
    match content.split_first() {
        Some((&found, payload)) if found == version => Ok(payload),
        Some((found, _)) => Err(CodecError(format!("unknown format version {found}, expected {version}"))),
        None => Err(CodecError("the value is empty".to_owned())),
    }
}

/// Decodes a shape that must use up all of the bytes.
pub(super) fn decode_all<'bytes, Shape: serde::Deserialize<'bytes>>(bytes: &'bytes [u8]) -> Result<Shape, CodecError> {
    let (shape, rest) = postcard::take_from_bytes(bytes)?;
    if rest.is_empty() { Ok(shape) } else { Err(CodecError(format!("{} bytes are left over", rest.len()))) }
}

//! What all stored values share: the version byte in front, the checksum behind, and the way faults are told.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::ids::InvalidId;
use crate::domain::money::InvalidMoney;
use crate::store::contract::StoreError;

/// The bytes of the checksum at the end of each value.
pub(super) const CHECKSUM_BYTES: usize = 4;

/// Why bytes are not a value, or a value cannot be written.
#[derive(Debug)]
pub(super) struct Unfit(pub String);

impl Unfit {
    /// The fault as callers of the store see it.
    pub fn of(self, what: &'static str) -> StoreError {
        StoreError::Damaged { what, detail: self.0 }
    }
}

impl From<InvalidId> for Unfit {
    fn from(invalid: InvalidId) -> Self {
        Self(format!("an identifier {invalid}"))
    }
}

impl From<InvalidMoney> for Unfit {
    fn from(invalid: InvalidMoney) -> Self {
        Self(format!("an amount of money {invalid}"))
    }
}

impl From<postcard::Error> for Unfit {
    fn from(error: postcard::Error) -> Self {
        Self(error.to_string())
    }
}

/// Writes a shape as version byte, postcard, checksum.
pub(super) fn encode<Shape: Serialize>(version: u8, shape: &Shape) -> Result<Vec<u8>, Unfit> {
    let bytes = postcard::to_extend(shape, vec![version])?;
    Ok(seal(bytes))
}

/// Reads a shape written by [`encode`] with the same version.
pub(super) fn decode<Shape: DeserializeOwned>(version: u8, bytes: &[u8]) -> Result<Shape, Unfit> {
    whole(open(version, bytes)?)
}

/// Appends the checksum.
pub(super) fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Checks the checksum, then the version, and returns what is between them.
pub(super) fn open(version: u8, bytes: &[u8]) -> Result<&[u8], Unfit> {
    Ok(open_one_of(&[version], bytes)?.1)
}

/// The same for a value of one of several versions, in rising order; returns which.
pub(super) fn open_one_of<'bytes>(versions: &[u8], bytes: &'bytes [u8]) -> Result<(u8, &'bytes [u8]), Unfit> {
    let Some((content, checksum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
        return Err(Unfit(format!("{} bytes are too few", bytes.len())));
    };
    if crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
        return Err(Unfit("the checksum does not match".to_owned()));
    }
    match content.split_first() {
        Some((&found, body)) if versions.contains(&found) => Ok((found, body)),
        Some((found, _)) => {
            let known: Vec<String> = versions.iter().map(u8::to_string).collect();
            Err(Unfit(format!("format {found} is unknown, this version reads {}", known.join(" and "))))
        }
        None => Err(Unfit("the value is empty".to_owned())),
    }
}

/// Reads a shape that must use up all of the bytes.
pub(super) fn whole<'bytes, Shape: serde::Deserialize<'bytes>>(bytes: &'bytes [u8]) -> Result<Shape, Unfit> {
    let (shape, rest) = postcard::take_from_bytes(bytes)?;
    if rest.is_empty() { Ok(shape) } else { Err(Unfit(format!("{} bytes are left over", rest.len()))) }
}

//! Protobuf codec that limits the number of fields, so that a small message cannot decode into a huge one.
//!
//! An empty entry takes two bytes on the wire and some hundred in memory: one message of 4 MiB could become 600 MB of entries
//! before a service checks their number. So fields are counted before decoding. Deliberately without the schema: bytes that parse
//! as a message are counted as one.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::Buf;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// Maximum number of fields at the top level, where the entries of a batch are: twenty times the longest batch accepted.
const TOP_FIELDS_MAX: usize = 20_000;
/// Maximum number of fields on all levels: a thousand products with 64 features each have 200,000.
const FIELDS_MAX: usize = 1 << 18;
/// Number of levels that are counted; below them are only texts and features.
const LEVELS: usize = 3;

/// Protobuf codec of the generated code, with limited fields.
#[derive(Debug, Clone)]
pub(crate) struct FieldLimitedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for FieldLimitedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for FieldLimitedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = FieldLimitedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::default())
    }

    fn decoder(&mut self) -> Self::Decoder {
        FieldLimitedDecoder(ProstCodec::<T, U>::raw_decoder(BufferSettings::default()))
    }
}

/// Decoder that rejects messages with too many fields.
#[derive(Debug, Clone)]
pub(crate) struct FieldLimitedDecoder<U>(ProstDecoder<U>);

impl<U: Message + Default> Decoder for FieldLimitedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        if exceeds_field_limits(buf.chunk()) {
            return Err(Status::invalid_argument("the message has more fields than the server accepts"));
        }
        self.0.decode(buf)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}

fn exceeds_field_limits(message: &[u8]) -> bool {
    // The shortest field has two bytes.
    if message.len() < 2 * TOP_FIELDS_MAX {
        return false;
    }
    let mut top = 0;
    let mut total = 0;
    let mut rest = message;
    while let Some(nested) = next_field(&mut rest) {
        top += 1;
        total += 1 + count_fields(nested, LEVELS - 1);
        if top > TOP_FIELDS_MAX || total > FIELDS_MAX {
            return true;
        }
    }
    false
}

/// Counts the fields of bytes that may be a message; 0 when they are none.
fn count_fields(bytes: &[u8], levels: usize) -> usize {
    let mut rest = bytes;
    let mut total = 0;
    while let Some(nested) = next_field(&mut rest) {
        total += 1;
        if levels > 1 {
            total += count_fields(nested, levels - 1);
        }
    }
    if rest.is_empty() { total } else { 0 }
}

/// Splits off the next field and returns the bytes that may be a nested message, if any; `None` at the end and at bytes that are no
/// field.
fn next_field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut read = *rest;
    let key = varint(&mut read)?;
    let mut nested: &[u8] = &[];
    match key & 7 {
        0 => {
            varint(&mut read)?;
        }
        1 => read = read.get(8..)?,
        2 => {
            let len = usize::try_from(varint(&mut read)?).ok()?;
            (nested, read) = read.split_at_checked(len)?;
        }
        // Start and end of a group count as a field each.
        3 | 4 => {}
        5 => read = read.get(4..)?,
        _ => return None,
    }
    *rest = read;
    Some(nested)
}

fn varint(read: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for index in 0..10 {
        let (&byte, after) = read.split_first()?;
        *read = after;
        value |= u64::from(byte & 0x7f) << (7 * index).min(63);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: usize, nested: &[u8]) -> Vec<u8> {
        let entry = [&[0x0a][..], &varint_of(nested.len()), nested].concat();
        entry.repeat(count)
    }

    fn varint_of(mut len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while len > 0x7f {
            bytes.push(len.to_le_bytes()[0] | 0x80);
            len >>= 7;
        }
        bytes.push(len.to_le_bytes()[0]);
        bytes
    }

    /// Broken by: counting the top level only, or not at all.
    #[test]
    fn fields_are_counted_on_every_level() {
        assert!(!exceeds_field_limits(&entries(TOP_FIELDS_MAX, &[])));
        assert!(exceeds_field_limits(&entries(TOP_FIELDS_MAX + 1, &[])));
        let entry = entries(300, &[]);
        assert!(!exceeds_field_limits(&entries(800, &entry)));
        assert!(exceeds_field_limits(&entries(900, &entry)));
        assert!(exceeds_field_limits(&entries(1, &entries(1, &entries(FIELDS_MAX, &[])))));
    }

    #[test]
    fn a_long_text_is_one_field() {
        let text = "An offer is never made twice. ".repeat(100_000);
        assert!(!exceeds_field_limits(&entries(1, text.as_bytes())));
        assert!(!exceeds_field_limits(text.as_bytes()));
    }
}

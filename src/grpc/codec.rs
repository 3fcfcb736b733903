//! Protobuf, of messages that do not grow out of all proportion when they are decoded.
//!
//! An empty entry takes two bytes on the wire and some hundred in memory: one message of 4 MiB could be 600 MB of entries before
//! anybody looks at how many there are. So fields are counted first. Deliberately without the schema: what reads as a
//! message is counted as one.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::Buf;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// Fields at the top of a message, where the entries of a batch are: twenty times the longest batch that is taken.
const TOP_FIELDS_MAX: usize = 20_000;
/// Fields on all levels: a thousand products with 64 features each have 200,000.
const FIELDS_MAX: usize = 1 << 18;
/// Levels that are looked at; entries of entries are texts and features.
const LEVELS: usize = 3;

/// Protobuf with counted fields, for the generated code.
#[derive(Debug, Clone)]
pub struct CountedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for CountedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for CountedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = CountedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::default())
    }

    fn decoder(&mut self) -> Self::Decoder {
        CountedDecoder(ProstCodec::<T, U>::raw_decoder(BufferSettings::default()))
    }
}

/// Counts, then decodes.
#[derive(Debug, Clone)]
pub struct CountedDecoder<U>(ProstDecoder<U>);

impl<U: Message + Default> Decoder for CountedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        if has_too_many_fields(buf.chunk()) {
            return Err(Status::invalid_argument("the message has more entries than any batch may have"));
        }
        self.0.decode(buf)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}

fn has_too_many_fields(message: &[u8]) -> bool {
    // Two bytes are the shortest field.
    if message.len() < 2 * TOP_FIELDS_MAX {
        return false;
    }
    let mut top = 0;
    let mut total = 0;
    let mut rest = message;
    while let Some(inside) = next_field(&mut rest) {
        top += 1;
        total += 1 + count(inside, LEVELS - 1);
        if top > TOP_FIELDS_MAX || total > FIELDS_MAX {
            return true;
        }
    }
    false
}

/// The fields in what may be a message; none when it is not.
fn count(bytes: &[u8], levels: usize) -> usize {
    let mut rest = bytes;
    let mut total = 0;
    while let Some(inside) = next_field(&mut rest) {
        total += 1;
        if levels > 1 {
            total += count(inside, levels - 1);
        }
    }
    if rest.is_empty() { total } else { 0 }
}

/// Takes a field off: the bytes that may be a message themselves, if any; `None` at the end and where nothing can be read.
fn next_field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut read = *rest;
    let key = varint(&mut read)?;
    let mut inside: &[u8] = &[];
    match key & 7 {
        0 => {
            varint(&mut read)?;
        }
        1 => read = read.get(8..)?,
        2 => {
            let len = usize::try_from(varint(&mut read)?).ok()?;
            (inside, read) = read.split_at_checked(len)?;
        }
        // Groups: a start and an end are a field each.
        3 | 4 => {}
        5 => read = read.get(4..)?,
        _ => return None,
    }
    *rest = read;
    Some(inside)
}

fn varint(read: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let (&byte, after) = read.split_first()?;
        *read = after;
        value |= u64::from(byte & 0x7f) << (7 * place).min(63);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: usize, inside: &[u8]) -> Vec<u8> {
        let entry = [&[0x0a][..], &length(inside.len()), inside].concat();
        entry.repeat(count)
    }

    fn length(mut len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while len > 0x7f {
            bytes.push(len.to_le_bytes()[0] | 0x80);
            len >>= 7;
        }
        bytes.push(len.to_le_bytes()[0]);
        bytes
    }

    /// Broken by: counting the top only, or not at all.
    #[test]
    fn fields_are_counted_on_every_level() {
        assert!(!has_too_many_fields(&entries(TOP_FIELDS_MAX, &[])));
        assert!(has_too_many_fields(&entries(TOP_FIELDS_MAX + 1, &[])));
        let entry = entries(300, &[]);
        assert!(!has_too_many_fields(&entries(800, &entry)));
        assert!(has_too_many_fields(&entries(900, &entry)));
        assert!(has_too_many_fields(&entries(1, &entries(1, &entries(FIELDS_MAX, &[])))));
    }

    #[test]
    fn a_long_text_is_one_field() {
        let text = "An offer is never made twice. ".repeat(100_000);
        assert!(!has_too_many_fields(&entries(1, text.as_bytes())));
        assert!(!has_too_many_fields(text.as_bytes()));
    }
}

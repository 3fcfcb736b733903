//! Pages of lists that are ordered by id.

use tonic::Status;

use super::convert::violations::Violations;
use super::status;
use crate::domain::ids::InvalidId;

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1000;
/// Format number, the first byte of a page token.
const TOKEN_FORMAT: u8 = 1;

/// Requested page of a list.
pub(crate) struct PageRequest<T> {
    /// Maximum number of entries.
    pub(crate) size: usize,
    /// Last entry of the previous page.
    pub(crate) after: Option<T>,
}

impl<T> PageRequest<T> {
    /// Reads the fields `page_size` and `page_token` of a request.
    #[allow(clippy::result_large_err, reason = "every method answers with a Status")]
    pub(crate) fn read(size: i32, token: &str, new: impl Fn(String) -> Result<T, InvalidId>) -> Result<Self, Status> {
        let mut violations = Violations::default();
        let size = match usize::try_from(size) {
            Ok(0) => PAGE_DEFAULT,
            Ok(size) => size.min(PAGE_MAX),
            Err(_) => {
                violations.add("page_size", "must not be negative");
                0
            }
        };
        let after = read_token(token).and_then(|id| new(id).ok());
        if after.is_none() && !token.is_empty() {
            violations.add("page_token", "must be the next_page_token of an earlier response");
        }
        violations.check().map_err(|violations| status::invalid(&violations))?;
        Ok(Self { size, after })
    }
}

/// Encodes the last id of a page in hexadecimal, with a checksum that exposes altered tokens.
pub(crate) fn write_token(last_id: &str) -> String {
    let mut bytes = vec![TOKEN_FORMAT];
    bytes.extend(last_id.bytes());
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes.iter().fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"))
}

fn read_token(token: &str) -> Option<String> {
    let digits = token.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() > 4 * PAGE_MAX || !token.is_ascii() {
        return None;
    }
    let pairs = digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    let bytes: Vec<u8> = pairs.collect::<Option<_>>()?;
    let (body, checksum) = bytes.split_last_chunk::<4>()?;
    let (&format, id) = body.split_first()?;
    let is_valid = format == TOKEN_FORMAT && crc32fast::hash(body) == u32::from_le_bytes(*checksum);
    String::from_utf8(id.to_vec()).ok().filter(|_| is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn altered_tokens_are_rejected() {
        let token = write_token("toaster/2");
        assert_eq!(read_token(&token).as_deref(), Some("toaster/2"));
        for altered in ["", "zz", "00", "0", &token[2..], &format!("{token}00"), "é"] {
            assert_eq!(read_token(altered), None, "{altered}");
        }
    }
}

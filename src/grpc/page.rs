//! Pages of lists in order of id: how many, and after which.

use tonic::Status;

use super::convert::violations::Violations;
use super::status;
use crate::domain::ids::InvalidId;

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1000;
/// The first byte of a page token: its format.
const TOKEN_FORMAT: u8 = 1;

/// Which part of a list is asked for.
pub struct Page<T> {
    /// The most entries.
    pub size: usize,
    /// The last entry of the page before.
    pub after: Option<T>,
}

impl<T> Page<T> {
    /// Reads the two fields of a list's request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a negative size, or a token that no answer gave.
    #[allow(clippy::result_large_err, reason = "every method answers with a Status")]
    pub fn read(size: i32, token: &str, new: impl Fn(String) -> Result<T, InvalidId>) -> Result<Self, Status> {
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
            violations.add("page_token", "must be the next_page_token of an earlier answer");
        }
        violations.check().map_err(|violations| status::invalid(&violations))?;
        Ok(Self { size, after })
    }
}

/// The last id of a page in hexadecimal, with a checksum so that a mangled token is told from an id.
pub fn write_token(last: &str) -> String {
    let mut bytes = vec![TOKEN_FORMAT];
    bytes.extend(last.bytes());
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
    let is_ours = format == TOKEN_FORMAT && crc32fast::hash(body) == u32::from_le_bytes(*checksum);
    String::from_utf8(id.to_vec()).ok().filter(|_| is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_a_mangled_one_is_not() {
        let token = write_token("toaster/2");
        assert_eq!(read_token(&token).as_deref(), Some("toaster/2"));
        for bad in ["", "zz", "00", "0", &token[2..], &format!("{token}00"), "é"] {
            assert_eq!(read_token(bad), None, "{bad}");
        }
    }
}

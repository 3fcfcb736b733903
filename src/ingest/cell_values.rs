//! Parsing of numbers and booleans in cells, and excerpts for messages. Money is parsed exactly by the domain, not here.

use super::invalid_cell::InvalidCell;
use crate::domain::plain_text::{has_control_characters, in_one_line};

/// Reads a text that is shown in one line. Line breaks and tabs, which exports of shops contain, become spaces; other control
/// characters are refused.
pub(super) fn plain_line(text: &str) -> Result<String, InvalidCell> {
    let line = in_one_line(text);
    if has_control_characters(&line) {
        return Err(InvalidCell(format!("must not contain control characters: {}", excerpt(&line))));
    }
    Ok(line.into_owned())
}

/// Parses a finite decimal number.
pub(super) fn parse_decimal(text: &str) -> Result<f64, InvalidCell> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        Ok(_) => Err(InvalidCell(format!("must be a finite number, not {}", excerpt(text)))),
        Err(_) => Err(InvalidCell(format!("must be a decimal number such as 2.5, not {}", excerpt(text)))),
    }
}

/// Parses an integer, which may be written with zero decimals, such as `24.0`.
pub(super) fn parse_integer(text: &str) -> Result<i64, InvalidCell> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (integer, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = !integer.is_empty() && integer.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || !decimals.bytes().all(|byte| byte == b'0') {
        return Err(InvalidCell(format!("must be a whole number such as 24, not {}", excerpt(text))));
    }
    let number: i64 = integer.parse().map_err(|_| InvalidCell(format!("is too large: {}", excerpt(text))))?;
    Ok(if negative { -number } else { number })
}

pub(super) fn parse_bool(text: &str) -> Result<bool, InvalidCell> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err(InvalidCell(format!("must be true or false (also yes, no, 1, 0), not {}", excerpt(text)))),
    }
}

/// Quotes a text for messages: truncated, and without control characters.
pub(super) fn excerpt(text: &str) -> String {
    const SHOWN_CHARACTERS_MAX: usize = 40;
    let cut: String = text.chars().take(SHOWN_CHARACTERS_MAX).collect();
    if cut.len() < text.len() { format!("{cut:?}...") } else { format!("{cut:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_may_have_zero_decimals() {
        for (text, number) in [("24", 24), ("24.0", 24), ("-3.00", -3), ("007", 7), ("0", 0)] {
            assert_eq!(parse_integer(text), Ok(number), "{text}");
        }
        for bad in ["", "-", ".5", "24.5", "1e3", "NaN", "+1", "9223372036854775808", "--1", "1 000"] {
            assert!(parse_integer(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn decimals_are_finite() {
        assert_eq!(parse_decimal("-2.5"), Ok(-2.5));
        for bad in ["", "NaN", "inf", "-Infinity", "1e999", "2,5", "abc"] {
            assert!(parse_decimal(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn excerpts_are_short_and_clean() {
        assert_eq!(excerpt("a\tb"), "\"a\\tb\"");
        assert_eq!(excerpt(&"é".repeat(100)).chars().count(), 45);
    }
}

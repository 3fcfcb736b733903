//! Numbers, truth values and excerpts in cells. Money is read by the domain, exactly; nothing here touches it.

/// Reads a decimal number; not-a-number and infinity are refused.
pub(super) fn decimal(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        Ok(_) => Err(format!("must be a finite number, not {}", shown(text))),
        Err(_) => Err(format!("must be a decimal number such as 2.5, not {}", shown(text))),
    }
}

/// Reads a whole number, which may be written with decimals that are all zero, such as `24.0`.
pub(super) fn whole(text: &str) -> Result<i64, String> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || !decimals.bytes().all(|byte| byte == b'0') {
        return Err(format!("must be a whole number such as 24, not {}", shown(text)));
    }
    let number: i64 = whole.parse().map_err(|_| format!("is too large: {}", shown(text)))?;
    Ok(if negative { -number } else { number })
}

/// Reads a truth value.
pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err(format!("must be true or false (also yes, no, 1, 0), not {}", shown(text))),
    }
}

/// A text as messages show it: quoted, cut, and without control characters.
pub(super) fn shown(text: &str) -> String {
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
            assert_eq!(whole(text), Ok(number), "{text}");
        }
        for bad in ["", "-", ".5", "24.5", "1e3", "NaN", "+1", "9223372036854775808", "--1", "1 000"] {
            assert!(whole(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn decimals_are_finite() {
        assert_eq!(decimal("-2.5"), Ok(-2.5));
        for bad in ["", "NaN", "inf", "-Infinity", "1e999", "2,5", "abc"] {
            assert!(decimal(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn excerpts_are_short_and_clean() {
        assert_eq!(shown("a\tb"), "\"a\\tb\"");
        assert_eq!(shown(&"é".repeat(100)).chars().count(), 45);
    }
}

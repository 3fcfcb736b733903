//! Amounts of money, exact to a billionth of a unit. Never a float on the wire or in the store.

use std::fmt;

/// Maximum absolute amount, in whole units. Far above any price, far below any overflow.
pub const UNITS_MAX: i64 = 1_000_000_000_000;

const NANOS_PER_UNIT: i128 = 1_000_000_000;

/// Error returned for an invalid amount of money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidMoney {
    /// The currency is not three capital letters (ISO 4217).
    Currency,
    /// Nanos are outside -999,999,999 to 999,999,999, or their sign differs from that of the units.
    Nanos,
    /// More than [`UNITS_MAX`] units either side of zero.
    TooLarge,
    /// The text is not a decimal number with at most nine decimals.
    NotDecimal,
}

impl fmt::Display for InvalidMoney {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Currency => write!(f, "currency must be three capital letters (ISO 4217)"),
            Self::Nanos => write!(f, "nanos must be within +-999999999 and have the sign of the units"),
            Self::TooLarge => write!(f, "must be within +-{UNITS_MAX} units"),
            Self::NotDecimal => write!(f, "must be a decimal number with at most nine decimals, such as 12.50"),
        }
    }
}

impl std::error::Error for InvalidMoney {}

/// An ISO 4217 currency code: three capital letters. Whether the code is assigned is not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Creates a currency from a code such as `GBP`.
    ///
    /// # Errors
    /// [`InvalidMoney::Currency`] when it is not three capital letters.
    pub fn new(code: &str) -> Result<Self, InvalidMoney> {
        match code.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err(InvalidMoney::Currency),
        }
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("three ASCII letters by construction")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An amount in one currency.
///
/// ```
/// use tactful::domain::money::{Currency, Money};
///
/// let gbp = Currency::new("GBP").unwrap();
/// let price = Money::parse("12.50", gbp).unwrap();
/// assert_eq!((price.units(), price.nanos()), (12, 500_000_000));
/// assert_eq!(price.to_string(), "12.50 GBP");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    currency: Currency,
    total_nanos: i128,
}

impl Money {
    /// Builds an amount from whole units and billionths of a unit of the same sign, as `google.type.Money` does.
    ///
    /// # Errors
    /// [`InvalidMoney`] when the parts disagree in sign or the amount is too large.
    pub fn new(currency: Currency, units: i64, nanos: i32) -> Result<Self, InvalidMoney> {
        let nanos_fit = nanos.unsigned_abs() < 1_000_000_000;
        let signs_agree = units == 0 || nanos == 0 || (units > 0) == (nanos > 0);
        if !nanos_fit || !signs_agree {
            return Err(InvalidMoney::Nanos);
        }
        Self::from_total_nanos(currency, i128::from(units) * NANOS_PER_UNIT + i128::from(nanos))
    }

    /// Builds an amount from billionths of a unit.
    ///
    /// # Errors
    /// [`InvalidMoney::TooLarge`] beyond [`UNITS_MAX`] units.
    pub fn from_total_nanos(currency: Currency, total_nanos: i128) -> Result<Self, InvalidMoney> {
        if total_nanos.unsigned_abs() > u128::from(UNITS_MAX.unsigned_abs()) * NANOS_PER_UNIT.unsigned_abs() {
            return Err(InvalidMoney::TooLarge);
        }
        Ok(Self { currency, total_nanos })
    }

    /// Parses a decimal number such as `12.5`, `-0.99` or `1200`.
    ///
    /// # Errors
    /// [`InvalidMoney`] when the text is not such a number, or the amount is too large.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, InvalidMoney> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let shape_fits = !(whole.is_empty() && fraction.is_empty()) && fraction.len() <= 9;
        if !shape_fits || !all_digits(whole) || !all_digits(fraction) {
            return Err(InvalidMoney::NotDecimal);
        }
        if whole.len() > 15 {
            return Err(InvalidMoney::TooLarge);
        }
        let number = |part: &str| part.parse::<i128>().unwrap_or(0);
        let total = number(whole) * NANOS_PER_UNIT + number(&format!("{fraction:0<9}"));
        Self::from_total_nanos(currency, if negative { -total } else { total })
    }

    /// The currency of the amount.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// Whole units, rounded towards zero.
    pub fn units(self) -> i64 {
        i64::try_from(self.total_nanos / NANOS_PER_UNIT).expect("bounded by UNITS_MAX")
    }

    /// Billionths of a unit beyond the whole units, with the sign of the amount.
    pub fn nanos(self) -> i32 {
        i32::try_from(self.total_nanos % NANOS_PER_UNIT).expect("a remainder below a billion")
    }

    /// The amount in billionths of a unit.
    pub fn total_nanos(self) -> i128 {
        self.total_nanos
    }

    /// Whether the amount is below zero.
    pub fn is_negative(self) -> bool {
        self.total_nanos < 0
    }

    /// The amount as a float, for scoring only; never converted back into money.
    #[allow(clippy::cast_precision_loss, reason = "a score needs no more than 53 bits")]
    pub fn approximate(self) -> f64 {
        self.total_nanos as f64 / 1e9
    }

    /// This amount minus another of the same currency; `None` when the currencies differ or the result is too large.
    pub fn minus(self, other: Self) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        Self::from_total_nanos(self.currency, self.total_nanos - other.total_nanos).ok()
    }
}

impl fmt::Display for Money {
    /// Writes at least two decimals: `12.50 GBP`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative() { "-" } else { "" };
        let nanos = format!("{:09}", self.nanos().unsigned_abs());
        let decimals = nanos.trim_end_matches('0');
        write!(f, "{sign}{}.{decimals:0<2} {}", self.units().unsigned_abs(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gbp() -> Currency {
        Currency::new("GBP").expect("a valid code")
    }

    #[test]
    fn parsing_is_exact() {
        let parse = |text| Money::parse(text, gbp()).map(|money| money.to_string());
        assert_eq!(parse("0.1"), Ok("0.10 GBP".into()));
        assert_eq!(parse("-3"), Ok("-3.00 GBP".into()));
        assert_eq!(parse("1.005"), Ok("1.005 GBP".into()));
        for bad in ["", ".", "-", "1e3", "NaN", "1,5", "0.1234567890", "--1"] {
            assert_eq!(parse(bad), Err(InvalidMoney::NotDecimal), "{bad}");
        }
        assert_eq!(parse("9999999999999999999999"), Err(InvalidMoney::TooLarge));
        assert_eq!(parse("1000000000001"), Err(InvalidMoney::TooLarge));
    }

    #[test]
    fn parts_must_agree() {
        assert_eq!(Money::new(gbp(), 1, -1), Err(InvalidMoney::Nanos));
        assert_eq!(Money::new(gbp(), 0, 1_000_000_000), Err(InvalidMoney::Nanos));
        assert_eq!(Money::new(gbp(), i64::MAX, 0), Err(InvalidMoney::TooLarge));
        assert!(Money::new(gbp(), -1, -5).is_ok());
    }

    #[test]
    fn currencies_do_not_mix() {
        let eur = Money::parse("1", Currency::new("EUR").expect("a valid code")).expect("a valid amount");
        let pound = Money::parse("1", gbp()).expect("a valid amount");
        assert_eq!(pound.minus(eur), None);
        assert_eq!(Currency::new("gbp"), Err(InvalidMoney::Currency));
    }
}

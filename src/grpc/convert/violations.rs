//! Violations of a message, field by field, and readers of field types that many messages share.

use std::fmt::Display;
use std::time::Duration;

use crate::domain::ids::InvalidId;
use crate::domain::money::{Currency, Money};
use crate::domain::plain_text::{escape_control_characters, has_control_characters};
use crate::domain::time::Timestamp;
use crate::grpc::generated::tactful::v1 as wire;

/// Maximum distance of a reported time into the future: clocks differ.
pub(crate) const FUTURE_MAX: Duration = Duration::from_secs(300);

/// All violations of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Violations(Vec<Violation>);

/// Violation by one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Path such as `events[3].unit_price.nanos`.
    pub(crate) field: String,
    /// Plain English predicate, such as "must not be negative".
    pub(crate) description: String,
}

impl Violations {
    pub(crate) fn add(&mut self, field: impl Into<String>, description: impl Display) {
        self.0.push(Violation { field: field.into(), description: description.to_string() });
    }

    /// Adds the violations of a part.
    pub(crate) fn extend(&mut self, part: Self) {
        self.0.extend(part.0);
    }

    /// Adds the violations of a part, whose fields belong to a nested message; `customer_id` does not.
    pub(crate) fn extend_within(&mut self, path: &str, part: Self) {
        for Violation { field, description } in part.0 {
            let field = if field == "customer_id" { field } else { format!("{path}.{field}") };
            self.0.push(Violation { field, description });
        }
    }

    /// Returns all violations, in the order found.
    pub(crate) fn as_slice(&self) -> &[Violation] {
        &self.0
    }

    /// Returns the value, or these violations when there are any.
    pub(crate) fn or<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            Some(_) | None => Err(self),
        }
    }

    /// Returns these violations as an error when there are any.
    pub(crate) fn check(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    /// Reads a required id.
    pub(crate) fn id<T>(
        &mut self,
        field: &str,
        text: String,
        new: impl Fn(String) -> Result<T, InvalidId>,
    ) -> Option<T> {
        new(text).map_err(|invalid| self.add(field, invalid)).ok()
    }

    /// Reads an optional id; an empty text is `None`.
    pub(crate) fn optional_id<T>(
        &mut self,
        field: &str,
        text: String,
        new: impl Fn(String) -> Result<T, InvalidId>,
    ) -> Option<T> {
        if text.is_empty() { None } else { self.id(field, text, new) }
    }

    /// Reads a list of at most `len_max` ids.
    pub(crate) fn ids<T>(
        &mut self,
        field: &str,
        texts: Vec<String>,
        len_max: usize,
        new: impl Fn(String) -> Result<T, InvalidId>,
    ) -> Vec<T> {
        if texts.len() > len_max {
            self.add(field, format_args!("has {} entries, at most {len_max} are allowed", texts.len()));
            return Vec::new();
        }
        let mut ids = Vec::with_capacity(texts.len());
        for (index, text) in texts.into_iter().enumerate() {
            match new(text) {
                Ok(id) => ids.push(id),
                Err(invalid) => self.add(format!("{field}[{index}]"), invalid),
            }
        }
        ids
    }

    /// Reads a time from 1900 to 2200.
    pub(crate) fn time(&mut self, field: &str, at: prost_types::Timestamp) -> Option<Timestamp> {
        let prost_types::Timestamp { seconds, nanos } = at;
        if !(0..1_000_000_000).contains(&nanos) {
            self.add(format!("{field}.nanos"), "must be from 0 to 999999999");
            return None;
        }
        let ms = seconds.checked_mul(1000).and_then(|ms| ms.checked_add(i64::from(nanos / 1_000_000)));
        let read = ms.and_then(Timestamp::from_unix_ms);
        if read.is_none() {
            self.add(field, "must be from the year 1900 to 2200");
        }
        read
    }

    /// Reads a time that is at most [`FUTURE_MAX`] ahead.
    pub(crate) fn past(&mut self, field: &str, at: prost_types::Timestamp, now: Timestamp) -> Option<Timestamp> {
        let at = self.time(field, at)?;
        if at > now + FUTURE_MAX {
            self.add(field, format_args!("is {at}, more than 5 minutes after the server's time {now}"));
            return None;
        }
        Some(at)
    }

    /// Reads an amount of money.
    pub(crate) fn money(&mut self, field: &str, money: wire::Money) -> Option<Money> {
        let wire::Money { currency_code, units, nanos } = money;
        let currency = self.currency(&format!("{field}.currency_code"), &currency_code);
        // Without a valid currency the amount is still checked.
        let no_currency = Currency::new("XXX").expect("the code for no currency in ISO 4217");
        let money =
            Money::new(currency.unwrap_or(no_currency), units, nanos).map_err(|invalid| self.add(field, invalid)).ok();
        currency.and(money)
    }

    /// Reads an amount of money of zero or more.
    pub(crate) fn money_not_negative(&mut self, field: &str, money: wire::Money) -> Option<Money> {
        let is_negative = money.units < 0 || money.nanos < 0;
        let violations_before = self.0.len();
        let read = self.money(field, money);
        let is_amount = self.0[violations_before..].iter().all(|violation| violation.field != field);
        if is_amount && is_negative {
            self.add(field, "must not be negative");
            return None;
        }
        read
    }

    /// Reads a currency code.
    pub(crate) fn currency(&mut self, field: &str, code: &str) -> Option<Currency> {
        Currency::new(code).map_err(|invalid| self.add(field, invalid)).ok()
    }

    /// Checks the length of a text.
    pub(crate) fn text_within(&mut self, field: &str, text: &str, bytes_max: usize) {
        if text.len() > bytes_max {
            self.add(field, format_args!("has {} bytes, at most {bytes_max} are allowed", text.len()));
        }
    }

    /// Checks the length of a text that is shown in one line, and that it has no control characters.
    pub(crate) fn plain_text(&mut self, field: &str, text: &str, bytes_max: usize) {
        self.text_within(field, text, bytes_max);
        if has_control_characters(text) {
            self.add(field, "must not contain control characters, such as line breaks");
        }
    }

    /// Checks a map of texts.
    pub(crate) fn text_map(
        &mut self,
        field: &str,
        map: &std::collections::BTreeMap<String, String>,
        entries_max: usize,
        bytes_max: usize,
    ) {
        if map.len() > entries_max {
            self.add(field, format_args!("has {} entries, at most {entries_max} are allowed", map.len()));
            return;
        }
        for (name, value) in map {
            if name.is_empty() {
                self.add(field, "has an entry without a name");
            }
            let entry = entry_path(field, name);
            let longest = if name.len() > value.len() { name } else { value };
            self.text_within(&entry, longest, bytes_max);
            if has_control_characters(name) || has_control_characters(value) {
                self.add(entry, "must not contain control characters, such as line breaks");
            }
        }
    }
}

/// Path of an entry of a map, with the beginning of its name.
pub(crate) fn entry_path(field: &str, name: &str) -> String {
    format!("{field}[{:.32}]", escape_control_characters(name, ""))
}

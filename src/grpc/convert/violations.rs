//! Collects what is wrong with a message, field by field, and reads the small things that many messages hold.

use std::fmt::Display;
use std::time::Duration;

use crate::domain::ids::InvalidId;
use crate::domain::money::{Currency, Money};
use crate::domain::time::Timestamp;
use crate::grpc::generated::tactful::v1 as wire;

/// How far in the future something reported may lie: clocks differ.
pub const FUTURE_MAX: Duration = Duration::from_secs(300);

/// Everything wrong with a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

/// One field and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Such as `events[3].unit_price.nanos`.
    pub field: String,
    /// For people.
    pub description: String,
}

impl Violations {
    /// Notes a fault.
    pub fn add(&mut self, field: impl Into<String>, description: impl Display) {
        self.0.push(Violation { field: field.into(), description: description.to_string() });
    }

    /// Notes the faults of a part.
    pub fn extend(&mut self, part: Self) {
        self.0.extend(part.0);
    }

    /// Notes the faults of a part whose fields are those of a message inside; the customer is not inside.
    pub fn extend_within(&mut self, path: &str, part: Self) {
        for Violation { field, description } in part.0 {
            let field = if field == "customer_id" { field } else { format!("{path}.{field}") };
            self.0.push(Violation { field, description });
        }
    }

    /// All faults, in the order found.
    pub fn as_slice(&self) -> &[Violation] {
        &self.0
    }

    /// The value read, when nothing was wrong.
    ///
    /// # Errors
    /// These violations, when there are any.
    pub fn or<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            Some(_) | None => Err(self),
        }
    }

    /// These violations when there are any.
    ///
    /// # Errors
    /// These violations.
    pub fn check(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    /// Reads a required id.
    pub fn id<T>(&mut self, field: &str, text: String, new: impl Fn(String) -> Result<T, InvalidId>) -> Option<T> {
        new(text).map_err(|invalid| self.add(field, invalid)).ok()
    }

    /// Reads an optional id: empty is none.
    pub fn optional_id<T>(
        &mut self,
        field: &str,
        text: String,
        new: impl Fn(String) -> Result<T, InvalidId>,
    ) -> Option<T> {
        if text.is_empty() { None } else { self.id(field, text, new) }
    }

    /// Reads a list of ids of at most `most`.
    pub fn ids<T>(
        &mut self,
        field: &str,
        texts: Vec<String>,
        most: usize,
        new: impl Fn(String) -> Result<T, InvalidId>,
    ) -> Vec<T> {
        if texts.len() > most {
            self.add(field, format_args!("has {} entries, at most {most} are allowed", texts.len()));
            return Vec::new();
        }
        let mut ids = Vec::with_capacity(texts.len());
        for (place, text) in texts.into_iter().enumerate() {
            match new(text) {
                Ok(id) => ids.push(id),
                Err(invalid) => self.add(format!("{field}[{place}]"), invalid),
            }
        }
        ids
    }

    /// Reads a moment, from 1900 to 2200.
    pub fn time(&mut self, field: &str, at: prost_types::Timestamp) -> Option<Timestamp> {
        let prost_types::Timestamp { seconds, nanos } = at;
        if !(0..1_000_000_000).contains(&nanos) {
            self.add(format!("{field}.nanos"), "must be within 0 to 999999999");
            return None;
        }
        let ms = seconds.checked_mul(1000).and_then(|ms| ms.checked_add(i64::from(nanos / 1_000_000)));
        let read = ms.and_then(Timestamp::from_unix_ms);
        if read.is_none() {
            self.add(field, "must be from the year 1900 to 2200");
        }
        read
    }

    /// Reads a moment that has passed, or nearly.
    pub fn past(&mut self, field: &str, at: prost_types::Timestamp, now: Timestamp) -> Option<Timestamp> {
        let at = self.time(field, at)?;
        if at > now + FUTURE_MAX {
            self.add(field, format_args!("is {at}, more than 5 minutes after now, {now}"));
            return None;
        }
        Some(at)
    }

    /// Reads an amount of money.
    pub fn money(&mut self, field: &str, money: wire::Money) -> Option<Money> {
        let wire::Money { currency_code, units, nanos } = money;
        let currency = self.currency(&format!("{field}.currency_code"), &currency_code);
        // Without a currency the amount is checked all the same.
        let none = Currency::new("XXX").expect("ISO 4217 has it for no currency");
        let money = Money::new(currency.unwrap_or(none), units, nanos).map_err(|invalid| self.add(field, invalid)).ok();
        currency.and(money)
    }

    /// Reads an amount of money that is not below zero.
    pub fn money_not_negative(&mut self, field: &str, money: wire::Money) -> Option<Money> {
        let is_negative = money.units < 0 || money.nanos < 0;
        let faults = self.0.len();
        let read = self.money(field, money);
        let is_amount = self.0[faults..].iter().all(|violation| violation.field != field);
        if is_amount && is_negative {
            self.add(field, "must not be negative");
            return None;
        }
        read
    }

    /// Reads a currency code.
    pub fn currency(&mut self, field: &str, code: &str) -> Option<Currency> {
        Currency::new(code).map_err(|invalid| self.add(field, invalid)).ok()
    }

    /// Checks the length of a text.
    pub fn text_within(&mut self, field: &str, text: &str, bytes_max: usize) {
        if text.len() > bytes_max {
            self.add(field, format_args!("has {} bytes, at most {bytes_max} are allowed", text.len()));
        }
    }

    /// Checks a map of texts.
    pub fn text_map(
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
            self.text_within(
                &format!("{field}[{name:.32}]"),
                if name.len() > value.len() { name } else { value },
                bytes_max,
            );
        }
    }
}

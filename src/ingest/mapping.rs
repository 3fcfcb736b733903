//! Mapping of the columns of a file to the canonical columns, as TOML; every table is optional.
//!
//! ```toml
//! [columns]                        # canonical column = "column of the file"
//! product_id = "stock_code"
//! category = "{department} > {type}"   # composed of several columns; empty when one of them is
//!
//! [constants]                      # canonical column = the value of every row
//! currency = "GBP"
//!
//! [ignore]                         # columns of the file that are not imported; "*" is all unmapped columns
//! columns = ["country"]
//!
//! [csv]
//! delimiter = ";"                  # default: a comma; "\t" is a tab
//!
//! [kind]                           # events: the kind by the sign of a column ...
//! by_sign = "quantity"             # (the quantity of a negative row then counts without its sign)
//! positive = "purchase"
//! negative = "return"
//! # column = "type"                # ... or by the value of a column
//! # values = { SALE = "purchase", RET = "return" }
//!
//! [[filter]]                       # any number; a row that fails one is skipped and counted
//! column = "is_product"
//! equals = "1"                     # also not_equals, one_of = [...], none_of = [...],
//!                                  # contains_none_of = [...], above, below, present = true or false
//!
//! [time]
//! format = "%Y-%m-%d %H:%M:%S"     # strptime; or rfc3339 (default), unix_seconds, unix_ms, days_ago
//! zone = "Europe/London"           # of times without an offset; default UTC
//! until = "2011-06-10T00:00:00Z"   # events at this time or later are skipped and counted
//! ```
//!
//! A canonical column that the mapping does not mention is read from the column of the same name, if there is one.
//! For customers, `[columns]` and `[constants]` may name any attribute.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::column_template::ColumnTemplate;
use super::event_kind_rule::{EventKindRule, parse_kind};
use super::mapping_table::MappingTable;
use super::read_error::MappingFault;
use super::row_filter::RowFilter;
use super::time_rule::TimeRule;
use crate::domain::money::Currency;

/// Mapping of a file. Whether its columns exist is checked when a file is opened.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    pub(super) columns: BTreeMap<String, String>,
    pub(super) constants: BTreeMap<String, String>,
    pub(super) ignored: BTreeSet<String>,
    pub(super) delimiter: Option<u8>,
    pub(super) kind: Option<EventKindRule>,
    pub(super) filters: Vec<RowFilter>,
    pub(super) time: TimeRule,
    /// Whether the mapping has a table `[time]`, which applies to some kinds of entity only.
    pub(super) has_time: bool,
}

/// Entry of `[ignore] columns` for all columns that are not read.
pub(super) const IGNORE_ALL: &str = "*";

impl Mapping {
    /// Returns the mapping for files whose columns have the canonical names.
    pub fn canonical() -> Self {
        Self::default()
    }

    /// Returns the template of a canonical column that is composed of several columns of the file.
    pub(super) fn template(&self, column: &str) -> Option<ColumnTemplate> {
        self.columns.get(column).and_then(|source| ColumnTemplate::parse(source))
    }

    /// Parses a mapping.
    ///
    /// # Errors
    /// All faults at once; a text that is not TOML is reported as a single fault.
    pub fn from_toml(text: &str) -> Result<Self, Vec<MappingFault>> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            vec![MappingFault { place: "the mapping".to_owned(), problem: format!("is not TOML: {error}") }]
        })?;
        let mut faults = Vec::new();
        let mapping = Self::from_table(table, &mut faults);
        if faults.is_empty() { Ok(mapping) } else { Err(faults) }
    }

    fn from_table(table: Table, faults: &mut Vec<MappingFault>) -> Self {
        let mut mapping = Self::default();
        let has_kind = table.contains_key("kind");
        for (name, value) in table {
            let place = format!("[{name}]");
            match (name.as_str(), value) {
                ("columns", Value::Table(table)) => {
                    mapping.columns = MappingTable::new(place, table, faults).all_texts().into_iter().collect();
                }
                ("constants", Value::Table(table)) => {
                    mapping.constants = MappingTable::new(place, table, faults).all_texts().into_iter().collect();
                }
                ("ignore", Value::Table(table)) => {
                    mapping.ignored = ignored_columns(MappingTable::new(place, table, faults));
                }
                ("csv", Value::Table(table)) => mapping.delimiter = delimiter(MappingTable::new(place, table, faults)),
                ("kind", Value::Table(table)) => {
                    mapping.kind = EventKindRule::from_table(MappingTable::new(place, table, faults));
                }
                ("time", Value::Table(table)) => {
                    mapping.time = TimeRule::from_table(MappingTable::new(place, table, faults));
                    mapping.has_time = true;
                }
                ("filter", Value::Array(list)) => mapping.filters = filters(list, faults),
                ("filter", _) => faults.push(wrong_table("[[filter]]")),
                ("columns" | "constants" | "ignore" | "csv" | "kind" | "time", _) => faults.push(wrong_table(&place)),
                _ => faults.push(MappingFault { place, problem: unknown_table() }),
            }
        }
        mapping.find_contradictions(has_kind, faults);
        mapping
    }

    /// Finds contradictions between tables, and constants with which no row could be accepted.
    fn find_contradictions(&self, has_kind: bool, faults: &mut Vec<MappingFault>) {
        let mut fault = |place: &str, problem: &str| {
            faults.push(MappingFault { place: place.to_owned(), problem: problem.to_owned() });
        };
        for name in self.constants.keys().filter(|name| self.columns.contains_key(*name)) {
            fault(&format!("[constants] {name}"), "is also in [columns]; keep one of them");
        }
        for (name, value) in &self.constants {
            let problem = match name.as_str() {
                _ if value.trim().is_empty() => Some("must not be empty".to_owned()),
                "currency" => Currency::new(value).err().map(|invalid| invalid.to_string()),
                "kind" => parse_kind(value).err().map(String::from),
                _ => None,
            };
            if let Some(problem) = problem {
                fault(&format!("[constants] {name}"), &problem);
            }
        }
        if has_kind && self.columns.contains_key("kind") {
            fault("[columns] kind", "is also determined by [kind]; keep one of them");
        }
        if has_kind && self.constants.contains_key("kind") {
            fault("[constants] kind", "is also determined by [kind]; keep one of them");
        }
    }
}

fn ignored_columns(mut table: MappingTable<'_>) -> BTreeSet<String> {
    let columns = table.texts("columns");
    if columns.is_none() {
        table.fault_of_table("needs `columns`, a list of columns of the file");
    }
    table.finish();
    columns.unwrap_or_default().into_iter().collect()
}

fn delimiter(mut table: MappingTable<'_>) -> Option<u8> {
    let text = table.text("delimiter");
    let delimiter = match text.as_deref().map(str::as_bytes) {
        Some(&[byte]) if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => Some(byte),
        Some(_) => {
            table.fault("delimiter", "must be one ASCII character other than a quote, such as \";\" or \"\\t\"");
            None
        }
        None => None,
    };
    table.finish();
    delimiter
}

fn filters(list: Vec<Value>, faults: &mut Vec<MappingFault>) -> Vec<RowFilter> {
    let mut filters = Vec::new();
    for (index, value) in list.into_iter().enumerate() {
        let place = format!("[[filter]] number {}", index + 1);
        match value {
            Value::Table(table) => filters.extend(RowFilter::from_table(MappingTable::new(place, table, faults))),
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_) => faults.push(wrong_table(&place)),
        }
    }
    filters
}

fn wrong_table(place: &str) -> MappingFault {
    MappingFault { place: place.to_owned(), problem: "must be a table, written under its name in brackets".to_owned() }
}

fn unknown_table() -> String {
    "is unknown; known are [columns], [constants], [ignore], [csv], [kind], [[filter]] and [time]".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_at_once() {
        let text = "
            surprise = 1
            csv = ';'
            [columns]
            currency = 'cur'
            title = ['a']
            [constants]
            currency = 'GBP'
            kind = 'buy'
            [kind]
            by_sign = 'quantity'
            positive = 'buy'
            negative = 'return'
            [[filter]]
            column = 'a'
            [[filter]]
            equals = 'a'
            above = 'b'
            [time]
            zone = 'London'
        ";
        let faults = Mapping::from_toml(text).expect_err("many faults");
        let mut places: Vec<&str> = faults.iter().map(|fault| fault.place.as_str()).collect();
        places.sort_unstable();
        let expected = [
            "[[filter]] number 1",
            "[[filter]] number 2",
            "[[filter]] number 2 above",
            "[columns] title",
            "[constants] currency",
            "[constants] kind",
            "[constants] kind",
            "[csv]",
            "[kind] positive",
            "[surprise]",
            "[time] zone",
        ];
        assert_eq!(places, expected, "{faults:#?}");
    }

    #[test]
    fn a_text_that_is_not_toml_is_one_fault() {
        assert_eq!(Mapping::from_toml("[columns").expect_err("no TOML").len(), 1);
        assert!(Mapping::from_toml("").is_ok());
    }
}

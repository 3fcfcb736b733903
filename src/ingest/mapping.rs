//! A mapping: what the columns of somebody's file mean here. Written as TOML; every table is optional.
//!
//! ```toml
//! [columns]                        # canonical column = "column of the file"
//! product_id = "stock_code"
//! category = "{department} > {type}"   # made of several columns; empty when one of them is
//!
//! [constants]                      # canonical column = the value of every row
//! currency = "GBP"
//!
//! [ignore]                         # columns of the file that nothing reads; "*" is all such columns
//! columns = ["country"]
//!
//! [csv]
//! delimiter = ";"                  # default: a comma; "\t" is a tabulator
//!
//! [kind]                           # events: the kind by the sign of a column ...
//! by_sign = "quantity"             # (the quantity of a negative row then counts without its sign)
//! positive = "purchase"
//! negative = "return"
//! # column = "type"                # ... or by the word in a column
//! # values = { SALE = "purchase", RET = "return" }
//!
//! [[filter]]                       # any number; a row for which one does not hold is skipped and counted
//! column = "is_product"
//! equals = "1"                     # also not_equals, one_of = [...], none_of = [...],
//!                                  # contains_none_of = [...], above, below, present = true or false
//!
//! [time]
//! format = "%Y-%m-%d %H:%M:%S"     # strptime; or rfc3339 (default), unix_seconds, unix_ms, days_ago
//! zone = "Europe/London"           # of times without an offset; default UTC
//! until = "2011-06-10T00:00:00Z"   # events at this moment or later are skipped and counted
//! ```
//!
//! A canonical column that the mapping does not mention is read from the column of the same name, where there is one.
//! For customers, `[columns]` and `[constants]` may name any attribute.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::error::MappingFault;
use super::filter::Filter;
use super::kind::{KindName, KindRule};
use super::section::Section;
use super::template::Template;
use super::time_rule::TimeRule;
use crate::domain::money::Currency;

/// How to read a file. Whether its columns exist is seen when it meets a file.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    pub(super) columns: BTreeMap<String, String>,
    pub(super) constants: BTreeMap<String, String>,
    pub(super) ignored: BTreeSet<String>,
    pub(super) delimiter: Option<u8>,
    pub(super) kind: Option<KindRule>,
    pub(super) filters: Vec<Filter>,
    pub(super) time: TimeRule,
    /// The tables that the file has, for those that make sense for some subjects only.
    pub(super) has_time: bool,
}

/// In `[ignore] columns`: every column that nothing reads.
pub(super) const IGNORE_ALL: &str = "*";

impl Mapping {
    /// The mapping for files whose columns have the canonical names already.
    pub fn canonical() -> Self {
        Self::default()
    }

    /// How a canonical column is made, when it is made of several columns of the file.
    pub(super) fn template(&self, column: &str) -> Option<Template> {
        self.columns.get(column).and_then(|source| Template::parse(source))
    }

    /// Reads a mapping file.
    ///
    /// # Errors
    /// Every fault at once; only a file that is no TOML at all has just one.
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
                    mapping.columns = Section::new(place, table, faults).all_texts().into_iter().collect();
                }
                ("constants", Value::Table(table)) => {
                    mapping.constants = Section::new(place, table, faults).all_texts().into_iter().collect();
                }
                ("ignore", Value::Table(table)) => {
                    mapping.ignored = ignored_columns(Section::new(place, table, faults));
                }
                ("csv", Value::Table(table)) => mapping.delimiter = delimiter(Section::new(place, table, faults)),
                ("kind", Value::Table(table)) => {
                    mapping.kind = KindRule::from_section(Section::new(place, table, faults));
                }
                ("time", Value::Table(table)) => {
                    mapping.time = TimeRule::from_section(Section::new(place, table, faults));
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

    /// Finds what each table allows and the tables together do not, and constants that no row could be accepted with.
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
                "kind" => KindName::parse(value).err(),
                _ => None,
            };
            if let Some(problem) = problem {
                fault(&format!("[constants] {name}"), &problem);
            }
        }
        if has_kind && self.columns.contains_key("kind") {
            fault("[columns] kind", "is also told by [kind]; keep one of them");
        }
        if has_kind && self.constants.contains_key("kind") {
            fault("[constants] kind", "is also told by [kind]; keep one of them");
        }
    }
}

fn ignored_columns(mut section: Section<'_>) -> BTreeSet<String> {
    let columns = section.texts("columns");
    if columns.is_none() {
        section.fault_of_table("needs `columns`, a list of columns of the file");
    }
    section.finish();
    columns.unwrap_or_default().into_iter().collect()
}

fn delimiter(mut section: Section<'_>) -> Option<u8> {
    let text = section.text("delimiter");
    let delimiter = match text.as_deref().map(str::as_bytes) {
        Some(&[byte]) if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => Some(byte),
        Some(_) => {
            section.fault("delimiter", "must be one ASCII character and not a quote, such as \";\" or \"\\t\"");
            None
        }
        None => None,
    };
    section.finish();
    delimiter
}

fn filters(list: Vec<Value>, faults: &mut Vec<MappingFault>) -> Vec<Filter> {
    let mut filters = Vec::new();
    for (index, value) in list.into_iter().enumerate() {
        let place = format!("[[filter]] number {}", index + 1);
        match value {
            Value::Table(table) => filters.extend(Filter::from_section(Section::new(place, table, faults))),
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
    "is not known; known are [columns], [constants], [ignore], [csv], [kind], [[filter]] and [time]".to_owned()
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
    fn no_toml_is_one_fault() {
        assert_eq!(Mapping::from_toml("[columns").expect_err("no TOML").len(), 1);
        assert!(Mapping::from_toml("").is_ok());
    }
}

//! Reader of JSON Lines files: one object per line. The columns are the keys, collected as they occur.
//!
//! A repeated key in one object is rejected: JSON parsers keep the last one and drop the other silently. Blank lines are skipped.

use std::collections::HashMap;
use std::fmt;
use std::io;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::invalid_cell::MalformedRow;
use super::line_reader::LineReader;
use super::raw_row::{RawCells, RawRow};

/// Maximum number of distinct keys in one file. More would mean that keys contain data.
const COLUMNS_MAX: usize = 512;

/// Reader of one object per line.
pub(super) struct JsonLinesReader {
    pub lines: LineReader,
    /// All keys so far; keys are only ever added.
    pub columns: Vec<String>,
    positions: HashMap<String, usize>,
}

impl JsonLinesReader {
    pub fn new(lines: LineReader) -> Self {
        Self { lines, columns: Vec::new(), positions: HashMap::new() }
    }

    /// Reads the next row; `None` at the end of the file, the inner error for a malformed line.
    pub fn read(&mut self, row: &mut RawRow) -> io::Result<Option<Result<(), MalformedRow>>> {
        let line = loop {
            match self.lines.next()? {
                None => return Ok(None),
                Some(line) if line.bytes.trim_ascii().is_empty() && !line.is_cut => {}
                Some(line) => break line,
            }
        };
        row.line = line.number;
        row.text.clear();
        row.content = RawCells::Values(Vec::new());
        Ok(Some(line.text().and_then(|text| {
            let object = parse(text)?;
            row.text.push_str(text);
            row.content = RawCells::Values(self.order_by_column(object)?);
            Ok(())
        })))
    }

    /// Orders the values by the positions of their columns.
    fn order_by_column(&mut self, object: JsonObject) -> Result<Vec<Value>, MalformedRow> {
        let mut values = vec![Value::Null; self.columns.len()];
        for (key, value) in object.0 {
            let position = match self.positions.get(&key) {
                Some(&position) => position,
                None if self.columns.len() == COLUMNS_MAX => {
                    return Err(MalformedRow(format!(
                        "has the new key `{key}`; at most {COLUMNS_MAX} keys are read from one file"
                    )));
                }
                None => {
                    self.columns.push(key.clone());
                    self.positions.insert(key, self.columns.len() - 1);
                    values.push(Value::Null);
                    self.columns.len() - 1
                }
            };
            values[position] = value;
        }
        Ok(values)
    }
}

fn parse(text: &str) -> Result<JsonObject, MalformedRow> {
    serde_json::from_str(text).map_err(|error| {
        // The parser sees one line only; its own line number would mislead.
        let message = error.to_string();
        let problem = message.split(" at line ").next().unwrap_or(&message);
        MalformedRow(format!("is not one JSON object: {problem} (column {})", error.column()))
    })
}

/// JSON object in the order of its keys.
struct JsonObject(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(JsonObjectVisitor)
    }
}

struct JsonObjectVisitor;

impl<'de> Visitor<'de> for JsonObjectVisitor {
    type Value = JsonObject;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object such as {{\"customer_id\": \"c-1\"}}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonObject, A::Error> {
        let mut seen = std::collections::HashSet::new();
        let mut fields = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            if !seen.insert(key.clone()) {
                return Err(serde::de::Error::custom(format!("the key `{key}` is repeated")));
            }
            fields.push((key, value));
        }
        Ok(JsonObject(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(u64, Result<(), MalformedRow>)> {
        let mut rows = JsonLinesReader::new(LineReader::new(Box::new(io::Cursor::new(text.as_bytes().to_vec()))));
        let mut row = RawRow::default();
        let mut all = Vec::new();
        while let Some(outcome) = rows.read(&mut row).expect("reads from memory") {
            all.push((row.line, outcome));
        }
        all
    }

    #[test]
    fn lines_that_are_not_objects_are_rejected_and_the_rest_is_read() {
        let rows = read("{\"a\":1}\n\n[1]\n{\"a\":\n{\"a\":1,\"a\":2}\n{\"b\":null}");
        let are_good: Vec<(u64, bool)> = rows.iter().map(|(line, outcome)| (*line, outcome.is_ok())).collect();
        assert_eq!(are_good, [(1, true), (3, false), (4, false), (5, false), (6, true)]);
        assert!(rows[3].1.as_ref().is_err_and(|problem| problem.0.contains("`a` is repeated")));
    }

    #[test]
    fn endless_nesting_is_rejected() {
        assert!(read(&format!("{{\"a\":{}", "[".repeat(100_000)))[0].1.is_err());
    }
}

//! Rows of a JSON Lines file: one object a line. The columns are the keys, collected as they are met.
//!
//! A key written twice in one object is refused: JSON parsers keep the last one and lose the other silently. Blank lines
//! are no rows.

use std::collections::HashMap;
use std::fmt;
use std::io;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::cells::{Content, RawRow};
use super::lines::Lines;

/// The most different keys in one file. More would mean that keys hold data.
const COLUMNS_MAX: usize = 512;

/// Reads one object a line.
pub(super) struct JsonRows {
    pub lines: Lines,
    /// Every key met so far; only ever added to.
    pub columns: Vec<String>,
    positions: HashMap<String, usize>,
}

impl JsonRows {
    pub fn new(lines: Lines) -> Self {
        Self { lines, columns: Vec::new(), positions: HashMap::new() }
    }

    /// Reads the next row; `None` at the end of the file, the inner error when the line is no row.
    pub fn read(&mut self, row: &mut RawRow) -> io::Result<Option<Result<(), String>>> {
        let line = loop {
            match self.lines.next()? {
                None => return Ok(None),
                Some(line) if line.bytes.trim_ascii().is_empty() && !line.is_cut => {}
                Some(line) => break line,
            }
        };
        row.line = line.number;
        row.text.clear();
        row.content = Content::Values(Vec::new());
        Ok(Some(line.text().and_then(|text| {
            let object = parse(text)?;
            row.text.push_str(text);
            row.content = Content::Values(self.place(object)?);
            Ok(())
        })))
    }

    /// Puts the values at the positions of their columns.
    fn place(&mut self, object: Object) -> Result<Vec<Value>, String> {
        let mut values = vec![Value::Null; self.columns.len()];
        for (key, value) in object.0 {
            let position = match self.positions.get(&key) {
                Some(&position) => position,
                None if self.columns.len() == COLUMNS_MAX => {
                    return Err(format!("has the new key `{key}`; at most {COLUMNS_MAX} keys are read from one file"));
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

fn parse(text: &str) -> Result<Object, String> {
    serde_json::from_str(text).map_err(|error| {
        // The parser saw one line only; its own line number would mislead.
        let message = error.to_string();
        let problem = message.split(" at line ").next().unwrap_or(&message);
        format!("is not one JSON object: {problem} (column {})", error.column())
    })
}

/// An object in the order of its keys.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object such as {{\"customer_id\": \"c-1\"}}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut seen = std::collections::HashSet::new();
        let mut fields = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            if !seen.insert(key.clone()) {
                return Err(serde::de::Error::custom(format!("the key `{key}` is there twice")));
            }
            fields.push((key, value));
        }
        Ok(Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(u64, Result<(), String>)> {
        let mut rows = JsonRows::new(Lines::new(Box::new(io::Cursor::new(text.as_bytes().to_vec()))));
        let mut row = RawRow::default();
        let mut all = Vec::new();
        while let Some(outcome) = rows.read(&mut row).expect("reads from memory") {
            all.push((row.line, outcome));
        }
        all
    }

    #[test]
    fn lines_that_are_no_object_are_refused_and_the_rest_is_read() {
        let rows = read("{\"a\":1}\n\n[1]\n{\"a\":\n{\"a\":1,\"a\":2}\n{\"b\":null}");
        let are_good: Vec<(u64, bool)> = rows.iter().map(|(line, outcome)| (*line, outcome.is_ok())).collect();
        assert_eq!(are_good, [(1, true), (3, false), (4, false), (5, false), (6, true)]);
        assert!(rows[3].1.as_ref().is_err_and(|problem| problem.contains("`a` is there twice")));
    }

    #[test]
    fn nesting_without_end_is_refused() {
        assert!(read(&format!("{{\"a\":{}", "[".repeat(100_000)))[0].1.is_err());
    }
}

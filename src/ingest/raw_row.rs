//! A row of a file before it is interpreted: cells by the position of their column.

use std::borrow::Cow;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::invalid_cell::InvalidCell;
/// Row of a file, reused for every row to avoid allocations.
#[derive(Debug, Default)]
pub(super) struct RawRow {
    /// Line on which the row starts.
    pub line: u64,
    /// CSV: the concatenated cells. JSON Lines: the line.
    pub text: String,
    /// Positions or values of the cells.
    pub content: RawCells,
}

/// Cells of a row.
#[derive(Debug)]
pub(super) enum RawCells {
    /// CSV: end offset of each cell in the text.
    Ends(Vec<usize>),
    /// JSON Lines: value of each column known so far, null where the row has none.
    Values(Vec<Value>),
}

impl Default for RawCells {
    fn default() -> Self {
        Self::Ends(Vec::new())
    }
}

impl RawRow {
    /// Returns the cell of the column at a position.
    pub fn cell(&self, position: usize) -> CellValue<'_> {
        match &self.content {
            RawCells::Ends(ends) => {
                let start = if position == 0 { 0 } else { ends.get(position - 1).copied().unwrap_or(0) };
                ends.get(position).map_or(CellValue::Empty, |&end| CellValue::from_text(&self.text[start..end]))
            }
            RawCells::Values(values) => values.get(position).map_or(CellValue::Empty, CellValue::from_json),
        }
    }

    /// Hashes the raw fields: each cell of a CSV row with its length, or the line of a JSON row.
    pub fn hash_into(&self, hash: &mut Sha256) {
        match &self.content {
            RawCells::Ends(ends) => {
                let mut start = 0;
                for &end in ends {
                    hash.update(((end - start) as u64).to_le_bytes());
                    hash.update(&self.text[start..end]);
                    start = end;
                }
            }
            RawCells::Values(_) => hash.update(self.text.trim()),
        }
    }
}

/// Value of a row in one column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum CellValue<'a> {
    /// No value: a missing cell, only white space, null, or an empty list or object.
    Empty,
    Text(&'a str),
    /// Number, boolean, list or object of a JSON row.
    Json(&'a Value),
}

impl<'a> CellValue<'a> {
    pub fn from_text(text: &'a str) -> Self {
        match text.trim() {
            "" => Self::Empty,
            trimmed => Self::Text(trimmed),
        }
    }

    pub fn from_json(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Empty,
            Value::String(text) => Self::from_text(text),
            Value::Array(list) if list.is_empty() => Self::Empty,
            Value::Object(map) if map.is_empty() => Self::Empty,
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Self::Json(value),
        }
    }

    /// Returns the value as text, `None` when empty; numbers and booleans as they are written.
    pub fn text(self) -> Result<Option<Cow<'a, str>>, InvalidCell> {
        match self {
            Self::Empty => Ok(None),
            Self::Text(text) => Ok(Some(Cow::Borrowed(text))),
            Self::Json(value) => scalar(value).map(Some),
        }
    }
}

/// Returns a JSON scalar as text.
pub(super) fn scalar(value: &Value) -> Result<Cow<'_, str>, InvalidCell> {
    match value {
        Value::String(text) => Ok(Cow::Borrowed(text.trim())),
        Value::Number(number) => Ok(Cow::Owned(number.to_string())),
        Value::Bool(flag) => Ok(Cow::Borrowed(if *flag { "true" } else { "false" })),
        Value::Null => Err(InvalidCell("must not be null".to_owned())),
        Value::Array(_) => Err(InvalidCell("must be a single value, not a list".to_owned())),
        Value::Object(_) => Err(InvalidCell("must be a single value, not an object".to_owned())),
    }
}

//! One row as it stands in the file: cells by the position of their column, before any meaning.

use std::borrow::Cow;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// A row of a file. Kept from row to row so that its memory is reused.
#[derive(Debug, Default)]
pub(super) struct RawRow {
    /// The line on which the row starts.
    pub line: u64,
    /// CSV: the cells one after another. JSON Lines: the line.
    pub text: String,
    /// Where the cells are.
    pub content: Content,
}

/// The cells of a row.
#[derive(Debug)]
pub(super) enum Content {
    /// CSV: the end of each cell in the text.
    Ends(Vec<usize>),
    /// JSON Lines: the value of each column met so far, null where the row has none.
    Values(Vec<Value>),
}

impl Default for Content {
    fn default() -> Self {
        Self::Ends(Vec::new())
    }
}

impl RawRow {
    /// The cell of the column at this position.
    pub fn cell(&self, position: usize) -> Cell<'_> {
        match &self.content {
            Content::Ends(ends) => {
                let start = if position == 0 { 0 } else { ends.get(position - 1).copied().unwrap_or(0) };
                ends.get(position).map_or(Cell::Empty, |&end| Cell::from_text(&self.text[start..end]))
            }
            Content::Values(values) => values.get(position).map_or(Cell::Empty, Cell::from_json),
        }
    }

    /// Adds the raw fields to a hash: each cell of a CSV row with its length, or the line of a JSON row.
    pub fn add_to(&self, hash: &mut Sha256) {
        match &self.content {
            Content::Ends(ends) => {
                let mut start = 0;
                for &end in ends {
                    hash.update(((end - start) as u64).to_le_bytes());
                    hash.update(&self.text[start..end]);
                    start = end;
                }
            }
            Content::Values(_) => hash.update(self.text.trim()),
        }
    }
}

/// What a row says in one column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'a> {
    /// Nothing: no such cell, only white space, null, or an empty list or object.
    Empty,
    /// A text without outer white space.
    Text(&'a str),
    /// A number, a truth value, a list or an object of a JSON row.
    Json(&'a Value),
}

impl<'a> Cell<'a> {
    pub fn from_text(text: &'a str) -> Self {
        match text.trim() {
            "" => Self::Empty,
            trimmed => Self::Text(trimmed),
        }
    }

    fn from_json(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Empty,
            Value::String(text) => Self::from_text(text),
            Value::Array(list) if list.is_empty() => Self::Empty,
            Value::Object(map) if map.is_empty() => Self::Empty,
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Self::Json(value),
        }
    }

    /// The cell as one text, `None` when empty; numbers and truth values as they are written.
    pub fn text(self) -> Result<Option<Cow<'a, str>>, String> {
        match self {
            Self::Empty => Ok(None),
            Self::Text(text) => Ok(Some(Cow::Borrowed(text))),
            Self::Json(value) => scalar(value).map(Some),
        }
    }
}

/// A single JSON value as text.
pub(super) fn scalar(value: &Value) -> Result<Cow<'_, str>, String> {
    match value {
        Value::String(text) => Ok(Cow::Borrowed(text.trim())),
        Value::Number(number) => Ok(Cow::Owned(number.to_string())),
        Value::Bool(flag) => Ok(Cow::Borrowed(if *flag { "true" } else { "false" })),
        Value::Null => Err("must not be null".to_owned()),
        Value::Array(_) => Err("must be a single value, not a list".to_owned()),
        Value::Object(_) => Err("must be a single value, not an object".to_owned()),
    }
}

//! Access to one table of a mapping, key by key, which collects all faults instead of stopping at the first.

use toml::{Table, Value};

use super::read_error::MappingFault;

/// Table whose values are taken by key; every key that is not taken is a fault.
pub(super) struct MappingTable<'a> {
    place: String,
    table: Table,
    known_keys: Vec<&'static str>,
    faults: &'a mut Vec<MappingFault>,
}

impl<'a> MappingTable<'a> {
    /// Wraps a table; `place` is its name in the file, such as `[time]`.
    pub fn new(place: impl Into<String>, table: Table, faults: &'a mut Vec<MappingFault>) -> Self {
        Self { place: place.into(), table, known_keys: Vec::new(), faults }
    }

    /// Adds a fault of a key.
    pub fn fault(&mut self, key: &str, problem: impl Into<String>) {
        self.faults.push(MappingFault { place: format!("{} {key}", self.place), problem: problem.into() });
    }

    /// Adds a fault of the table as a whole.
    pub fn fault_of_table(&mut self, problem: impl Into<String>) {
        self.faults.push(MappingFault { place: self.place.clone(), problem: problem.into() });
    }

    /// Takes a value of any type.
    pub fn value(&mut self, key: &'static str) -> Option<Value> {
        self.known_keys.push(key);
        self.table.remove(key)
    }

    /// Takes a text; numbers, booleans and times count as the text they are written as.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        let value = self.value(key)?;
        let text = scalar(&value);
        if text.is_none() {
            self.fault(key, format!("must be a text, not {}", value_type(&value)));
        }
        text
    }

    pub fn number(&mut self, key: &'static str) -> Option<f64> {
        let text = self.text(key)?;
        match super::cell_values::parse_decimal(&text) {
            Ok(number) => Some(number),
            Err(problem) => {
                self.fault(key, problem);
                None
            }
        }
    }

    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        if value.as_bool().is_none() {
            self.fault(key, format!("must be true or false, not {}", value_type(&value)));
        }
        value.as_bool()
    }

    /// Takes a list of texts.
    pub fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let value = self.value(key)?;
        let texts = value.as_array().and_then(|list| list.iter().map(scalar).collect());
        if texts.is_none() {
            self.fault(key, "must be a list of texts, such as [\"a\", \"b\"]");
        }
        texts
    }

    /// Takes a table of texts.
    pub fn texts_by_name(&mut self, key: &'static str) -> Option<Vec<(String, String)>> {
        let Value::Table(table) = self.value(key)? else {
            self.fault(key, "must be a table of texts, such as { a = \"b\" }");
            return None;
        };
        Some(self.entries(key, table))
    }

    /// Takes every entry of the table as a text.
    pub fn all_texts(mut self) -> Vec<(String, String)> {
        let table = std::mem::take(&mut self.table);
        self.entries("", table)
    }

    fn entries(&mut self, key: &str, table: Table) -> Vec<(String, String)> {
        let mut entries = Vec::new();
        for (name, value) in table {
            if let Some(text) = scalar(&value) {
                entries.push((name, text));
                continue;
            }
            let place = if key.is_empty() { name } else { format!("{key}.{name}") };
            self.fault(&place, format!("must be a text, not {}", value_type(&value)));
        }
        entries
    }

    /// Adds a fault for every key that was not taken.
    pub fn finish(mut self) {
        let known = self.known_keys.join(", ");
        for key in std::mem::take(&mut self.table).keys() {
            self.fault(key, format!("is unknown here; known are: {known}"));
        }
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Datetime(time) => Some(time.to_string()),
        Value::Array(_) | Value::Table(_) => None,
    }
}

fn value_type(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a time",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

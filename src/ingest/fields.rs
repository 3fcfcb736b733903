//! The fields of one row as the mapping sees them, with every fault collected instead of the first.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::cells::{Cell, RawRow, scalar};
use super::column::Column;
use super::layout::{Layout, Slot};
use super::mapping::Mapping;
use super::numbers::{decimal, shown};
use super::row::Reason;
use super::row_ids::RowIds;
use crate::domain::ids::{EventId, InvalidId};
use crate::domain::money::{Currency, Money};
use crate::domain::product::FeatureValue;
use crate::domain::time::Timestamp;

/// Separates the items of a list or map in one cell.
const ITEM_SEPARATOR: char = ';';

/// One row being read. A reader that returns `None` found the field empty or faulty; a fault is in `reasons`.
pub(super) struct Fields<'a> {
    pub layout: &'a Layout,
    pub mapping: &'a Mapping,
    pub row: &'a RawRow,
    /// What is made of several columns of the row.
    pub made: &'a [String],
    pub now: Timestamp,
    pub row_ids: &'a mut RowIds,
    pub reasons: Vec<Reason>,
}

impl<'a> Fields<'a> {
    /// Notes what is wrong with a column.
    pub fn refuse(&mut self, column: Column, problem: impl Into<String>) {
        let name = column.as_str();
        let field = match self.mapping.columns.get(name) {
            Some(from) if from != name => format!("`{name}` (column `{from}`)"),
            _ => format!("`{name}`"),
        };
        self.reasons.push(Reason { field, problem: problem.into() });
    }

    /// Notes what is wrong with the row as a whole.
    pub fn refuse_row(&mut self, problem: impl Into<String>) {
        self.reasons.push(Reason { field: "row".to_owned(), problem: problem.into() });
    }

    /// Notes what is wrong with a column that has no canonical name.
    pub fn refuse_source(&mut self, source: &str, problem: impl Into<String>) {
        self.reasons.push(Reason { field: format!("column `{source}`"), problem: problem.into() });
    }

    /// What the row says in a column.
    pub fn cell(&self, column: Column) -> Cell<'a> {
        match self.layout.slot(column) {
            Slot::Absent => Cell::Empty,
            Slot::At(position) => self.row.cell(*position),
            Slot::Made(number) => self.made.get(*number).map_or(Cell::Empty, |text| Cell::from_text(text)),
            Slot::Constant(text) => Cell::from_text(text),
        }
    }

    /// True when the row says nothing in the column.
    pub fn is_empty(&self, column: Column) -> bool {
        self.cell(column) == Cell::Empty
    }

    /// Notes a column that must not be empty when it is.
    pub fn require(&mut self, column: Column) {
        if self.is_empty(column) {
            self.refuse(column, "is missing");
        }
    }

    /// A text.
    pub fn text(&mut self, column: Column) -> Option<Cow<'a, str>> {
        let text = self.cell(column).text();
        self.keep(column, text).flatten()
    }

    /// Anything made from a text.
    pub fn parsed<T>(&mut self, column: Column, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(column)?;
        self.keep(column, parse(&text))
    }

    /// An id. A JSON number with decimals is refused, since its digits may not be those that were written.
    pub fn id<T>(&mut self, column: Column, new: fn(String) -> Result<T, InvalidId>) -> Option<T> {
        let id = id_text(self.cell(column)).transpose()?;
        self.keep(column, id.and_then(|text| new(text.into_owned()).map_err(|invalid| invalid.to_string())))
    }

    /// A time.
    pub fn time(&mut self, column: Column) -> Option<Timestamp> {
        let (mapping, now) = (self.mapping, self.now);
        self.parsed(column, |text| mapping.time.read(text, now))
    }

    /// An amount of money; the currency is a column of its own.
    pub fn money(&mut self, column: Column) -> Option<Money> {
        let text = self.text(column)?;
        let currency = match self.cell(Column::Currency).text() {
            Ok(Some(currency)) => Currency::new(&currency).map_err(|invalid| invalid.to_string()),
            Ok(None) => Err(format!("is missing, and `{}` needs it", column.as_str())),
            Err(problem) => Err(problem),
        };
        let currency = match currency {
            Ok(currency) => currency,
            Err(problem) => {
                self.refuse_once(Column::Currency, problem);
                // The digits are checked all the same, so that every fault is named at once.
                Currency::new("XXX").expect("three capital letters")
            }
        };
        let money = Money::parse(&text, currency).map_err(|invalid| format!("{invalid}, not {}", shown(&text)));
        self.keep(column, money)
    }

    /// An amount of money that is not below zero.
    pub fn price(&mut self, column: Column) -> Option<Money> {
        let price = self.money(column)?;
        if price.is_negative() {
            self.refuse(column, format!("must not be below zero, as {price} is"));
        }
        Some(price)
    }

    /// A set of ids: `a;b`, or a JSON list.
    pub fn ids<T: Ord>(
        &mut self,
        column: Column,
        items_max: usize,
        new: fn(String) -> Result<T, InvalidId>,
    ) -> BTreeSet<T> {
        let items = list(self.cell(column));
        let Some(items) = self.keep(column, items) else { return BTreeSet::new() };
        let mut ids = BTreeSet::new();
        for item in items {
            match new(item.to_string()) {
                Ok(id) => drop(ids.insert(id)),
                Err(invalid) => self.refuse(column, format!("{} {invalid}", shown(&item))),
            }
        }
        if ids.len() > items_max {
            self.refuse(column, format!("has {} entries, at most {items_max} are allowed", ids.len()));
        }
        ids
    }

    /// Named values: `a=1;b=true;c=text`, or a JSON object.
    pub fn named_values(
        &mut self,
        column: Column,
        items_max: usize,
        bytes_max: usize,
    ) -> BTreeMap<String, FeatureValue> {
        let entries = named_values(self.cell(column));
        let Some(entries) = self.keep(column, entries) else { return BTreeMap::new() };
        let mut values = BTreeMap::new();
        for (name, value) in entries {
            let is_long = |text: &str| text.len() > bytes_max;
            let has_long_text = matches!(&value, FeatureValue::Text(text) if is_long(text));
            if is_long(&name) || has_long_text {
                self.refuse(column, format!("{} is longer than {bytes_max} bytes", shown(&name)));
            }
            let shown_name = shown(&name);
            if values.insert(name, value).is_some() {
                self.refuse(column, format!("{shown_name} is there twice"));
            }
        }
        if values.len() > items_max {
            self.refuse(column, format!("has {} entries, at most {items_max} are allowed", values.len()));
        }
        values
    }

    /// The id of an event that has none.
    pub fn row_id(&mut self) -> EventId {
        self.row_ids.id(self.row)
    }

    fn keep<T>(&mut self, column: Column, read: Result<T, String>) -> Option<T> {
        read.map_err(|problem| self.refuse(column, problem)).ok()
    }

    fn refuse_once(&mut self, column: Column, problem: String) {
        let count = self.reasons.len();
        self.refuse(column, problem);
        let newest = self.reasons.last().cloned();
        if self.reasons[..count].iter().any(|reason| Some(&reason.field) == newest.as_ref().map(|reason| &reason.field))
        {
            self.reasons.pop();
        }
    }
}

fn id_text(cell: Cell<'_>) -> Result<Option<Cow<'_, str>>, String> {
    if let Cell::Json(Value::Number(number)) = cell
        && number.is_f64()
    {
        return Err(format!("is the number {number}; write an id as a text, in quotes"));
    }
    cell.text()
}

fn list(cell: Cell<'_>) -> Result<Vec<Cow<'_, str>>, String> {
    if let Cell::Json(Value::Array(items)) = cell {
        return items.iter().map(scalar).collect();
    }
    let text = cell.text()?.unwrap_or_default();
    let items = text.split(ITEM_SEPARATOR).map(str::trim).filter(|item| !item.is_empty());
    Ok(items.map(|item| Cow::Owned(item.to_owned())).collect())
}

fn named_values(cell: Cell<'_>) -> Result<Vec<(String, FeatureValue)>, String> {
    if let Cell::Json(Value::Object(entries)) = cell {
        return entries.iter().map(|(name, value)| Ok((name.trim().to_owned(), json_value(name, value)?))).collect();
    }
    let mut values = Vec::new();
    for item in list(cell)? {
        let (name, value) = match item.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => (name.trim(), value.trim()),
            _ => return Err(format!("must be written like slots=4;bagel=true, not {}", shown(&item))),
        };
        values.push((name.to_owned(), text_value(name, value)?));
    }
    Ok(values)
}

fn text_value(name: &str, text: &str) -> Result<FeatureValue, String> {
    match text {
        "true" => Ok(FeatureValue::Flag(true)),
        "false" => Ok(FeatureValue::Flag(false)),
        _ if text.parse::<f64>().is_err() => Ok(FeatureValue::Text(text.to_owned())),
        _ => decimal(text).map(FeatureValue::Number).map_err(|problem| format!("{} {problem}", shown(name))),
    }
}

fn json_value(name: &str, value: &Value) -> Result<FeatureValue, String> {
    match value {
        Value::Bool(flag) => Ok(FeatureValue::Flag(*flag)),
        Value::Number(number) => text_value(name, &number.to_string()),
        Value::String(text) if !text.trim().is_empty() => Ok(FeatureValue::Text(text.trim().to_owned())),
        Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(format!("{} must be a number, true, false or a text", shown(name)))
        }
    }
}

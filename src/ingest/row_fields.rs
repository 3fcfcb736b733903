//! Typed access to the fields of one row, through the mapping. All faults are collected instead of stopping at the first.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::canonical_column::{CanonicalColumn, EntityKind};
use super::cell_values::{excerpt, parse_bool, parse_decimal};
use super::column_layout::{ColumnLayout, ColumnSource};
use super::invalid_cell::InvalidCell;
use super::mapping::Mapping;
use super::raw_row::{CellValue, RawRow, scalar};
use super::row_id_generator::RowIdGenerator;
use super::row_outcome::FieldFault;
use crate::domain::customer::{CHANNEL_OPT_OUTS_MAX, Consents};
use crate::domain::ids::{Channel, EventId, InvalidId};
use crate::domain::money::{Currency, Money};
use crate::domain::plain_text::has_control_characters;
use crate::domain::product::FeatureValue;
use crate::domain::time::Timestamp;

/// Separator of the items of a list or map in one cell.
const ITEM_SEPARATOR: char = ';';

/// Fields of one row. A method that returns `None` found the field empty or invalid; an invalid field adds to `faults`.
pub(super) struct RowFields<'a> {
    pub layout: &'a ColumnLayout,
    pub mapping: &'a Mapping,
    pub row: &'a RawRow,
    /// Values composed of several columns, by the templates of the layout.
    pub templated: &'a [String],
    pub now: Timestamp,
    pub row_id_generator: &'a mut RowIdGenerator,
    pub faults: Vec<FieldFault>,
}

impl<'a> RowFields<'a> {
    /// Adds a fault of a canonical column.
    pub fn add_fault(&mut self, column: CanonicalColumn, problem: impl Into<String>) {
        let name = column.as_str();
        let field = match self.mapping.columns.get(name) {
            Some(from) if from != name => format!("`{name}` (column `{from}`)"),
            _ => format!("`{name}`"),
        };
        self.faults.push(FieldFault { field, problem: problem.into() });
    }

    /// Adds a fault of the row as a whole.
    pub fn add_row_fault(&mut self, problem: impl Into<String>) {
        self.faults.push(FieldFault { field: "row".to_owned(), problem: problem.into() });
    }

    /// Adds a fault of a column without a canonical name.
    pub fn add_column_fault(&mut self, source: &str, problem: impl Into<String>) {
        self.faults.push(FieldFault { field: format!("column `{source}`"), problem: problem.into() });
    }

    /// Returns the value of a canonical column.
    pub fn cell(&self, column: CanonicalColumn) -> CellValue<'a> {
        match self.layout.source_of(column) {
            ColumnSource::Absent => CellValue::Empty,
            ColumnSource::Column(position) => self.row.cell(*position),
            ColumnSource::Templated(number) => {
                self.templated.get(*number).map_or(CellValue::Empty, |text| CellValue::from_text(text))
            }
            ColumnSource::Constant(text) => CellValue::from_text(text),
        }
    }

    /// Whether the row has no value in the column.
    pub fn is_empty(&self, column: CanonicalColumn) -> bool {
        self.cell(column) == CellValue::Empty
    }

    /// Adds a fault when the column is empty.
    pub fn require(&mut self, column: CanonicalColumn) {
        if self.is_empty(column) {
            self.add_fault(column, "is missing");
        }
    }

    pub fn text(&mut self, column: CanonicalColumn) -> Option<Cow<'a, str>> {
        let text = self.cell(column).text();
        self.keep(column, text).flatten()
    }

    pub fn parsed<T>(
        &mut self,
        column: CanonicalColumn,
        parse: impl FnOnce(&str) -> Result<T, InvalidCell>,
    ) -> Option<T> {
        let text = self.text(column)?;
        self.keep(column, parse(&text))
    }

    /// Reads an id. A JSON number with decimals is rejected, because its digits may differ from the written ones.
    pub fn id<T>(&mut self, column: CanonicalColumn, new: fn(String) -> Result<T, InvalidId>) -> Option<T> {
        let id = id_text(self.cell(column)).transpose()?;
        self.keep(
            column,
            id.and_then(|text| new(text.into_owned()).map_err(|invalid| InvalidCell(invalid.to_string()))),
        )
    }

    /// Reads a time in the format of the mapping.
    pub fn time(&mut self, column: CanonicalColumn) -> Option<Timestamp> {
        let (mapping, now) = (self.mapping, self.now);
        self.parsed(column, |text| mapping.time.parse(text, now))
    }

    /// Reads an amount of money; the currency comes from the currency column.
    pub fn money(&mut self, column: CanonicalColumn) -> Option<Money> {
        let text = self.text(column)?;
        let currency = match self.cell(CanonicalColumn::Currency).text() {
            Ok(Some(currency)) => Currency::new(&currency).map_err(|invalid| InvalidCell(invalid.to_string())),
            Ok(None) => Err(InvalidCell(format!("is missing, and `{}` needs it", column.as_str()))),
            Err(problem) => Err(problem),
        };
        let currency = match currency {
            Ok(currency) => currency,
            Err(problem) => {
                self.add_fault_once(CanonicalColumn::Currency, problem);
                // The amount is checked all the same, so that every fault is reported at once.
                Currency::new("XXX").expect("three capital letters")
            }
        };
        let money =
            Money::parse(&text, currency).map_err(|invalid| InvalidCell(format!("{invalid}, not {}", excerpt(&text))));
        self.keep(column, money)
    }

    /// Reads an amount of money of zero or more.
    pub fn price(&mut self, column: CanonicalColumn) -> Option<Money> {
        let price = self.money(column)?;
        if price.is_negative() {
            self.add_fault(column, format!("must not be below zero, as {price} is"));
        }
        Some(price)
    }

    /// Reads a set of ids: `a;b`, or a JSON list.
    pub fn ids<T: Ord>(
        &mut self,
        column: CanonicalColumn,
        items_max: usize,
        new: fn(String) -> Result<T, InvalidId>,
    ) -> BTreeSet<T> {
        let items = list(self.cell(column));
        let Some(items) = self.keep(column, items) else { return BTreeSet::new() };
        let mut ids = BTreeSet::new();
        for item in items {
            match new(item.to_string()) {
                Ok(id) => drop(ids.insert(id)),
                Err(invalid) => self.add_fault(column, format!("{} {invalid}", excerpt(&item))),
            }
        }
        if ids.len() > items_max {
            self.add_fault(column, format!("has {} entries, at most {items_max} are allowed", ids.len()));
        }
        ids
    }

    /// Reads named values: `a=1;b=true;c=text`, or a JSON object.
    pub fn named_values(
        &mut self,
        column: CanonicalColumn,
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
                self.add_fault(column, format!("{} is longer than {bytes_max} bytes", excerpt(&name)));
            }
            let shown_name = excerpt(&name);
            let has_controls = matches!(&value, FeatureValue::Text(text) if has_control_characters(text));
            if has_controls || has_control_characters(&name) {
                self.add_fault(column, format!("{shown_name} must not contain control characters"));
            }
            if values.insert(name, value).is_some() {
                self.add_fault(column, format!("{shown_name} is repeated"));
            }
        }
        if values.len() > items_max {
            self.add_fault(column, format!("has {} entries, at most {items_max} are allowed", values.len()));
        }
        values
    }

    /// Reads the consents of a JSON object, which have the names of the columns.
    pub fn nested_consents(&mut self, column: CanonicalColumn) -> Consents {
        let mut consents = Consents::default();
        let entries = match self.cell(column) {
            CellValue::Empty => return consents,
            CellValue::Json(Value::Object(entries)) => entries,
            CellValue::Text(_) | CellValue::Json(_) => {
                self.add_fault(column, "must be an object such as {\"opted_out\": true}");
                return consents;
            }
        };
        for (name, value) in entries {
            let cell = CellValue::from_json(value);
            let flag = || cell.text()?.map_or(Ok(false), |text| parse_bool(&text));
            let read = match EntityKind::Customers.column(name) {
                Some(CanonicalColumn::OptedOut) => flag().map(|is_set| consents.is_opted_out = is_set),
                Some(CanonicalColumn::ObjectsToProfiling) => {
                    flag().map(|is_set| consents.objects_to_profiling = is_set)
                }
                Some(CanonicalColumn::OptedOutChannels) => channels(cell).map(|it| consents.channel_opt_outs = it),
                Some(_) | None => Err(InvalidCell(
                    "is unknown; known are opted_out, opted_out_channels and objects_to_profiling".to_owned(),
                )),
            };
            if let Err(problem) = read {
                self.add_fault(column, format!("{name} {problem}"));
            }
        }
        consents
    }

    /// Generates the id of an event without one.
    pub fn generate_id(&mut self) -> EventId {
        self.row_id_generator.generate(self.row)
    }

    fn keep<T>(&mut self, column: CanonicalColumn, read: Result<T, InvalidCell>) -> Option<T> {
        read.map_err(|problem| self.add_fault(column, problem)).ok()
    }

    fn add_fault_once(&mut self, column: CanonicalColumn, problem: InvalidCell) {
        let count = self.faults.len();
        self.add_fault(column, problem);
        let newest = self.faults.last().cloned();
        if self.faults[..count].iter().any(|fault| Some(&fault.field) == newest.as_ref().map(|fault| &fault.field)) {
            self.faults.pop();
        }
    }
}

fn id_text(cell: CellValue<'_>) -> Result<Option<Cow<'_, str>>, InvalidCell> {
    if let CellValue::Json(Value::Number(number)) = cell
        && number.is_f64()
    {
        return Err(InvalidCell(format!("is the number {number}; write an id as a text, in quotes")));
    }
    cell.text()
}

fn channels(cell: CellValue<'_>) -> Result<BTreeSet<Channel>, InvalidCell> {
    let channels = list(cell)?.into_iter().map(|item| {
        Channel::new(item.to_string()).map_err(|invalid| InvalidCell(format!("{} {invalid}", excerpt(&item))))
    });
    let channels: BTreeSet<Channel> = channels.collect::<Result<_, _>>()?;
    if channels.len() > CHANNEL_OPT_OUTS_MAX {
        let len = channels.len();
        return Err(InvalidCell(format!("has {len} entries, at most {CHANNEL_OPT_OUTS_MAX} are allowed")));
    }
    Ok(channels)
}

fn list(cell: CellValue<'_>) -> Result<Vec<Cow<'_, str>>, InvalidCell> {
    if let CellValue::Json(Value::Array(items)) = cell {
        return items.iter().map(scalar).collect();
    }
    let text = cell.text()?.unwrap_or_default();
    let items = text.split(ITEM_SEPARATOR).map(str::trim).filter(|item| !item.is_empty());
    Ok(items.map(|item| Cow::Owned(item.to_owned())).collect())
}

fn named_values(cell: CellValue<'_>) -> Result<Vec<(String, FeatureValue)>, InvalidCell> {
    if let CellValue::Json(Value::Object(entries)) = cell {
        return entries.iter().map(|(name, value)| Ok((name.trim().to_owned(), json_value(name, value)?))).collect();
    }
    let mut values = Vec::new();
    for item in list(cell)? {
        let (name, value) = match item.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => (name.trim(), value.trim()),
            _ => return Err(InvalidCell(format!("must be written like slots=4;bagel=true, not {}", excerpt(&item)))),
        };
        values.push((name.to_owned(), text_value(name, value)?));
    }
    Ok(values)
}

fn text_value(name: &str, text: &str) -> Result<FeatureValue, InvalidCell> {
    match text {
        "true" => Ok(FeatureValue::Flag(true)),
        "false" => Ok(FeatureValue::Flag(false)),
        _ if text.parse::<f64>().is_err() => Ok(FeatureValue::Text(text.to_owned())),
        _ => parse_decimal(text)
            .map(FeatureValue::Number)
            .map_err(|problem| InvalidCell(format!("{} {problem}", excerpt(name)))),
    }
}

fn json_value(name: &str, value: &Value) -> Result<FeatureValue, InvalidCell> {
    match value {
        Value::Bool(flag) => Ok(FeatureValue::Flag(*flag)),
        Value::Number(number) => text_value(name, &number.to_string()),
        Value::String(text) if !text.trim().is_empty() => Ok(FeatureValue::Text(text.trim().to_owned())),
        Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(InvalidCell(format!("{} must be a number, true, false or a text", excerpt(name))))
        }
    }
}

//! Reading a source row by row.
//!
//! The first line of a CSV file is its header, and a header that does not fit the mapping is an error before any row. A
//! JSON Lines file has no header: there each row answers for its own keys.
//!
//! Several files are read one after another, each with a call of its own; call for all of them before reading the first
//! row of any, and a header that does not fit is found before anything is imported. An event without an id is named by
//! its row and its occurrence *in its file*, so a file that comes again in another batch adds nothing.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::cells::{Cell, RawRow};
use super::column::{Column, Subject};
use super::csv_rows::CsvRows;
use super::customer_row::customer_profile;
use super::error::ReadError;
use super::event_row::event;
use super::fields::Fields;
use super::json_rows::JsonRows;
use super::layout::{Layout, header_faults, subject_faults, unknown_columns};
use super::lines::Lines;
use super::mapping::Mapping;
use super::product_row::product;
use super::row::{CustomerProfile, Reason, Rejection, Row};
use super::row_ids::RowIds;
use super::source::{Format, Source};
use crate::domain::event::Event;
use crate::domain::product::Product;
use crate::domain::time::Timestamp;

/// Reads products. `now` is what times written as `days_ago` count from.
pub fn products(source: Source, mapping: &Mapping, now: Timestamp) -> Result<Rows<Product>, ReadError> {
    Rows::begin(source, Subject::Products, mapping, now, product)
}

/// Reads customers: `customer_id`, and every other column as an attribute.
pub fn customers(source: Source, mapping: &Mapping, now: Timestamp) -> Result<Rows<CustomerProfile>, ReadError> {
    Rows::begin(source, Subject::Customers, mapping, now, customer_profile)
}

/// Reads events. `now` is what times written as `days_ago` count from.
pub fn events(source: Source, mapping: &Mapping, now: Timestamp) -> Result<Rows<Event>, ReadError> {
    Rows::begin(source, Subject::Events, mapping, now, event)
}

/// The rows of a file. Ends after the last row or after the first error.
pub struct Rows<T> {
    file: Arc<str>,
    subject: Subject,
    mapping: Mapping,
    now: Timestamp,
    build: fn(&mut Fields<'_>) -> Option<T>,
    reader: Reader,
    layout: Layout,
    row: RawRow,
    made: Vec<String>,
    row_ids: RowIds,
    has_ended: bool,
}

impl<T> fmt::Debug for Rows<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("file", &self.file).finish_non_exhaustive()
    }
}

enum Reader {
    Csv(CsvRows, Vec<String>),
    Json(JsonRows),
}

impl<T> Rows<T> {
    fn begin(
        source: Source,
        subject: Subject,
        mapping: &Mapping,
        now: Timestamp,
        build: fn(&mut Fields<'_>) -> Option<T>,
    ) -> Result<Self, ReadError> {
        let file = Arc::clone(&source.file);
        let mut faults = subject_faults(subject, mapping);
        let reader = match source.format {
            Format::Csv => open_csv(source, mapping)?,
            Format::JsonLines => Reader::Json(JsonRows::new(Lines::new(source.input))),
        };
        let layout = Layout::new(subject, mapping, reader.columns());
        if let Reader::Csv(_, columns) = &reader {
            faults.extend(header_faults(subject, mapping, columns, &layout));
        }
        if !faults.is_empty() {
            return Err(ReadError::Columns { file: file.to_string(), faults });
        }
        let (row, made, row_ids) = (RawRow::default(), Vec::new(), RowIds::default());
        let mapping = mapping.clone();
        Ok(Self { file, subject, mapping, now, build, reader, layout, row, made, row_ids, has_ended: false })
    }

    /// Says what the row just read is.
    fn judge(&mut self) -> Row<T> {
        self.layout.make(&self.row, &mut self.made);
        let mut fields = Fields {
            layout: &self.layout,
            mapping: &self.mapping,
            row: &self.row,
            made: &self.made,
            now: self.now,
            row_ids: &mut self.row_ids,
            reasons: Vec::new(),
        };
        let line = fields.row.line;
        let is_wanted = is_wanted(&mut fields);
        if !is_wanted && fields.reasons.is_empty() {
            return Row::Filtered { line };
        }
        let is_filled = |position: &usize| self.row.cell(*position) != Cell::Empty;
        let unknown: Vec<usize> = self.layout.unknown.iter().copied().filter(is_filled).collect();
        for problem in unknown_columns(self.subject, &self.mapping, self.reader.columns(), &unknown) {
            fields.refuse_row(problem);
        }
        let value = if is_wanted { (self.build)(&mut fields) } else { None };
        let reasons = fields.reasons;
        match value {
            Some(value) if reasons.is_empty() => Row::Accepted { line, value },
            _ => self.reject(reasons),
        }
    }

    fn reject(&self, reasons: Vec<Reason>) -> Row<T> {
        Row::Rejected(Rejection { file: Arc::clone(&self.file), line: self.row.line, reasons })
    }
}

impl<T> Iterator for Rows<T> {
    type Item = Result<Row<T>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let columns_before = self.reader.columns().len();
        match self.reader.read(&mut self.row) {
            Ok(Some(Ok(()))) => {
                if self.reader.columns().len() != columns_before {
                    self.layout = Layout::new(self.subject, &self.mapping, self.reader.columns());
                }
                Some(Ok(self.judge()))
            }
            Ok(Some(Err(problem))) => Some(Ok(self.reject(vec![Reason { field: "row".to_owned(), problem }]))),
            Ok(None) => {
                self.has_ended = true;
                None
            }
            Err(source) => {
                self.has_ended = true;
                let line = self.reader.lines_read();
                Some(Err(ReadError::Damaged { file: self.file.to_string(), line, source }))
            }
        }
    }
}

/// Applies the filters in their order, and the end of the time to be read. A filter that cannot be applied leaves a
/// reason.
fn is_wanted(fields: &mut Fields<'_>) -> bool {
    let (mapping, layout, row) = (fields.mapping, fields.layout, fields.row);
    for (filter, position) in mapping.filters.iter().zip(&layout.filters) {
        match filter.holds(position.map_or(Cell::Empty, |position| row.cell(position))) {
            Ok(true) => {}
            Ok(false) => return false,
            Err(problem) => fields.refuse_source(&filter.column, problem),
        }
    }
    let Some(until) = mapping.time.until else { return true };
    // A time that cannot be read is a reason to reject the row, found when the row is read.
    let Ok(Some(text)) = fields.cell(Column::Time).text() else { return true };
    mapping.time.read(&text, fields.now).map_or(true, |at| at < until)
}

fn open_csv(source: Source, mapping: &Mapping) -> Result<Reader, ReadError> {
    let file = source.file.to_string();
    let delimiter = mapping.delimiter.unwrap_or(b',');
    let mut rows = CsvRows { lines: Lines::new(source.input), delimiter, columns: 0 };
    let faults = match rows.header() {
        Ok(Some(Ok(header))) => {
            rows.columns = header.len();
            return Ok(Reader::Csv(rows, header));
        }
        Ok(Some(Err(problem))) => vec![format!("the header {problem}")],
        Ok(None) => vec!["it is empty; a CSV file begins with a header that names its columns".to_owned()],
        Err(source) => return Err(ReadError::Damaged { file, line: rows.lines.count(), source }),
    };
    Err(ReadError::Columns { file, faults })
}

impl Reader {
    fn columns(&self) -> &[String] {
        match self {
            Self::Csv(_, columns) => columns,
            Self::Json(rows) => &rows.columns,
        }
    }

    fn read(&mut self, row: &mut RawRow) -> io::Result<Option<Result<(), String>>> {
        match self {
            Self::Csv(rows, _) => rows.read(row),
            Self::Json(rows) => rows.read(row),
        }
    }

    fn lines_read(&self) -> u64 {
        match self {
            Self::Csv(rows, _) => rows.lines.count(),
            Self::Json(rows) => rows.lines.count(),
        }
    }
}

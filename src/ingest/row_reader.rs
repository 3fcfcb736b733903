//! Reader of the rows of a source.
//!
//! The first line of a CSV file is its header; a header that does not fit the mapping is an error before any row. A JSON Lines
//! file has no header: there the keys of each row are checked.
//!
//! Each file is opened by a call of its own. Open all files before the first row of any is read, so that an unfit header is found
//! before anything is imported. The id of an event without one is derived from its row and its occurrence *in its file*, so
//! importing a file again adds nothing.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::canonical_column::{CanonicalColumn, EntityKind};
use super::column_layout::{ColumnLayout, entity_faults, header_faults, unknown_columns, unmapped_consents};
use super::csv_reader::CsvReader;
use super::customer_row::customer_profile;
use super::event_row::event;
use super::invalid_cell::MalformedRow;
use super::json_lines_reader::JsonLinesReader;
use super::line_reader::LineReader;
use super::mapping::Mapping;
use super::product_row::product;
use super::raw_row::{CellValue, RawRow};
use super::read_error::ReadError;
use super::row_fields::RowFields;
use super::row_id_generator::RowIdGenerator;
use super::row_outcome::{CustomerProfile, FieldFault, RejectedRow, RowOutcome};
use super::source::{FileFormat, RowSource};
use crate::domain::event::Event;
use crate::domain::product::Product;
use crate::domain::time::Timestamp;

/// Opens a source of products. Times written as `days_ago` count back from `now`.
pub fn read_products(source: RowSource, mapping: &Mapping, now: Timestamp) -> Result<RowReader<Product>, ReadError> {
    RowReader::open(source, EntityKind::Products, mapping, now, product)
}

/// Opens a source of customers: `customer_id`, the columns of consents, and every other column as an attribute.
pub fn read_customers(
    source: RowSource,
    mapping: &Mapping,
    now: Timestamp,
) -> Result<RowReader<CustomerProfile>, ReadError> {
    RowReader::open(source, EntityKind::Customers, mapping, now, customer_profile)
}

/// Opens a source of events. Times written as `days_ago` count back from `now`.
pub fn read_events(source: RowSource, mapping: &Mapping, now: Timestamp) -> Result<RowReader<Event>, ReadError> {
    RowReader::open(source, EntityKind::Events, mapping, now, event)
}

/// Iterator over the rows of a file. Ends after the last row or after the first error.
pub struct RowReader<T> {
    file: Arc<str>,
    entity: EntityKind,
    mapping: Mapping,
    now: Timestamp,
    build: fn(&mut RowFields<'_>) -> Option<T>,
    reader: FormatReader,
    layout: ColumnLayout,
    row: RawRow,
    templated: Vec<String>,
    row_id_generator: RowIdGenerator,
    has_ended: bool,
}

impl<T> fmt::Debug for RowReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("file", &self.file).finish_non_exhaustive()
    }
}

enum FormatReader {
    Csv(CsvReader, Vec<String>),
    Json(JsonLinesReader),
}

impl<T> RowReader<T> {
    fn open(
        source: RowSource,
        entity: EntityKind,
        mapping: &Mapping,
        now: Timestamp,
        build: fn(&mut RowFields<'_>) -> Option<T>,
    ) -> Result<Self, ReadError> {
        let file = Arc::clone(&source.file);
        let mut faults = entity_faults(entity, mapping);
        let reader = match source.format {
            FileFormat::Csv => open_csv(source, mapping)?,
            FileFormat::JsonLines => FormatReader::Json(JsonLinesReader::new(LineReader::new(source.input))),
        };
        let layout = ColumnLayout::new(entity, mapping, reader.columns());
        if let FormatReader::Csv(_, columns) = &reader {
            faults.extend(header_faults(entity, mapping, columns, &layout));
        }
        if !faults.is_empty() {
            return Err(ReadError::Columns { file: file.to_string(), faults });
        }
        let (row, templated, row_id_generator) = (RawRow::default(), Vec::new(), RowIdGenerator::default());
        let mapping = mapping.clone();
        Ok(Self {
            file,
            entity,
            mapping,
            now,
            build,
            reader,
            layout,
            row,
            templated,
            row_id_generator,
            has_ended: false,
        })
    }

    /// Converts the row that was read last.
    fn parse_row(&mut self) -> RowOutcome<T> {
        self.layout.fill_templates(&self.row, &mut self.templated);
        let mut fields = RowFields {
            layout: &self.layout,
            mapping: &self.mapping,
            row: &self.row,
            templated: &self.templated,
            now: self.now,
            row_id_generator: &mut self.row_id_generator,
            faults: Vec::new(),
        };
        let line = fields.row.line;
        let is_wanted = is_wanted(&mut fields);
        if !is_wanted && fields.faults.is_empty() {
            return RowOutcome::Filtered { line };
        }
        let is_filled = |position: &usize| self.row.cell(*position) != CellValue::Empty;
        let unknown: Vec<usize> = self.layout.unknown.iter().copied().filter(is_filled).collect();
        let unmapped: Vec<usize> = self.layout.unmapped_consents.iter().copied().filter(is_filled).collect();
        let unknown = unknown_columns(self.entity, &self.mapping, self.reader.columns(), &unknown);
        for problem in unmapped_consents(self.reader.columns(), &unmapped).into_iter().chain(unknown) {
            fields.add_row_fault(problem);
        }
        let value = if is_wanted { (self.build)(&mut fields) } else { None };
        let faults = fields.faults;
        match value {
            Some(value) if faults.is_empty() => RowOutcome::Accepted { line, value },
            _ => self.reject(faults),
        }
    }

    fn reject(&self, faults: Vec<FieldFault>) -> RowOutcome<T> {
        RowOutcome::Rejected(RejectedRow { file: Arc::clone(&self.file), line: self.row.line, faults })
    }
}

impl<T> Iterator for RowReader<T> {
    type Item = Result<RowOutcome<T>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let columns_before = self.reader.columns().len();
        match self.reader.read(&mut self.row) {
            Ok(Some(Ok(()))) => {
                if self.reader.columns().len() != columns_before {
                    self.layout = ColumnLayout::new(self.entity, &self.mapping, self.reader.columns());
                }
                Some(Ok(self.parse_row()))
            }
            Ok(Some(Err(problem))) => {
                Some(Ok(self.reject(vec![FieldFault { field: "row".to_owned(), problem: problem.into() }])))
            }
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

/// Applies the filters in their order, and `[time] until`. A filter that cannot be applied adds a fault.
fn is_wanted(fields: &mut RowFields<'_>) -> bool {
    let (mapping, layout, row) = (fields.mapping, fields.layout, fields.row);
    for (filter, position) in mapping.filters.iter().zip(&layout.filters) {
        match filter.holds(position.map_or(CellValue::Empty, |position| row.cell(position))) {
            Ok(true) => {}
            Ok(false) => return false,
            Err(problem) => fields.add_column_fault(&filter.column, problem),
        }
    }
    let Some(until) = mapping.time.until else { return true };
    // An invalid time is reported when the row is converted.
    let Ok(Some(text)) = fields.cell(CanonicalColumn::Time).text() else { return true };
    mapping.time.parse(&text, fields.now).map_or(true, |at| at < until)
}

fn open_csv(source: RowSource, mapping: &Mapping) -> Result<FormatReader, ReadError> {
    let file = source.file.to_string();
    let delimiter = mapping.delimiter.unwrap_or(b',');
    let mut rows = CsvReader { lines: LineReader::new(source.input), delimiter, columns: 0 };
    let faults = match rows.header() {
        Ok(Some(Ok(header))) => {
            rows.columns = header.len();
            return Ok(FormatReader::Csv(rows, header));
        }
        Ok(Some(Err(problem))) => vec![format!("the header {problem}")],
        Ok(None) => vec!["it is empty; a CSV file starts with a header that names its columns".to_owned()],
        Err(source) => return Err(ReadError::Damaged { file, line: rows.lines.count(), source }),
    };
    Err(ReadError::Columns { file, faults })
}

impl FormatReader {
    fn columns(&self) -> &[String] {
        match self {
            Self::Csv(_, columns) => columns,
            Self::Json(rows) => &rows.columns,
        }
    }

    fn read(&mut self, row: &mut RawRow) -> io::Result<Option<Result<(), MalformedRow>>> {
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

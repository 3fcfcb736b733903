//! Row-by-row writing of a Parquet file.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::domain::money::Money;

/// Rows of a row group, the unit that a reader can skip or load.
const ROW_GROUP_LEN: usize = 128 * 1024;

/// Value of one column in one row. All values of a column have the same type, and only optional columns may be empty.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnValue {
    /// No value, only in optional columns.
    Empty,
    /// String of any length.
    Text(String),
    /// Integer, or a time in milliseconds after 1970.
    Integer(i64),
    Number(f64),
    /// Amount of money in billionths, without its currency.
    Amount(i128),
    Flag(bool),
}

impl ColumnValue {
    /// Makes a text of an optional value.
    pub fn text(value: Option<impl ToString>) -> Self {
        value.map_or(Self::Empty, |value| Self::Text(value.to_string()))
    }

    /// Makes a number of an optional value.
    pub fn number(value: Option<f64>) -> Self {
        value.map_or(Self::Empty, Self::Number)
    }

    /// Makes an integer of an optional value.
    pub fn integer(value: Option<impl Into<i64>>) -> Self {
        value.map_or(Self::Empty, |value| Self::Integer(value.into()))
    }

    /// Makes an amount of an optional price.
    pub fn amount(money: Option<Money>) -> Self {
        money.map_or(Self::Empty, |money| Self::Amount(money.total_nanos()))
    }
}

/// Writer of one Parquet file.
pub struct TableWriter {
    writer: SerializedFileWriter<File>,
    /// Buffered values of each column.
    buffered: Vec<Vec<ColumnValue>>,
    rows: u64,
}

impl TableWriter {
    /// Creates a file with a schema in Parquet's message notation.
    pub fn create(path: &Path, schema: &str) -> Result<Self> {
        let schema = Arc::new(parse_message_type(schema)?);
        let columns = schema.get_fields().len();
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = SerializedFileWriter::new(File::create(path)?, schema, Arc::new(properties))?;
        Ok(Self { writer, buffered: vec![Vec::new(); columns], rows: 0 })
    }

    /// Adds a row with a value for each column.
    pub fn add<const COLUMNS: usize>(&mut self, row: [ColumnValue; COLUMNS]) -> Result<()> {
        if COLUMNS != self.buffered.len() {
            return Err(ParquetError::General(format!("{COLUMNS} cells for {} columns", self.buffered.len())));
        }
        for (column, cell) in self.buffered.iter_mut().zip(row) {
            column.push(cell);
        }
        self.rows += 1;
        if self.buffered.first().is_some_and(|column| column.len() >= ROW_GROUP_LEN) {
            self.write_group()?;
        }
        Ok(())
    }

    /// Completes and syncs the file; returns its number of rows.
    pub fn finish(mut self) -> Result<u64> {
        self.write_group()?;
        let file = self.writer.into_inner()?;
        file.sync_all()?;
        Ok(self.rows)
    }

    fn write_group(&mut self) -> Result<()> {
        if self.buffered.first().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for cells in &mut self.buffered {
            let cells = std::mem::take(cells);
            let Some(mut column) = group.next_column()? else { break };
            write_column(column.untyped(), cells)?;
            column.close()?;
        }
        group.close()?;
        Ok(())
    }
}

fn write_column(column: &mut ColumnWriter<'_>, cells: Vec<ColumnValue>) -> Result<()> {
    // Definition levels: 1 for a value, 0 for none; required columns ignore them.
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(*cell != ColumnValue::Empty)).collect();
    let values = cells.into_iter().filter(|cell| *cell != ColumnValue::Empty);
    match column {
        ColumnWriter::ByteArrayColumnWriter(writer) => {
            let values = collect(values, |cell| {
                if let ColumnValue::Text(text) = cell { Some(ByteArray::from(text.into_bytes())) } else { None }
            })?;
            writer.write_batch(&values, Some(&levels), None)
        }
        ColumnWriter::Int64ColumnWriter(writer) => {
            let values =
                collect(values, |cell| if let ColumnValue::Integer(value) = cell { Some(value) } else { None })?;
            writer.write_batch(&values, Some(&levels), None)
        }
        ColumnWriter::DoubleColumnWriter(writer) => {
            let values =
                collect(values, |cell| if let ColumnValue::Number(value) = cell { Some(value) } else { None })?;
            writer.write_batch(&values, Some(&levels), None)
        }
        ColumnWriter::BoolColumnWriter(writer) => {
            let values = collect(values, |cell| if let ColumnValue::Flag(value) = cell { Some(value) } else { None })?;
            writer.write_batch(&values, Some(&levels), None)
        }
        ColumnWriter::FixedLenByteArrayColumnWriter(writer) => {
            let amount = |cell| {
                if let ColumnValue::Amount(nanos) = cell {
                    Some(FixedLenByteArray::from(nanos.to_be_bytes().to_vec()))
                } else {
                    None
                }
            };
            writer.write_batch(&collect(values, amount)?, Some(&levels), None)
        }
        ColumnWriter::Int32ColumnWriter(_)
        | ColumnWriter::Int96ColumnWriter(_)
        | ColumnWriter::FloatColumnWriter(_) => Err(type_mismatch()),
    }
    .map(drop)
}

fn collect<T>(cells: impl Iterator<Item = ColumnValue>, take: impl Fn(ColumnValue) -> Option<T>) -> Result<Vec<T>> {
    cells.map(|cell| take(cell).ok_or_else(type_mismatch)).collect()
}

fn type_mismatch() -> ParquetError {
    ParquetError::General("a value has another type than its column".to_owned())
}

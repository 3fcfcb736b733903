//! Columns being filled, and their way into a Parquet file.

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

/// Rows that are written at once. A reader can skip or load so many.
const ROW_GROUP_LEN: usize = 128 * 1024;

/// The cell of a column; each column keeps to one kind, and only optional ones may be empty.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing. Only in columns that are optional.
    Empty,
    /// Text.
    Text(String),
    /// A whole number, or a moment in milliseconds after 1970.
    Whole(i64),
    /// A number.
    Number(f64),
    /// An amount of money, without its currency, in billionths.
    Amount(i128),
    /// Yes or no.
    Truth(bool),
}

impl Cell {
    /// Text, or nothing.
    pub fn text(value: Option<impl ToString>) -> Self {
        value.map_or(Self::Empty, |value| Self::Text(value.to_string()))
    }

    /// A number, or nothing.
    pub fn number(value: Option<f64>) -> Self {
        value.map_or(Self::Empty, Self::Number)
    }

    /// A whole number, or nothing.
    pub fn whole(value: Option<impl Into<i64>>) -> Self {
        value.map_or(Self::Empty, |value| Self::Whole(value.into()))
    }

    /// The amount of a price, or nothing.
    pub fn amount(money: Option<Money>) -> Self {
        money.map_or(Self::Empty, |money| Self::Amount(money.total_nanos()))
    }
}

/// A Parquet file being written.
pub struct TableWriter {
    writer: SerializedFileWriter<File>,
    /// Column by column.
    waiting: Vec<Vec<Cell>>,
    rows: u64,
}

impl TableWriter {
    /// Begins a file of this schema, written in Parquet's message notation.
    pub fn create(path: &Path, schema: &str) -> Result<Self> {
        let schema = Arc::new(parse_message_type(schema)?);
        let columns = schema.get_fields().len();
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = SerializedFileWriter::new(File::create(path)?, schema, Arc::new(properties))?;
        Ok(Self { writer, waiting: vec![Vec::new(); columns], rows: 0 })
    }

    /// Adds a row with a cell for each column.
    pub fn add<const COLUMNS: usize>(&mut self, row: [Cell; COLUMNS]) -> Result<()> {
        if COLUMNS != self.waiting.len() {
            return Err(ParquetError::General(format!("{COLUMNS} cells for {} columns", self.waiting.len())));
        }
        for (column, cell) in self.waiting.iter_mut().zip(row) {
            column.push(cell);
        }
        self.rows += 1;
        if self.waiting.first().is_some_and(|column| column.len() >= ROW_GROUP_LEN) {
            self.write_group()?;
        }
        Ok(())
    }

    /// Ends the file, on disk when it returns; tells how many rows it has.
    pub fn finish(mut self) -> Result<u64> {
        self.write_group()?;
        let file = self.writer.into_inner()?;
        file.sync_all()?;
        Ok(self.rows)
    }

    fn write_group(&mut self) -> Result<()> {
        if self.waiting.first().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for cells in &mut self.waiting {
            let cells = std::mem::take(cells);
            let Some(mut column) = group.next_column()? else { break };
            write_column(column.untyped(), cells)?;
            column.close()?;
        }
        group.close()?;
        Ok(())
    }
}

fn write_column(column: &mut ColumnWriter<'_>, cells: Vec<Cell>) -> Result<()> {
    // Whether there is a value, row by row; columns that are not optional pay no heed to it.
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(*cell != Cell::Empty)).collect();
    let values = cells.into_iter().filter(|cell| *cell != Cell::Empty);
    match column {
        ColumnWriter::ByteArrayColumnWriter(writer) => {
            let values = collect(values, |cell| {
                if let Cell::Text(text) = cell { Some(ByteArray::from(text.into_bytes())) } else { None }
            })?;
            writer.write_batch(&values, Some(&levels), None)
        }
        ColumnWriter::Int64ColumnWriter(writer) => {
            let values = collect(values, |cell| if let Cell::Whole(value) = cell { Some(value) } else { None })?;
            writer.write_batch(&values, Some(&levels), None)
        }
        ColumnWriter::DoubleColumnWriter(writer) => {
            let values = collect(values, |cell| if let Cell::Number(value) = cell { Some(value) } else { None })?;
            writer.write_batch(&values, Some(&levels), None)
        }
        ColumnWriter::BoolColumnWriter(writer) => {
            let values = collect(values, |cell| if let Cell::Truth(value) = cell { Some(value) } else { None })?;
            writer.write_batch(&values, Some(&levels), None)
        }
        ColumnWriter::FixedLenByteArrayColumnWriter(writer) => {
            let amount = |cell| {
                if let Cell::Amount(nanos) = cell {
                    Some(FixedLenByteArray::from(nanos.to_be_bytes().to_vec()))
                } else {
                    None
                }
            };
            writer.write_batch(&collect(values, amount)?, Some(&levels), None)
        }
        ColumnWriter::Int32ColumnWriter(_)
        | ColumnWriter::Int96ColumnWriter(_)
        | ColumnWriter::FloatColumnWriter(_) => Err(other_kind()),
    }
    .map(drop)
}

fn collect<T>(cells: impl Iterator<Item = Cell>, take: impl Fn(Cell) -> Option<T>) -> Result<Vec<T>> {
    cells.map(|cell| take(cell).ok_or_else(other_kind)).collect()
}

fn other_kind() -> ParquetError {
    ParquetError::General("a cell is of another kind than its column".to_owned())
}

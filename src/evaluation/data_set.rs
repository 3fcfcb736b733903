//! Reading of the files that a description names. A rejected row is an error: a metric computed on part of a file is worthless.

use std::collections::HashSet;

use super::description::MappedFiles;
use crate::domain::event::Event;
use crate::domain::ids::{CustomerId, EventId};
use crate::domain::product::Product;
use crate::domain::time::Timestamp;
use crate::ingest::read_error::ReadError;
use crate::ingest::row_outcome::{CustomerProfile, RejectedRow, RowOutcome};
use crate::ingest::row_reader::{self, RowReader};
use crate::ingest::source::RowSource;

/// Error returned when a data set cannot be read or is insufficient for a task.
#[derive(Debug, thiserror::Error)]
pub enum DataSetError {
    /// A file or its header cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A row is rejected.
    #[error("{rejected_row}; an evaluation needs every row: filter out the rows that do not count")]
    Rejected {
        /// The row, with its faults.
        rejected_row: RejectedRow,
    },
    /// A query file is invalid.
    #[error("{file}: {problem}")]
    Queries {
        file: String,
        /// The fault, with its line.
        problem: String,
    },
    /// The files do not contain what the task needs.
    #[error("{0}")]
    InsufficientData(String),
}

/// Reads all events and drops repeated event ids of a customer, as the server does. Times written as `days_ago` count back
/// from `now`.
pub fn events(files: &MappedFiles, now: Timestamp) -> Result<Vec<Event>, DataSetError> {
    let mut seen: HashSet<(Option<CustomerId>, EventId)> = HashSet::new();
    let mut events: Vec<Event> = read_rows(files, |source, mapping| row_reader::read_events(source, mapping, now))?;
    events.retain(|event| seen.insert((event.customer.clone(), event.id.clone())));
    Ok(events)
}

/// Checks that the cutoff leaves training data.
pub fn check_cutoff(cutoff: Timestamp, events: &[Event]) -> Result<(), DataSetError> {
    match events.iter().map(|event| event.at).min() {
        Some(first) if first >= cutoff => Err(DataSetError::InsufficientData(format!(
            "cutoff: there is no event before {cutoff}, the first is at {first}; set a later cutoff"
        ))),
        Some(_) | None => Ok(()),
    }
}

/// Reads all customer profiles, in the order of the files.
pub fn customers(files: &MappedFiles, now: Timestamp) -> Result<Vec<CustomerProfile>, DataSetError> {
    read_rows(files, |source, mapping| row_reader::read_customers(source, mapping, now))
}

/// Reads all products; of several with the same id the last one counts.
pub fn products(files: &MappedFiles, now: Timestamp) -> Result<Vec<Product>, DataSetError> {
    read_rows(files, |source, mapping| row_reader::read_products(source, mapping, now))
}

fn read_rows<T>(
    files: &MappedFiles,
    open: impl Fn(RowSource, &crate::ingest::mapping::Mapping) -> Result<RowReader<T>, ReadError>,
) -> Result<Vec<T>, DataSetError> {
    let mut values = Vec::new();
    for path in &files.paths {
        for row in open(RowSource::open(path)?, &files.mapping)? {
            match row? {
                RowOutcome::Accepted { value, .. } => values.push(value),
                RowOutcome::Filtered { .. } => {}
                RowOutcome::Rejected(rejected_row) => return Err(DataSetError::Rejected { rejected_row }),
            }
        }
    }
    if values.is_empty() {
        let names: Vec<String> = files.paths.iter().map(|path| path.display().to_string()).collect();
        let problem = format!("{}: there is no row, or the mapping filters out every row", names.join(", "));
        return Err(DataSetError::InsufficientData(problem));
    }
    Ok(values)
}

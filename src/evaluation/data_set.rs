//! Reads the files of a description. A row that cannot be read ends it: a figure from half a file is worth nothing.

use std::collections::HashSet;

use super::description::Files;
use crate::domain::event::Event;
use crate::domain::ids::{CustomerId, EventId};
use crate::domain::product::Product;
use crate::domain::time::Timestamp;
use crate::ingest::error::ReadError;
use crate::ingest::read::{self, Rows};
use crate::ingest::row::{CustomerProfile, Rejection, Row};
use crate::ingest::source::Source;

/// Why files could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DataSetError {
    /// A file or its header.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A row that the mapping neither takes nor filters out.
    #[error("{rejection}; an evaluation needs every row, filter out what does not count")]
    Rejected {
        /// The row.
        rejection: Rejection,
    },
    /// A file of queries.
    #[error("{file}: {problem}")]
    Queries {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The files do not hold what the task needs.
    #[error("{0}")]
    NotEnough(String),
}

/// Reads all events, each id of a customer once, as the server counts them. `now` is what times written as `days_ago`
/// count from.
pub fn events(files: &Files, now: Timestamp) -> Result<Vec<Event>, DataSetError> {
    let mut seen: HashSet<(Option<CustomerId>, EventId)> = HashSet::new();
    let mut events: Vec<Event> = each(files, |source, mapping| read::events(source, mapping, now))?;
    events.retain(|event| seen.insert((event.customer.clone(), event.id.clone())));
    Ok(events)
}

/// A cutoff before all events leaves nothing to learn from.
pub fn check_cutoff(cutoff: Timestamp, events: &[Event]) -> Result<(), DataSetError> {
    match events.iter().map(|event| event.at).min() {
        Some(first) if first >= cutoff => Err(DataSetError::NotEnough(format!(
            "cutoff: nothing happened before {cutoff}, the first event is of {first}; set a later one"
        ))),
        Some(_) | None => Ok(()),
    }
}

/// Reads all profiles, in the order of the files.
pub fn customers(files: &Files, now: Timestamp) -> Result<Vec<CustomerProfile>, DataSetError> {
    each(files, |source, mapping| read::customers(source, mapping, now))
}

/// Reads all products; of several with one id the last counts.
pub fn products(files: &Files, now: Timestamp) -> Result<Vec<Product>, DataSetError> {
    each(files, |source, mapping| read::products(source, mapping, now))
}

fn each<T>(
    files: &Files,
    open: impl Fn(Source, &crate::ingest::mapping::Mapping) -> Result<Rows<T>, ReadError>,
) -> Result<Vec<T>, DataSetError> {
    let mut values = Vec::new();
    for path in &files.paths {
        for row in open(Source::open(path)?, &files.mapping)? {
            match row? {
                Row::Accepted { value, .. } => values.push(value),
                Row::Filtered { .. } => {}
                Row::Rejected(rejection) => return Err(DataSetError::Rejected { rejection }),
            }
        }
    }
    if values.is_empty() {
        let names: Vec<String> = files.paths.iter().map(|path| path.display().to_string()).collect();
        let problem = format!("{}: there is no row, or the mapping filters out all", names.join(", "));
        return Err(DataSetError::NotEnough(problem));
    }
    Ok(values)
}

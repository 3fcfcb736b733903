//! Reads the files of a description. A row that cannot be read ends it: a figure from half a file is worth nothing.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;

use super::description::Files;
use crate::domain::event::Event;
use crate::domain::ids::{CustomerId, EventId};
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

/// Reads all events, each id once. `now` is what times written as `days_ago` count from.
pub fn events(files: &Files, now: Timestamp) -> Result<Vec<Event>, DataSetError> {
    let mut seen: HashSet<EventId> = HashSet::new();
    let mut events: Vec<Event> = each(files, |source, mapping| read::events(source, mapping, now))?;
    events.retain(|event| seen.insert(event.id.clone()));
    Ok(events)
}

/// Reads all profiles, in the order of the files.
pub fn customers(files: &Files, now: Timestamp) -> Result<Vec<CustomerProfile>, DataSetError> {
    each(files, |source, mapping| read::customers(source, mapping, now))
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
    Ok(values)
}

#[derive(Deserialize)]
struct WrittenQuery {
    customer: String,
    returned: u8,
}

/// Reads who is asked about and the truth: a JSON object a line, plain or gzipped.
pub fn return_queries(path: &Path) -> Result<BTreeMap<CustomerId, bool>, DataSetError> {
    let problem = |problem: String| DataSetError::Queries { file: path.display().to_string(), problem };
    let file = BufReader::new(File::open(path).map_err(|error| problem(error.to_string()))?);
    let is_gzipped = path.extension().is_some_and(|ending| ending == "gz");
    let lines: Box<dyn BufRead> =
        if is_gzipped { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) };
    let mut queries = BTreeMap::new();
    for (line, number) in lines.lines().zip(1_u64..) {
        let line = line.map_err(|error| problem(error.to_string()))?;
        let at_line = |error: &dyn std::fmt::Display| problem(format!("line {number}: {error}"));
        let WrittenQuery { customer, returned } = serde_json::from_str(&line).map_err(|error| at_line(&error))?;
        let customer = CustomerId::new(customer).map_err(|error| at_line(&error))?;
        queries.insert(customer, returned != 0);
    }
    Ok(queries)
}

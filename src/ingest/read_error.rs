//! Errors of reading a file or a mapping. An invalid row is not an error: see [`super::row_outcome::RejectedRow`].

use std::{fmt, io};

/// Error that ends the reading of a file.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be opened, or its first bytes cannot be read.
    #[error("{file} cannot be opened")]
    Open {
        /// Name of the file.
        file: String,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The file has an unsupported format.
    #[error("{file} {problem}")]
    Format {
        /// Name of the file.
        file: String,
        /// Detected format and remedy.
        problem: &'static str,
    },
    /// The header does not fit the mapping, or the mapping does not fit the kind of entity.
    #[error("{file} cannot be read with this mapping:\n  {}", faults.join("\n  "))]
    Columns {
        /// Name of the file.
        file: String,
        /// Mismatches between header and mapping, each a sentence.
        faults: Vec<String>,
    },
    /// Reading failed or the compression is damaged. All complete rows before it were returned.
    #[error("{file} is damaged or unreadable after line {line}")]
    Damaged {
        /// Name of the file.
        file: String,
        /// Last line that was read completely.
        line: u64,
        /// Error of the operating system or the decompression.
        source: io::Error,
    },
}

/// Fault of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingFault {
    /// Table and key, such as `[time] zone`.
    pub place: String,
    /// Sentence that follows the place, with the remedy.
    pub problem: String,
}

impl fmt::Display for MappingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

impl std::error::Error for MappingFault {}

//! Why a file or a mapping cannot be read, or a file not be read on. A single bad row is no error: see [`super::row::Rejection`].

use std::{fmt, io};

/// What ends the reading of a file.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be opened, or not even its first bytes can be read.
    #[error("{file} cannot be opened")]
    Open {
        /// The file.
        file: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The first bytes show a format that is not read here.
    #[error("{file} {problem}")]
    Format {
        /// The file.
        file: String,
        /// What it seems to be, and what to do.
        problem: &'static str,
    },
    /// The header and the mapping do not fit together, or do not fit what the file is read as.
    #[error("{file} cannot be read with this mapping:\n  {}", faults.join("\n  "))]
    Columns {
        /// The file.
        file: String,
        /// Everything that does not fit.
        faults: Vec<String>,
    },
    /// The file breaks off or its compression is damaged. All whole rows before this place were delivered.
    #[error("{file} is damaged or cannot be read on after line {line}")]
    Damaged {
        /// The file.
        file: String,
        /// The last line that was read whole.
        line: u64,
        /// What the operating system or the decompression says.
        source: io::Error,
    },
}

/// One fault of a mapping file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingFault {
    /// Where: the table and the key, such as `[time] zone`.
    pub place: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl fmt::Display for MappingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

impl std::error::Error for MappingFault {}

//! What comes out of a file: one answer for each of its rows.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::domain::ids::CustomerId;

/// What became of one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Row<T> {
    /// It is good.
    Accepted {
        /// The line on which the row starts, for whoever refuses the value later.
        line: u64,
        /// What it says.
        value: T,
    },
    /// The mapping does not want it.
    Filtered {
        /// The line on which the row starts.
        line: u64,
    },
    /// It is broken.
    Rejected(Rejection),
}

/// Why a row is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The file.
    pub file: Arc<str>,
    /// The line on which the row starts, counted from 1; the header of a CSV file is line 1.
    pub line: u64,
    /// Everything that is wrong with the row; never empty.
    pub reasons: Vec<Reason>,
}

/// One thing that is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The canonical column, with the column of the file where that differs, or `row` for the row as a whole.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        for (index, reason) in self.reasons.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{reason}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

/// What a file says about one customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerProfile {
    /// Who it is.
    pub id: CustomerId,
    /// The columns of the row that are not empty.
    pub attributes: BTreeMap<String, String>,
}

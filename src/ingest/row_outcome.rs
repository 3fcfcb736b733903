//! Outcome of importing one row.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::domain::customer::Consents;
use crate::domain::ids::CustomerId;

/// Outcome of one row.
#[derive(Debug, Clone, PartialEq)]
pub enum RowOutcome<T> {
    /// The row was converted.
    Accepted {
        /// Line on which the row starts, for a caller that rejects the value later.
        line: u64,
        /// Domain value of the row.
        value: T,
    },
    /// A filter of the mapping excludes the row.
    Filtered {
        /// Line on which the row starts.
        line: u64,
    },
    /// The row is invalid.
    Rejected(RejectedRow),
}

/// Rejected row with its faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRow {
    /// Name of the file.
    pub file: Arc<str>,
    /// Line on which the row starts, counted from 1; the header of a CSV file is line 1.
    pub line: u64,
    /// All faults of the row; never empty.
    pub faults: Vec<FieldFault>,
}

/// Fault of one field of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    /// Canonical column, with the column of the file where that differs, or `row` for the row as a whole.
    pub field: String,
    /// Sentence that follows the field, such as "is missing".
    pub problem: String,
}

impl fmt::Display for RejectedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        for (index, fault) in self.faults.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl fmt::Display for FieldFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

/// Profile of a customer, as a file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerProfile {
    /// Id of the customer.
    pub id: CustomerId,
    /// Non-empty columns of the row.
    pub attributes: BTreeMap<String, String>,
    /// Opt-outs and objections that the row states, to be added to the present ones; `None` when it states none.
    pub consents: Option<Consents>,
}

//! Errors of single values and rows. Their texts follow the place of the fault, such as `` `price`: ``.

/// Error returned for an invalid value: a sentence such as "must be a finite number, not \"NaN\"".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct InvalidCell(pub(super) String);

impl From<InvalidCell> for String {
    fn from(InvalidCell(problem): InvalidCell) -> Self {
        problem
    }
}

/// Error returned for a row that cannot be split into cells, such as "is not valid UTF-8".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct MalformedRow(pub(super) String);

impl From<MalformedRow> for String {
    fn from(MalformedRow(problem): MalformedRow) -> Self {
        problem
    }
}

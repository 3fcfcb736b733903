//! Error of a single invalid value.

/// Error returned for an invalid value: a sentence that follows its key, such as "must be 0 to 1, not 2".
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct InvalidPolicyValue(pub(super) String);

impl From<InvalidPolicyValue> for String {
    fn from(InvalidPolicyValue(problem): InvalidPolicyValue) -> Self {
        problem
    }
}

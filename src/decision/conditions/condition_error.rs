//! Error returned for a text that is not a usable condition.

use super::syntax::{DEPTH_MAX, NODES_MAX};
use crate::domain::explicit_offer::CONDITION_BYTES_MAX;

/// Error returned for a text that is not a usable condition, as a predicate about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConditionError {
    /// The text is too long.
    #[error("has {bytes} bytes, at most {CONDITION_BYTES_MAX} are allowed")]
    TooLong { bytes: usize },
    /// The text has too many operators, names, literals and functions.
    #[error("has more than {NODES_MAX} operators, names and literals")]
    TooManyNodes,
    /// Parentheses, signs or conditionals are nested too deeply.
    #[error("is nested more than {DEPTH_MAX} levels deep")]
    TooDeep,
    /// The text is not an expression of the supported subset.
    #[error("is not a valid expression: {problem} at character {character}")]
    Syntax { character: usize, problem: String },
    /// It refers to attributes that the policy does not declare.
    #[error("refers to {0}, not declared in the policy's conditions.attributes")]
    Undeclared(String),
    /// Its operands have the wrong kinds, for example because it compares a text with a number.
    #[error("has operands of the wrong kind: {problem} at character {character}")]
    Kind { character: usize, problem: String },
    /// Its value is neither true nor false.
    #[error("must be true or false, not {0}")]
    NotBoolean(&'static str),
}

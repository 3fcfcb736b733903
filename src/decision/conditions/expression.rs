//! Compiled form of a condition: typed expressions, in which operands of the wrong kind cannot be written.

use super::syntax::{Arithmetic, Comparison, TextTest};

/// Expression that is true or false.
#[derive(Debug, PartialEq)]
pub(super) enum FlagExpression {
    Constant(bool),
    Attribute(String),
    Not(Box<Self>),
    And(Box<[Self; 2]>),
    Or(Box<[Self; 2]>),
    Conditional(Box<Conditional<Self>>),
    FlagsEqual(Box<[Self; 2]>),
    CompareNumbers(Comparison, Box<[NumberExpression; 2]>),
    CompareTexts(Comparison, Box<[TextExpression; 2]>),
    NumberIn(NumberExpression, Vec<f64>),
    TextIn(TextExpression, Vec<String>),
    TestText(TextTest, Box<[TextExpression; 2]>),
}

/// Expression whose value is a number.
#[derive(Debug, PartialEq)]
pub(super) enum NumberExpression {
    Constant(f64),
    Attribute(String),
    Negative(Box<Self>),
    Arithmetic(Arithmetic, Box<[Self; 2]>),
    Conditional(Box<Conditional<Self>>),
}

/// Expression whose value is a text.
#[derive(Debug, PartialEq)]
pub(super) enum TextExpression {
    Constant(String),
    Attribute(String),
    Conditional(Box<Conditional<Self>>),
}

/// Test that selects one of two expressions.
#[derive(Debug, PartialEq)]
pub(super) struct Conditional<T> {
    pub(super) test: FlagExpression,
    pub(super) then: T,
    pub(super) otherwise: T,
}

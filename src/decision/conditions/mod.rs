//! Conditions on customer attributes: a subset of the Common Expression Language whose cost is bounded.
//!
//! A text is read in linear time ([`lexer`], [`parser`]), checked against the kinds of the declared attributes
//! ([`type_checker`]), and evaluated from a typed form in which each node is visited at most once ([`evaluation`]).

pub(crate) mod condition;
pub(crate) mod condition_context;
pub(crate) mod condition_error;
mod evaluation;
mod expression;
mod lexer;
mod parser;
mod syntax;
mod type_checker;

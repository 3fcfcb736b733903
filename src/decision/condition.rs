//! Conditions on customer attributes, in the Common Expression Language (<https://cel.dev>): `segment == "gold" && age >=
//! 30`. The `cel` crate implements the language; this file restricts what a condition may refer to.
//!
//! A condition is checked when its offer is stored: it must parse, refer only to declared attributes, and be true or false
//! for trial values of every kind. For a customer without an attribute that it needs, it is false: when in doubt, no offer.

use std::collections::{BTreeMap, BTreeSet};

use cel::common::ast::{Expr, operators};
use cel::{Context, IdedExpr, Program, Value};

use crate::domain::customer::Customer;
use crate::domain::explicit_offer::{AttributeKind, AttributeKinds, CONDITION_BYTES_MAX};

/// Maximum number of attributes in one condition; trials are made for every combination of their values.
const ATTRIBUTES_MAX: usize = 6;
/// Maximum number of trials.
const TRIALS_MAX: usize = 4096;

/// Error returned for a text that is not a usable condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConditionError {
    /// The text is too long.
    #[error("has {bytes} bytes, at most {CONDITION_BYTES_MAX} are allowed")]
    TooLong { bytes: usize },
    /// The text does not parse.
    #[error("is not a valid expression: {0}")]
    Syntax(String),
    /// It refers to attributes that the policy does not declare.
    #[error("refers to {0}, not declared in the policy's conditions.attributes")]
    Undeclared(String),
    /// It refers to too many attributes.
    #[error("refers to {count} attributes, at most {ATTRIBUTES_MAX} are allowed")]
    TooManyAttributes { count: usize },
    /// It fails for a trial value, for example because it compares text with a number.
    #[error("cannot be evaluated: {0}")]
    Evaluation(String),
    /// It is neither true nor false for a trial value.
    #[error("must be true or false, not {0}")]
    NotBoolean(String),
}

#[derive(Debug)]
pub(crate) struct Condition {
    text: String,
    program: Program,
}

impl Condition {
    /// Parses a condition that was checked when it was stored.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        if text.len() > CONDITION_BYTES_MAX {
            return Err(ConditionError::TooLong { bytes: text.len() });
        }
        let program = Program::compile(text).map_err(|errors| ConditionError::Syntax(first_line(&errors)))?;
        Ok(Self { text: text.to_owned(), program })
    }

    /// Parses a condition and checks it against the declared attributes.
    pub fn check(text: &str, kinds: &AttributeKinds) -> Result<Self, ConditionError> {
        let condition = Self::parse(text)?;
        condition.check_references(kinds)?;
        condition.check_by_trial(kinds)?;
        Ok(condition)
    }

    /// Whether the condition holds; false where it cannot be evaluated.
    pub fn holds(&self, context: &ConditionContext) -> bool {
        matches!(self.program.execute(&context.0), Ok(Value::Bool(true)))
    }

    fn check_references(&self, kinds: &AttributeKinds) -> Result<(), ConditionError> {
        let references = self.program.references();
        let undeclared: BTreeSet<&str> =
            references.variables().into_iter().filter(|name| !kinds.contains_key(*name)).collect();
        if !undeclared.is_empty() {
            let undeclared: Vec<&str> = undeclared.into_iter().collect();
            return Err(ConditionError::Undeclared(undeclared.join(", ")));
        }
        let count = references.variables().len();
        if count > ATTRIBUTES_MAX {
            return Err(ConditionError::TooManyAttributes { count });
        }
        Ok(())
    }

    /// Evaluates the condition for every combination of some values of each attribute, which reveals operands of the
    /// wrong kind and results that are not boolean.
    fn check_by_trial(&self, kinds: &AttributeKinds) -> Result<(), ConditionError> {
        let references = self.program.references();
        let names: BTreeSet<&str> = references.variables().into_iter().collect();
        let values: Vec<(&str, Vec<Value>)> =
            names.into_iter().filter_map(|name| Some((name, self.trial_values(*kinds.get(name)?)))).collect();
        let combinations: usize = values.iter().map(|(_, values)| values.len()).product();
        let operands = operands(self.program.expression());
        let mut context = Context::default();
        for trial in 0..combinations.min(TRIALS_MAX) {
            let mut rest = trial;
            for (name, values) in &values {
                // Only an invalid name is refused, and this one was parsed.
                let _ = context.add_variable(*name, values[rest % values.len()].clone());
                rest /= values.len();
            }
            // Each operand by itself: `&&` does not evaluate its second operand when the first is false.
            for operand in &operands {
                context.resolve(operand).map_err(|error| ConditionError::Evaluation(error.to_string()))?;
            }
            match self.program.execute(&context) {
                Ok(Value::Bool(_)) => {}
                Ok(other) => return Err(ConditionError::NotBoolean(format!("{:?}", other.type_of()))),
                Err(error) => return Err(ConditionError::Evaluation(error.to_string())),
            }
        }
        Ok(())
    }

    fn trial_values(&self, kind: AttributeKind) -> Vec<Value> {
        match kind {
            AttributeKind::Flag => vec![Value::Bool(false), Value::Bool(true)],
            AttributeKind::Number => [-1e9, 0.0, 1e9].map(Value::Float).to_vec(),
            AttributeKind::Text => {
                let quoted = self.text.split(['"', '\'']).skip(1).step_by(2).take(3);
                let mut texts: Vec<Value> = quoted.map(|text| Value::from(text.to_owned())).collect();
                texts.push(Value::from("~".to_owned()));
                texts
            }
        }
    }
}

/// Operands of the logical operators, innermost ones.
fn operands(expression: &IdedExpr) -> Vec<&IdedExpr> {
    const LOGICAL: [&str; 4] =
        [operators::LOGICAL_AND, operators::LOGICAL_OR, operators::LOGICAL_NOT, operators::CONDITIONAL];
    let nested = match &expression.expr {
        Expr::Call(call) => Some(&call.args).filter(|_| LOGICAL.contains(&call.func_name.as_str())),
        Expr::Unspecified
        | Expr::Comprehension(_)
        | Expr::Ident(_)
        | Expr::List(_)
        | Expr::Literal(_)
        | Expr::Map(_)
        | Expr::Select(_)
        | Expr::Struct(_) => None,
    };
    nested.map_or_else(|| vec![expression], |nested| nested.iter().flat_map(operands).collect())
}

fn first_line(error: &impl ToString) -> String {
    error.to_string().lines().next().unwrap_or_default().replace("ERROR: <input>:", "")
}

/// A customer's attributes as conditions see them.
pub(crate) struct ConditionContext(Context<'static, 'static>);

impl ConditionContext {
    /// Takes the declared attributes of a customer, without sensitive ones, each parsed as its kind.
    pub fn of(customer: &Customer, kinds: &AttributeKinds, sensitive: &[String]) -> Self {
        Self::from_attributes(&customer.attributes, kinds, sensitive)
    }

    fn from_attributes(attributes: &BTreeMap<String, String>, kinds: &AttributeKinds, sensitive: &[String]) -> Self {
        let mut context = Context::default();
        for (name, kind) in kinds.iter().filter(|(name, _)| !sensitive.contains(name)) {
            let value = attributes.get(name).and_then(|text| parse_value(text, *kind));
            if let Some(value) = value {
                // Only an invalid name is refused, and no condition can refer to it.
                let _ = context.add_variable(name.as_str(), value);
            }
        }
        Self(context)
    }
}

fn parse_value(text: &str, kind: AttributeKind) -> Option<Value> {
    match kind {
        AttributeKind::Text => Some(Value::from(text.to_owned())),
        AttributeKind::Number => text.trim().parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float),
        AttributeKind::Flag => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Some(Value::Bool(true)),
            "false" | "no" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds() -> AttributeKinds {
        let kinds = [("segment", AttributeKind::Text), ("age", AttributeKind::Number), ("card", AttributeKind::Flag)];
        kinds.map(|(name, kind)| (name.to_owned(), kind)).into()
    }

    fn holds(text: &str, attributes: &[(&str, &str)]) -> bool {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let context = ConditionContext::from_attributes(&attributes, &kinds(), &["card".to_owned()]);
        Condition::check(text, &kinds()).expect("a valid condition").holds(&context)
    }

    #[test]
    fn declared_attributes_are_compared_as_their_kinds() {
        assert!(holds("segment == 'gold' && age >= 30", &[("segment", "gold"), ("age", "30")]));
        assert!(!holds("segment == 'gold' && age >= 30", &[("segment", "gold"), ("age", "29.5")]));
        assert!(holds("segment in ['a', 'gold'] || card", &[("segment", "gold")]));
        assert!(holds("segment.startsWith('go')", &[("segment", "gold")]));
    }

    /// Broken by: a condition that holds when it cannot be evaluated.
    #[test]
    fn missing_unreadable_and_sensitive_attributes_satisfy_no_condition() {
        assert!(!holds("age >= 30", &[]));
        assert!(!holds("age >= 30", &[("age", "thirty")]));
        assert!(!holds("age >= 30", &[("age", "NaN")]));
        assert!(!holds("card", &[("card", "true")]));
        assert!(!holds("!card", &[("card", "true")]));
    }

    #[test]
    fn invalid_conditions_are_refused_with_their_reason() {
        let message = |text: &str| Condition::check(text, &kinds()).expect_err("refused").to_string();
        for (text, reason) in [
            ("segment == ", "is not a valid expression"),
            ("income > 3", "refers to income"),
            ("segment > 3", "cannot be evaluated"),
            ("age == 1 && segment > 3", "cannot be evaluated"),
            ("segment == 'gold' && age.startsWith('x')", "cannot be evaluated"),
            ("age", "must be true or false"),
            ("launch(age)", "cannot be evaluated"),
            (&"(".repeat(400), "is not a valid expression"),
            (&format!("age > {}", "1".repeat(600)), "at most 512"),
        ] {
            let message = message(text);
            assert!(message.contains(reason), "{text}: {message}");
        }
    }
}

//! Conditions on customer attributes, in the Common Expression Language (<https://cel.dev>): `segment == "gold" && age >=
//! 30`. The language itself is the `cel` crate's; here is what may be asked for, and that nothing else is.
//!
//! A condition is checked when its offer is stored: it parses, asks only for declared attributes, and is true or false for
//! trial values of every kind. For a customer who lacks an attribute that it needs it is false: when unsure, no offer.

use std::collections::{BTreeMap, BTreeSet};

use cel::common::ast::{Expr, operators};
use cel::{Context, IdedExpr, Program, Value};

use crate::domain::customer::Customer;
use crate::domain::explicit_offer::{AttributeKind, AttributeKinds, CONDITION_BYTES_MAX};

/// The most attributes that one condition asks for; trials are made for every combination of their values.
pub const ATTRIBUTES_MAX: usize = 6;
/// The most trials.
const TRIALS_MAX: usize = 4096;

/// A condition that was checked.
#[derive(Debug)]
pub struct Condition {
    text: String,
    program: Program,
}

impl Condition {
    /// Reads a condition without checking what it asks for: one that was checked when it was stored.
    ///
    /// # Errors
    /// When it does not parse.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > CONDITION_BYTES_MAX {
            return Err(format!("has {} bytes, at most {CONDITION_BYTES_MAX} are allowed", text.len()));
        }
        let program = Program::compile(text).map_err(|errors| format!("is no condition: {}", first_line(&errors)))?;
        Ok(Self { text: text.to_owned(), program })
    }

    /// Reads a condition on attributes of these kinds.
    ///
    /// # Errors
    /// What is wrong with it: it does not parse, asks for what is not declared, or is neither true nor false.
    pub fn check(text: &str, kinds: &AttributeKinds) -> Result<Self, String> {
        let condition = Self::parse(text)?;
        condition.check_references(kinds)?;
        condition.check_by_trial(kinds)?;
        Ok(condition)
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True when it holds.
    pub fn holds(&self, facts: &ConditionContext) -> bool {
        matches!(self.program.execute(&facts.0), Ok(Value::Bool(true)))
    }

    fn check_references(&self, kinds: &AttributeKinds) -> Result<(), String> {
        let references = self.program.references();
        let unknown: BTreeSet<&str> =
            references.variables().into_iter().filter(|name| !kinds.contains_key(*name)).collect();
        if !unknown.is_empty() {
            let unknown: Vec<&str> = unknown.into_iter().collect();
            return Err(format!("asks for {}, not declared in the policy's conditions.attributes", unknown.join(", ")));
        }
        let asked = references.variables().len();
        if asked > ATTRIBUTES_MAX {
            return Err(format!("asks for {asked} attributes, at most {ATTRIBUTES_MAX} are allowed"));
        }
        Ok(())
    }

    /// Tries every combination of some values of each attribute; a wrong kind, or an answer that is no truth, shows.
    fn check_by_trial(&self, kinds: &AttributeKinds) -> Result<(), String> {
        let references = self.program.references();
        let asked: BTreeSet<&str> = references.variables().into_iter().collect();
        let values: Vec<(&str, Vec<Value>)> =
            asked.into_iter().filter_map(|name| Some((name, self.trial_values(*kinds.get(name)?)))).collect();
        let combinations: usize = values.iter().map(|(_, values)| values.len()).product();
        let parts = parts(self.program.expression());
        let mut context = Context::default();
        for trial in 0..combinations.min(TRIALS_MAX) {
            let mut rest = trial;
            for (name, values) in &values {
                // A name that parsed is a name.
                let _ = context.add_variable(*name, values[rest % values.len()].clone());
                rest /= values.len();
            }
            // Each part by itself: an `and` does not ask its second half when the first is false.
            for part in &parts {
                context.resolve(part).map_err(|error| format!("cannot be asked: {error}"))?;
            }
            match self.program.execute(&context) {
                Ok(Value::Bool(_)) => {}
                Ok(other) => return Err(format!("must be true or false, not {:?}", other.type_of())),
                Err(error) => return Err(format!("cannot be asked: {error}")),
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

/// What the logical operators join.
fn parts(expression: &IdedExpr) -> Vec<&IdedExpr> {
    const JOINING: [&str; 4] =
        [operators::LOGICAL_AND, operators::LOGICAL_OR, operators::LOGICAL_NOT, operators::CONDITIONAL];
    let joined = match &expression.expr {
        Expr::Call(call) => Some(&call.args).filter(|_| JOINING.contains(&call.func_name.as_str())),
        Expr::Unspecified
        | Expr::Comprehension(_)
        | Expr::Ident(_)
        | Expr::List(_)
        | Expr::Literal(_)
        | Expr::Map(_)
        | Expr::Select(_)
        | Expr::Struct(_) => None,
    };
    joined.map_or_else(|| vec![expression], |joined| joined.iter().flat_map(parts).collect())
}

fn first_line(error: &impl ToString) -> String {
    error.to_string().lines().next().unwrap_or_default().replace("ERROR: <input>:", "")
}

/// What conditions see of a customer.
pub struct ConditionContext(Context<'static, 'static>);

impl ConditionContext {
    /// The declared attributes that the customer has, none of them sensitive, each read as its kind.
    pub fn of(customer: &Customer, kinds: &AttributeKinds, sensitive: &[String]) -> Self {
        Self::from_attributes(&customer.attributes, kinds, sensitive)
    }

    fn from_attributes(attributes: &BTreeMap<String, String>, kinds: &AttributeKinds, sensitive: &[String]) -> Self {
        let mut context = Context::default();
        for (name, kind) in kinds.iter().filter(|(name, _)| !sensitive.contains(name)) {
            let value = attributes.get(name).and_then(|text| read(text, *kind));
            if let Some(value) = value {
                // Only what is no name is refused, and no condition asks for that.
                let _ = context.add_variable(name.as_str(), value);
            }
        }
        Self(context)
    }
}

fn read(text: &str, kind: AttributeKind) -> Option<Value> {
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
        let facts = ConditionContext::from_attributes(&attributes, &kinds(), &["card".to_owned()]);
        Condition::check(text, &kinds()).expect("a condition").holds(&facts)
    }

    #[test]
    fn conditions_see_declared_attributes_as_their_kinds() {
        assert!(holds("segment == 'gold' && age >= 30", &[("segment", "gold"), ("age", "30")]));
        assert!(!holds("segment == 'gold' && age >= 30", &[("segment", "gold"), ("age", "29.5")]));
        assert!(holds("segment in ['a', 'gold'] || card", &[("segment", "gold")]));
        assert!(holds("segment.startsWith('go')", &[("segment", "gold")]));
    }

    /// Broken by: a condition that holds when it cannot be told.
    #[test]
    fn what_is_missing_unreadable_or_sensitive_fulfils_nothing() {
        assert!(!holds("age >= 30", &[]));
        assert!(!holds("age >= 30", &[("age", "thirty")]));
        assert!(!holds("age >= 30", &[("age", "NaN")]));
        assert!(!holds("card", &[("card", "true")]));
        assert!(!holds("!card", &[("card", "true")]));
    }

    #[test]
    fn what_is_no_condition_is_refused_with_its_reason() {
        let refused = |text: &str| Condition::check(text, &kinds()).expect_err("refused");
        for (text, reason) in [
            ("segment == ", "is no condition"),
            ("income > 3", "asks for income"),
            ("segment > 3", "cannot be asked"),
            ("age == 1 && segment > 3", "cannot be asked"),
            ("segment == 'gold' && age.startsWith('x')", "cannot be asked"),
            ("age", "must be true or false"),
            ("launch(age)", "cannot be asked"),
            (&"(".repeat(400), "is no condition"),
            (&format!("age > {}", "1".repeat(600)), "at most 512"),
        ] {
            let told = refused(text);
            assert!(told.contains(reason), "{text}: {told}");
        }
    }
}

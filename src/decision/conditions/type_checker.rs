//! Turns a syntax tree into typed expressions, by the kinds of the declared attributes.
//!
//! The rules are those of the language: numbers of either form compare with each other, but arithmetic takes no integer
//! literal, because the value of an attribute is a double. Texts order by code point; flags have no order.

use std::collections::BTreeSet;

use super::condition_error::ConditionError;
use super::expression::{Conditional, FlagExpression, NumberExpression, TextExpression};
use super::syntax::{BinaryOperator, Comparison, Syntax, SyntaxNode};
use crate::domain::explicit_offer::{AttributeKind, AttributeKinds};

/// Compiles a condition.
///
/// # Errors
/// All undeclared attributes, the first operand of a wrong kind, or a value that is neither true nor false.
pub(super) fn compile(node: &SyntaxNode, kinds: &AttributeKinds) -> Result<FlagExpression, ConditionError> {
    let mut undeclared = BTreeSet::new();
    find_undeclared(node, kinds, &mut undeclared);
    if !undeclared.is_empty() {
        let undeclared: Vec<&str> = undeclared.into_iter().collect();
        return Err(ConditionError::Undeclared(undeclared.join(", ")));
    }
    let typed = check(node, kinds)?;
    let kind = typed.kind();
    if let Typed::Flag(expression) = typed { Ok(expression) } else { Err(ConditionError::NotBoolean(kind)) }
}

/// Expression with its kind.
enum Typed {
    Flag(FlagExpression),
    Number(NumberExpression),
    /// Number whose value is an integer for the language; integer literals only.
    Integer(NumberExpression),
    Text(TextExpression),
}

impl Typed {
    fn kind(&self) -> &'static str {
        match self {
            Self::Flag(_) => "a flag",
            Self::Number(_) => "a number",
            Self::Integer(_) => "an integer",
            Self::Text(_) => "a text",
        }
    }
}

fn find_undeclared<'n>(node: &'n SyntaxNode, kinds: &AttributeKinds, undeclared: &mut BTreeSet<&'n str>) {
    let mut find = |node: &'n SyntaxNode| find_undeclared(node, kinds, undeclared);
    match &node.syntax {
        Syntax::Flag(_) | Syntax::Number(_) | Syntax::Integer(_) | Syntax::Text(_) => {}
        Syntax::Attribute(name) => {
            if !kinds.contains_key(name) {
                undeclared.insert(name);
            }
        }
        Syntax::Not(operand) | Syntax::Negative(operand) => find(operand),
        Syntax::Binary(_, operands) | Syntax::TextTest(_, operands) => operands.iter().for_each(find),
        Syntax::In(element, list) => {
            find(element);
            list.iter().for_each(find);
        }
        Syntax::Conditional(operands) => operands.iter().for_each(find),
    }
}

fn check(node: &SyntaxNode, kinds: &AttributeKinds) -> Result<Typed, ConditionError> {
    let wrong = |problem: String| ConditionError::Kind { character: node.character, problem };
    Ok(match &node.syntax {
        Syntax::Flag(value) => Typed::Flag(FlagExpression::Constant(*value)),
        Syntax::Number(value) => Typed::Number(NumberExpression::Constant(*value)),
        Syntax::Integer(value) => Typed::Integer(NumberExpression::Constant(*value)),
        Syntax::Text(value) => Typed::Text(TextExpression::Constant(value.clone())),
        Syntax::Attribute(name) => match kinds.get(name) {
            Some(AttributeKind::Flag) => Typed::Flag(FlagExpression::Attribute(name.clone())),
            Some(AttributeKind::Number) => Typed::Number(NumberExpression::Attribute(name.clone())),
            Some(AttributeKind::Text) => Typed::Text(TextExpression::Attribute(name.clone())),
            None => return Err(ConditionError::Undeclared(name.clone())),
        },
        Syntax::Not(operand) => {
            let operand = check(operand, kinds)?;
            let kind = operand.kind();
            let Typed::Flag(operand) = operand else { return Err(wrong(format!("`!` takes a flag, not {kind}"))) };
            Typed::Flag(FlagExpression::Not(Box::new(operand)))
        }
        Syntax::Negative(operand) => match check(operand, kinds)? {
            Typed::Number(operand) => Typed::Number(NumberExpression::Negative(Box::new(operand))),
            Typed::Integer(operand) => Typed::Integer(NumberExpression::Negative(Box::new(operand))),
            operand @ (Typed::Flag(_) | Typed::Text(_)) => {
                return Err(wrong(format!("`-` takes a number, not {}", operand.kind())));
            }
        },
        Syntax::Binary(operator, operands) => {
            let [left, right] = &**operands;
            binary(*operator, check(left, kinds)?, check(right, kinds)?).map_err(wrong)?
        }
        Syntax::In(element, list) => Typed::Flag(check_in(check(element, kinds)?, list).map_err(wrong)?),
        Syntax::Conditional(operands) => {
            let [test, then, otherwise] = &**operands;
            let Typed::Flag(test) = check(test, kinds)? else {
                return Err(wrong("`?` takes a flag on its left".to_owned()));
            };
            match (check(then, kinds)?, check(otherwise, kinds)?) {
                (Typed::Flag(then), Typed::Flag(otherwise)) => {
                    Typed::Flag(FlagExpression::Conditional(Box::new(Conditional { test, then, otherwise })))
                }
                (Typed::Number(then), Typed::Number(otherwise)) => {
                    Typed::Number(NumberExpression::Conditional(Box::new(Conditional { test, then, otherwise })))
                }
                (Typed::Integer(then), Typed::Integer(otherwise)) => {
                    Typed::Integer(NumberExpression::Conditional(Box::new(Conditional { test, then, otherwise })))
                }
                (Typed::Text(then), Typed::Text(otherwise)) => {
                    Typed::Text(TextExpression::Conditional(Box::new(Conditional { test, then, otherwise })))
                }
                (then, otherwise) => {
                    let (then, otherwise) = (then.kind(), otherwise.kind());
                    return Err(wrong(format!("`?` chooses between {then} and {otherwise}")));
                }
            }
        }
        Syntax::TextTest(test, operands) => {
            let [receiver, argument] = &**operands;
            match (check(receiver, kinds)?, check(argument, kinds)?) {
                (Typed::Text(receiver), Typed::Text(argument)) => {
                    Typed::Flag(FlagExpression::TestText(*test, Box::new([receiver, argument])))
                }
                (receiver, argument) => {
                    let (test, receiver, argument) = (test.as_str(), receiver.kind(), argument.kind());
                    return Err(wrong(format!("{test} takes two texts, not {receiver} and {argument}")));
                }
            }
        }
    })
}

fn binary(operator: BinaryOperator, left: Typed, right: Typed) -> Result<Typed, String> {
    use Typed::{Flag, Integer, Number, Text};
    let kinds = (left.kind(), right.kind());
    Ok(match (operator, left, right) {
        (BinaryOperator::And, Flag(left), Flag(right)) => Flag(FlagExpression::And(Box::new([left, right]))),
        (BinaryOperator::Or, Flag(left), Flag(right)) => Flag(FlagExpression::Or(Box::new([left, right]))),
        (BinaryOperator::Compare(Comparison::Equal), Flag(left), Flag(right)) => {
            Flag(FlagExpression::FlagsEqual(Box::new([left, right])))
        }
        (BinaryOperator::Compare(Comparison::NotEqual), Flag(left), Flag(right)) => {
            Flag(FlagExpression::Not(Box::new(FlagExpression::FlagsEqual(Box::new([left, right])))))
        }
        (BinaryOperator::Compare(comparison), Number(left) | Integer(left), Number(right) | Integer(right)) => {
            Flag(FlagExpression::CompareNumbers(comparison, Box::new([left, right])))
        }
        (BinaryOperator::Compare(comparison), Text(left), Text(right)) => {
            Flag(FlagExpression::CompareTexts(comparison, Box::new([left, right])))
        }
        (BinaryOperator::Arithmetic(arithmetic), Number(left), Number(right)) => {
            Number(NumberExpression::Arithmetic(arithmetic, Box::new([left, right])))
        }
        (BinaryOperator::Arithmetic(_), Number(_) | Integer(_), Number(_) | Integer(_)) => {
            return Err(format!(
                "`{}` takes numbers with a decimal point (2.0 instead of 2), not {} and {}",
                operator.as_str(),
                kinds.0,
                kinds.1
            ));
        }
        _ => return Err(format!("`{}` cannot take {} and {}", operator.as_str(), kinds.0, kinds.1)),
    })
}

fn check_in(element: Typed, list: &[SyntaxNode]) -> Result<FlagExpression, String> {
    let kind = element.kind();
    let mixed = || format!("`in` takes a list of literals of the kind on its left, which is {kind}");
    match element {
        Typed::Text(element) => {
            let texts: Option<Vec<String>> = list.iter().map(text_literal).collect();
            Ok(FlagExpression::TextIn(element, texts.ok_or_else(mixed)?))
        }
        Typed::Number(element) | Typed::Integer(element) => {
            let numbers: Option<Vec<f64>> = list.iter().map(number_literal).collect();
            Ok(FlagExpression::NumberIn(element, numbers.ok_or_else(mixed)?))
        }
        Typed::Flag(_) => Err("`in` takes a text or a number on its left, not a flag".to_owned()),
    }
}

fn text_literal(node: &SyntaxNode) -> Option<String> {
    if let Syntax::Text(text) = &node.syntax { Some(text.clone()) } else { None }
}

fn number_literal(node: &SyntaxNode) -> Option<f64> {
    match &node.syntax {
        Syntax::Number(number) | Syntax::Integer(number) => Some(*number),
        Syntax::Negative(operand) => number_literal(operand).map(|number| -number),
        Syntax::Flag(_)
        | Syntax::Text(_)
        | Syntax::Attribute(_)
        | Syntax::Not(_)
        | Syntax::Binary(..)
        | Syntax::In(..)
        | Syntax::Conditional(_)
        | Syntax::TextTest(..) => None,
    }
}

//! Evaluates compiled conditions.
//!
//! A value is unknown (`None`) when an attribute that it needs is. As the language defines it, `&&` and `||` ignore an unknown
//! operand when the other one decides; everything else with an unknown operand is unknown.

use std::cell::Cell;
use std::cmp::Ordering;

use super::condition_context::ConditionContext;
use super::expression::{FlagExpression, NumberExpression, TextExpression};
use super::syntax::{Arithmetic, Comparison, TextTest};

/// One evaluation. Each node is visited at most once, so the work is bounded by the size of the condition.
pub(super) struct Evaluation<'e> {
    context: &'e ConditionContext<'e>,
    /// Number of nodes visited so far.
    steps: Cell<usize>,
}

impl<'e> Evaluation<'e> {
    pub(super) fn new(context: &'e ConditionContext<'e>) -> Self {
        Self { context, steps: Cell::new(0) }
    }

    /// Number of nodes visited so far.
    #[cfg(test)]
    pub(super) fn steps(&self) -> usize {
        self.steps.get()
    }

    fn count_step(&self) {
        self.steps.set(self.steps.get() + 1);
    }

    pub(super) fn flag(&self, expression: &'e FlagExpression) -> Option<bool> {
        self.count_step();
        match expression {
            FlagExpression::Constant(value) => Some(*value),
            FlagExpression::Attribute(name) => self.context.flag(name),
            FlagExpression::Not(operand) => self.flag(operand).map(|value| !value),
            FlagExpression::And(operands) => self.joined(operands, false),
            FlagExpression::Or(operands) => self.joined(operands, true),
            FlagExpression::Conditional(conditional) => {
                if self.flag(&conditional.test)? {
                    self.flag(&conditional.then)
                } else {
                    self.flag(&conditional.otherwise)
                }
            }
            FlagExpression::FlagsEqual(operands) => Some(self.flag(&operands[0])? == self.flag(&operands[1])?),
            FlagExpression::CompareNumbers(comparison, operands) => {
                compare_numbers(*comparison, self.number(&operands[0])?, self.number(&operands[1])?)
            }
            FlagExpression::CompareTexts(comparison, operands) => {
                Some(matches(*comparison, self.text(&operands[0])?.cmp(self.text(&operands[1])?)))
            }
            FlagExpression::NumberIn(element, list) => Some(list.contains(&self.number(element)?)),
            FlagExpression::TextIn(element, list) => {
                let element = self.text(element)?;
                Some(list.iter().any(|text| text == element))
            }
            FlagExpression::TestText(test, operands) => {
                let (text, part) = (self.text(&operands[0])?, self.text(&operands[1])?);
                Some(match test {
                    TextTest::StartsWith => text.starts_with(part),
                    TextTest::EndsWith => text.ends_with(part),
                    TextTest::Contains => text.contains(part),
                })
            }
        }
    }

    /// Value of two operands of which one that equals `decisive` decides.
    fn joined(&self, operands: &'e [FlagExpression; 2], decisive: bool) -> Option<bool> {
        let left = self.flag(&operands[0]);
        if left == Some(decisive) {
            return left;
        }
        match (left, self.flag(&operands[1])) {
            (_, Some(right)) if right == decisive => Some(decisive),
            (Some(_), right) => right,
            (None, _) => None,
        }
    }

    fn number(&self, expression: &'e NumberExpression) -> Option<f64> {
        self.count_step();
        match expression {
            NumberExpression::Constant(value) => Some(*value),
            NumberExpression::Attribute(name) => self.context.number(name),
            NumberExpression::Negative(operand) => self.number(operand).map(|value| -value),
            NumberExpression::Arithmetic(arithmetic, operands) => {
                let (left, right) = (self.number(&operands[0])?, self.number(&operands[1])?);
                Some(match arithmetic {
                    Arithmetic::Add => left + right,
                    Arithmetic::Subtract => left - right,
                    Arithmetic::Multiply => left * right,
                    Arithmetic::Divide => left / right,
                })
            }
            NumberExpression::Conditional(conditional) => {
                let is_then = self.flag(&conditional.test)?;
                self.number(if is_then { &conditional.then } else { &conditional.otherwise })
            }
        }
    }

    fn text(&self, expression: &'e TextExpression) -> Option<&'e str> {
        self.count_step();
        match expression {
            TextExpression::Constant(value) => Some(value),
            TextExpression::Attribute(name) => self.context.text(name),
            TextExpression::Conditional(conditional) => {
                let is_then = self.flag(&conditional.test)?;
                self.text(if is_then { &conditional.then } else { &conditional.otherwise })
            }
        }
    }
}

/// Compares two numbers; a result that is no number, such as that of 0.0 / 0.0, equals nothing and has no order.
fn compare_numbers(comparison: Comparison, left: f64, right: f64) -> Option<bool> {
    match (left.partial_cmp(&right), comparison) {
        (Some(ordering), _) => Some(matches(comparison, ordering)),
        (None, Comparison::Equal) => Some(false),
        (None, Comparison::NotEqual) => Some(true),
        (None, Comparison::Less | Comparison::LessOrEqual | Comparison::Greater | Comparison::GreaterOrEqual) => None,
    }
}

fn matches(comparison: Comparison, ordering: Ordering) -> bool {
    match comparison {
        Comparison::Equal => ordering.is_eq(),
        Comparison::NotEqual => ordering.is_ne(),
        Comparison::Less => ordering.is_lt(),
        Comparison::LessOrEqual => ordering.is_le(),
        Comparison::Greater => ordering.is_gt(),
        Comparison::GreaterOrEqual => ordering.is_ge(),
    }
}

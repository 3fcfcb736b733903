//! A customer's attributes as conditions see them.

use crate::domain::customer::Customer;
use crate::domain::explicit_offer::{AttributeKind, AttributeKinds};

/// A customer's attributes as conditions see them: the declared ones, without sensitive ones, each read as its kind when a
/// condition asks for it. An attribute that is missing, or is not of its kind, is unknown.
pub(crate) struct ConditionContext<'a> {
    customer: &'a Customer,
    kinds: &'a AttributeKinds,
    sensitive: &'a [String],
}

impl<'a> ConditionContext<'a> {
    /// Creates the context of a customer, under the kinds and sensitive attributes of a policy.
    pub(crate) fn new(customer: &'a Customer, kinds: &'a AttributeKinds, sensitive: &'a [String]) -> Self {
        Self { customer, kinds, sensitive }
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.attribute(name, AttributeKind::Text)
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        let number = self.attribute(name, AttributeKind::Number)?.trim().parse();
        number.ok().filter(|number: &f64| number.is_finite())
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        let text = self.attribute(name, AttributeKind::Flag)?.trim();
        let is_one_of = |words: [&str; 3]| words.into_iter().any(|word| word.eq_ignore_ascii_case(text));
        match () {
            () if is_one_of(["true", "yes", "1"]) => Some(true),
            () if is_one_of(["false", "no", "0"]) => Some(false),
            () => None,
        }
    }

    /// Text of an attribute that is declared with this kind: the policy may have changed since the condition was compiled.
    fn attribute(&self, name: &str, kind: AttributeKind) -> Option<&'a str> {
        let is_usable =
            self.kinds.get(name) == Some(&kind) && !self.sensitive.iter().any(|sensitive| sensitive == name);
        self.customer.attributes.get(name).filter(|_| is_usable).map(String::as_str)
    }
}

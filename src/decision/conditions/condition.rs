//! Conditions on customer attributes, in a subset of the Common Expression Language (<https://cel.dev>), such as
//! `segment == "gold" && age >= 30`.
//!
//! A condition is compiled against the declared attributes when its offer is stored, and again when it is loaded or the
//! attributes change. For a customer without an attribute that it needs, it is false: when in doubt, no offer. Whatever the
//! subset accepts means the same in the whole language, which the tests compare with the `cel` crate.

use super::condition_context::ConditionContext;
use super::condition_error::ConditionError;
use super::evaluation::Evaluation;
use super::expression::FlagExpression;
use super::parser::parse;
use super::type_checker::compile;
use crate::domain::explicit_offer::{AttributeKinds, CONDITION_BYTES_MAX};

/// Compiled condition.
#[derive(Debug)]
pub(crate) struct Condition(FlagExpression);

impl Condition {
    /// Compiles a text against the kinds of the declared attributes.
    ///
    /// # Errors
    /// If the text exceeds a limit, is not an expression of the supported subset, refers to undeclared attributes, or has
    /// operands of the wrong kind.
    pub(crate) fn compile(text: &str, kinds: &AttributeKinds) -> Result<Self, ConditionError> {
        if text.len() > CONDITION_BYTES_MAX {
            return Err(ConditionError::TooLong { bytes: text.len() });
        }
        compile(&parse(text)?, kinds).map(Self)
    }

    /// Whether the condition holds; false where its value is unknown.
    pub(crate) fn holds(&self, context: &ConditionContext<'_>) -> bool {
        Evaluation::new(context).flag(&self.0) == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cel::{Context, Program, Value};
    use proptest::prelude::*;

    use super::super::syntax::{DEPTH_MAX, NODES_MAX};
    use super::*;
    use crate::domain::customer::Customer;
    use crate::domain::explicit_offer::AttributeKind;
    use crate::domain::ids::CustomerId;

    fn kinds() -> AttributeKinds {
        let kinds = [
            ("segment", AttributeKind::Text),
            ("region", AttributeKind::Text),
            ("age", AttributeKind::Number),
            ("spend", AttributeKind::Number),
            ("card", AttributeKind::Flag),
            ("member", AttributeKind::Flag),
        ];
        kinds.map(|(name, kind)| (name.to_owned(), kind)).into()
    }

    fn customer(attributes: &[(&str, &str)]) -> Customer {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Customer { attributes, ..Customer::unknown(CustomerId::new("ada").expect("an id")) }
    }

    fn compiled(text: &str) -> Condition {
        Condition::compile(text, &kinds()).unwrap_or_else(|error| panic!("{text} {error}"))
    }

    fn holds(text: &str, attributes: &[(&str, &str)]) -> bool {
        let customer = customer(attributes);
        compiled(text).holds(&ConditionContext::new(&customer, &kinds(), &["card".to_owned()]))
    }

    #[test]
    fn declared_attributes_are_compared_as_their_kinds() {
        assert!(holds("segment == 'gold' && age >= 30", &[("segment", "gold"), ("age", "30")]));
        assert!(!holds("segment == 'gold' && age >= 30", &[("segment", "gold"), ("age", "29.5")]));
        assert!(holds("segment in ['a', 'gold'] || card", &[("segment", "gold")]));
        assert!(holds("segment.startsWith('go') && !segment.endsWith('x')", &[("segment", "gold")]));
        assert!(holds("age in [-1, 30.0] ? member : false", &[("age", "30"), ("member", "YES")]));
        assert!(holds("spend / 12.0 - 1.0 > age * 2.0", &[("spend", "1200"), ("age", "49")]));
        assert!(holds("1.0 + 2.0 * 3.0 == 7 && 8.0 - 4.0 - 2.0 == 2", &[]));
    }

    /// Broken by: a condition that holds when it cannot be evaluated.
    #[test]
    fn missing_unreadable_and_sensitive_attributes_satisfy_no_condition() {
        assert!(!holds("age >= 30", &[]));
        assert!(!holds("!(age >= 30)", &[]));
        assert!(!holds("age >= 30", &[("age", "thirty")]));
        assert!(!holds("age >= 30", &[("age", "NaN")]));
        assert!(!holds("card", &[("card", "true")]));
        assert!(!holds("!card", &[("card", "true")]));
        assert!(holds("card || age == 30", &[("age", "30")]), "the other operand decides");
    }

    /// A condition that was compiled under another policy does not read an attribute as a kind that it no longer has.
    /// Broken by: reading attributes by the kind of the compiled expression alone.
    #[test]
    fn attributes_that_changed_their_kind_are_unknown() {
        let condition = compiled("age != 30");
        let customer = customer(&[("age", "31")]);
        assert!(condition.holds(&ConditionContext::new(&customer, &kinds(), &[])));
        let changed = AttributeKinds::from([("age".to_owned(), AttributeKind::Text)]);
        assert!(!condition.holds(&ConditionContext::new(&customer, &changed, &[])));
        assert!(!condition.holds(&ConditionContext::new(&customer, &AttributeKinds::new(), &[])));
    }

    /// Broken by: trial evaluation, which accepts `age == "30"` because no trial fails.
    #[test]
    fn invalid_conditions_are_refused_with_their_reason() {
        for (text, reason) in [
            ("segment == ", "is not a valid expression: an attribute, a literal or `(` is expected at character 12"),
            ("income > 3 || debt", "refers to debt, income, not declared in the policy's conditions.attributes"),
            ("age == \"30\"", "has operands of the wrong kind: `==` cannot take a number and a text at character 5"),
            ("segment > 3", "has operands of the wrong kind: `>` cannot take a text and an integer at character 9"),
            ("age == 1 && segment > 3", "`>` cannot take a text and an integer at character 21"),
            ("age * 2 > 60", "`*` takes numbers with a decimal point (2.0 instead of 2), not a number and an integer"),
            ("age.startsWith('x')", "startsWith takes two texts, not a number and a text"),
            ("segment in ['a', 3]", "`in` takes a list of literals of the kind on its left, which is a text"),
            ("segment in [region]", "`in` takes a list of literals"),
            ("segment in region", "a list such as [\"a\", \"b\"] is expected"),
            ("card < member", "`<` cannot take a flag and a flag"),
            ("age", "must be true or false, not a number"),
            ("card ? 1 : 'x'", "`?` chooses between an integer and a text"),
            ("launch(age)", "the function launch is not supported at character 1"),
            ("segment.size() > 3", "one of the functions startsWith, endsWith and contains is expected"),
            ("segment[0] == 'g'", "the end is expected at character 8"),
            ("has(segment.x)", "the function has is not supported"),
            ("{'a': 1}.a == 1", "`{` is not supported at character 1"),
            ("age % 2 == 0", "`%` is not supported"),
            ("null == null", "null is a reserved word"),
            ("[1].all(x, x > 0)", "is expected at character 1"),
            ("segment.matches('(a+)+')", "one of the functions startsWith, endsWith and contains is expected"),
            ("", "is expected at character 1"),
        ] {
            let message = Condition::compile(text, &kinds()).expect_err(text).to_string();
            assert!(message.contains(reason), "{text}: {message}");
        }
    }

    /// The worst texts of 512 bytes, each refused by the limit that it exceeds.
    /// Broken by: a parser that recurses without a limit, or counts nothing.
    #[test]
    fn texts_beyond_the_limits_are_refused() {
        let refused = |text: &str| Condition::compile(text, &kinds()).expect_err(text);
        let long = |text: &str| text.repeat(CONDITION_BYTES_MAX / text.len());
        for deep in ["(", "!", "-", "card?card:", "segment.contains(", "!(", "-("] {
            assert_eq!(refused(&long(deep)), ConditionError::TooDeep, "{deep}");
        }
        let joined = |count: usize| vec!["1<2"; count].join("&&");
        assert_eq!(refused(&joined(NODES_MAX / 4 + 1)), ConditionError::TooManyNodes);
        compiled(&joined(NODES_MAX / 4));
        let listed = |count: usize| format!("age in[{}]", vec!["1"; count].join(","));
        assert_eq!(refused(&listed(NODES_MAX - 1)), ConditionError::TooManyNodes);
        compiled(&listed(NODES_MAX - 2));
        let nested = |count: usize| format!("{}card{}", "(".repeat(count), ")".repeat(count));
        assert_eq!(refused(&nested(DEPTH_MAX)), ConditionError::TooDeep);
        compiled(&nested(DEPTH_MAX - 1));
        assert_eq!(refused(&"1".repeat(513)), ConditionError::TooLong { bytes: 513 });
        // Nested comprehensions: 294 bytes that held a core for ever.
        let comprehensions = (0..12).fold("true".to_owned(), |inner, _| format!("[0,0,0,0,0].all(x,{inner})"));
        assert!(comprehensions.len() < CONDITION_BYTES_MAX);
        assert!(matches!(refused(&comprehensions), ConditionError::Syntax { .. }));
    }

    /// Steps of one evaluation, whatever the customer.
    fn steps(condition: &Condition, customer: &Customer) -> usize {
        let (kinds, sensitive) = (kinds(), []);
        let context = ConditionContext::new(customer, &kinds, &sensitive);
        let evaluation = Evaluation::new(&context);
        evaluation.flag(&condition.0);
        evaluation.steps()
    }

    // -----------------------------------------------------------------------------------------------------------------
    // Agreement with the whole language.

    /// Evaluates with the interpreter of the `cel` crate: `None` where it fails.
    fn by_interpreter(text: &str, customer: &Customer) -> Option<bool> {
        let program = Program::compile(text).unwrap_or_else(|errors| panic!("{text} is no CEL: {errors}"));
        let mut context = Context::default();
        for (name, kind) in kinds() {
            let Some(value) = customer.attributes.get(&name) else { continue };
            let value = match kind {
                AttributeKind::Text => Value::from(value.clone()),
                AttributeKind::Number => Value::Float(value.parse().expect("a number")),
                AttributeKind::Flag => Value::Bool(value.parse().expect("a flag")),
            };
            context.add_variable(name, value).expect("a name");
        }
        match program.execute(&context) {
            Ok(Value::Bool(value)) => Some(value),
            Ok(other) => panic!("{text} is {other:?}"),
            Err(_) => None,
        }
    }

    fn literal(text: &str) -> String {
        format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"))
    }

    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("segment".to_owned()),
            Just("region".to_owned()),
            prop_oneof![Just("gold".to_owned()), Just("go".to_owned()), Just(String::new()), "[a-cé'\\\\\n]{0,3}"]
                .prop_map(|text| literal(&text)),
        ]
    }

    fn doubles() -> impl Strategy<Value = String> {
        let leaves = prop_oneof![
            Just("age".to_owned()),
            Just("spend".to_owned()),
            (-40_i32..40).prop_map(|tenths| format!("{:?}", f64::from(tenths) / 2.0)),
        ];
        leaves.prop_recursive(2, 6, 2, |inner| {
            prop_oneof![
                (inner.clone(), prop_oneof!["[-+*/]"], inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
                inner.clone().prop_map(|a| format!("-({a})")),
                inner.prop_map(|a| format!("({a})")),
            ]
        })
    }

    fn flags() -> impl Strategy<Value = String> {
        let comparison = || prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
        let numbers = || prop_oneof![3 => doubles(), 1 => (-9_i32..9).prop_map(|it| it.to_string())];
        let leaves = prop_oneof![
            prop::sample::select(vec!["true", "false", "card", "member"]).prop_map(str::to_owned),
            (numbers(), comparison(), numbers()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (texts(), comparison(), texts()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (texts(), prop::sample::select(vec!["startsWith", "endsWith", "contains"]), texts())
                .prop_map(|(a, test, b)| format!("{a}.{test}({b})")),
            (doubles(), prop::collection::vec(-9_i32..9, 0..4)).prop_map(|(a, list)| format!("{a} in {list:?}")),
            (texts(), prop::collection::vec("[a-c]{0,2}|gold", 0..4)).prop_map(|(a, list)| {
                format!("{a} in [{}]", list.iter().map(|text| literal(text)).collect::<Vec<_>>().join(", "))
            }),
        ];
        leaves.prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                (inner.clone(), prop::sample::select(vec!["&&", "||", "==", "!="]), inner.clone()).prop_map(
                    |(a, op, b)| if op.len() == 2 && "=!".contains(&op[..1]) {
                        format!("({a}) {op} ({b})")
                    } else {
                        format!("{a} {op} {b}")
                    }
                ),
                inner.clone().prop_map(|a| format!("!({a})")),
                inner.clone().prop_map(|a| format!("({a})")),
                (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("(({a}) ? ({b}) : {c})")),
            ]
        })
    }

    fn customers() -> impl Strategy<Value = Customer> {
        let text = || prop::option::weighted(0.9, "[a-c]{0,3}|gold|é'");
        let number =
            || prop::option::weighted(0.9, (-40_i32..40).prop_map(|tenths| (f64::from(tenths) / 2.0).to_string()));
        let flag = || prop::option::weighted(0.9, any::<bool>().prop_map(|it| it.to_string()));
        (text(), text(), number(), number(), flag(), flag()).prop_map(|(segment, region, age, spend, card, member)| {
            let names = ["segment", "region", "age", "spend", "card", "member"];
            let values = [segment, region, age, spend, card, member];
            let attributes: BTreeMap<String, String> =
                names.into_iter().zip(values).filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
            Customer { attributes, ..customer(&[]) }
        })
    }

    proptest! {
        /// The value of a well-typed condition, unknown included, is that of the interpreter, in at most as many steps as the
        /// condition may have nodes.
        /// Broken by: `&&` that is unknown when its first operand is; an unknown condition that holds; a precedence of `||`
        /// above `&&`.
        #[test]
        fn evaluation_agrees_with_the_interpreter(text in flags(), customer in customers()) {
            let (kinds, sensitive) = (kinds(), []);
            let condition = match Condition::compile(&text, &kinds) {
                Ok(condition) => condition,
                Err(ConditionError::TooLong { .. } | ConditionError::TooManyNodes | ConditionError::TooDeep) => {
                    return Ok(());
                }
                Err(error) => return Err(TestCaseError::fail(format!("{text} {error}"))),
            };
            let context = ConditionContext::new(&customer, &kinds, &sensitive);
            let value = Evaluation::new(&context).flag(&condition.0);
            prop_assert_eq!(value, by_interpreter(&text, &customer), "{}", text);
            prop_assert_eq!(condition.holds(&context), value == Some(true));
            prop_assert!(steps(&condition, &customer) <= NODES_MAX);
        }

        /// Any text is read without a panic, and one that is accepted is CEL and means the same there.
        /// Broken by: a parser that ignores what follows an expression.
        #[test]
        fn accepted_texts_are_the_language(
            tokens in prop::collection::vec(prop::sample::select(vec![
                "(", ")", "[", "]", "!", "-", "&&", "||", "==", "<", "in", "?", ":", ",", ".", "+", "1", "2.5", "'a'",
                "age", "card", "member", "segment", ".contains(", "true", "\"", "\\", "é", "//", "\n", "while", "*",
            ]), 0..12),
            customer in customers(),
        ) {
            let text = tokens.join(" ");
            if let Ok(condition) = Condition::compile(&text, &kinds()) {
                let (kinds, sensitive) = (kinds(), []);
                let value = Evaluation::new(&ConditionContext::new(&customer, &kinds, &sensitive)).flag(&condition.0);
                prop_assert_eq!(value, by_interpreter(&text, &customer), "{}", text);
            }
        }
    }
}

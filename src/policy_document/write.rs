//! Writes a policy as a document: every value with what it means.

use std::fmt::Write;

use super::settings::settings;
use super::span;
use super::value::{FamilyValue, SequenceValue, Value};
use crate::domain::policy::Policy;

const HEAD: &str = "\
# The policy: every weight, half-life, cap and threshold of a decision. What is left out has the default that
# `tactful policy show --default` shows. `tactful policy check FILE` tells everything that is wrong with a file.
";

/// The document of a policy, every value written out with its comment.
pub fn write(policy: &Policy) -> String {
    let mut policy = policy.clone();
    let mut text = format!("{HEAD}\n# names this policy in every answer\nversion = {}\n", quoted(&policy.version));
    let mut section = "";
    for setting in settings(&mut policy) {
        if setting.section != section {
            section = setting.section;
            let _ = write!(text, "\n{}[{section}]\n", section_comment(section));
        }
        let _ = writeln!(text, "# {}\n{} = {}", setting.comment, setting.key, value(&setting.slot.value()));
    }
    text
}

fn section_comment(section: &str) -> &'static str {
    match section {
        "contact.caps" => {
            "# Offers of any kind, and of them up-sell, within the window of all caps, by relationship health.\n"
        }
        "contact" => "# Windows, leases, pauses and quiet periods.\n",
        "contact.rules" => "# What may not be offered with, after or before what. All rules hold.\n",
        "relationship.bands" => "# Which relationship health is which band.\n",
        "relationship.components" => {
            "# The share of each component in the geometric mean (only their proportions matter), its value when nothing is\n\
             # known, and how fast the past fades.\n"
        }
        "relationship" => "# What the components are made from.\n",
        "arbitration" => "# How offers are ordered, and what an offer must be worth.\n",
        "control_group" => "# Customers who are offered nothing, so that the effect of offers can be measured.\n",
        "conditions" => "# What conditions of explicit offers may ask for.\n",
        "privacy" => "# What of a profile may not be used.\n",
        _ => "",
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("{number:?}"),
        Value::Count(count) => count.to_string(),
        Value::Span(span) => quoted(&span::write(*span)),
        Value::Numbers(numbers) => {
            let numbers: Vec<String> = numbers.iter().map(|number| format!("{number:?}")).collect();
            format!("[{}]", numbers.join(", "))
        }
        Value::Text(text) => quoted(text),
        Value::Names(names) => texts(names),
        Value::Texts(texts) => {
            inline(texts.iter().map(|(name, text)| format!("{} = {}", quoted(name), quoted(text))).collect())
        }
        Value::Caps { offers, up_sell } => format!("{{ offers = {offers}, up_sell = {up_sell} }}"),
        Value::Component { weight, prior, half_life_days } => {
            format!("{{ weight = {weight:?}, prior = {prior:?}, half_life_days = {half_life_days:?} }}")
        }
        Value::Spans(spans) => {
            let named = spans.iter().map(|(name, span)| format!("{} = {}", quoted(name), quoted(&span::write(*span))));
            inline(named.collect())
        }
        Value::Counts(counts) => {
            inline(counts.iter().map(|(name, count)| format!("{} = {count}", quoted(name))).collect())
        }
        Value::Families(families) => inline(families.iter().map(family).collect()),
        Value::Pairs(pairs) => {
            let pairs: Vec<String> = pairs.iter().map(|(a, b)| format!("[{}, {}]", quoted(a), quoted(b))).collect();
            format!("[{}]", pairs.join(", "))
        }
        Value::Sequences(sequences) => {
            let sequence = |SequenceValue { first, then, within }: &SequenceValue| {
                let within = quoted(&span::write(*within));
                format!("{{ first = {}, then = {}, within = {within} }}", quoted(first), quoted(then))
            };
            format!("[{}]", sequences.iter().map(sequence).collect::<Vec<_>>().join(", "))
        }
    }
}

fn inline(entries: Vec<String>) -> String {
    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
}

fn family((name, value): (&String, &FamilyValue)) -> String {
    let FamilyValue { category, products, per_slate, per_window } = value;
    format!(
        "{} = {{ category = {}, products = {}, per_slate = {per_slate}, per_window = {per_window} }}",
        quoted(name),
        texts(category),
        texts(products)
    )
}

fn texts(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

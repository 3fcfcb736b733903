//! Formatting of a policy as a TOML document with a comment on every value.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::duration_text::format_duration;
use super::policy_entries::{PolicyEntry, policy_entries};
use super::policy_value::{ChannelValue, FamilyValue, PolicyValue, SequenceValue};
use crate::domain::policy::Policy;

const HEAD: &str = "\
# The policy: every weight, half-life, cap and threshold of a decision. Missing values have the defaults that
# `tactful policy show --default` prints. `tactful policy check FILE` reports every fault of a file.
";

/// Formats a policy with every value and its comment.
pub fn format_policy(policy: &Policy) -> String {
    let mut policy = policy.clone();
    let mut text = format!("{HEAD}\n# name of this policy in every answer\nversion = {}\n", quoted(&policy.version));
    let mut section = "";
    for entry in policy_entries(&mut policy) {
        if entry.section != section {
            section = entry.section;
            let _ = write!(text, "\n{}[{section}]\n", section_comment(section));
        }
        if let PolicyValue::Channels(channels) = entry.field.value() {
            write_channels(&mut text, &entry, &channels);
        } else {
            let _ = writeln!(text, "# {}\n{} = {}", entry.comment, entry.key, value(&entry.field.value()));
        }
    }
    text
}

/// Writes each channel as a table, because one line would be too long for all of them.
fn write_channels(text: &mut String, entry: &PolicyEntry<'_>, channels: &BTreeMap<String, ChannelValue>) {
    let _ = write!(text, "\n# {}\n", entry.comment);
    for (name, channel) in channels {
        let _ = writeln!(text, "[{}.{}]\n{}", entry.path(), key(name), channel_keys(channel).join("\n"));
    }
}

/// A key of a table, quoted where TOML asks for it.
fn key(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if name.bytes().all(is_bare) { name.to_owned() } else { quoted(name) }
}

fn channel_keys(channel: &ChannelValue) -> Vec<String> {
    let ChannelValue { aliases, lease, cap, basis } = channel;
    let mut keys = vec![format!("aliases = {}", texts(aliases))];
    keys.extend(lease.map(|lease| format!("lease = {}", quoted(&format_duration(lease)))));
    keys.extend(cap.map(|cap| format!("cap = {cap}")));
    keys.extend(basis.as_ref().map(|basis| format!("basis = {}", quoted(basis))));
    keys
}

fn section_comment(section: &str) -> &'static str {
    match section {
        "contact.caps" => {
            "# Maximum number of offers of any kind, and of up-sell among them, within the window of all caps, by relationship\n\
             # health.\n"
        }
        "contact" => "# Windows, leases, pauses and quiet periods.\n",
        "contact.rules" => "# Rules on which products are offered together or in sequence. All rules hold.\n",
        "relationship.bands" => "# Limits of relationship health between the bands.\n",
        "relationship.components" => {
            "# Weight of each component in the geometric mean (only the proportions matter), its value without evidence, and the\n\
             # half-life of past events.\n"
        }
        "relationship" => "# Inputs of the components.\n",
        "arbitration" => "# Order of the offers, and the price of attention that an offer must exceed.\n",
        "catalog" => "# How the products of the catalogue compare.\n",
        "control_group" => "# Customers who are offered nothing, so that the effect of offers can be measured.\n",
        "conditions" => "# Customer attributes that conditions of explicit offers may use.\n",
        "privacy" => "# Customer attributes that must not be used.\n",
        _ => "",
    }
}

fn value(value: &PolicyValue) -> String {
    match value {
        PolicyValue::Number(number) => format!("{number:?}"),
        PolicyValue::Count(count) => count.to_string(),
        PolicyValue::Duration(duration) => quoted(&format_duration(*duration)),
        PolicyValue::Numbers(numbers) => {
            let numbers: Vec<String> = numbers.iter().map(|number| format!("{number:?}")).collect();
            format!("[{}]", numbers.join(", "))
        }
        PolicyValue::Text(text) => quoted(text),
        PolicyValue::Names(names) => texts(names),
        PolicyValue::Texts(texts) => {
            inline(texts.iter().map(|(name, text)| format!("{} = {}", quoted(name), quoted(text))).collect())
        }
        PolicyValue::Caps { offers, up_sell } => format!("{{ offers = {offers}, up_sell = {up_sell} }}"),
        PolicyValue::Component { weight, prior, half_life_days } => {
            format!("{{ weight = {weight:?}, prior = {prior:?}, half_life_days = {half_life_days:?} }}")
        }
        PolicyValue::Channels(channels) => {
            let channel = |(name, channel): (&String, &ChannelValue)| {
                format!("{} = {}", quoted(name), inline(channel_keys(channel)))
            };
            inline(channels.iter().map(channel).collect())
        }
        PolicyValue::Families(families) => inline(families.iter().map(family).collect()),
        PolicyValue::Pairs(pairs) => {
            let pairs: Vec<String> = pairs.iter().map(|(a, b)| format!("[{}, {}]", quoted(a), quoted(b))).collect();
            format!("[{}]", pairs.join(", "))
        }
        PolicyValue::Sequences(sequences) => {
            let sequence = |SequenceValue { first, then, within }: &SequenceValue| {
                let within = quoted(&format_duration(*within));
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

//! Parsing of a policy from TOML or from key-value pairs. Missing values have their defaults.

use std::collections::BTreeMap;

use serde::Deserialize;
use strsim::levenshtein;
use toml::de::{DeTable, Deserializer};
use toml::{Table, Value as Toml};

use super::consistency::consistency_faults;
use super::duration_text::parse_duration;
use super::invalid_policy::{InvalidPolicy, PolicyFault};
use super::invalid_policy_value::InvalidPolicyValue;
use super::policy_entries::{PolicyEntry, policy_entries};
use super::policy_field::PolicyField;
use super::policy_value::{ChannelValue, FamilyValue, PolicyValue, SequenceValue};
use crate::domain::policy::Policy;

/// Maximum size of a document.
const DOCUMENT_BYTES_MAX: usize = 64 * 1024;

/// Parses a TOML document.
///
/// # Errors
/// All faults at once: of the syntax, of what could be read in spite of them, and between values.
pub fn parse_policy(text: &str) -> Result<Policy, InvalidPolicy> {
    if text.len() > DOCUMENT_BYTES_MAX {
        let problem = format!("has {} bytes, at most {DOCUMENT_BYTES_MAX} are allowed", text.len());
        return Err(InvalidPolicy(vec![PolicyFault::new("the document", problem)]));
    }
    let (document, syntax_errors) = DeTable::parse_recoverable(text);
    let not_toml = |mut error: toml::de::Error| {
        error.set_input(Some(text));
        PolicyFault::new("the document", format!("is not TOML: {error}"))
    };
    let mut faults: Vec<PolicyFault> = syntax_errors.into_iter().map(not_toml).collect();
    let table = Table::deserialize(Deserializer::from(document)).unwrap_or_else(|error| {
        faults.push(not_toml(error));
        Table::new()
    });
    let mut values = BTreeMap::new();
    let version = match table.get("version") {
        Some(Toml::String(version)) => version.clone(),
        Some(_) => {
            faults.push(PolicyFault::new("version", "must be a text"));
            "unnamed".to_owned()
        }
        None => String::new(),
    };
    let mut default = Policy::default();
    let known = policy_entries(&mut default);
    for (key, value) in table.into_iter().filter(|(key, _)| key != "version") {
        flatten(key, value, &known, &mut values);
    }
    let policy = override_default(version, values, |entry, toml| from_toml(&entry.field, &toml), &mut faults);
    finish(policy, faults)
}

/// Builds a policy from key-value pairs, as the wire has them.
///
/// # Errors
/// All faults at once.
pub fn policy_from_values(version: String, pairs: Vec<(String, PolicyValue)>) -> Result<Policy, InvalidPolicy> {
    let mut faults = Vec::new();
    let mut values = BTreeMap::new();
    for (key, value) in pairs {
        if values.insert(key.clone(), value).is_some() {
            faults.push(PolicyFault::new(key, "is given twice"));
        }
    }
    let policy = override_default(version, values, |_, value| Ok(value), &mut faults);
    finish(policy, faults)
}

/// Flattens nested tables to the keys of policy entries; an unknown table stays whole.
fn flatten(path: String, value: Toml, known: &[PolicyEntry<'_>], values: &mut BTreeMap<String, Toml>) {
    let is_entry = known.iter().any(|entry| entry.path() == path);
    let prefix = format!("{path}.");
    let is_section = known.iter().any(|entry| entry.path().starts_with(&prefix));
    match value {
        Toml::Table(table) if !is_entry && is_section => {
            for (key, value) in table {
                flatten(format!("{path}.{key}"), value, known, values);
            }
        }
        Toml::Table(_)
        | Toml::String(_)
        | Toml::Integer(_)
        | Toml::Float(_)
        | Toml::Boolean(_)
        | Toml::Datetime(_)
        | Toml::Array(_) => drop(values.insert(path, value)),
    }
}

/// Overrides the default policy with the given values.
fn override_default<V>(
    version: String,
    mut values: BTreeMap<String, V>,
    read: impl Fn(&PolicyEntry<'_>, V) -> Result<PolicyValue, InvalidPolicyValue>,
    faults: &mut Vec<PolicyFault>,
) -> Policy {
    let mut policy = Policy { version, ..Policy::default() };
    let mut known = Vec::new();
    for mut entry in policy_entries(&mut policy) {
        let path = entry.path();
        if let Some(value) = values.remove(&path) {
            let set = read(&entry, value).and_then(|value| entry.field.set(value));
            faults.extend(set.err().map(|problem| PolicyFault::new(path.clone(), problem)));
        }
        known.push(path);
    }
    for path in values.into_keys() {
        let nearest = nearest(&path, &known);
        let hint = nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"));
        faults.push(PolicyFault::new(path, format!("is unknown{hint}")));
    }
    policy
}

/// Checks the constraints between values. Invalid values are replaced by their defaults first, so that one fault is not reported
/// twice and none hides another.
fn finish(policy: Policy, mut faults: Vec<PolicyFault>) -> Result<Policy, InvalidPolicy> {
    faults.extend(consistency_faults(&policy));
    if faults.is_empty() { Ok(policy) } else { Err(InvalidPolicy(faults)) }
}

fn from_toml(field: &PolicyField<'_>, toml: &Toml) -> Result<PolicyValue, InvalidPolicyValue> {
    let wrong = || InvalidPolicyValue(format!("must be {}, not {toml}", field.expected()));
    let number = |toml: &Toml| match toml {
        Toml::Float(number) => Some(*number),
        Toml::Integer(number) => i32::try_from(*number).ok().map(f64::from),
        Toml::String(_) | Toml::Boolean(_) | Toml::Datetime(_) | Toml::Array(_) | Toml::Table(_) => None,
    };
    let count = |toml: &Toml| toml.as_integer().and_then(|count| u64::try_from(count).ok());
    let duration = |toml: &Toml| toml.as_str().and_then(parse_duration);
    let read = match field {
        PolicyField::Number(..) | PolicyField::HalfLife(_) => number(toml).map(PolicyValue::Number),
        PolicyField::Count(..) | PolicyField::Size(..) => count(toml).map(PolicyValue::Count),
        PolicyField::Duration(..) => duration(toml).map(PolicyValue::Duration),
        PolicyField::Numbers(..) => {
            toml.as_array().and_then(|list| list.iter().map(number).collect::<Option<_>>()).map(PolicyValue::Numbers)
        }
        PolicyField::Text(..) | PolicyField::ItemGroups(_) | PolicyField::UnsetChannel(_) => {
            text(toml).map(PolicyValue::Text)
        }
        PolicyField::Names(_) => texts(toml).map(PolicyValue::Names),
        PolicyField::AttributeKinds(_) | PolicyField::FeatureOrders(_) => {
            let texts = toml.as_table().map(|table| table.iter().map(|(name, it)| Some((name.clone(), text(it)?))));
            texts.and_then(Iterator::collect::<Option<_>>).map(PolicyValue::Texts)
        }
        PolicyField::Caps(_) => fields(toml, ["offers", "up_sell"])
            .and_then(|[offers, up_sell]| Some(PolicyValue::Caps { offers: count(offers)?, up_sell: count(up_sell)? })),
        PolicyField::Component(_) => {
            fields(toml, ["weight", "prior", "half_life_days"]).and_then(|[weight, prior, half_life_days]| {
                let (weight, prior) = (number(weight)?, number(prior)?);
                Some(PolicyValue::Component { weight, prior, half_life_days: number(half_life_days)? })
            })
        }
        PolicyField::Channels(_) => return channels(toml).unwrap_or_else(|| Err(wrong())),
        PolicyField::Families(_) => {
            let families =
                toml.as_table().map(|table| table.iter().map(|(name, it)| Some((name.clone(), family(it)?))));
            families.and_then(Iterator::collect::<Option<_>>).map(PolicyValue::Families)
        }
        PolicyField::Pairs(_) | PolicyField::Requirements(_) => {
            let pairs = toml.as_array().map(|list| list.iter().map(pair));
            pairs.and_then(Iterator::collect::<Option<_>>).map(PolicyValue::Pairs)
        }
        PolicyField::Sequences(_) => {
            let sequence = |it: &Toml| {
                let [first, then, within] = fields(it, ["first", "then", "within"])?;
                Some(SequenceValue { first: text(first)?, then: text(then)?, within: duration(within)? })
            };
            let sequences = toml.as_array().map(|list| list.iter().map(sequence));
            sequences.and_then(Iterator::collect::<Option<_>>).map(PolicyValue::Sequences)
        }
    };
    read.ok_or_else(wrong)
}

fn text(toml: &Toml) -> Option<String> {
    toml.as_str().map(str::to_owned)
}

fn texts(toml: &Toml) -> Option<Vec<String>> {
    toml.as_array()?.iter().map(text).collect()
}

fn pair(toml: &Toml) -> Option<(String, String)> {
    let [a, b]: [String; 2] = texts(toml)?.try_into().ok()?;
    Some((a, b))
}

/// Reads channels by name; `None` when the value is not a table of tables.
fn channels(toml: &Toml) -> Option<Result<PolicyValue, InvalidPolicyValue>> {
    let mut channels = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, toml) in toml.as_table()? {
        let mut channel = ChannelValue::default();
        for (key, value) in toml.as_table()? {
            let (is_read, expected) = match key.as_str() {
                "aliases" => {
                    let aliases = texts(value);
                    channel.aliases = aliases.clone().unwrap_or_default();
                    (aliases.is_some(), "a list of names")
                }
                "lease" => {
                    channel.lease = value.as_str().and_then(parse_duration);
                    (channel.lease.is_some(), "a duration such as \"2d\"")
                }
                "cap" => {
                    channel.cap = value.as_integer().and_then(|cap| u64::try_from(cap).ok());
                    (channel.cap.is_some(), "a whole number")
                }
                "basis" => {
                    channel.basis = text(value);
                    (channel.basis.is_some(), "a text")
                }
                _ => {
                    problems.push(format!("{name}: {key} is unknown; a channel has aliases, lease, cap and basis"));
                    continue;
                }
            };
            if !is_read {
                problems.push(format!("{name}: {key} must be {expected}, not {value}"));
            }
        }
        channels.insert(name.clone(), channel);
    }
    Some(if problems.is_empty() {
        Ok(PolicyValue::Channels(channels))
    } else {
        Err(InvalidPolicyValue(problems.join("; ")))
    })
}

fn family(toml: &Toml) -> Option<FamilyValue> {
    let [category, products, per_slate, per_window] =
        fields(toml, ["category", "products", "per_slate", "per_window"])?;
    let count = |toml: &Toml| toml.as_integer().and_then(|count| u64::try_from(count).ok());
    Some(FamilyValue {
        category: texts(category)?,
        products: texts(products)?,
        per_slate: count(per_slate)?,
        per_window: count(per_window)?,
    })
}

/// Returns the fields of a table that has exactly these.
fn fields<'t, const N: usize>(toml: &'t Toml, names: [&str; N]) -> Option<[&'t Toml; N]> {
    let table = toml.as_table().filter(|table| table.len() == N)?;
    let found: Option<Vec<&Toml>> = names.iter().map(|name| table.get(*name)).collect();
    found?.try_into().ok()
}

/// Finds the known key with the smallest edit distance to an unknown one, if any is near.
fn nearest<'k>(wrong: &str, known: &'k [String]) -> Option<&'k str> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |path: &str| levenshtein(&last(wrong), &last(path)).min(levenshtein(wrong, path));
    let nearest = known.iter().map(|path| (distance(path), path.as_str())).min()?;
    (nearest.0 <= 3).then_some(nearest.1)
}

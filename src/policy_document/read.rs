//! Reads a policy from TOML, or from values by key. Whatever is not written has its default.

use std::collections::BTreeMap;

use strsim::levenshtein;
use toml::{Table, Value as Toml};

use super::check;
use super::fault::{Fault, Faults};
use super::settings::{Setting, settings};
use super::slot::Slot;
use super::span;
use super::value::{FamilyValue, SequenceValue, Value};
use crate::domain::policy::Policy;

/// The largest document.
pub const DOCUMENT_BYTES_MAX: usize = 64 * 1024;

/// Reads a document.
///
/// # Errors
/// Every fault at once; only a text that is no TOML has just one.
pub fn read(text: &str) -> Result<Policy, Faults> {
    if text.len() > DOCUMENT_BYTES_MAX {
        let problem = format!("has {} bytes, at most {DOCUMENT_BYTES_MAX} are allowed", text.len());
        return Err(Faults(vec![Fault::new("the document", problem)]));
    }
    let table: Table = text
        .parse()
        .map_err(|error: toml::de::Error| Faults(vec![Fault::new("the document", format!("is not TOML: {error}"))]))?;
    let mut written = BTreeMap::new();
    let mut faults = Vec::new();
    let version = match table.get("version") {
        Some(Toml::String(version)) => version.clone(),
        Some(_) => {
            faults.push(Fault::new("version", "must be a text"));
            "unnamed".to_owned()
        }
        None => String::new(),
    };
    let mut nothing = Policy::default();
    let known = settings(&mut nothing);
    for (key, value) in table.into_iter().filter(|(key, _)| key != "version") {
        flatten(key, value, &known, &mut written);
    }
    let policy = fill(version, written, |setting, toml| from_toml(&setting.slot, &toml), &mut faults);
    finish(policy, faults)
}

/// Reads values by key, as the wire has them.
///
/// # Errors
/// Every fault at once.
pub fn read_values(version: String, values: Vec<(String, Value)>) -> Result<Policy, Faults> {
    let mut faults = Vec::new();
    let mut written = BTreeMap::new();
    for (key, value) in values {
        if written.insert(key.clone(), value).is_some() {
            faults.push(Fault::new(key, "is given twice"));
        }
    }
    let policy = fill(version, written, |_, value| Ok(value), &mut faults);
    finish(policy, faults)
}

/// Takes tables apart down to the keys that are settings; what is not known stays whole where its name ends.
fn flatten(path: String, value: Toml, known: &[Setting<'_>], written: &mut BTreeMap<String, Toml>) {
    let is_setting = known.iter().any(|setting| setting.path() == path);
    let prefix = format!("{path}.");
    let is_section = known.iter().any(|setting| setting.path().starts_with(&prefix));
    match value {
        Toml::Table(table) if !is_setting && is_section => {
            for (key, value) in table {
                flatten(format!("{path}.{key}"), value, known, written);
            }
        }
        Toml::Table(_)
        | Toml::String(_)
        | Toml::Integer(_)
        | Toml::Float(_)
        | Toml::Boolean(_)
        | Toml::Datetime(_)
        | Toml::Array(_) => drop(written.insert(path, value)),
    }
}

/// The default with what is written put over it.
fn fill<V>(
    version: String,
    mut written: BTreeMap<String, V>,
    read: impl Fn(&Setting<'_>, V) -> Result<Value, String>,
    faults: &mut Vec<Fault>,
) -> Policy {
    let mut policy = Policy { version, ..Policy::default() };
    let mut known = Vec::new();
    for mut setting in settings(&mut policy) {
        let path = setting.path();
        if let Some(value) = written.remove(&path) {
            let put = read(&setting, value).and_then(|value| setting.slot.put(value));
            faults.extend(put.err().map(|problem| Fault::new(path.clone(), problem)));
        }
        known.push(path);
    }
    for path in written.into_keys() {
        let nearest = nearest(&path, &known);
        let hint = nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"));
        faults.push(Fault::new(path, format!("is not known{hint}")));
    }
    policy
}

/// Checks the whole. A policy with bad values is checked with their defaults in place of them, so that one fault is not
/// told twice and none is hidden by another.
fn finish(policy: Policy, mut faults: Vec<Fault>) -> Result<Policy, Faults> {
    faults.extend(check::faults(&policy));
    if faults.is_empty() { Ok(policy) } else { Err(Faults(faults)) }
}

fn from_toml(slot: &Slot<'_>, toml: &Toml) -> Result<Value, String> {
    let wrong = || format!("must be {}, not {toml}", slot.kind());
    let number = |toml: &Toml| match toml {
        Toml::Float(number) => Some(*number),
        Toml::Integer(number) => i32::try_from(*number).ok().map(f64::from),
        Toml::String(_) | Toml::Boolean(_) | Toml::Datetime(_) | Toml::Array(_) | Toml::Table(_) => None,
    };
    let count = |toml: &Toml| toml.as_integer().and_then(|count| u64::try_from(count).ok());
    let span = |toml: &Toml| toml.as_str().and_then(span::read);
    let read = match slot {
        Slot::Number(..) | Slot::HalfLife(_) => number(toml).map(Value::Number),
        Slot::Count(..) | Slot::Size(..) => count(toml).map(Value::Count),
        Slot::Span(..) => span(toml).map(Value::Span),
        Slot::Numbers(..) => {
            toml.as_array().and_then(|list| list.iter().map(number).collect::<Option<_>>()).map(Value::Numbers)
        }
        Slot::Text(..) => text(toml).map(Value::Text),
        Slot::Names(_) => texts(toml).map(Value::Names),
        Slot::AttributeKinds(_) => {
            let texts = toml.as_table().map(|table| table.iter().map(|(name, it)| Some((name.clone(), text(it)?))));
            texts.and_then(Iterator::collect::<Option<_>>).map(Value::Texts)
        }
        Slot::Caps(_) => fields(toml, ["offers", "up_sell"])
            .and_then(|[offers, up_sell]| Some(Value::Caps { offers: count(offers)?, up_sell: count(up_sell)? })),
        Slot::Component(_) => {
            fields(toml, ["weight", "prior", "half_life_days"]).and_then(|[weight, prior, half_life_days]| {
                let (weight, prior) = (number(weight)?, number(prior)?);
                Some(Value::Component { weight, prior, half_life_days: number(half_life_days)? })
            })
        }
        Slot::Spans(..) => {
            let spans = toml.as_table().map(|table| table.iter().map(|(name, it)| Some((name.clone(), span(it)?))));
            spans.and_then(Iterator::collect::<Option<_>>).map(Value::Spans)
        }
        Slot::Counts(_) => {
            let counts = toml.as_table().map(|table| table.iter().map(|(name, it)| Some((name.clone(), count(it)?))));
            counts.and_then(Iterator::collect::<Option<_>>).map(Value::Counts)
        }
        Slot::Families(_) => {
            let families =
                toml.as_table().map(|table| table.iter().map(|(name, it)| Some((name.clone(), family(it)?))));
            families.and_then(Iterator::collect::<Option<_>>).map(Value::Families)
        }
        Slot::Pairs(_) | Slot::Requirements(_) => {
            let pairs = toml.as_array().map(|list| list.iter().map(pair));
            pairs.and_then(Iterator::collect::<Option<_>>).map(Value::Pairs)
        }
        Slot::Sequences(_) => {
            let sequence = |it: &Toml| {
                let [first, then, within] = fields(it, ["first", "then", "within"])?;
                Some(SequenceValue { first: text(first)?, then: text(then)?, within: span(within)? })
            };
            let sequences = toml.as_array().map(|list| list.iter().map(sequence));
            sequences.and_then(Iterator::collect::<Option<_>>).map(Value::Sequences)
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

/// The fields of a table that has these and no others.
fn fields<'t, const N: usize>(toml: &'t Toml, names: [&str; N]) -> Option<[&'t Toml; N]> {
    let table = toml.as_table().filter(|table| table.len() == N)?;
    let found: Option<Vec<&Toml>> = names.iter().map(|name| table.get(*name)).collect();
    found?.try_into().ok()
}

/// The known key that is most like a wrong one, if any is.
fn nearest<'k>(wrong: &str, known: &'k [String]) -> Option<&'k str> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |path: &str| levenshtein(&last(wrong), &last(path)).min(levenshtein(wrong, path));
    let nearest = known.iter().map(|path| (distance(path), path.as_str())).min()?;
    (nearest.0 <= 3).then_some(nearest.1)
}

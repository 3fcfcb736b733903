//! The places of a policy's values: what may be put there, and why something may not.

use std::collections::BTreeMap;
use std::time::Duration;

use super::span;
use super::value::{FamilyValue, SequenceValue, Value};
use crate::domain::customer::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX};
use crate::domain::decayed_sum::{HALF_LIVES_DAYS, HalfLife};
use crate::domain::explicit_offer::{AttributeKind, AttributeKinds};
use crate::domain::ids::{Channel, ProductId};
use crate::domain::policy::{BandCaps, ComponentPolicy, NeverAfter, OnlyAfter, ProductFamily};

/// The most offers that a cap may allow: what a customer's bounded value can remember of them.
pub const OFFERS_MAX: u32 = 40;
/// The most entries by name, and of one list.
const NAMED_MAX: usize = 16;
const LIST_MAX: usize = 200;
/// The longest that a rule looks back: grants are remembered as long, and a customer's record is bounded.
const LOOK_BACK_MAX: Duration = Duration::from_secs(180 * 86_400);
/// Nothing that a rule looks back to is shorter.
const A_SECOND: Duration = Duration::from_secs(1);

/// The place of a value, and what may be put there.
pub enum Slot<'p> {
    /// A number of a range.
    Number(&'p mut f64, f64, f64),
    /// A whole number of a range.
    Count(&'p mut u32, u32, u32),
    /// A whole number of a range.
    Size(&'p mut usize, usize, usize),
    /// A span of a range.
    Span(&'p mut Duration, Duration, Duration),
    /// A half-life of the bank.
    HalfLife(&'p mut HalfLife),
    /// Numbers, each of a range.
    Numbers(&'p mut [f64], f64, f64),
    /// A text of at most so many bytes.
    Text(&'p mut String, usize),
    /// Names of attributes.
    Names(&'p mut Vec<String>),
    /// Kinds of attributes by name.
    AttributeKinds(&'p mut AttributeKinds),
    /// The caps of a band.
    Caps(&'p mut BandCaps),
    /// A component.
    Component(&'p mut ComponentPolicy),
    /// Spans by the name of a channel, each of a range.
    Spans(&'p mut Vec<(String, Duration)>, Duration, Duration),
    /// Caps by the name of a channel.
    Counts(&'p mut Vec<(String, u32)>),
    /// Products that share a cap.
    Families(&'p mut Vec<ProductFamily>),
    /// Pairs of products.
    Pairs(&'p mut Vec<(ProductId, ProductId)>),
    /// What never follows what.
    Sequences(&'p mut Vec<NeverAfter>),
    /// What is offered only after what, as pairs.
    Requirements(&'p mut Vec<OnlyAfter>),
}

impl Slot<'_> {
    /// The value that is there.
    pub fn value(&self) -> Value {
        match self {
            Self::Number(number, ..) => Value::Number(**number),
            Self::Count(count, ..) => Value::Count(u64::from(**count)),
            Self::Size(size, ..) => Value::Count(**size as u64),
            Self::Span(span, ..) => Value::Span(**span),
            Self::HalfLife(half_life) => Value::Number(half_life.days()),
            Self::Numbers(numbers, ..) => Value::Numbers(numbers.to_vec()),
            Self::Text(text, _) => Value::Text((**text).clone()),
            Self::Names(names) => Value::Names((**names).clone()),
            Self::AttributeKinds(kinds) => {
                Value::Texts(kinds.iter().map(|(name, kind)| (name.clone(), kind.as_str().to_owned())).collect())
            }
            Self::Caps(caps) => Value::Caps { offers: caps.offers.into(), up_sell: caps.up_sell.into() },
            Self::Component(ComponentPolicy { weight, prior, half_life }) => {
                Value::Component { weight: *weight, prior: *prior, half_life_days: half_life.days() }
            }
            Self::Spans(spans, ..) => Value::Spans(spans.iter().cloned().collect()),
            Self::Counts(counts) => {
                Value::Counts(counts.iter().map(|(name, count)| (name.clone(), u64::from(*count))).collect())
            }
            Self::Families(families) => Value::Families(families.iter().map(family_value).collect()),
            Self::Pairs(pairs) => Value::Pairs(pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()),
            Self::Sequences(rules) => {
                let value = |NeverAfter { first, then, within }: &NeverAfter| SequenceValue {
                    first: first.to_string(),
                    then: then.to_string(),
                    within: *within,
                };
                Value::Sequences(rules.iter().map(value).collect())
            }
            Self::Requirements(rules) => {
                let value = |OnlyAfter { product, after }: &OnlyAfter| (product.to_string(), after.to_string());
                Value::Pairs(rules.iter().map(value).collect())
            }
        }
    }

    /// Puts a value there.
    ///
    /// # Errors
    /// Why it does not fit; nothing changed.
    pub fn put(&mut self, value: Value) -> Result<(), String> {
        match (self, value) {
            (Self::Number(slot, least, most), Value::Number(number)) => **slot = number_within(number, *least, *most)?,
            // A whole number is a number, too; in TOML 1 is one and 1.0 the other.
            (Self::Number(slot, least, most), Value::Count(count)) => {
                let count = u32::try_from(count).map_err(|_| format!("must be {least} to {most}, not {count}"))?;
                **slot = number_within(f64::from(count), *least, *most)?;
            }
            (Self::Count(slot, least, most), Value::Count(count)) => {
                let fits = u32::try_from(count).ok().filter(|count| (*least..=*most).contains(count));
                **slot = fits.ok_or_else(|| format!("must be {least} to {most}, not {count}"))?;
            }
            (Self::Size(slot, least, most), Value::Count(count)) => {
                let fits = usize::try_from(count).ok().filter(|count| (*least..=*most).contains(count));
                **slot = fits.ok_or_else(|| format!("must be {least} to {most}, not {count}"))?;
            }
            (Self::Span(slot, least, most), Value::Span(span)) => **slot = span_within(span, *least, *most)?,
            (Self::HalfLife(slot), Value::Number(days)) => **slot = half_life(days)?,
            (Self::HalfLife(slot), Value::Count(days)) => {
                **slot = half_life(u32::try_from(days).map_or(f64::INFINITY, f64::from))?;
            }
            (Self::Numbers(slot, least, most), Value::Numbers(numbers)) => put_numbers(slot, &numbers, *least, *most)?,
            (Self::Text(slot, most), Value::Text(text)) => **slot = short_text(text, *most)?,
            (Self::Names(slot), Value::Names(names)) => **slot = attribute_names(names)?,
            (Self::AttributeKinds(slot), Value::Texts(texts)) => **slot = attribute_kinds(texts)?,
            (Self::Caps(slot), Value::Caps { offers, up_sell }) => **slot = caps(offers, up_sell)?,
            (Self::Component(slot), Value::Component { weight, prior, half_life_days }) => {
                let weight = number_within(weight, 0.0, 1000.0).map_err(|problem| format!("weight {problem}"))?;
                let prior = number_within(prior, 0.01, 1.0).map_err(|problem| format!("prior {problem}"))?;
                let half_life = half_life(half_life_days).map_err(|problem| format!("half_life_days {problem}"))?;
                **slot = ComponentPolicy { weight, prior, half_life };
            }
            (Self::Spans(slot, least, most), Value::Spans(spans)) => **slot = named_spans(spans, *least, *most)?,
            (Self::Counts(slot), Value::Counts(counts)) => **slot = channel_caps(counts)?,
            (Self::Families(slot), Value::Families(values)) => **slot = families(values)?,
            (Self::Pairs(slot), Value::Pairs(values)) => **slot = pairs(values)?,
            (Self::Sequences(slot), Value::Sequences(values)) => **slot = sequences(values)?,
            (Self::Requirements(slot), Value::Pairs(values)) => {
                let read = pairs(values)?.into_iter().map(|(product, after)| OnlyAfter { product, after });
                **slot = read.collect();
            }
            (slot, other) => return Err(format!("must be {}, not {}", slot.kind(), kind_of(&other))),
        }
        Ok(())
    }

    /// What may be put there, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Number(..) => "a number",
            Self::Count(..) | Self::Size(..) => "a whole number",
            Self::Span(..) => "a span of time such as \"28d\", \"36h\", \"15m\" or \"30s\"",
            Self::HalfLife(_) => "a half-life in days",
            Self::Numbers(..) => "a list of numbers",
            Self::Text(..) => "a text",
            Self::Names(_) => "a list of names, such as [\"age_band\"]",
            Self::AttributeKinds(_) => "kinds by name, such as { age = \"number\", segment = \"text\" }",
            Self::Caps(_) => "{ offers = 4, up_sell = 1 }",
            Self::Component(_) => "{ weight = 0.1, prior = 0.7, half_life_days = 180 }",
            Self::Spans(..) => "spans of time by name, such as { email = \"2d\" }",
            Self::Counts(_) => "whole numbers by name, such as { email = 2 }",
            Self::Families(_) => {
                "families by name, such as { insurance = { category = [\"Insurance\"], products = [], per_slate = 1, \
                 per_window = 2 } }"
            }
            Self::Pairs(_) | Self::Requirements(_) => "pairs of products, such as [[\"a\", \"b\"]]",
            Self::Sequences(_) => "a list such as [{ first = \"a\", then = \"b\", within = \"90d\" }]",
        }
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Number(_) => "a number",
        Value::Count(_) => "a whole number",
        Value::Span(_) => "a span of time",
        Value::Numbers(_) => "a list of numbers",
        Value::Text(_) => "a text",
        Value::Names(_) => "a list of names",
        Value::Texts(_) => "texts by name",
        Value::Caps { .. } => "caps",
        Value::Component { .. } => "a component",
        Value::Spans(_) => "spans by name",
        Value::Counts(_) => "whole numbers by name",
        Value::Families(_) => "families",
        Value::Pairs(_) => "pairs",
        Value::Sequences(_) => "sequences",
    }
}

fn number_within(number: f64, least: f64, most: f64) -> Result<f64, String> {
    // In this form NaN is refused, too.
    if number >= least && number <= most { Ok(number) } else { Err(format!("must be {least} to {most}, not {number}")) }
}

fn span_within(span: Duration, least: Duration, most: Duration) -> Result<Duration, String> {
    if !span.subsec_nanos().is_multiple_of(1_000_000) {
        return Err("must be in whole milliseconds".to_owned());
    }
    if (least..=most).contains(&span) {
        return Ok(span);
    }
    let write = span::write;
    Err(format!("must be {} to {}, not {}", write(least), write(most), write(span)))
}

fn half_life(days: f64) -> Result<HalfLife, String> {
    let kept = || HALF_LIVES_DAYS.map(|days| days.to_string()).join(", ");
    HalfLife::of_days(days).ok_or_else(|| format!("must be one of {}, not {days}", kept()))
}

fn put_numbers(slot: &mut [f64], numbers: &[f64], least: f64, most: f64) -> Result<(), String> {
    if numbers.len() != slot.len() {
        return Err(format!("must have {} numbers, not {}", slot.len(), numbers.len()));
    }
    for &number in numbers {
        number_within(number, least, most)?;
    }
    slot.copy_from_slice(numbers);
    Ok(())
}

fn short_text(text: String, most: usize) -> Result<String, String> {
    if text.is_empty() || text.len() > most {
        return Err(format!("must have 1 to {most} bytes, not {}", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err("must not hold control characters".to_owned());
    }
    Ok(text)
}

fn attribute_names(names: Vec<String>) -> Result<Vec<String>, String> {
    if names.len() > LIST_MAX {
        return Err(format!("has {} names, at most {LIST_MAX} are allowed", names.len()));
    }
    names.into_iter().map(|name| short_text(name, ATTRIBUTE_BYTES_MAX)).collect()
}

fn attribute_kinds(texts: BTreeMap<String, String>) -> Result<AttributeKinds, String> {
    if texts.len() > ATTRIBUTES_MAX {
        return Err(format!("has {} names, at most {ATTRIBUTES_MAX} are allowed", texts.len()));
    }
    let read = texts.into_iter().map(|(name, text)| {
        let mut letters = name.chars();
        let is_name = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if !is_name || name.len() > ATTRIBUTE_BYTES_MAX {
            return Err(format!("{name:?} cannot be asked for: a name is letters, digits and underscores"));
        }
        let kind = AttributeKind::ALL.into_iter().find(|kind| kind.as_str() == text);
        let kind = kind.ok_or_else(|| format!("{name} must be text, number or flag, not {text:?}"))?;
        Ok((name, kind))
    });
    read.collect()
}

fn caps(offers: u64, up_sell: u64) -> Result<BandCaps, String> {
    let fits = |name, count: u64| {
        let fits = u32::try_from(count).ok().filter(|count| *count <= OFFERS_MAX);
        fits.ok_or_else(|| format!("{name} must be 0 to {OFFERS_MAX}, not {count}"))
    };
    Ok(BandCaps { offers: fits("offers", offers)?, up_sell: fits("up_sell", up_sell)? })
}

fn named_spans(
    spans: BTreeMap<String, Duration>,
    least: Duration,
    most: Duration,
) -> Result<Vec<(String, Duration)>, String> {
    if spans.len() > NAMED_MAX {
        return Err(format!("has {} names, at most {NAMED_MAX} are allowed", spans.len()));
    }
    let read = spans.into_iter().map(|(name, span)| {
        Channel::new(name.clone()).map_err(|invalid| format!("the name {name:?} {invalid}"))?;
        Ok((name.clone(), span_within(span, least, most).map_err(|problem| format!("{name} {problem}"))?))
    });
    read.collect()
}

fn channel_caps(counts: BTreeMap<String, u64>) -> Result<Vec<(String, u32)>, String> {
    if counts.len() > NAMED_MAX {
        return Err(format!("has {} names, at most {NAMED_MAX} are allowed", counts.len()));
    }
    let read = counts.into_iter().map(|(name, count)| {
        Channel::new(name.clone()).map_err(|invalid| format!("the name {name:?} {invalid}"))?;
        let fits = u32::try_from(count).ok().filter(|count| *count <= OFFERS_MAX);
        let cap = fits.ok_or_else(|| format!("{name} must be 0 to {OFFERS_MAX}, not {count}"))?;
        Ok((name, cap))
    });
    read.collect()
}

fn family_value(family: &ProductFamily) -> (String, FamilyValue) {
    let ProductFamily { name, category, products, per_slate, per_window } = family;
    let value = FamilyValue {
        category: category.clone(),
        products: products.iter().map(ToString::to_string).collect(),
        per_slate: *per_slate as u64,
        per_window: (*per_window).into(),
    };
    (name.clone(), value)
}

fn families(values: BTreeMap<String, FamilyValue>) -> Result<Vec<ProductFamily>, String> {
    if values.len() > NAMED_MAX {
        return Err(format!("has {} families, at most {NAMED_MAX} are allowed", values.len()));
    }
    values
        .into_iter()
        .map(|(name, value)| family(&name, value).map_err(|problem| format!("{name}: {problem}")))
        .collect()
}

fn family(name: &str, value: FamilyValue) -> Result<ProductFamily, String> {
    let FamilyValue { category, products, per_slate, per_window } = value;
    if category.is_empty() && products.is_empty() {
        return Err("must have a category or products".to_owned());
    }
    if products.len() > LIST_MAX {
        return Err(format!("has {} products, at most {LIST_MAX} are allowed", products.len()));
    }
    let at_least_one = |what: &str, count: u64| {
        let fits = u32::try_from(count).ok().filter(|count| (1..=OFFERS_MAX).contains(count));
        fits.ok_or_else(|| format!("{what} must be 1 to {OFFERS_MAX}, not {count}"))
    };
    let per_slate = at_least_one("per_slate", per_slate)? as usize;
    let per_window = at_least_one("per_window", per_window)?;
    let products = products.into_iter().map(product).collect::<Result<_, _>>()?;
    Ok(ProductFamily { name: name.to_owned(), category, products, per_slate, per_window })
}

fn product(id: String) -> Result<ProductId, String> {
    ProductId::new(id.clone()).map_err(|invalid| format!("the product {id:?} {invalid}"))
}

fn pairs(values: Vec<(String, String)>) -> Result<Vec<(ProductId, ProductId)>, String> {
    if values.len() > LIST_MAX {
        return Err(format!("has {} pairs, at most {LIST_MAX} are allowed", values.len()));
    }
    let read = values.into_iter().map(|(a, b)| {
        if a == b { Err(format!("{a:?} is paired with itself")) } else { Ok((product(a)?, product(b)?)) }
    });
    read.collect()
}

fn sequences(values: Vec<SequenceValue>) -> Result<Vec<NeverAfter>, String> {
    if values.len() > LIST_MAX {
        return Err(format!("has {} entries, at most {LIST_MAX} are allowed", values.len()));
    }
    let read = values.into_iter().map(|SequenceValue { first, then, within }| {
        if first == then {
            return Err(format!("{first:?} follows itself"));
        }
        let within = span_within(within, A_SECOND, LOOK_BACK_MAX).map_err(|problem| format!("within {problem}"))?;
        Ok(NeverAfter { first: product(first)?, then: product(then)?, within })
    });
    read.collect()
}

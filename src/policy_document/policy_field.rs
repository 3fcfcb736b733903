//! Typed references to the fields of a policy: reading a value, and setting it after its range is checked.

use std::collections::BTreeMap;
use std::time::Duration;

use super::duration_text::format_duration;
use super::invalid_policy_value::InvalidPolicyValue;
use super::policy_value::{ChannelValue, FamilyValue, PolicyValue, SequenceValue};
use crate::domain::catalog_settings::ItemGroupSource;
use crate::domain::channel::{ChannelRegistry, ChannelTerms, ConsentBasis, RegisteredChannel, UnsetChannel};
use crate::domain::customer::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX};
use crate::domain::decayed_sum::{HALF_LIVES_DAYS, HalfLife};
use crate::domain::explicit_offer::{AttributeKind, AttributeKinds};
use crate::domain::feature_order::{FEATURE_ORDERS_MAX, FeatureOrder, FeatureOrders};
use crate::domain::ids::{Channel, ProductId};
use crate::domain::ledger::GRANTS_KEPT;
use crate::domain::policy::{BandCaps, ComponentPolicy, NeverAfter, OnlyAfter, ProductFamily};
use crate::domain::product::TEXT_BYTES_MAX;

/// Maximum of every cap: no customer welcomes more.
pub(super) const OFFERS_MAX: u32 = 40;
/// Maximum number of entries by name.
const NAMED_MAX: usize = 16;
/// Maximum length of a list.
const LIST_MAX: usize = 200;
/// Maximum look-back of a rule.
const LOOK_BACK_MAX: Duration = GRANTS_KEPT;
/// Maximum lease of a channel.
const LEASE_MAX: Duration = Duration::from_secs(30 * 86_400);
/// Minimum look-back of a rule, and minimum lease.
const A_SECOND: Duration = Duration::from_secs(1);

/// Reference to a field of a policy with the range of its values.
pub enum PolicyField<'p> {
    /// Number between a minimum and a maximum.
    Number(&'p mut f64, f64, f64),
    /// Integer between a minimum and a maximum.
    Count(&'p mut u32, u32, u32),
    /// Size between a minimum and a maximum.
    Size(&'p mut usize, usize, usize),
    /// Duration between a minimum and a maximum.
    Duration(&'p mut Duration, Duration, Duration),
    /// Half-life, one of those that are kept.
    HalfLife(&'p mut HalfLife),
    /// Numbers, each between a minimum and a maximum.
    Numbers(&'p mut [f64], f64, f64),
    /// Text of limited length.
    Text(&'p mut String, usize),
    /// Names of customer attributes.
    Names(&'p mut Vec<String>),
    /// Kinds of customer attributes by name.
    AttributeKinds(&'p mut AttributeKinds),
    /// Orders of product features by name.
    FeatureOrders(&'p mut FeatureOrders),
    /// Source of the item groups.
    ItemGroups(&'p mut ItemGroupSource),
    /// Caps of a band.
    Caps(&'p mut BandCaps),
    /// Component of relationship health.
    Component(&'p mut ComponentPolicy),
    /// Channels that requests may name.
    Channels(&'p mut ChannelRegistry),
    /// Meaning of a request without a channel.
    UnsetChannel(&'p mut UnsetChannel),
    /// Families of products that share a cap.
    Families(&'p mut Vec<ProductFamily>),
    /// Pairs of products that exclude each other.
    Pairs(&'p mut Vec<(ProductId, ProductId)>),
    /// Products that are not offered for some time after another.
    Sequences(&'p mut Vec<NeverAfter>),
    /// Products that require another, as pairs.
    Requirements(&'p mut Vec<OnlyAfter>),
}

impl PolicyField<'_> {
    /// Returns the current value.
    pub fn value(&self) -> PolicyValue {
        match self {
            Self::Number(number, ..) => PolicyValue::Number(**number),
            Self::Count(count, ..) => PolicyValue::Count(u64::from(**count)),
            Self::Size(size, ..) => PolicyValue::Count(**size as u64),
            Self::Duration(duration, ..) => PolicyValue::Duration(**duration),
            Self::HalfLife(half_life) => PolicyValue::Number(half_life.days()),
            Self::Numbers(numbers, ..) => PolicyValue::Numbers(numbers.to_vec()),
            Self::Text(text, _) => PolicyValue::Text((**text).clone()),
            Self::Names(names) => PolicyValue::Names((**names).clone()),
            Self::AttributeKinds(kinds) => {
                PolicyValue::Texts(kinds.iter().map(|(name, kind)| (name.clone(), kind.as_str().to_owned())).collect())
            }
            Self::FeatureOrders(orders) => {
                let named = orders.declared().iter().map(|(name, order)| (name.clone(), order.as_str().to_owned()));
                PolicyValue::Texts(named.collect())
            }
            Self::ItemGroups(source) => PolicyValue::Text(source.as_str().to_owned()),
            Self::Caps(caps) => PolicyValue::Caps { offers: caps.offers.into(), up_sell: caps.up_sell.into() },
            Self::Component(ComponentPolicy { weight, prior, half_life }) => {
                PolicyValue::Component { weight: *weight, prior: *prior, half_life_days: half_life.days() }
            }
            Self::Channels(registry) => PolicyValue::Channels(registry.iter().map(channel_value).collect()),
            Self::UnsetChannel(unset) => PolicyValue::Text(unset.as_str().to_owned()),
            Self::Families(families) => PolicyValue::Families(families.iter().map(family_value).collect()),
            Self::Pairs(pairs) => {
                PolicyValue::Pairs(pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect())
            }
            Self::Sequences(rules) => {
                let value = |NeverAfter { first, then, within }: &NeverAfter| SequenceValue {
                    first: first.to_string(),
                    then: then.to_string(),
                    within: *within,
                };
                PolicyValue::Sequences(rules.iter().map(value).collect())
            }
            Self::Requirements(rules) => {
                let value = |OnlyAfter { product, after }: &OnlyAfter| (product.to_string(), after.to_string());
                PolicyValue::Pairs(rules.iter().map(value).collect())
            }
        }
    }

    /// Sets the field; an invalid value leaves it unchanged.
    pub(super) fn set(&mut self, value: PolicyValue) -> Result<(), InvalidPolicyValue> {
        match (self, value) {
            (Self::Number(field, min, max), PolicyValue::Number(number)) => {
                **field = checked_number(number, *min, *max)?;
            }
            // An integer is accepted where a number is expected: TOML distinguishes 1 and 1.0.
            (Self::Number(field, min, max), PolicyValue::Count(count)) => {
                let count = u32::try_from(count)
                    .map_err(|_| InvalidPolicyValue(format!("must be {min} to {max}, not {count}")))?;
                **field = checked_number(f64::from(count), *min, *max)?;
            }
            (Self::Count(field, min, max), PolicyValue::Count(count)) => {
                let fits = u32::try_from(count).ok().filter(|count| (*min..=*max).contains(count));
                **field = fits.ok_or_else(|| InvalidPolicyValue(format!("must be {min} to {max}, not {count}")))?;
            }
            (Self::Size(field, min, max), PolicyValue::Count(count)) => {
                let fits = usize::try_from(count).ok().filter(|count| (*min..=*max).contains(count));
                **field = fits.ok_or_else(|| InvalidPolicyValue(format!("must be {min} to {max}, not {count}")))?;
            }
            (Self::Duration(field, min, max), PolicyValue::Duration(duration)) => {
                **field = checked_duration(duration, *min, *max)?;
            }
            (Self::HalfLife(field), PolicyValue::Number(days)) => **field = half_life(days)?,
            (Self::HalfLife(field), PolicyValue::Count(days)) => {
                **field = half_life(u32::try_from(days).map_or(f64::INFINITY, f64::from))?;
            }
            (Self::Numbers(field, min, max), PolicyValue::Numbers(numbers)) => {
                set_numbers(field, &numbers, *min, *max)?;
            }
            (Self::Text(field, max), PolicyValue::Text(text)) => **field = short_text(text, *max)?,
            (Self::Names(field), PolicyValue::Names(names)) => **field = attribute_names(names)?,
            (Self::AttributeKinds(field), PolicyValue::Texts(texts)) => **field = attribute_kinds(texts)?,
            (Self::FeatureOrders(field), PolicyValue::Texts(texts)) => **field = feature_orders(texts)?,
            (Self::ItemGroups(field), PolicyValue::Text(text)) => **field = item_group_source(&text)?,
            (Self::Caps(field), PolicyValue::Caps { offers, up_sell }) => **field = caps(offers, up_sell)?,
            (Self::Component(field), PolicyValue::Component { weight, prior, half_life_days }) => {
                let weight = checked_number(weight, 0.0, 1000.0)
                    .map_err(|problem| InvalidPolicyValue(format!("weight {problem}")))?;
                let prior = checked_number(prior, 0.01, 1.0)
                    .map_err(|problem| InvalidPolicyValue(format!("prior {problem}")))?;
                let half_life = half_life(half_life_days)
                    .map_err(|problem| InvalidPolicyValue(format!("half_life_days {problem}")))?;
                **field = ComponentPolicy { weight, prior, half_life };
            }
            (Self::Channels(field), PolicyValue::Channels(values)) => **field = channels(values)?,
            (Self::UnsetChannel(field), PolicyValue::Text(text)) => **field = unset_channel(text)?,
            (Self::Families(field), PolicyValue::Families(values)) => **field = families(values)?,
            (Self::Pairs(field), PolicyValue::Pairs(values)) => **field = pairs(values)?,
            (Self::Sequences(field), PolicyValue::Sequences(values)) => **field = sequences(values)?,
            (Self::Requirements(field), PolicyValue::Pairs(values)) => {
                let read = pairs(values)?.into_iter().map(|(product, after)| OnlyAfter { product, after });
                **field = read.collect();
            }
            (field, other) => {
                return Err(InvalidPolicyValue(format!("must be {}, not {}", field.expected(), kind_of(&other))));
            }
        }
        Ok(())
    }

    /// Describes the expected value in words.
    pub(super) fn expected(&self) -> &'static str {
        match self {
            Self::Number(..) => "a number",
            Self::Count(..) | Self::Size(..) => "a whole number",
            Self::Duration(..) => "a duration such as \"28d\", \"36h\", \"15m\" or \"30s\"",
            Self::HalfLife(_) => "a half-life in days",
            Self::Numbers(..) => "a list of numbers",
            Self::Text(..) => "a text",
            Self::Names(_) => "a list of names, such as [\"age_band\"]",
            Self::AttributeKinds(_) => "kinds by name, such as { age = \"number\", segment = \"text\" }",
            Self::FeatureOrders(_) => "orders by name, such as { weight = \"less_is_better\", size = \"no_order\" }",
            Self::ItemGroups(_) => "inferred or declared",
            Self::Caps(_) => "{ offers = 4, up_sell = 1 }",
            Self::Component(_) => "{ weight = 0.1, prior = 0.7, half_life_days = 180 }",
            Self::Channels(_) => {
                "channels by name, such as { email = { aliases = [\"e-mail\"], lease = \"2d\", cap = 2, basis = \"opt_in\" } }"
            }
            Self::UnsetChannel(_) => "strictest, refuse or a channel",
            Self::Families(_) => {
                "families by name, such as { insurance = { category = [\"Insurance\"], products = [], per_slate = 1, \
                 per_window = 2 } }"
            }
            Self::Pairs(_) | Self::Requirements(_) => "pairs of products, such as [[\"a\", \"b\"]]",
            Self::Sequences(_) => "a list such as [{ first = \"a\", then = \"b\", within = \"90d\" }]",
        }
    }
}

/// Collects the entries of a list or a map; the error has the problems of all of them, not of the first.
fn collect_all<T, C: FromIterator<T>>(
    entries: impl Iterator<Item = Result<T, InvalidPolicyValue>>,
) -> Result<C, InvalidPolicyValue> {
    let (read, problems): (Vec<_>, Vec<_>) = entries.partition(Result::is_ok);
    let problems: Vec<String> = problems.into_iter().filter_map(Result::err).map(String::from).collect();
    if problems.is_empty() {
        Ok(read.into_iter().filter_map(Result::ok).collect())
    } else {
        Err(InvalidPolicyValue(problems.join("; ")))
    }
}

fn kind_of(value: &PolicyValue) -> &'static str {
    match value {
        PolicyValue::Number(_) => "a number",
        PolicyValue::Count(_) => "a whole number",
        PolicyValue::Duration(_) => "a duration",
        PolicyValue::Numbers(_) => "a list of numbers",
        PolicyValue::Text(_) => "a text",
        PolicyValue::Names(_) => "a list of names",
        PolicyValue::Texts(_) => "texts by name",
        PolicyValue::Caps { .. } => "caps",
        PolicyValue::Component { .. } => "a component",
        PolicyValue::Channels(_) => "channels",
        PolicyValue::Families(_) => "families",
        PolicyValue::Pairs(_) => "pairs",
        PolicyValue::Sequences(_) => "sequences",
    }
}

fn checked_number(number: f64, min: f64, max: f64) -> Result<f64, InvalidPolicyValue> {
    // Written so that NaN is rejected, too.
    if number >= min && number <= max {
        Ok(number)
    } else {
        Err(InvalidPolicyValue(format!("must be {min} to {max}, not {number}")))
    }
}

fn checked_duration(duration: Duration, min: Duration, max: Duration) -> Result<Duration, InvalidPolicyValue> {
    if !duration.subsec_nanos().is_multiple_of(1_000_000) {
        return Err(InvalidPolicyValue("must be in whole milliseconds".to_owned()));
    }
    if (min..=max).contains(&duration) {
        return Ok(duration);
    }
    let write = format_duration;
    Err(InvalidPolicyValue(format!("must be {} to {}, not {}", write(min), write(max), write(duration))))
}

fn half_life(days: f64) -> Result<HalfLife, InvalidPolicyValue> {
    let kept = || HALF_LIVES_DAYS.map(|days| days.to_string()).join(", ");
    HalfLife::of_days(days).ok_or_else(|| InvalidPolicyValue(format!("must be one of {}, not {days}", kept())))
}

fn set_numbers(field: &mut [f64], numbers: &[f64], min: f64, max: f64) -> Result<(), InvalidPolicyValue> {
    if numbers.len() != field.len() {
        return Err(InvalidPolicyValue(format!("must have {} numbers, not {}", field.len(), numbers.len())));
    }
    let checked: Vec<f64> = collect_all(numbers.iter().map(|&number| checked_number(number, min, max)))?;
    field.copy_from_slice(&checked);
    Ok(())
}

fn short_text(text: String, max: usize) -> Result<String, InvalidPolicyValue> {
    if text.is_empty() || text.len() > max {
        return Err(InvalidPolicyValue(format!("must have 1 to {max} bytes, not {}", text.len())));
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidPolicyValue("must not contain control characters".to_owned()));
    }
    Ok(text)
}

fn attribute_names(names: Vec<String>) -> Result<Vec<String>, InvalidPolicyValue> {
    if names.len() > LIST_MAX {
        return Err(InvalidPolicyValue(format!("has {} names, at most {LIST_MAX} are allowed", names.len())));
    }
    collect_all(names.into_iter().map(|name| short_text(name, ATTRIBUTE_BYTES_MAX)))
}

fn attribute_kinds(texts: BTreeMap<String, String>) -> Result<AttributeKinds, InvalidPolicyValue> {
    if texts.len() > ATTRIBUTES_MAX {
        return Err(InvalidPolicyValue(format!("has {} names, at most {ATTRIBUTES_MAX} are allowed", texts.len())));
    }
    let read = texts.into_iter().map(|(name, text)| {
        let mut letters = name.chars();
        let is_name = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if !is_name || name.len() > ATTRIBUTE_BYTES_MAX {
            return Err(InvalidPolicyValue(format!(
                "{name:?} cannot be used in a condition: a name consists of letters, digits and underscores"
            )));
        }
        let kind = AttributeKind::ALL.into_iter().find(|kind| kind.as_str() == text);
        let kind =
            kind.ok_or_else(|| InvalidPolicyValue(format!("{name} must be text, number or flag, not {text:?}")))?;
        Ok((name, kind))
    });
    collect_all(read)
}

fn feature_orders(texts: BTreeMap<String, String>) -> Result<FeatureOrders, InvalidPolicyValue> {
    if texts.len() > FEATURE_ORDERS_MAX {
        let count = texts.len();
        return Err(InvalidPolicyValue(format!("has {count} names, at most {FEATURE_ORDERS_MAX} are allowed")));
    }
    let read = texts.into_iter().map(|(name, text)| {
        let order = FeatureOrder::ALL.into_iter().find(|order| order.as_str() == text).ok_or_else(|| {
            let allowed = FeatureOrder::ALL.map(FeatureOrder::as_str).join(", ");
            InvalidPolicyValue(format!("{name} must be one of {allowed}, not {text:?}"))
        })?;
        Ok((short_text(name, TEXT_BYTES_MAX)?, order))
    });
    read.collect::<Result<_, _>>().map(FeatureOrders::new)
}

fn item_group_source(text: &str) -> Result<ItemGroupSource, InvalidPolicyValue> {
    let source = ItemGroupSource::ALL.into_iter().find(|source| source.as_str() == text);
    source.ok_or_else(|| InvalidPolicyValue(format!("must be inferred or declared, not {text:?}")))
}

fn caps(offers: u64, up_sell: u64) -> Result<BandCaps, InvalidPolicyValue> {
    let fits = |name, count: u64| {
        let fits = u32::try_from(count).ok().filter(|count| *count <= OFFERS_MAX);
        fits.ok_or_else(|| InvalidPolicyValue(format!("{name} must be 0 to {OFFERS_MAX}, not {count}")))
    };
    Ok(BandCaps { offers: fits("offers", offers)?, up_sell: fits("up_sell", up_sell)? })
}

fn channel_value(channel: &RegisteredChannel) -> (String, ChannelValue) {
    let ChannelTerms { lease, cap, basis } = channel.terms;
    let value = ChannelValue {
        aliases: channel.aliases().iter().map(ToString::to_string).collect(),
        lease,
        cap: cap.map(u64::from),
        basis: Some(basis.as_str().to_owned()),
    };
    (channel.name().to_string(), value)
}

/// Checks channels. The error has every problem of every channel.
fn channels(values: BTreeMap<String, ChannelValue>) -> Result<ChannelRegistry, InvalidPolicyValue> {
    let mut problems = Vec::new();
    if values.is_empty() || values.len() > NAMED_MAX {
        problems.push(format!("must have 1 to {NAMED_MAX} channels, not {}", values.len()));
    }
    let mut registered = Vec::new();
    for (name, value) in values {
        match channel(&name, value) {
            Ok(channel) => registered.push(channel),
            Err(faults) => problems.extend(faults.into_iter().map(|fault| format!("{name}: {fault}"))),
        }
    }
    let registry = ChannelRegistry::new(registered).map_err(|faults| {
        problems.extend(faults.iter().map(ToString::to_string));
    });
    match registry {
        Ok(registry) if problems.is_empty() => Ok(registry),
        Ok(_) | Err(()) => Err(InvalidPolicyValue(problems.join("; "))),
    }
}

fn channel(name: &str, value: ChannelValue) -> Result<RegisteredChannel, Vec<String>> {
    let ChannelValue { aliases, lease, cap, basis } = value;
    let mut problems = Vec::new();
    let mut id = |text: &str| match Channel::new(text) {
        Ok(id) => Some(id),
        Err(invalid) => {
            problems.push(format!("the name {text:?} {invalid}"));
            None
        }
    };
    let registered = id(name);
    let aliases_len = aliases.len();
    let aliases: Vec<Channel> = aliases.iter().filter_map(|alias| id(alias)).collect();
    if aliases_len > NAMED_MAX {
        problems.push(format!("has {aliases_len} aliases, at most {NAMED_MAX} are allowed"));
    }
    if [UnsetChannel::STRICTEST, UnsetChannel::REFUSE].contains(&name) {
        problems.push("the name has a meaning of its own in contact.unset_channel".to_owned());
    }
    if let Some(Err(problem)) = lease.map(|lease| checked_duration(lease, A_SECOND, LEASE_MAX)) {
        problems.push(format!("lease {problem}"));
    }
    let checked_cap = cap.and_then(|cap| u32::try_from(cap).ok()).filter(|cap| *cap <= OFFERS_MAX);
    if let Some(cap) = cap.filter(|_| checked_cap.is_none()) {
        problems.push(format!("cap must be 0 to {OFFERS_MAX}, not {cap}"));
    }
    let basis = match basis.as_deref() {
        None => Some(ConsentBasis::OptOut),
        Some(text) => ConsentBasis::ALL.into_iter().find(|basis| basis.as_str() == text).or_else(|| {
            problems.push(format!("basis must be opt_in, soft_opt_in or opt_out, not {text:?}"));
            None
        }),
    };
    match registered.zip(basis) {
        Some((name, basis)) if problems.is_empty() => {
            Ok(RegisteredChannel::new(name, aliases, ChannelTerms { lease, cap: checked_cap, basis }))
        }
        Some(_) | None => Err(problems),
    }
}

fn unset_channel(text: String) -> Result<UnsetChannel, InvalidPolicyValue> {
    match text.as_str() {
        UnsetChannel::STRICTEST => Ok(UnsetChannel::Strictest),
        UnsetChannel::REFUSE => Ok(UnsetChannel::Refuse),
        _ => Channel::new(text.clone())
            .map(UnsetChannel::Registered)
            .map_err(|invalid| InvalidPolicyValue(format!("the name {text:?} {invalid}"))),
    }
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

fn families(values: BTreeMap<String, FamilyValue>) -> Result<Vec<ProductFamily>, InvalidPolicyValue> {
    if values.len() > NAMED_MAX {
        return Err(InvalidPolicyValue(format!("has {} families, at most {NAMED_MAX} are allowed", values.len())));
    }
    let read = values
        .into_iter()
        .map(|(name, value)| family(&name, value).map_err(|problem| InvalidPolicyValue(format!("{name}: {problem}"))));
    collect_all(read)
}

fn family(name: &str, value: FamilyValue) -> Result<ProductFamily, InvalidPolicyValue> {
    let FamilyValue { category, products, per_slate, per_window } = value;
    if category.is_empty() && products.is_empty() {
        return Err(InvalidPolicyValue("must have a category or products".to_owned()));
    }
    if products.len() > LIST_MAX {
        return Err(InvalidPolicyValue(format!("has {} products, at most {LIST_MAX} are allowed", products.len())));
    }
    let at_least_one = |what: &str, count: u64| {
        let fits = u32::try_from(count).ok().filter(|count| (1..=OFFERS_MAX).contains(count));
        fits.ok_or_else(|| InvalidPolicyValue(format!("{what} must be 1 to {OFFERS_MAX}, not {count}")))
    };
    let per_slate = at_least_one("per_slate", per_slate)? as usize;
    let per_window = at_least_one("per_window", per_window)?;
    let products = collect_all(products.into_iter().map(product))?;
    Ok(ProductFamily { name: name.to_owned(), category, products, per_slate, per_window })
}

fn product(id: String) -> Result<ProductId, InvalidPolicyValue> {
    ProductId::new(id.clone()).map_err(|invalid| InvalidPolicyValue(format!("the product {id:?} {invalid}")))
}

fn pairs(values: Vec<(String, String)>) -> Result<Vec<(ProductId, ProductId)>, InvalidPolicyValue> {
    if values.len() > LIST_MAX {
        return Err(InvalidPolicyValue(format!("has {} pairs, at most {LIST_MAX} are allowed", values.len())));
    }
    let read = values.into_iter().map(|(a, b)| {
        if a == b {
            Err(InvalidPolicyValue(format!("{a:?} is paired with itself")))
        } else {
            Ok((product(a)?, product(b)?))
        }
    });
    collect_all(read)
}

fn sequences(values: Vec<SequenceValue>) -> Result<Vec<NeverAfter>, InvalidPolicyValue> {
    if values.len() > LIST_MAX {
        return Err(InvalidPolicyValue(format!("has {} entries, at most {LIST_MAX} are allowed", values.len())));
    }
    let read = values.into_iter().map(|SequenceValue { first, then, within }| {
        if first == then {
            return Err(InvalidPolicyValue(format!("{first:?} follows itself")));
        }
        let within = checked_duration(within, A_SECOND, LOOK_BACK_MAX)
            .map_err(|problem| InvalidPolicyValue(format!("within {problem}")))?;
        Ok(NeverAfter { first: product(first)?, then: product(then)?, within })
    });
    collect_all(read)
}

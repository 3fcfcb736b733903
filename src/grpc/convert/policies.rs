//! Messages of `PolicyService`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::nouns::{duration_to_wire, time_to_wire};
use super::violations::Violations;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::grpc::generated::tactful::v1 as wire;
use crate::policy_document::format_policy::format_policy;
use crate::policy_document::invalid_policy::InvalidPolicy;
use crate::policy_document::parse_policy::{parse_policy, policy_from_values};
use crate::policy_document::policy_entries::policy_entries;
use crate::policy_document::policy_value::{ChannelValue, FamilyValue, PolicyValue, SequenceValue};
use crate::use_cases::policies::PolicyVersion;

/// Reads a policy and its document.
pub(crate) fn policy_from_wire(
    source: Option<wire::create_policy_request::Source>,
) -> Result<(Policy, String), Violations> {
    use wire::create_policy_request::Source;
    match source {
        None => {
            let mut violations = Violations::default();
            violations.add("source", "must be policy or toml");
            Err(violations)
        }
        Some(Source::Toml(text)) => {
            let policy = parse_policy(&text).map_err(|faults| violations_of("toml", faults))?;
            Ok((policy, text))
        }
        Some(Source::Policy(wire::Policy { version, settings })) => {
            let mut violations = Violations::default();
            let mut values = Vec::with_capacity(settings.len());
            for (index, wire::PolicySetting { key, value, comment: _ }) in settings.into_iter().enumerate() {
                match value.map(value_from_wire) {
                    Some(Ok(value)) => values.push((key, value)),
                    Some(Err(problem)) => violations.add(format!("policy.settings[{index}].value"), problem),
                    None => violations.add(format!("policy.settings[{index}].value"), "is required"),
                }
            }
            match policy_from_values(version, values) {
                Ok(policy) => {
                    let text = format_policy(&policy);
                    violations.or(Some((policy, text)))
                }
                Err(faults) => {
                    violations.extend(violations_of("policy", faults));
                    Err(violations)
                }
            }
        }
    }
}

/// Converts faults of a policy document. The key of a setting serves as the path of the field, because authors of policies know keys.
fn violations_of(source: &str, InvalidPolicy(faults): InvalidPolicy) -> Violations {
    let mut violations = Violations::default();
    for fault in faults {
        violations.add(format!("{source}: {}", fault.key), fault.problem);
    }
    violations
}

fn value_from_wire(value: wire::policy_setting::Value) -> Result<PolicyValue, String> {
    use wire::policy_setting::Value as Wire;
    Ok(match value {
        Wire::Number(number) => PolicyValue::Number(number),
        Wire::Count(count) => PolicyValue::Count(count),
        Wire::Span(span) => PolicyValue::Duration(span_from_wire(span)?),
        Wire::Numbers(wire::PolicyNumbers { numbers }) => PolicyValue::Numbers(numbers),
        Wire::Text(text) => PolicyValue::Text(text),
        Wire::Names(wire::PolicyNames { names }) => PolicyValue::Names(names),
        Wire::Texts(wire::PolicyTexts { texts }) => PolicyValue::Texts(texts.into_iter().collect()),
        Wire::Caps(wire::PolicyCaps { offers, up_sell }) => {
            PolicyValue::Caps { offers: offers.into(), up_sell: up_sell.into() }
        }
        Wire::Component(wire::PolicyComponent { weight, prior, half_life_days }) => {
            PolicyValue::Component { weight, prior, half_life_days }
        }
        Wire::Channels(wire::PolicyChannels { channels }) => {
            let read = channels.into_iter().map(|(name, channel)| Ok((name, channel_from_wire(channel)?)));
            PolicyValue::Channels(read.collect::<Result<BTreeMap<_, _>, String>>()?)
        }
        Wire::Families(wire::PolicyFamilies { families }) => {
            PolicyValue::Families(families.into_iter().map(|(name, family)| (name, family_from_wire(family))).collect())
        }
        Wire::Pairs(wire::PolicyPairs { pairs }) => {
            let pair = |wire::PolicyPair { product_id, other_product_id }| (product_id, other_product_id);
            PolicyValue::Pairs(pairs.into_iter().map(pair).collect())
        }
        Wire::Sequences(wire::PolicySequences { sequences }) => {
            let read = sequences.into_iter().map(|sequence| {
                let wire::PolicySequence { first_product_id: first, then_product_id: then, within } = sequence;
                Ok(SequenceValue { first, then, within: span_from_wire(within.unwrap_or_default())? })
            });
            PolicyValue::Sequences(read.collect::<Result<Vec<_>, String>>()?)
        }
    })
}

fn family_from_wire(family: wire::PolicyFamily) -> FamilyValue {
    let wire::PolicyFamily { category, product_ids, per_slate, per_window } = family;
    FamilyValue { category, products: product_ids, per_slate: per_slate.into(), per_window: per_window.into() }
}

fn family_to_wire(family: FamilyValue) -> wire::PolicyFamily {
    let FamilyValue { category, products, per_slate, per_window } = family;
    let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    wire::PolicyFamily { category, product_ids: products, per_slate: narrow(per_slate), per_window: narrow(per_window) }
}

fn channel_from_wire(channel: wire::PolicyChannel) -> Result<ChannelValue, String> {
    let wire::PolicyChannel { aliases, lease, cap, basis } = channel;
    let basis = Some(basis).filter(|basis| !basis.is_empty());
    Ok(ChannelValue { aliases, lease: lease.map(span_from_wire).transpose()?, cap: cap.map(u64::from), basis })
}

fn channel_to_wire(channel: ChannelValue) -> wire::PolicyChannel {
    let ChannelValue { aliases, lease, cap, basis } = channel;
    wire::PolicyChannel {
        aliases,
        lease: lease.map(duration_to_wire),
        cap: cap.map(|cap| u32::try_from(cap).unwrap_or(u32::MAX)),
        basis: basis.unwrap_or_default(),
    }
}

fn span_from_wire(span: prost_types::Duration) -> Result<Duration, String> {
    Duration::try_from(span).map_err(|_| "must be a duration of zero or more".to_owned())
}

fn value_to_wire(value: PolicyValue) -> wire::policy_setting::Value {
    use wire::policy_setting::Value as Wire;
    let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    match value {
        PolicyValue::Number(number) => Wire::Number(number),
        PolicyValue::Count(count) => Wire::Count(count),
        PolicyValue::Duration(span) => Wire::Span(duration_to_wire(span)),
        PolicyValue::Numbers(numbers) => Wire::Numbers(wire::PolicyNumbers { numbers }),
        PolicyValue::Text(text) => Wire::Text(text),
        PolicyValue::Names(names) => Wire::Names(wire::PolicyNames { names }),
        PolicyValue::Texts(texts) => Wire::Texts(wire::PolicyTexts { texts: texts.into_iter().collect() }),
        PolicyValue::Caps { offers, up_sell } => {
            Wire::Caps(wire::PolicyCaps { offers: narrow(offers), up_sell: narrow(up_sell) })
        }
        PolicyValue::Component { weight, prior, half_life_days } => {
            Wire::Component(wire::PolicyComponent { weight, prior, half_life_days })
        }
        PolicyValue::Channels(channels) => {
            let channels = channels.into_iter().map(|(name, channel)| (name, channel_to_wire(channel))).collect();
            Wire::Channels(wire::PolicyChannels { channels })
        }
        PolicyValue::Families(families) => {
            let families = families.into_iter().map(|(name, family)| (name, family_to_wire(family))).collect();
            Wire::Families(wire::PolicyFamilies { families })
        }
        PolicyValue::Pairs(pairs) => {
            let pair = |(product_id, other_product_id)| wire::PolicyPair { product_id, other_product_id };
            Wire::Pairs(wire::PolicyPairs { pairs: pairs.into_iter().map(pair).collect() })
        }
        PolicyValue::Sequences(sequences) => {
            let sequence = |SequenceValue { first, then, within }| wire::PolicySequence {
                first_product_id: first,
                then_product_id: then,
                within: Some(duration_to_wire(within)),
            };
            Wire::Sequences(wire::PolicySequences { sequences: sequences.into_iter().map(sequence).collect() })
        }
    }
}

/// Converts a version with all its settings.
pub(crate) fn policy_version_to_wire(version: PolicyVersion) -> wire::PolicyVersion {
    let mut policy = version.policy.clone();
    let converted = policy_entries(&mut policy).into_iter().map(|entry| wire::PolicySetting {
        key: entry.path(),
        value: Some(value_to_wire(entry.field.value())),
        comment: entry.comment.to_owned(),
    });
    let settings = converted.collect();
    let mut listed = listed_version_to_wire(version);
    if let Some(policy) = &mut listed.policy {
        policy.settings = settings;
    }
    listed
}

/// Converts a version as lists show it: without its settings.
pub(crate) fn listed_version_to_wire(version: PolicyVersion) -> wire::PolicyVersion {
    let PolicyVersion { policy, text, created_at, active_since } = version;
    wire::PolicyVersion {
        policy: Some(wire::Policy { version: policy.version, settings: Vec::new() }),
        toml: text,
        create_time: created_at.map(time_to_wire),
        active: active_since.is_some(),
        activate_time: active_since.filter(|&at| at > Timestamp::MIN).map(time_to_wire),
    }
}

//! Messages of `CustomerService`.

use std::collections::BTreeMap;

use super::nouns::{offer_kind_to_wire, time_to_wire};
use super::violations::Violations;
use crate::domain::channel::ConsentKind;
use crate::domain::customer::{
    ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, CHANNEL_CONSENTS_MAX, CHANNEL_OPT_OUTS_MAX, CONSENT_SOURCE_BYTES_MAX,
    ChannelConsent, Consents, Customer,
};
use crate::domain::holdings::Holding;
use crate::domain::ids::{Channel, CustomerId, ProductId};
use crate::domain::ledger::Grant;
use crate::domain::time::Timestamp;
use crate::grpc::generated::tactful::v1 as wire;
use crate::use_cases::customers::{ConsentsChange, CustomerView, ProfileUpdate};

/// Reads a profile; paths of violations start with `path`.
pub(crate) fn profile_from_wire(
    path: &str,
    message: wire::CustomerProfile,
    now: Timestamp,
) -> Result<ProfileUpdate, Violations> {
    let wire::CustomerProfile { customer_id, attributes, consents, consents_update } = message;
    let mut violations = Violations::default();
    let customer = violations.id(&format!("{path}.customer_id"), customer_id, CustomerId::new);
    violations.text_map(&format!("{path}.attributes"), &attributes, ATTRIBUTES_MAX, ATTRIBUTE_BYTES_MAX);
    let consents =
        consents.map(|consents| consents_from_wire(&mut violations, &format!("{path}.consents"), consents, now));
    let change = match wire::ConsentsUpdate::try_from(consents_update) {
        Ok(wire::ConsentsUpdate::Unspecified | wire::ConsentsUpdate::Replace) => ConsentsChange::Replace,
        Ok(wire::ConsentsUpdate::Add) => ConsentsChange::Add,
        Err(_) => {
            let field = format!("{path}.consents_update");
            violations.add(field, format_args!("unknown ConsentsUpdate {consents_update}"));
            ConsentsChange::Add
        }
    };
    violations.or(customer.map(|customer| ProfileUpdate { customer, attributes, consents: consents.map(change) }))
}

fn consents_from_wire(violations: &mut Violations, path: &str, message: wire::Consents, now: Timestamp) -> Consents {
    let wire::Consents { opted_out, opted_out_channels, objects_to_profiling, channel_consents } = message;
    // White space around a name must not cost an opt-out.
    let trimmed = |name: String| Channel::new(name.trim());
    let opt_outs =
        violations.ids(&format!("{path}.opted_out_channels"), opted_out_channels, CHANNEL_OPT_OUTS_MAX, trimmed);
    let field = format!("{path}.channel_consents");
    let mut recorded = BTreeMap::new();
    if channel_consents.len() > CHANNEL_CONSENTS_MAX {
        let len = channel_consents.len();
        violations.add(field, format_args!("has {len} entries, at most {CHANNEL_CONSENTS_MAX} are allowed"));
    } else {
        for (index, message) in channel_consents.into_iter().enumerate() {
            let path = format!("{field}[{index}]");
            let Some((channel, consent)) = channel_consent_from_wire(violations, &path, message, now) else { continue };
            if recorded.insert(channel, consent).is_some() {
                violations.add(format!("{path}.channel"), "is repeated");
            }
        }
    }
    Consents {
        is_opted_out: opted_out,
        channel_opt_outs: opt_outs.into_iter().collect(),
        channel_consents: recorded,
        objects_to_profiling,
    }
}

fn channel_consent_from_wire(
    violations: &mut Violations,
    path: &str,
    message: wire::ChannelConsent,
    now: Timestamp,
) -> Option<(Channel, ChannelConsent)> {
    let wire::ChannelConsent { channel, kind, grant_time, source } = message;
    let channel = violations.id(&format!("{path}.channel"), channel, Channel::new);
    let kind = match wire::ConsentKind::try_from(kind) {
        Ok(wire::ConsentKind::OptIn) => Some(ConsentKind::OptIn),
        Ok(wire::ConsentKind::SoftOptIn) => Some(ConsentKind::SoftOptIn),
        Ok(wire::ConsentKind::Unspecified) => {
            violations.add(format!("{path}.kind"), "is required");
            None
        }
        Err(_) => {
            violations.add(format!("{path}.kind"), format_args!("unknown ConsentKind {kind}"));
            None
        }
    };
    let field = format!("{path}.grant_time");
    let granted_at = if let Some(at) = grant_time {
        violations.past(&field, at, now)
    } else {
        violations.add(field, "is required");
        None
    };
    if source.trim().is_empty() || source.len() > CONSENT_SOURCE_BYTES_MAX || source.chars().any(char::is_control) {
        let problem = format!("must have 1 to {CONSENT_SOURCE_BYTES_MAX} bytes, without control characters");
        violations.add(format!("{path}.source"), problem);
    }
    Some((channel?, ChannelConsent { kind: kind?, granted_at: granted_at?, source }))
}

/// Converts the stored customer.
pub(crate) fn customer_to_wire(view: CustomerView) -> wire::GetCustomerResponse {
    let CustomerView { customer, granted_offers } = view;
    let Customer { id, merge, attributes, consents, holds: _, holdings, relationship: _, ledger: _ } = customer;
    wire::GetCustomerResponse {
        customer: Some(profile_to_wire(&id, attributes, consents)),
        holdings: holdings.owned().map(|(product, holding)| holding_to_wire(product, holding)).collect(),
        merged_customer_ids: merge.members.iter().map(ToString::to_string).collect(),
        older_holdings: u32::try_from(holdings.evicted_fingerprints().len()).unwrap_or(u32::MAX),
        granted_offers: granted_offers
            .iter()
            .map(|(grant, open_until)| wire::GrantedOffer {
                open_until_time: Some(time_to_wire(*open_until)),
                ..grant_to_wire(grant)
            })
            .collect(),
    }
}

pub(crate) fn profile_to_wire(
    customer: &CustomerId,
    attributes: BTreeMap<String, String>,
    consents: Consents,
) -> wire::CustomerProfile {
    wire::CustomerProfile {
        customer_id: customer.to_string(),
        attributes,
        consents: Some(consents_to_wire(consents)),
        consents_update: wire::ConsentsUpdate::Unspecified.into(),
    }
}

/// Converts consents.
pub(crate) fn consents_to_wire(consents: Consents) -> wire::Consents {
    let Consents { is_opted_out, channel_opt_outs, channel_consents, objects_to_profiling } = consents;
    let channel_consent = |(channel, consent): (Channel, ChannelConsent)| {
        let ChannelConsent { kind, granted_at, source } = consent;
        let kind = match kind {
            ConsentKind::OptIn => wire::ConsentKind::OptIn,
            ConsentKind::SoftOptIn => wire::ConsentKind::SoftOptIn,
        };
        let grant_time = Some(time_to_wire(granted_at));
        wire::ChannelConsent { channel: channel.to_string(), kind: kind.into(), grant_time, source }
    };
    wire::Consents {
        opted_out: is_opted_out,
        opted_out_channels: channel_opt_outs.iter().map(ToString::to_string).collect(),
        objects_to_profiling,
        channel_consents: channel_consents.into_iter().map(channel_consent).collect(),
    }
}

fn holding_to_wire(product: &ProductId, holding: &Holding) -> wire::Holding {
    wire::Holding {
        product_id: product.to_string(),
        first_time: Some(time_to_wire(holding.first_at())),
        last_time: Some(time_to_wire(holding.last_at())),
        subscribed: holding.is_subscribed(),
        quantity: holding.items.quantity(),
    }
}

/// Converts the offer and the times of a grant, without the end of the time in which it is open: that depends on the policy.
pub(crate) fn grant_to_wire(grant: &Grant) -> wire::GrantedOffer {
    wire::GrantedOffer {
        offer_id: grant.offer.to_string(),
        product_id: grant.product.to_string(),
        kind: offer_kind_to_wire(grant.kind).into(),
        grant_time: Some(time_to_wire(grant.granted_at)),
        lease_end_time: grant.lease.as_ref().map(|lease| time_to_wire(lease.ends_at)),
        open_until_time: None,
    }
}

//! Messages of `CustomerService`.

use std::collections::BTreeMap;

use super::nouns::{offer_kind_to_wire, time_to_wire};
use super::violations::Violations;
use crate::domain::customer::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, CHANNEL_OPT_OUTS_MAX, Consents, Customer};
use crate::domain::holdings::Holding;
use crate::domain::ids::{Channel, CustomerId, ProductId};
use crate::domain::ledger::Grant;
use crate::grpc::generated::tactful::v1 as wire;
use crate::use_cases::customers::{CustomerView, ProfileUpdate};

/// Reads a profile; paths of violations start with `path`.
pub(crate) fn profile_from_wire(path: &str, message: wire::CustomerProfile) -> Result<ProfileUpdate, Violations> {
    let wire::CustomerProfile { customer_id, attributes, consents } = message;
    let mut violations = Violations::default();
    let customer = violations.id(&format!("{path}.customer_id"), customer_id, CustomerId::new);
    violations.text_map(&format!("{path}.attributes"), &attributes, ATTRIBUTES_MAX, ATTRIBUTE_BYTES_MAX);
    let consents = consents.map(|consents| {
        let wire::Consents { opted_out, opted_out_channels, objects_to_profiling } = consents;
        let field = format!("{path}.consents.opted_out_channels");
        let channels = violations.ids(&field, opted_out_channels, CHANNEL_OPT_OUTS_MAX, Channel::new);
        Consents { is_opted_out: opted_out, channel_opt_outs: channels.into_iter().collect(), objects_to_profiling }
    });
    violations.or(customer.map(|customer| ProfileUpdate { customer, attributes, consents }))
}

/// Converts the stored customer.
pub(crate) fn customer_to_wire(view: CustomerView) -> wire::GetCustomerResponse {
    let CustomerView { customer, granted_offers } = view;
    let Customer { id, attributes, consents, holds: _, holdings, relationship: _, ledger: _ } = customer;
    wire::GetCustomerResponse {
        customer: Some(profile_to_wire(&id, attributes, consents)),
        holdings: holdings.owned().map(|(product, holding)| holding_to_wire(product, holding)).collect(),
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
    let Consents { is_opted_out, channel_opt_outs, objects_to_profiling } = consents;
    let consents = wire::Consents {
        opted_out: is_opted_out,
        opted_out_channels: channel_opt_outs.iter().map(ToString::to_string).collect(),
        objects_to_profiling,
    };
    wire::CustomerProfile { customer_id: customer.to_string(), attributes, consents: Some(consents) }
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

//! Conversion of a row to a customer profile.

use std::collections::BTreeMap;

use super::canonical_column::{CanonicalColumn, EntityKind};
use super::cell_values::{parse_bool, plain_line};
use super::row_fields::RowFields;
use super::row_outcome::CustomerProfile;
use crate::domain::customer::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, CHANNEL_OPT_OUTS_MAX, Consents};
use crate::domain::ids::{Channel, CustomerId};

/// Converts a row; `None` only with a fault in the fields.
pub(super) fn customer_profile(fields: &mut RowFields<'_>) -> Option<CustomerProfile> {
    fields.require(CanonicalColumn::CustomerId);
    let id = fields.id(CanonicalColumn::CustomerId, CustomerId::new);
    let mut attributes = BTreeMap::new();
    for (name, position) in &fields.layout.attributes {
        match fields.row.cell(*position).text() {
            Ok(None) => {}
            Ok(Some(value)) => match plain_line(&value) {
                Ok(value) => drop(attributes.insert(name.clone(), value)),
                Err(problem) => fields.add_column_fault(name, problem),
            },
            Err(problem) => fields.add_column_fault(name, problem),
        }
    }
    for (name, value) in &fields.mapping.constants {
        if EntityKind::Customers.column(name).is_none() {
            attributes.insert(name.clone(), value.clone());
        }
    }
    for (name, value) in &attributes {
        for (what, text) in [("name", name), ("value", value)] {
            if text.len() > ATTRIBUTE_BYTES_MAX {
                let problem = format!("its {what} has {} bytes, at most {ATTRIBUTE_BYTES_MAX} are allowed", text.len());
                fields.add_column_fault(name, problem);
            }
        }
    }
    if attributes.len() > ATTRIBUTES_MAX {
        let problem = format!(
            "has {} attributes, at most {ATTRIBUTES_MAX} are allowed; leave some out with [ignore] columns",
            attributes.len()
        );
        fields.add_row_fault(problem);
    }
    let consents = consents(fields);
    Some(CustomerProfile { id: id?, attributes, consents })
}

/// Reads opt-outs and objections; `None` when the row states none. A `false` states nothing: a file may be older than what the
/// customer said since, so it clears no opt-out.
fn consents(fields: &mut RowFields<'_>) -> Option<Consents> {
    let mut consents = Consents {
        is_opted_out: fields.parsed(CanonicalColumn::OptedOut, parse_bool).unwrap_or(false),
        channel_opt_outs: fields.ids(CanonicalColumn::OptedOutChannels, CHANNEL_OPT_OUTS_MAX, Channel::new),
        objects_to_profiling: fields.parsed(CanonicalColumn::ObjectsToProfiling, parse_bool).unwrap_or(false),
        ..Consents::default()
    };
    consents.add(fields.nested_consents(CanonicalColumn::Consents));
    Some(consents).filter(|consents| *consents != Consents::default())
}

//! A row as what is known about a customer.

use std::collections::BTreeMap;

use super::column::Column;
use super::fields::Fields;
use super::row::CustomerProfile;
use crate::domain::customer::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX};
use crate::domain::ids::CustomerId;

/// Reads a profile; `None` only with a reason in the fields.
pub(super) fn customer_profile(fields: &mut Fields<'_>) -> Option<CustomerProfile> {
    fields.require(Column::CustomerId);
    let id = fields.id(Column::CustomerId, CustomerId::new);
    let mut attributes = BTreeMap::new();
    for (name, position) in &fields.layout.attributes {
        match fields.row.cell(*position).text() {
            Ok(None) => {}
            Ok(Some(value)) => drop(attributes.insert(name.clone(), value.into_owned())),
            Err(problem) => fields.refuse_source(name, problem),
        }
    }
    for (name, value) in &fields.mapping.constants {
        if name != Column::CustomerId.as_str() {
            attributes.insert(name.clone(), value.clone());
        }
    }
    for (name, value) in &attributes {
        for (what, text) in [("name", name), ("value", value)] {
            if text.len() > ATTRIBUTE_BYTES_MAX {
                let problem = format!("its {what} has {} bytes, at most {ATTRIBUTE_BYTES_MAX} are allowed", text.len());
                fields.refuse_source(name, problem);
            }
        }
    }
    if attributes.len() > ATTRIBUTES_MAX {
        let problem = format!(
            "has {} attributes, at most {ATTRIBUTES_MAX} are allowed; leave some out with [ignore] columns",
            attributes.len()
        );
        fields.refuse_row(problem);
    }
    Some(CustomerProfile { id: id?, attributes })
}

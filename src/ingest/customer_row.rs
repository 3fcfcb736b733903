//! Conversion of a row to a customer profile.

use std::collections::BTreeMap;

use super::canonical_column::CanonicalColumn;
use super::cell_values::plain_line;
use super::row_fields::RowFields;
use super::row_outcome::CustomerProfile;
use crate::domain::customer::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX};
use crate::domain::ids::CustomerId;

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
        if name != CanonicalColumn::CustomerId.as_str() {
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
    Some(CustomerProfile { id: id?, attributes })
}

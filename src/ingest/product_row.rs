//! Conversion of a row to a product.

use std::collections::BTreeMap;

use super::canonical_column::CanonicalColumn;
use super::cell_values::{excerpt, parse_bool, parse_integer, plain_line};
use super::invalid_cell::InvalidCell;
use super::row_fields::RowFields;
use crate::domain::ids::{ItemGroupId, LadderId, ProductId};
use crate::domain::product::{
    CATEGORY_LEVELS_MAX, FEATURES_MAX, FeatureValue, LadderPosition, Product, RELATED_PRODUCTS_MAX, TEXT_BYTES_MAX,
    TITLE_BYTES_MAX,
};

/// Separator of the levels of a category path: `Kitchen > Toasters`.
const CATEGORY_SEPARATOR: char = '>';

/// Converts a row; `None` only with a fault in the fields.
pub(super) fn product(fields: &mut RowFields<'_>) -> Option<Product> {
    fields.require(CanonicalColumn::ProductId);
    fields.require(CanonicalColumn::Title);
    let id = fields.id(CanonicalColumn::ProductId, ProductId::new);
    let title = fields.parsed(CanonicalColumn::Title, |text| short(text, TITLE_BYTES_MAX));
    let category = fields.parsed(CanonicalColumn::Category, category).unwrap_or_default();
    let price = fields.price(CanonicalColumn::Price);
    let margin = fields.money(CanonicalColumn::Margin);
    let ladder_position = ladder_position(fields);
    let item_group = fields.id(CanonicalColumn::ItemGroup, ItemGroupId::new);
    let features = fields.named_values(CanonicalColumn::Features, FEATURES_MAX, TEXT_BYTES_MAX);
    let requires = fields.ids(CanonicalColumn::Requires, RELATED_PRODUCTS_MAX, ProductId::new);
    let excludes = fields.ids(CanonicalColumn::Excludes, RELATED_PRODUCTS_MAX, ProductId::new);
    let compatible_with = fields.ids(CanonicalColumn::CompatibleWith, RELATED_PRODUCTS_MAX, ProductId::new);
    let repeatable = fields.parsed(CanonicalColumn::Repeatable, parse_bool).unwrap_or(false);
    let available = fields.parsed(CanonicalColumn::Available, parse_bool).unwrap_or(true);
    let available_from = fields.time(CanonicalColumn::AvailableFrom);
    let available_until = fields.time(CanonicalColumn::AvailableUntil);
    if let (Some(from), Some(until)) = (available_from, available_until)
        && until <= from
    {
        fields.add_fault(CanonicalColumn::AvailableUntil, format!("must be after `available_from`, {from}"));
    }
    let attributes = attributes(fields);
    Some(Product {
        id: id?,
        title: title?,
        category,
        price,
        margin,
        ladder_position,
        item_group,
        features,
        requires,
        excludes,
        compatible_with,
        repeatable,
        available,
        available_from,
        available_until,
        attributes,
    })
}

fn short(text: &str, bytes_max: usize) -> Result<String, InvalidCell> {
    let text = plain_line(text)?;
    if text.len() > bytes_max {
        return Err(InvalidCell(format!("has {} bytes, at most {bytes_max} are allowed", text.len())));
    }
    Ok(text)
}

fn category(text: &str) -> Result<Vec<String>, InvalidCell> {
    let levels: Vec<&str> = text.split(CATEGORY_SEPARATOR).map(str::trim).collect();
    if levels.len() > CATEGORY_LEVELS_MAX {
        return Err(InvalidCell(format!("has {} levels, at most {CATEGORY_LEVELS_MAX} are allowed", levels.len())));
    }
    if levels.contains(&"") {
        return Err(InvalidCell(format!(
            "has an empty level; write it like Kitchen > Toasters, not {}",
            excerpt(text)
        )));
    }
    levels.into_iter().map(|level| short(level, TEXT_BYTES_MAX)).collect()
}

/// Reads the position on a ladder; ladder and tier are required together.
fn ladder_position(fields: &mut RowFields<'_>) -> Option<LadderPosition> {
    match (fields.is_empty(CanonicalColumn::Ladder), fields.is_empty(CanonicalColumn::Tier)) {
        (true, false) => fields.add_fault(CanonicalColumn::Ladder, "is missing, and `tier` is given"),
        (false, true) => fields.add_fault(CanonicalColumn::Tier, "is missing, and `ladder` is given"),
        (true, true) | (false, false) => {}
    }
    let ladder = fields.id(CanonicalColumn::Ladder, LadderId::new);
    let tier = fields.parsed(CanonicalColumn::Tier, |text| {
        u32::try_from(parse_integer(text)?)
            .map_err(|_| InvalidCell(format!("must be 0 to {}, not {}", u32::MAX, excerpt(text))))
    });
    Some(LadderPosition { ladder: ladder?, tier: tier? })
}

fn attributes(fields: &mut RowFields<'_>) -> BTreeMap<String, String> {
    let values = fields.named_values(CanonicalColumn::Attributes, FEATURES_MAX, TEXT_BYTES_MAX);
    let text = |value| match value {
        FeatureValue::Number(number) => number.to_string(),
        FeatureValue::Flag(flag) => flag.to_string(),
        FeatureValue::Text(text) => text,
    };
    values.into_iter().map(|(name, value)| (name, text(value))).collect()
}

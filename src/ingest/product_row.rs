//! A row as a product.

use std::collections::BTreeMap;

use super::column::Column;
use super::fields::Fields;
use super::numbers::{flag, shown, whole};
use crate::domain::ids::{LadderId, ProductId};
use crate::domain::product::{
    CATEGORY_LEVELS_MAX, FEATURES_MAX, FeatureValue, LadderPosition, Product, RELATED_PRODUCTS_MAX, TEXT_BYTES_MAX,
    TITLE_BYTES_MAX,
};

/// Separates the levels of a category path: `Kitchen > Toasters`.
const CATEGORY_SEPARATOR: char = '>';

/// Reads a product; `None` only with a reason in the fields.
pub(super) fn product(fields: &mut Fields<'_>) -> Option<Product> {
    fields.require(Column::ProductId);
    fields.require(Column::Title);
    let id = fields.id(Column::ProductId, ProductId::new);
    let title = fields.parsed(Column::Title, |text| short(text, TITLE_BYTES_MAX));
    let category = fields.parsed(Column::Category, category).unwrap_or_default();
    let price = fields.price(Column::Price);
    let margin = fields.money(Column::Margin);
    let ladder_position = ladder_position(fields);
    let features = fields.named_values(Column::Features, FEATURES_MAX, TEXT_BYTES_MAX);
    let requires = fields.ids(Column::Requires, RELATED_PRODUCTS_MAX, ProductId::new);
    let excludes = fields.ids(Column::Excludes, RELATED_PRODUCTS_MAX, ProductId::new);
    let compatible_with = fields.ids(Column::CompatibleWith, RELATED_PRODUCTS_MAX, ProductId::new);
    let repeatable = fields.parsed(Column::Repeatable, flag).unwrap_or(false);
    let available = fields.parsed(Column::Available, flag).unwrap_or(true);
    let available_from = fields.time(Column::AvailableFrom);
    let available_until = fields.time(Column::AvailableUntil);
    if let (Some(from), Some(until)) = (available_from, available_until)
        && until <= from
    {
        fields.refuse(Column::AvailableUntil, format!("must be after `available_from`, {from}"));
    }
    let attributes = attributes(fields);
    Some(Product {
        id: id?,
        title: title?,
        category,
        price,
        margin,
        ladder_position,
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

fn short(text: &str, bytes_max: usize) -> Result<String, String> {
    if text.len() > bytes_max {
        return Err(format!("has {} bytes, at most {bytes_max} are allowed", text.len()));
    }
    Ok(text.to_owned())
}

fn category(text: &str) -> Result<Vec<String>, String> {
    let levels: Vec<&str> = text.split(CATEGORY_SEPARATOR).map(str::trim).collect();
    if levels.len() > CATEGORY_LEVELS_MAX {
        return Err(format!("has {} levels, at most {CATEGORY_LEVELS_MAX} are allowed", levels.len()));
    }
    if levels.contains(&"") {
        return Err(format!("has an empty level; write it like Kitchen > Toasters, not {}", shown(text)));
    }
    levels.into_iter().map(|level| short(level, TEXT_BYTES_MAX)).collect()
}

/// A ladder and a tier make sense only together.
fn ladder_position(fields: &mut Fields<'_>) -> Option<LadderPosition> {
    match (fields.is_empty(Column::Ladder), fields.is_empty(Column::Tier)) {
        (true, false) => fields.refuse(Column::Ladder, "is missing, and `tier` is given"),
        (false, true) => fields.refuse(Column::Tier, "is missing, and `ladder` is given"),
        (true, true) | (false, false) => {}
    }
    let ladder = fields.id(Column::Ladder, LadderId::new);
    let tier = fields.parsed(Column::Tier, |text| {
        u32::try_from(whole(text)?).map_err(|_| format!("must be 0 to {}, not {}", u32::MAX, shown(text)))
    });
    Some(LadderPosition { ladder: ladder?, tier: tier? })
}

fn attributes(fields: &mut Fields<'_>) -> BTreeMap<String, String> {
    let values = fields.named_values(Column::Attributes, FEATURES_MAX, TEXT_BYTES_MAX);
    let text = |value| match value {
        FeatureValue::Number(number) => number.to_string(),
        FeatureValue::Flag(flag) => flag.to_string(),
        FeatureValue::Text(text) => text,
    };
    values.into_iter().map(|(name, value)| (name, text(value))).collect()
}

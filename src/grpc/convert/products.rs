//! Products, in messages of `CatalogService`.

use std::collections::{BTreeMap, BTreeSet};

use super::nouns::{feature_to_wire, money_to_wire, time_to_wire};
use super::violations::{Violations, entry_path};
use crate::domain::ids::{ItemGroupId, LadderId, ProductId};
use crate::domain::product::{
    CATEGORY_LEVELS_MAX, FEATURES_MAX, FeatureValue, LadderPosition, Product, RELATED_PRODUCTS_MAX, TEXT_BYTES_MAX,
    TITLE_BYTES_MAX,
};
use crate::grpc::generated::tactful::v1 as wire;

/// Reads a product; paths of violations start with `path`.
pub(crate) fn product_from_wire(path: &str, message: wire::Product) -> Result<Product, Violations> {
    let wire::Product {
        product_id,
        title,
        category,
        price,
        margin,
        ladder,
        tier,
        features,
        requires,
        excludes,
        compatible_with,
        repeatable,
        unavailable,
        available_from,
        available_until,
        attributes,
        item_group,
    } = message;
    let mut violations = Violations::default();
    let field = |name: &str| format!("{path}.{name}");
    let id = violations.id(&field("product_id"), product_id, ProductId::new);
    if title.trim().is_empty() {
        violations.add(field("title"), "must not be empty");
    }
    violations.plain_text(&field("title"), &title, TITLE_BYTES_MAX);
    check_category(&mut violations, &field("category"), &category);
    // As the client sent it: an invalid amount in the price does not make the currency of the margin a violation.
    let price_currency = price.as_ref().map(|price| price.currency_code.clone());
    let price = price.and_then(|price| violations.money_not_negative(&field("price"), price));
    let margin = margin.and_then(|margin| violations.money(&field("margin"), margin));
    if margin.is_some_and(|margin| price_currency.as_deref() != Some(margin.currency().as_str())) {
        violations.add(field("margin"), "must be in the currency of the price");
    }
    if ladder.is_empty() && tier != 0 {
        violations.add(field("tier"), "requires a ladder");
    }
    let ladder = violations.optional_id(&field("ladder"), ladder, LadderId::new);
    let item_group = violations.optional_id(&field("item_group"), item_group, ItemGroupId::new);
    let features = read_features(&mut violations, &field("features"), features);
    let mut related = |name: &str, ids: Vec<String>| -> BTreeSet<ProductId> {
        let ids = violations.ids(&field(name), ids, RELATED_PRODUCTS_MAX, ProductId::new);
        if id.as_ref().is_some_and(|id| ids.contains(id)) {
            violations.add(field(name), "must not name the product itself");
        }
        ids.into_iter().collect()
    };
    let requires = related("requires", requires);
    let excludes = related("excludes", excludes);
    let compatible_with = related("compatible_with", compatible_with);
    let available_from = available_from.and_then(|at| violations.time(&field("available_from"), at));
    let available_until = available_until.and_then(|at| violations.time(&field("available_until"), at));
    if available_from.zip(available_until).is_some_and(|(from, until)| from >= until) {
        violations.add(field("available_until"), "must be after available_from");
    }
    violations.text_map(&field("attributes"), &attributes, FEATURES_MAX, TEXT_BYTES_MAX);
    let product = id.map(|id| Product {
        id,
        title,
        category,
        price,
        margin,
        ladder_position: ladder.map(|ladder| LadderPosition { ladder, tier }),
        item_group,
        features,
        requires,
        excludes,
        compatible_with,
        repeatable,
        available: !unavailable,
        available_from,
        available_until,
        attributes,
    });
    violations.or(product)
}

fn check_category(violations: &mut Violations, field: &str, category: &[String]) {
    if category.len() > CATEGORY_LEVELS_MAX {
        violations.add(field, format_args!("has {} levels, at most {CATEGORY_LEVELS_MAX} are allowed", category.len()));
        return;
    }
    for (index, level) in category.iter().enumerate() {
        let field = format!("{field}[{index}]");
        if level.trim().is_empty() {
            violations.add(&field, "must not be empty");
        }
        violations.plain_text(&field, level, TEXT_BYTES_MAX);
    }
}

fn read_features(
    violations: &mut Violations,
    field: &str,
    features: BTreeMap<String, wire::FeatureValue>,
) -> BTreeMap<String, FeatureValue> {
    use wire::feature_value::Value;
    if features.len() > FEATURES_MAX {
        violations.add(field, format_args!("has {} entries, at most {FEATURES_MAX} are allowed", features.len()));
        return BTreeMap::new();
    }
    let mut read = BTreeMap::new();
    for (name, wire::FeatureValue { value }) in features {
        let field = entry_path(field, &name);
        if name.trim().is_empty() {
            violations.add(&field, "must have a name");
        }
        violations.plain_text(&field, &name, TEXT_BYTES_MAX);
        let value = match value {
            Some(Value::Number(number)) if number.is_finite() => FeatureValue::Number(number),
            Some(Value::Number(_)) => {
                violations.add(&field, "must be a finite number");
                continue;
            }
            Some(Value::Flag(flag)) => FeatureValue::Flag(flag),
            Some(Value::Text(text)) => {
                violations.plain_text(&field, &text, TEXT_BYTES_MAX);
                FeatureValue::Text(text)
            }
            None => {
                violations.add(&field, "must have a value");
                continue;
            }
        };
        read.insert(name, value);
    }
    read
}

pub(crate) fn product_to_wire(product: Product) -> wire::Product {
    let Product {
        id,
        title,
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
    } = product;
    let texts = |ids: BTreeSet<ProductId>| ids.iter().map(ToString::to_string).collect();
    let (ladder, tier) =
        ladder_position.map_or((String::new(), 0), |LadderPosition { ladder, tier }| (ladder.to_string(), tier));
    wire::Product {
        product_id: id.to_string(),
        title,
        category,
        price: price.map(money_to_wire),
        margin: margin.map(money_to_wire),
        ladder,
        tier,
        features: features.into_iter().map(|(name, value)| (name, feature_to_wire(value))).collect(),
        requires: texts(requires),
        excludes: texts(excludes),
        compatible_with: texts(compatible_with),
        repeatable,
        unavailable: !available,
        available_from: available_from.map(time_to_wire),
        available_until: available_until.map(time_to_wire),
        attributes,
        item_group: item_group.map_or_else(String::new, |group| group.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_violations_are_reported_at_once() {
        let money = |currency: &str, units| Some(wire::Money { currency_code: currency.into(), units, nanos: 0 });
        let message = wire::Product {
            product_id: "p".into(),
            price: money("GBP", -1),
            margin: money("EUR", 1),
            tier: 2,
            requires: vec!["p".into()],
            features: [(
                "slots".to_owned(),
                wire::FeatureValue { value: Some(wire::feature_value::Value::Number(f64::NAN)) },
            )]
            .into(),
            ..wire::Product::default()
        };
        let violations = product_from_wire("products[1]", message).expect_err("violations");
        let fields: Vec<&str> = violations.as_slice().iter().map(|violation| violation.field.as_str()).collect();
        let expected = ["title", "price", "margin", "tier", "features[slots]", "requires"]
            .map(|name| format!("products[1].{name}"));
        assert_eq!(fields, expected);
    }

    #[test]
    fn products_round_trip() {
        let product = Product { repeatable: true, ..Product::new(ProductId::new("p").expect("valid"), "Title") };
        assert_eq!(product_from_wire("p", product_to_wire(product.clone())), Ok(product));
    }
}

//! Settings of the catalogue as a whole, which a policy declares.

use super::feature_order::FeatureOrders;

/// Rules by which the products of a catalogue compare.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CatalogSettings {
    /// Order of the values of features.
    pub feature_orders: FeatureOrders,
    /// Source of the item groups.
    pub item_groups: ItemGroupSource,
}

/// Source of the item groups of products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ItemGroupSource {
    /// The item group that a product declares; for products without one, titles that differ by a colour or size alone.
    #[default]
    Inferred,
    /// The item group that a product declares, and nothing else.
    Declared,
}

impl ItemGroupSource {
    /// Every source.
    pub const ALL: [Self; 2] = [Self::Inferred, Self::Declared];

    /// Name in a policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inferred => "inferred",
            Self::Declared => "declared",
        }
    }
}

//! Findings of the lint of policy, catalogue and explicit offers: settings that are valid, but probably a mistake.

use std::fmt;

use super::ids::{Channel, LadderId, OfferId, ProductId};
use super::money::Money;

/// Number of products that a sentence names.
const NAMED_MAX: usize = 5;

/// Finding of the lint. Its `Display` is a sentence without a full stop, for operators.
#[derive(Debug, Clone, PartialEq)]
pub enum LintFinding {
    /// A rule of the policy names a product that is not in the catalogue.
    UnknownProductInPolicy {
        /// Key of the rule.
        key: String,
        /// The product.
        product: ProductId,
    },
    /// No product of the catalogue belongs to a family of the policy.
    EmptyFamily {
        /// Name of the family.
        family: String,
    },
    /// A product names another one that is not in the catalogue.
    UnknownRelatedProduct {
        /// The product.
        product: ProductId,
        /// Field that names the other one.
        relation: ProductRelation,
        /// The other product.
        other: ProductId,
    },
    /// Products that require each other, so that none can be offered first.
    RequiresCycle {
        /// The products of the cycle, each of which needs the next one, and the last one the first.
        products: Vec<ProductId>,
    },
    /// A product that can never be offered, because what it requires is excluded.
    RequiredAndExcluded {
        /// The product.
        product: ProductId,
        /// The product that it requires, and that is excluded.
        required: ProductId,
        /// The product that excludes it: the product itself, the required one, or another required one.
        excluded_by: ProductId,
    },
    /// Several products with the same tier on one ladder, none of which is an upgrade of another.
    DuplicateRung {
        /// The ladder.
        ladder: LadderId,
        /// The tier.
        tier: u32,
        /// The products with this tier.
        products: Vec<ProductId>,
    },
    /// A product with a negative margin, which ranking treats as worthless.
    NegativeMargin {
        /// The product.
        product: ProductId,
        /// Its margin.
        margin: Money,
    },
    /// An explicit offer of a product that is not in the catalogue.
    UnknownOfferedProduct {
        /// The offer.
        offer: OfferId,
        /// The product.
        product: ProductId,
    },
    /// An explicit offer above the list price.
    OfferPriceAboveListPrice {
        /// The offer.
        offer: OfferId,
        /// Its price.
        price: Money,
        /// Price of the product.
        list_price: Money,
    },
    /// An explicit offer whose discount is larger than the margin.
    NegativeOfferMargin {
        /// The offer.
        offer: OfferId,
        /// The margin that is left.
        margin: Money,
    },
    /// Opt-outs of a channel that the policy does not have, so that they hold for every channel.
    UnresolvedOptOut {
        /// The channel, as it was written.
        channel: Channel,
        /// Number of customers who opted out of it.
        customers: u64,
    },
    /// An explicit offer whose condition cannot be used under the policy, so that it applies to no customer.
    UnusableCondition {
        /// The offer.
        offer: OfferId,
        /// Predicate about the condition.
        problem: String,
    },
}

/// Field of a product that names others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProductRelation {
    /// Products of which the customer must own all.
    Requires,
    /// Products of which the customer must own none.
    Excludes,
    /// Products that it goes with.
    CompatibleWith,
}

impl ProductRelation {
    /// Name of the field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requires => "requires",
            Self::Excludes => "excludes",
            Self::CompatibleWith => "compatible_with",
        }
    }
}

impl LintFinding {
    /// Stable code, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownProductInPolicy { .. } => "UNKNOWN_PRODUCT_IN_POLICY",
            Self::EmptyFamily { .. } => "EMPTY_FAMILY",
            Self::UnknownRelatedProduct { .. } => "UNKNOWN_RELATED_PRODUCT",
            Self::RequiresCycle { .. } => "REQUIRES_CYCLE",
            Self::RequiredAndExcluded { .. } => "REQUIRED_AND_EXCLUDED",
            Self::DuplicateRung { .. } => "DUPLICATE_RUNG",
            Self::NegativeMargin { .. } => "NEGATIVE_MARGIN",
            Self::UnknownOfferedProduct { .. } => "UNKNOWN_OFFERED_PRODUCT",
            Self::OfferPriceAboveListPrice { .. } => "OFFER_PRICE_ABOVE_LIST_PRICE",
            Self::NegativeOfferMargin { .. } => "NEGATIVE_OFFER_MARGIN",
            Self::UnresolvedOptOut { .. } => "UNRESOLVED_OPT_OUT",
            Self::UnusableCondition { .. } => "UNUSABLE_CONDITION",
        }
    }

    /// Key of the policy, or id of the product, ladder or offer that the finding is about; the code determines which.
    pub fn subject(&self) -> String {
        match self {
            Self::UnknownProductInPolicy { key, product: _ } => key.clone(),
            Self::EmptyFamily { family } => format!("contact.families.{family}"),
            Self::UnresolvedOptOut { .. } => "contact.channels".to_owned(),
            Self::UnknownRelatedProduct { product, .. }
            | Self::RequiredAndExcluded { product, .. }
            | Self::NegativeMargin { product, .. } => product.to_string(),
            Self::RequiresCycle { products } => products.first().map(ToString::to_string).unwrap_or_default(),
            Self::DuplicateRung { ladder, .. } => ladder.to_string(),
            Self::UnknownOfferedProduct { offer, .. }
            | Self::OfferPriceAboveListPrice { offer, .. }
            | Self::NegativeOfferMargin { offer, .. }
            | Self::UnusableCondition { offer, .. } => offer.to_string(),
        }
    }
}

impl fmt::Display for LintFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownProductInPolicy { key, product } => {
                write!(f, "{key} names {product}, which is not in the catalogue")
            }
            Self::EmptyFamily { family } => write!(f, "no product of the catalogue belongs to the family {family}"),
            Self::UnknownRelatedProduct { product, relation, other } => {
                write!(f, "{} of {product} names {other}, which is not in the catalogue", relation.as_str())
            }
            Self::RequiresCycle { products } => {
                write!(f, "{} require each other in a circle, so none of them can be offered first", named(products))
            }
            Self::RequiredAndExcluded { product, required, excluded_by } if excluded_by == product => {
                write!(f, "{product} requires {required} and excludes it, so it is never offered")
            }
            Self::RequiredAndExcluded { product, required, excluded_by } if required == product => {
                write!(f, "{product} requires {excluded_by}, which excludes it, so it is never offered")
            }
            Self::RequiredAndExcluded { product, required, excluded_by } => {
                write!(f, "{product} requires {required} and {excluded_by}, which exclude each other")
            }
            Self::DuplicateRung { ladder, tier, products } => {
                write!(f, "{} have the same tier {tier} on the ladder {ladder}", named(products))
            }
            Self::NegativeMargin { product, margin } => write!(f, "{product} has a negative margin, {margin}"),
            Self::UnknownOfferedProduct { offer, product } => {
                write!(f, "{offer} offers {product}, which is not in the catalogue")
            }
            Self::OfferPriceAboveListPrice { offer, price, list_price } => {
                write!(f, "{offer} costs {price}, more than the price of the product, {list_price}")
            }
            Self::NegativeOfferMargin { offer, margin } => {
                write!(f, "the discount of {offer} leaves a negative margin, {margin}")
            }
            Self::UnresolvedOptOut { channel, customers } => {
                let who =
                    if *customers == 1 { "1 customer has".to_owned() } else { format!("{customers} customers have") };
                let channel = channel.as_str();
                write!(
                    f,
                    "{who} opted out of {channel:?}, which is no channel of the policy, so that no offer is made on any channel; add \
                     it under contact.channels, as a channel or as an alias of one"
                )
            }
            Self::UnusableCondition { offer, problem } => {
                write!(f, "the condition of {offer} {problem}; the offer applies to no customer")
            }
        }
    }
}

/// Names products: the first few, then the number of the others.
fn named(products: &[ProductId]) -> String {
    let shown: Vec<String> = products.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    match (products.len().saturating_sub(NAMED_MAX), shown.as_slice()) {
        (0, [first @ .., last]) if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        (0, _) => shown.join(", "),
        (more, _) => format!("{} and {more} more", shown.join(", ")),
    }
}

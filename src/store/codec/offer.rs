//! Offers inside a stored decision.

use serde::{Deserialize, Serialize};

use super::enums::StoredOfferKind;
use super::evidence::StoredEvidence;
use super::frame::CodecError;
use super::scalar::{
    FiniteF64, FixedU64, StoredFeatureValue, StoredMoney, optional_money, optional_product, optional_timestamp,
    product_list, product_strings, stored_enum,
};
use crate::domain::ids::{GrantId, OfferId, ProductId};
use crate::domain::offer::{Factors, FeatureGain, MentionedProduct, Offer, PropensityBasis};
use crate::domain::product::FeatureValue;
use crate::domain::time::Timestamp;

#[derive(Serialize, Deserialize)]
pub(super) struct StoredOffer {
    /// `None` for the implicit offer of the product.
    id: Option<String>,
    kind: StoredOfferKind,
    product: String,
    title: String,
    rank: u32,
    price: Option<StoredMoney>,
    valid_until: Option<i64>,
    price_step: Option<StoredMoney>,
    factors: StoredFactors,
    reasons: Vec<StoredEvidence>,
    goes_with: Vec<String>,
    replaces: Option<String>,
    gains: Vec<StoredFeatureGain>,
    mentioned: Vec<StoredMentionedProduct>,
    grant: FixedU64,
    is_already_granted: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredFactors {
    propensity: FiniteF64,
    propensity_basis: StoredPropensityBasis,
    acceptance_lift: FiniteF64,
    value: FiniteF64,
    seller_value: FiniteF64,
    margin_is_assumed: bool,
    customer_gain: FiniteF64,
    need: FiniteF64,
    keep_probability: FiniteF64,
    seller_share: FiniteF64,
    context: FiniteF64,
    lever: FiniteF64,
    attention_price: FiniteF64,
}

stored_enum! {
    /// Stored [`PropensityBasis`].
    StoredPropensityBasis of PropensityBasis { Purchases, Outcomes, Catalog }
}

#[derive(Serialize, Deserialize)]
struct StoredMentionedProduct {
    product: String,
    title: String,
    is_owned: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredFeatureGain {
    feature: String,
    from: Option<StoredFeatureValue>,
    to: StoredFeatureValue,
}

impl From<&Offer> for StoredOffer {
    fn from(offer: &Offer) -> Self {
        let Offer {
            id,
            kind,
            product,
            title,
            rank,
            price,
            valid_until,
            price_step,
            factors,
            reasons,
            goes_with,
            replaces,
            gains,
            mentioned,
            grant,
            is_already_granted,
        } = offer;
        let is_implicit = *id == OfferId::implicit(product);
        Self {
            id: (!is_implicit).then(|| id.to_string()),
            kind: (*kind).into(),
            product: product.to_string(),
            title: title.clone(),
            rank: *rank,
            price: price.map(StoredMoney::from),
            valid_until: valid_until.map(Timestamp::unix_ms),
            price_step: price_step.map(StoredMoney::from),
            factors: factors.into(),
            reasons: reasons.iter().map(StoredEvidence::from).collect(),
            goes_with: product_strings(goes_with),
            replaces: replaces.as_ref().map(ToString::to_string),
            gains: gains.iter().map(StoredFeatureGain::from).collect(),
            mentioned: mentioned.iter().map(stored_mention).collect(),
            grant: FixedU64::of(grant.bits()),
            is_already_granted: *is_already_granted,
        }
    }
}

impl StoredOffer {
    pub fn offer(self) -> Result<Offer, CodecError> {
        let Self {
            id,
            kind,
            product,
            title,
            rank,
            price,
            valid_until,
            price_step,
            factors,
            reasons,
            goes_with,
            replaces,
            gains,
            mentioned,
            grant,
            is_already_granted,
        } = self;
        let product = ProductId::new(product)?;
        Ok(Offer {
            id: id.map_or_else(|| Ok(OfferId::implicit(&product)), OfferId::new)?,
            kind: kind.into(),
            product,
            title,
            rank,
            price: optional_money(price.as_ref())?,
            valid_until: optional_timestamp(valid_until)?,
            price_step: optional_money(price_step.as_ref())?,
            factors: factors.into(),
            reasons: reasons.into_iter().map(StoredEvidence::evidence).collect::<Result<_, _>>()?,
            goes_with: product_list(goes_with)?,
            replaces: optional_product(replaces)?,
            gains: gains.into_iter().map(FeatureGain::from).collect(),
            mentioned: mentioned.into_iter().map(mention).collect::<Result<_, _>>()?,
            grant: GrantId::from_bits(grant.bits()),
            is_already_granted,
        })
    }
}

impl From<&Factors> for StoredFactors {
    fn from(factors: &Factors) -> Self {
        let Factors {
            propensity,
            propensity_basis,
            acceptance_lift,
            value,
            seller_value,
            margin_is_assumed,
            customer_gain,
            need,
            keep_probability,
            seller_share,
            context,
            lever,
            attention_price,
        } = factors;
        Self {
            propensity: FiniteF64(*propensity),
            propensity_basis: (*propensity_basis).into(),
            acceptance_lift: FiniteF64(*acceptance_lift),
            value: FiniteF64(*value),
            seller_value: FiniteF64(*seller_value),
            margin_is_assumed: *margin_is_assumed,
            customer_gain: FiniteF64(*customer_gain),
            need: FiniteF64(*need),
            keep_probability: FiniteF64(*keep_probability),
            seller_share: FiniteF64(*seller_share),
            context: FiniteF64(*context),
            lever: FiniteF64(*lever),
            attention_price: FiniteF64(*attention_price),
        }
    }
}

impl From<StoredFactors> for Factors {
    fn from(stored: StoredFactors) -> Self {
        let StoredFactors {
            propensity,
            propensity_basis,
            acceptance_lift,
            value,
            seller_value,
            margin_is_assumed,
            customer_gain,
            need,
            keep_probability,
            seller_share,
            context,
            lever,
            attention_price,
        } = stored;
        Self {
            propensity: propensity.0,
            propensity_basis: propensity_basis.into(),
            acceptance_lift: acceptance_lift.0,
            value: value.0,
            seller_value: seller_value.0,
            margin_is_assumed,
            customer_gain: customer_gain.0,
            need: need.0,
            keep_probability: keep_probability.0,
            seller_share: seller_share.0,
            context: context.0,
            lever: lever.0,
            attention_price: attention_price.0,
        }
    }
}

fn stored_mention((product, mentioned): (&ProductId, &MentionedProduct)) -> StoredMentionedProduct {
    let MentionedProduct { title, is_owned } = mentioned;
    StoredMentionedProduct { product: product.to_string(), title: title.clone(), is_owned: *is_owned }
}

fn mention(stored: StoredMentionedProduct) -> Result<(ProductId, MentionedProduct), CodecError> {
    let StoredMentionedProduct { product, title, is_owned } = stored;
    Ok((ProductId::new(product)?, MentionedProduct { title, is_owned }))
}

impl From<&FeatureGain> for StoredFeatureGain {
    fn from(gain: &FeatureGain) -> Self {
        let FeatureGain { feature, from, to } = gain;
        Self { feature: feature.clone(), from: from.as_ref().map(StoredFeatureValue::from), to: to.into() }
    }
}

impl From<StoredFeatureGain> for FeatureGain {
    fn from(stored: StoredFeatureGain) -> Self {
        let StoredFeatureGain { feature, from, to } = stored;
        Self { feature, from: from.map(FeatureValue::from), to: to.into() }
    }
}

//! Stored format of the offer model: one byte of format version, the `postcard` encoding of `StoredModelV1`, and four
//! bytes of CRC-32 of everything before.
//!
//! `store::codec` says what a change of the shapes has to do.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::domain::ids::ProductId;
use crate::domain::time::Timestamp;

use super::learned_product::{LearnedProduct, POPULARITY_HALF_LIVES, VariantSales};
use super::offer_model::OfferModel;
use super::probability_calibration::ProbabilityCalibration;
use super::profile::{AttributeEncoding, ProfileAttribute, ProfileEncoder};
use super::ranking::alternative_groups::TransitionCounts;
use super::ranking::features::Features;
use super::ranking::forest::{Forest, Node};
use super::ranking::item_model::ItemModel;
use super::ranking::ranker::{Blend, Decay, Ranker};
use super::ranking::upgrade_features::UPGRADE_FEATURES;
use super::ranking::upgrade_ranker::UpgradeRanker;
use super::ridge::{Neighbour, Neighbours};

/// Format version of the encoded model.
pub const FORMAT: u8 = 1;

/// Error returned when bytes do not decode to a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// The bytes have another format version.
    #[error("unknown model format version {found}, expected {FORMAT}")]
    OtherFormat {
        /// The version found.
        found: u8,
    },
    /// The bytes are not as they were written.
    #[error("the model is damaged: {detail}")]
    Damaged {
        /// The fault found.
        detail: String,
    },
}

#[allow(clippy::needless_pass_by_value, reason = "so that it fits `map_err`")]
fn damaged(detail: impl Display) -> ArtifactError {
    ArtifactError::Damaged { detail: format!("{detail}") }
}

#[derive(Serialize, Deserialize)]
struct StoredModelV1 {
    trained_at_ms: Option<i64>,
    products: Vec<StoredLearnedProduct>,
    customers: u32,
    baskets: u32,
    recency_weighted: Vec<Vec<StoredNeighbour>>,
    all_time: Vec<Vec<StoredNeighbour>>,
    within_basket: Vec<Vec<StoredNeighbour>>,
    attributes: Vec<StoredAttribute>,
    profile_recency_weighted: Vec<Vec<StoredNeighbour>>,
    profile_all_time: Vec<Vec<StoredNeighbour>>,
    customer_ranker: StoredRanker,
    basket_ranker: StoredRanker,
    upgrade_ranker: StoredUpgradeRanker,
    transitions: Vec<StoredTransition>,
}

#[derive(Serialize, Deserialize)]
struct StoredLearnedProduct {
    id: String,
    /// Id and number of purchases of each variant.
    variants: Vec<(String, u32)>,
    customers: u32,
    baskets: u32,
    buyers: u32,
    recent_buyers: u32,
    popularity: [f32; POPULARITY_HALF_LIVES.len()],
    new_buyers: [f32; 2],
    first_sold: Option<i64>,
    last_sold: Option<i64>,
    last_year: Option<f32>,
    price: Option<f32>,
    bought: u32,
    reversed: u32,
}

#[derive(Serialize, Deserialize)]
struct StoredNeighbour {
    item: u32,
    weight: f32,
    /// Number of training rows that have both products.
    co_occurrences: u32,
}

#[derive(Serialize, Deserialize)]
enum StoredAttribute {
    Categorical { name: String, categories: Vec<String> },
    Numeric { name: String, bin_edges: Vec<f64> },
}

#[derive(Serialize, Deserialize)]
struct StoredRanker {
    decay: StoredDecay,
    holdings: f32,
    basket: f32,
    popularity: f32,
    forest: Option<StoredForest>,
    calibration: StoredCalibration,
}

#[derive(Serialize, Deserialize)]
enum StoredDecay {
    Short,
    Long,
    Undecayed,
}

#[derive(Serialize, Deserialize)]
struct StoredUpgradeRanker {
    forest: Option<StoredForest>,
    calibration: StoredCalibration,
}

#[derive(Serialize, Deserialize)]
struct StoredCalibration {
    intercept: f64,
    slope: f64,
}

#[derive(Serialize, Deserialize)]
struct StoredTransition {
    from: u32,
    to: u32,
    /// Number of customers who bought `to` after `from`.
    in_order: u32,
    /// Number of customers among them who never bought `from` again.
    replaced: u32,
    /// Number of customers who bought both, in either order.
    in_any_order: u32,
    /// Number of orders that held both.
    together: u32,
    together_by_chance: f32,
}

#[derive(Serialize, Deserialize)]
struct StoredForest {
    base: f32,
    nodes: Vec<StoredNode>,
    roots: Vec<u32>,
}

/// A node of a tree. A leaf has no children, written as 0, which is no node's child.
#[derive(Serialize, Deserialize)]
struct StoredNode {
    feature: u16,
    value: f32,
    left: u32,
    right: u32,
}

impl OfferModel {
    /// Encodes the model.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes =
            postcard::to_extend(&StoredModelV1::from(self), vec![FORMAT]).expect("a Vec takes any number of bytes");
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// Decodes a model.
    ///
    /// # Errors
    /// When the bytes are of another format, do not match their checksum, or do not fit together.
    pub fn decode(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let (body, checksum) = bytes.split_last_chunk::<4>().ok_or_else(|| damaged("too short"))?;
        let (&format, encoded) = body.split_first().ok_or_else(|| damaged("too short"))?;
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return Err(damaged("checksum mismatch"));
        }
        match format {
            FORMAT => postcard::from_bytes::<StoredModelV1>(encoded).map_err(damaged)?.model(),
            found => Err(ArtifactError::OtherFormat { found }),
        }
    }
}

impl From<&OfferModel> for StoredModelV1 {
    fn from(model: &OfferModel) -> Self {
        let OfferModel { trained_at, item_model, customer_ranker, basket_ranker, upgrade_ranker, transitions } = model;
        let ItemModel {
            products,
            customers,
            baskets,
            recency_weighted,
            all_time,
            within_basket,
            profile_encoder,
            profile_recency_weighted,
            profile_all_time,
        } = item_model;
        let ProfileEncoder { attributes } = profile_encoder;
        let UpgradeRanker { forest, calibration } = upgrade_ranker;
        let mut transitions: Vec<StoredTransition> =
            transitions.iter().map(|(&(from, to), counts)| StoredTransition::new(from, to, *counts)).collect();
        transitions.sort_unstable_by_key(|stored| (stored.from, stored.to));
        Self {
            trained_at_ms: trained_at.map(Timestamp::unix_ms),
            products: products.iter().map(StoredLearnedProduct::from).collect(),
            customers: *customers,
            baskets: *baskets,
            recency_weighted: stored_neighbours(recency_weighted),
            all_time: stored_neighbours(all_time),
            within_basket: stored_neighbours(within_basket),
            attributes: attributes.iter().map(StoredAttribute::from).collect(),
            profile_recency_weighted: stored_neighbours(profile_recency_weighted),
            profile_all_time: stored_neighbours(profile_all_time),
            customer_ranker: customer_ranker.into(),
            basket_ranker: basket_ranker.into(),
            upgrade_ranker: StoredUpgradeRanker {
                forest: forest.as_ref().map(StoredForest::from),
                calibration: (*calibration).into(),
            },
            transitions,
        }
    }
}

impl StoredModelV1 {
    fn model(self) -> Result<OfferModel, ArtifactError> {
        let Self {
            trained_at_ms,
            products,
            customers,
            baskets,
            recency_weighted,
            all_time,
            within_basket,
            attributes,
            profile_recency_weighted,
            profile_all_time,
            customer_ranker,
            basket_ranker,
            upgrade_ranker: StoredUpgradeRanker { forest, calibration },
            transitions,
        } = self;
        let trained_at = match trained_at_ms {
            Some(ms) => Some(Timestamp::from_unix_ms(ms).ok_or_else(|| damaged("a time is out of range"))?),
            None => None,
        };
        let products =
            products.into_iter().map(StoredLearnedProduct::learned_product).collect::<Result<Vec<_>, _>>()?;
        let is_known = |number: u32| (number as usize) < products.len();
        if !transitions.iter().all(|stored| is_known(stored.from) && is_known(stored.to)) {
            return Err(damaged("a transition refers to an unknown product"));
        }
        let attributes = attributes.into_iter().map(StoredAttribute::attribute).collect::<Result<Vec<_>, _>>()?;
        let profile_encoder = ProfileEncoder { attributes };
        let (count, columns) = (products.len(), profile_encoder.column_count());
        let item_model = ItemModel {
            recency_weighted: neighbours(recency_weighted, count, count)?,
            all_time: neighbours(all_time, count, count)?,
            within_basket: neighbours(within_basket, count, count)?,
            profile_recency_weighted: neighbours(profile_recency_weighted, columns, count)?,
            profile_all_time: neighbours(profile_all_time, columns, count)?,
            profile_encoder,
            products,
            customers,
            baskets,
        };
        let transitions = transitions.into_iter().map(StoredTransition::transition).collect::<Result<_, _>>()?;
        let forest = forest.map(|forest| forest.forest(UPGRADE_FEATURES)).transpose()?;
        let upgrade_ranker = UpgradeRanker { forest, calibration: calibration.calibration()? };
        let (customer_ranker, basket_ranker) = (customer_ranker.ranker()?, basket_ranker.ranker()?);
        Ok(OfferModel { trained_at, item_model, customer_ranker, basket_ranker, upgrade_ranker, transitions })
    }
}

impl StoredTransition {
    fn new(from: u32, to: u32, counts: TransitionCounts) -> Self {
        let TransitionCounts { in_order, replaced, in_any_order, together, together_by_chance } = counts;
        Self { from, to, in_order, replaced, in_any_order, together, together_by_chance }
    }

    fn transition(self) -> Result<((u32, u32), TransitionCounts), ArtifactError> {
        let Self { from, to, in_order, replaced, in_any_order, together, together_by_chance } = self;
        if !together_by_chance.is_finite() {
            return Err(damaged("a number of orders is not finite"));
        }
        Ok(((from, to), TransitionCounts { in_order, replaced, in_any_order, together, together_by_chance }))
    }
}

impl From<&LearnedProduct> for StoredLearnedProduct {
    fn from(product: &LearnedProduct) -> Self {
        let LearnedProduct {
            id,
            variants,
            customers,
            baskets,
            buyers,
            recent_buyers,
            popularity,
            new_buyers,
            first_sold,
            last_sold,
            last_year,
            price,
            bought,
            reversed,
        } = product;
        Self {
            id: id.as_str().to_owned(),
            variants: variants.iter().map(|variant| (variant.id.to_string(), variant.bought)).collect(),
            customers: *customers,
            baskets: *baskets,
            buyers: *buyers,
            recent_buyers: *recent_buyers,
            popularity: *popularity,
            new_buyers: *new_buyers,
            first_sold: *first_sold,
            last_sold: *last_sold,
            last_year: *last_year,
            price: *price,
            bought: *bought,
            reversed: *reversed,
        }
    }
}

impl StoredLearnedProduct {
    fn learned_product(self) -> Result<LearnedProduct, ArtifactError> {
        let Self {
            id,
            variants,
            customers,
            baskets,
            buyers,
            recent_buyers,
            popularity,
            new_buyers,
            first_sold,
            last_sold,
            last_year,
            price,
            bought,
            reversed,
        } = self;
        let mut shares = popularity.iter().chain(&new_buyers).chain(&last_year);
        if !shares.all(|share| (0.0..=1.0).contains(share)) {
            return Err(damaged("a share is outside 0 to 1"));
        }
        if price.is_some_and(|price| !price.is_finite()) {
            return Err(damaged("a price is not finite"));
        }
        Ok(LearnedProduct {
            id: ProductId::new(id).map_err(damaged)?,
            variants: variants.into_iter().map(variant_sales).collect::<Result<_, _>>()?,
            customers,
            baskets,
            buyers,
            recent_buyers,
            popularity,
            new_buyers,
            first_sold,
            last_sold,
            last_year,
            price,
            bought,
            reversed,
        })
    }
}

fn variant_sales((id, bought): (String, u32)) -> Result<VariantSales, ArtifactError> {
    Ok(VariantSales { id: ProductId::new(id).map_err(damaged)?, bought })
}

impl From<&Ranker> for StoredRanker {
    fn from(ranker: &Ranker) -> Self {
        let Ranker { blend, forest, calibration } = ranker;
        let Blend { decay, holdings, basket, popularity } = *blend;
        let decay = match decay {
            Decay::Short => StoredDecay::Short,
            Decay::Long => StoredDecay::Long,
            Decay::Undecayed => StoredDecay::Undecayed,
        };
        let forest = forest.as_ref().map(StoredForest::from);
        Self { decay, holdings, basket, popularity, forest, calibration: (*calibration).into() }
    }
}

impl StoredRanker {
    fn ranker(self) -> Result<Ranker, ArtifactError> {
        let Self { decay, holdings, basket, popularity, forest, calibration } = self;
        if ![holdings, basket, popularity].iter().all(|weight| weight.is_finite()) {
            return Err(damaged("a weight of a blend is not finite"));
        }
        let decay = match decay {
            StoredDecay::Short => Decay::Short,
            StoredDecay::Long => Decay::Long,
            StoredDecay::Undecayed => Decay::Undecayed,
        };
        let blend = Blend { decay, holdings, basket, popularity };
        let forest = forest.map(|forest| forest.forest(Features::NAMES.len())).transpose()?;
        Ok(Ranker { blend, forest, calibration: calibration.calibration()? })
    }
}

impl From<&Forest> for StoredForest {
    fn from(forest: &Forest) -> Self {
        let nodes = (0..).zip(forest.nodes()).map(|(index, &Node { feature, value, left, right })| {
            let child = |child: u32| if child == index { 0 } else { child };
            StoredNode { feature, value, left: child(left), right: child(right) }
        });
        Self { base: forest.base, nodes: nodes.collect(), roots: forest.roots().to_vec() }
    }
}

impl StoredForest {
    fn forest(self, features: usize) -> Result<Forest, ArtifactError> {
        let Self { base, nodes, roots } = self;
        let nodes = (0..).zip(nodes).map(|(index, StoredNode { feature, value, left, right })| {
            let child = |child: u32| if child == 0 { index } else { child };
            Node { feature, value, left: child(left), right: child(right) }
        });
        let forest = Forest::new(base, nodes.collect(), roots).filter(|forest| forest.fits(features));
        forest.ok_or_else(|| damaged("a tree has a cycle or an unknown node or feature"))
    }
}

impl From<ProbabilityCalibration> for StoredCalibration {
    fn from(ProbabilityCalibration { intercept, slope }: ProbabilityCalibration) -> Self {
        Self { intercept, slope }
    }
}

impl StoredCalibration {
    fn calibration(self) -> Result<ProbabilityCalibration, ArtifactError> {
        let Self { intercept, slope } = self;
        if intercept.is_finite() && slope.is_finite() && slope > 0.0 {
            Ok(ProbabilityCalibration { intercept, slope })
        } else {
            Err(damaged("a calibration does not rise"))
        }
    }
}

impl From<&ProfileAttribute> for StoredAttribute {
    fn from(attribute: &ProfileAttribute) -> Self {
        let ProfileAttribute { name, encoding } = attribute.clone();
        match encoding {
            AttributeEncoding::Categories(categories) => Self::Categorical { name, categories },
            AttributeEncoding::BinEdges(bin_edges) => Self::Numeric { name, bin_edges },
        }
    }
}

impl StoredAttribute {
    fn attribute(self) -> Result<ProfileAttribute, ArtifactError> {
        let (name, encoding, is_in_order) = match self {
            Self::Categorical { name, categories } => {
                let is_in_order = categories.is_sorted_by(|a, b| a < b);
                (name, AttributeEncoding::Categories(categories), is_in_order)
            }
            Self::Numeric { name, bin_edges } => {
                let is_in_order = bin_edges.iter().all(|edge| edge.is_finite()) && bin_edges.is_sorted_by(|a, b| a < b);
                (name, AttributeEncoding::BinEdges(bin_edges), is_in_order)
            }
        };
        if is_in_order {
            Ok(ProfileAttribute { name, encoding })
        } else {
            Err(damaged("the values of an attribute are not in ascending order"))
        }
    }
}

fn stored_neighbours(neighbours: &Neighbours) -> Vec<Vec<StoredNeighbour>> {
    let stored =
        |&Neighbour { item, weight, co_occurrences }: &Neighbour| StoredNeighbour { item, weight, co_occurrences };
    neighbours.iter().map(|row| row.iter().map(stored).collect()).collect()
}

/// Converts weights, at most `rows` rows, each in ascending order of the product.
fn neighbours(stored: Vec<Vec<StoredNeighbour>>, rows: usize, products: usize) -> Result<Neighbours, ArtifactError> {
    if stored.len() > rows {
        return Err(damaged("there are weights of unknown rows"));
    }
    let row = |stored: Vec<StoredNeighbour>| -> Result<Vec<Neighbour>, ArtifactError> {
        let row: Vec<Neighbour> = stored
            .into_iter()
            .map(|StoredNeighbour { item, weight, co_occurrences }| Neighbour { item, weight, co_occurrences })
            .collect();
        let fits = |neighbour: &Neighbour| (neighbour.item as usize) < products && neighbour.weight.is_finite();
        let is_in_order = row.is_sorted_by(|a, b| a.item < b.item);
        if row.iter().all(fits) && is_in_order {
            Ok(row)
        } else {
            Err(damaged("a row of weights has an unknown product, an infinite weight or no order"))
        }
    };
    stored.into_iter().map(row).collect()
}

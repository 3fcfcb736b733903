//! The model as bytes: a format version, the learned tables, and a checksum.
//!
//! Layout: one byte of version, the `postcard` encoding of the shapes below, four bytes of CRC-32 of all before.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::domain::ids::ProductId;
use crate::domain::time::Timestamp;

use super::offer_model::{LearnedProduct, OfferModel};
use super::propensity::Curve;
use super::ridge::{Neighbour, Neighbours};

/// The format written, and the only one read so far.
pub const FORMAT: u8 = 1;

/// Why bytes are not a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// Another format.
    #[error("model format {found}, this version reads format {FORMAT}")]
    OtherFormat {
        /// The format found.
        found: u8,
    },
    /// A byte is not what was written.
    #[error("the model is damaged: {detail}")]
    Damaged {
        /// What is wrong.
        detail: String,
    },
}

#[allow(clippy::needless_pass_by_value, reason = "so that it fits `map_err`")]
fn damaged(detail: impl Display) -> ArtifactError {
    ArtifactError::Damaged { detail: format!("{detail}") }
}

#[derive(Serialize, Deserialize)]
struct ModelShape {
    trained_at_ms: Option<i64>,
    products: Vec<ProductShape>,
    by_customer: Vec<Vec<NeighbourShape>>,
    by_basket: Vec<Vec<NeighbourShape>>,
    moves: Vec<(u32, u32, u32)>,
    curve: (f64, f64),
}

#[derive(Serialize, Deserialize)]
struct ProductShape {
    id: String,
    customers: u32,
    baskets: u32,
    recent_buyers: u32,
    popularity: f32,
    bought: u32,
    given_up: u32,
}

/// Product, weight, rows with both.
#[derive(Serialize, Deserialize)]
struct NeighbourShape(u32, f32, u32);

impl OfferModel {
    /// The model as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self { trained_at, products, by_customer, by_basket, moves, curve } = self;
        let mut moves: Vec<(u32, u32, u32)> = moves.iter().map(|(&(from, to), &count)| (from, to, count)).collect();
        moves.sort_unstable();
        let shape = ModelShape {
            trained_at_ms: trained_at.map(Timestamp::unix_ms),
            products: products.iter().map(product_shape).collect(),
            by_customer: neighbour_shapes(by_customer),
            by_basket: neighbour_shapes(by_basket),
            moves,
            curve: (curve.intercept, curve.slope),
        };
        let mut bytes = vec![FORMAT];
        bytes = postcard::to_extend(&shape, bytes).expect("a Vec takes any number of bytes");
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// The model of these bytes.
    ///
    /// # Errors
    /// When the bytes are of another format, do not match their checksum, or do not fit together.
    pub fn decode(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let (body, checksum) = bytes.split_last_chunk::<4>().ok_or_else(|| damaged("too short"))?;
        let (&format, encoded) = body.split_first().ok_or_else(|| damaged("too short"))?;
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return Err(damaged("checksum differs"));
        }
        if format != FORMAT {
            return Err(ArtifactError::OtherFormat { found: format });
        }
        let shape: ModelShape = postcard::from_bytes(encoded).map_err(damaged)?;
        let ModelShape { trained_at_ms, products, by_customer, by_basket, moves, curve: (intercept, slope) } = shape;
        let trained_at = match trained_at_ms {
            Some(ms) => Some(Timestamp::from_unix_ms(ms).ok_or_else(|| damaged("a time out of range"))?),
            None => None,
        };
        let products = products.into_iter().map(learned_product).collect::<Result<Vec<_>, _>>()?;
        let is_known = |number: u32| (number as usize) < products.len();
        if !moves.iter().all(|&(from, to, _)| is_known(from) && is_known(to)) {
            return Err(damaged("a move of an unknown product"));
        }
        if !intercept.is_finite() || !slope.is_finite() || slope <= 0.0 {
            return Err(damaged("a curve that does not grow"));
        }
        Ok(Self {
            trained_at,
            by_customer: neighbours(by_customer, products.len())?,
            by_basket: neighbours(by_basket, products.len())?,
            products,
            moves: moves.into_iter().map(|(from, to, count)| ((from, to), count)).collect(),
            curve: Curve { intercept, slope },
        })
    }
}

fn product_shape(product: &LearnedProduct) -> ProductShape {
    let LearnedProduct { id, customers, baskets, recent_buyers, popularity, bought, given_up } = product;
    ProductShape {
        id: id.as_str().to_owned(),
        customers: *customers,
        baskets: *baskets,
        recent_buyers: *recent_buyers,
        popularity: *popularity,
        bought: *bought,
        given_up: *given_up,
    }
}

fn learned_product(shape: ProductShape) -> Result<LearnedProduct, ArtifactError> {
    let ProductShape { id, customers, baskets, recent_buyers, popularity, bought, given_up } = shape;
    if !(0.0..=1.0).contains(&popularity) {
        return Err(damaged("a popularity outside 0 to 1"));
    }
    let id = ProductId::new(id).map_err(damaged)?;
    Ok(LearnedProduct { id, customers, baskets, recent_buyers, popularity, bought, given_up })
}

fn neighbour_shapes(neighbours: &Neighbours) -> Vec<Vec<NeighbourShape>> {
    let shape = |&Neighbour { product, weight, together }: &Neighbour| NeighbourShape(product, weight, together);
    neighbours.iter().map(|row| row.iter().map(shape).collect()).collect()
}

fn neighbours(shapes: Vec<Vec<NeighbourShape>>, products: usize) -> Result<Neighbours, ArtifactError> {
    if shapes.len() > products {
        return Err(damaged("weights of unknown products"));
    }
    let row = |shapes: Vec<NeighbourShape>| -> Result<Vec<Neighbour>, ArtifactError> {
        let row: Vec<Neighbour> = shapes
            .into_iter()
            .map(|NeighbourShape(product, weight, together)| Neighbour { product, weight, together })
            .collect();
        let fits = |neighbour: &Neighbour| (neighbour.product as usize) < products && neighbour.weight.is_finite();
        let is_in_order = row.is_sorted_by(|a, b| a.product < b.product);
        if row.iter().all(fits) && is_in_order { Ok(row) } else { Err(damaged("weights that do not fit")) }
    };
    shapes.into_iter().map(row).collect()
}

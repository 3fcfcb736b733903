//! The model as bytes: a format version, the learned tables, and a checksum.
//!
//! Layout: one byte of version, the `postcard` encoding of the shapes below, four bytes of CRC-32 of all before.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::domain::ids::ProductId;
use crate::domain::time::Timestamp;

use super::offer_model::{LearnedProduct, OfferModel, POPULARITY_HALF_LIVES};
use super::profile::{Attribute, ProfileColumns, Values};
use super::propensity::Curve;
use super::ranking::forest::{Forest, Node};
use super::ranking::ranker::{Blend, Fading, Ranker};
use super::ranking::shelves::Move;
use super::ranking::signals::Signals;
use super::ranking::steps::{STEP_SIGNALS, StepRanker};
use super::ranking::tables::Tables;
use super::ridge::{Neighbour, Neighbours};

/// The format written.
pub const FORMAT: u8 = 2;
/// Before there were rankers; read as a model without forests.
const FORMAT_1: u8 = 1;

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
    lately: Vec<Vec<NeighbourShape>>,
    ever: Vec<Vec<NeighbourShape>>,
    in_baskets: Vec<Vec<NeighbourShape>>,
    attributes: Vec<AttributeShape>,
    profile_lately: Vec<Vec<NeighbourShape>>,
    profile_ever: Vec<Vec<NeighbourShape>>,
    customers: RankerShape,
    baskets: RankerShape,
    steps: StepRankerShape,
    moves: Vec<MoveShape>,
}

#[derive(Serialize, Deserialize)]
struct ProductShape {
    id: String,
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
    given_up: u32,
}

/// Product, weight, rows with both.
#[derive(Serialize, Deserialize)]
struct NeighbourShape(u32, f32, u32);

/// Name, then either words or edges.
#[derive(Serialize, Deserialize)]
enum AttributeShape {
    Words(String, Vec<String>),
    Edges(String, Vec<f64>),
}

#[derive(Serialize, Deserialize)]
struct RankerShape {
    /// 0 short, 1 long, 2 flat.
    fading: u8,
    holdings: f32,
    basket: f32,
    popularity: f32,
    forest: Option<ForestShape>,
    curve: (f64, f64),
}

#[derive(Serialize, Deserialize)]
struct StepRankerShape {
    forest: Option<ForestShape>,
    curve: (f64, f64),
}

/// From, to, later, together.
#[derive(Serialize, Deserialize)]
struct MoveShape(u32, u32, u32, u32);

/// Base, nodes (signal, value, left, right), roots.
#[derive(Serialize, Deserialize)]
struct ForestShape(f32, Vec<(u16, f32, u32, u32)>, Vec<u32>);

#[derive(Serialize, Deserialize)]
struct ModelShapeV1 {
    trained_at_ms: Option<i64>,
    products: Vec<ProductShapeV1>,
    by_customer: Vec<Vec<NeighbourShape>>,
    by_basket: Vec<Vec<NeighbourShape>>,
    moves: Vec<(u32, u32, u32)>,
    curve: (f64, f64),
}

#[derive(Serialize, Deserialize)]
struct ProductShapeV1 {
    id: String,
    customers: u32,
    baskets: u32,
    recent_buyers: u32,
    popularity: f32,
    bought: u32,
    given_up: u32,
}

impl OfferModel {
    /// The model as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let Self { trained_at, tables, customers, baskets, steps, moves } = self;
        let Tables { products, lately, ever, in_baskets, attributes, profile_lately, profile_ever } = tables;
        let mut moves: Vec<MoveShape> =
            moves.iter().map(|(&(from, to), seen)| MoveShape(from, to, seen.later, seen.together)).collect();
        moves.sort_unstable_by_key(|&MoveShape(from, to, ..)| (from, to));
        let shape = ModelShape {
            trained_at_ms: trained_at.map(Timestamp::unix_ms),
            products: products.iter().map(product_shape).collect(),
            lately: neighbour_shapes(lately),
            ever: neighbour_shapes(ever),
            in_baskets: neighbour_shapes(in_baskets),
            attributes: attributes.attributes.iter().map(attribute_shape).collect(),
            profile_lately: neighbour_shapes(profile_lately),
            profile_ever: neighbour_shapes(profile_ever),
            customers: ranker_shape(customers),
            baskets: ranker_shape(baskets),
            steps: StepRankerShape { forest: steps.forest.as_ref().map(forest_shape), curve: curve_shape(steps.curve) },
            moves,
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
        let shape = match format {
            FORMAT => postcard::from_bytes(encoded).map_err(damaged)?,
            FORMAT_1 => upgraded(postcard::from_bytes(encoded).map_err(damaged)?),
            found => return Err(ArtifactError::OtherFormat { found }),
        };
        let ModelShape {
            trained_at_ms,
            products,
            lately,
            ever,
            in_baskets,
            attributes,
            profile_lately,
            profile_ever,
            customers,
            baskets,
            steps,
            moves,
        } = shape;
        let trained_at = match trained_at_ms {
            Some(ms) => Some(Timestamp::from_unix_ms(ms).ok_or_else(|| damaged("a time out of range"))?),
            None => None,
        };
        let products = products.into_iter().map(learned_product).collect::<Result<Vec<_>, _>>()?;
        let is_known = |number: u32| (number as usize) < products.len();
        if !moves.iter().all(|&MoveShape(from, to, ..)| is_known(from) && is_known(to)) {
            return Err(damaged("a move of an unknown product"));
        }
        let attributes = attributes.into_iter().map(attribute).collect::<Result<Vec<_>, _>>()?;
        let attributes = ProfileColumns { attributes };
        let (count, columns) = (products.len(), attributes.count());
        let tables = Tables {
            lately: neighbours(lately, count, count)?,
            ever: neighbours(ever, count, count)?,
            in_baskets: neighbours(in_baskets, count, count)?,
            profile_lately: neighbours(profile_lately, columns, count)?,
            profile_ever: neighbours(profile_ever, columns, count)?,
            attributes,
            products,
        };
        let seen = |MoveShape(from, to, later, together)| ((from, to), Move { later, together });
        let moves = moves.into_iter().map(seen).collect();
        let steps = StepRanker { forest: forest(steps.forest, STEP_SIGNALS)?, curve: curve(steps.curve)? };
        Ok(Self { trained_at, tables, customers: ranker(customers)?, baskets: ranker(baskets)?, steps, moves })
    }
}

/// What the first format knew, in today's shape.
fn upgraded(shape: ModelShapeV1) -> ModelShape {
    let ModelShapeV1 { trained_at_ms, products, by_customer, by_basket, moves, curve } = shape;
    let product = |product: ProductShapeV1| {
        let ProductShapeV1 { id, customers, baskets, recent_buyers, popularity, bought, given_up } = product;
        ProductShape {
            id,
            customers,
            baskets,
            buyers: customers,
            recent_buyers,
            popularity: [popularity; POPULARITY_HALF_LIVES.len()],
            new_buyers: [0.0; 2],
            first_sold: None,
            last_sold: None,
            last_year: None,
            price: None,
            bought,
            given_up,
        }
    };
    let unlearned = |blend: Blend, curve| RankerShape {
        curve,
        ..ranker_shape(&Ranker { blend, forest: None, curve: Curve::DEFAULT })
    };
    let default = (Curve::DEFAULT.intercept, Curve::DEFAULT.slope);
    ModelShape {
        trained_at_ms,
        products: products.into_iter().map(product).collect(),
        lately: by_customer,
        ever: Vec::new(),
        in_baskets: by_basket,
        attributes: Vec::new(),
        profile_lately: Vec::new(),
        profile_ever: Vec::new(),
        customers: unlearned(Blend::CUSTOMERS, curve),
        baskets: unlearned(Blend::BASKETS, default),
        steps: StepRankerShape { forest: None, curve: default },
        moves: moves.into_iter().map(|(from, to, later)| MoveShape(from, to, later, later)).collect(),
    }
}

fn product_shape(product: &LearnedProduct) -> ProductShape {
    let LearnedProduct {
        id,
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
        given_up,
    } = product;
    ProductShape {
        id: id.as_str().to_owned(),
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
        given_up: *given_up,
    }
}

fn learned_product(shape: ProductShape) -> Result<LearnedProduct, ArtifactError> {
    let ProductShape {
        id,
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
        given_up,
    } = shape;
    let mut shares = popularity.iter().chain(&new_buyers).chain(&last_year);
    if !shares.all(|share| (0.0..=1.0).contains(share)) {
        return Err(damaged("a share outside 0 to 1"));
    }
    if price.is_some_and(|price| !price.is_finite()) {
        return Err(damaged("a price that is no number"));
    }
    Ok(LearnedProduct {
        id: ProductId::new(id).map_err(damaged)?,
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
        given_up,
    })
}

fn ranker_shape(ranker: &Ranker) -> RankerShape {
    let Ranker { blend, forest, curve } = ranker;
    let Blend { fading, holdings, basket, popularity } = *blend;
    let fading = match fading {
        Fading::Short => 0,
        Fading::Long => 1,
        Fading::Flat => 2,
    };
    let forest = forest.as_ref().map(forest_shape);
    RankerShape { fading, holdings, basket, popularity, forest, curve: curve_shape(*curve) }
}

fn forest_shape(forest: &Forest) -> ForestShape {
    // A leaf is stored with no children: 0, which no node has as a child.
    let nodes = (0..).zip(forest.nodes()).map(|(place, &Node { signal, value, left, right })| {
        let child = |child: u32| if child == place { 0 } else { child };
        (signal, value, child(left), child(right))
    });
    ForestShape(forest.base, nodes.collect(), forest.roots().to_vec())
}

fn curve_shape(Curve { intercept, slope }: Curve) -> (f64, f64) {
    (intercept, slope)
}

fn ranker(shape: RankerShape) -> Result<Ranker, ArtifactError> {
    let RankerShape { fading, holdings, basket, popularity, forest: trees, curve: bent } = shape;
    if ![holdings, basket, popularity].iter().all(|weight| weight.is_finite()) {
        return Err(damaged("a blend that is no number"));
    }
    let fading = *Fading::ALL.get(usize::from(fading)).ok_or_else(|| damaged("an unknown blend"))?;
    let blend = Blend { fading, holdings, basket, popularity };
    Ok(Ranker { blend, forest: forest(trees, Signals::NAMES.len())?, curve: curve(bent)? })
}

fn forest(shape: Option<ForestShape>, signals: usize) -> Result<Option<Forest>, ArtifactError> {
    let Some(ForestShape(base, nodes, roots)) = shape else { return Ok(None) };
    let nodes = (0..).zip(nodes).map(|(place, (signal, value, left, right))| {
        let child = |child: u32| if child == 0 { place } else { child };
        Node { signal, value, left: child(left), right: child(right) }
    });
    let forest = Forest::new(base, nodes.collect(), roots).filter(|forest| forest.fits(signals));
    forest.map(Some).ok_or_else(|| damaged("a forest that does not end"))
}

fn curve((intercept, slope): (f64, f64)) -> Result<Curve, ArtifactError> {
    if intercept.is_finite() && slope.is_finite() && slope > 0.0 {
        Ok(Curve { intercept, slope })
    } else {
        Err(damaged("a curve that does not grow"))
    }
}

fn attribute_shape(attribute: &Attribute) -> AttributeShape {
    let name = attribute.name.clone();
    match &attribute.values {
        Values::Words(words) => AttributeShape::Words(name, words.clone()),
        Values::Edges(edges) => AttributeShape::Edges(name, edges.clone()),
    }
}

fn attribute(shape: AttributeShape) -> Result<Attribute, ArtifactError> {
    let (name, values, is_in_order) = match shape {
        AttributeShape::Words(name, words) => {
            let is_in_order = words.is_sorted_by(|a, b| a < b);
            (name, Values::Words(words), is_in_order)
        }
        AttributeShape::Edges(name, edges) => {
            let is_in_order = edges.iter().all(|edge| edge.is_finite()) && edges.is_sorted_by(|a, b| a < b);
            (name, Values::Edges(edges), is_in_order)
        }
    };
    if is_in_order { Ok(Attribute { name, values }) } else { Err(damaged("an attribute whose values are in no order")) }
}

fn neighbour_shapes(neighbours: &Neighbours) -> Vec<Vec<NeighbourShape>> {
    let shape = |&Neighbour { product, weight, together }: &Neighbour| NeighbourShape(product, weight, together);
    neighbours.iter().map(|row| row.iter().map(shape).collect()).collect()
}

/// At most `rows` rows of weights on products.
fn neighbours(shapes: Vec<Vec<NeighbourShape>>, rows: usize, products: usize) -> Result<Neighbours, ArtifactError> {
    if shapes.len() > rows {
        return Err(damaged("weights of what is unknown"));
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

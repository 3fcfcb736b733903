//! What the weights between products say about every product, summed over what is asked about.

use super::asked::Asked;
use super::tables::{Tables, fading};

/// Half-lives of holdings in a question, in days.
pub const SHORT_HALF_LIFE_DAYS: f64 = 30.0;
/// The longer of the two.
pub const LONG_HALF_LIFE_DAYS: f64 = 90.0;
/// Baskets that weigh as much as nothing in a confidence.
const CONFIDENCE_PRIOR: f32 = 5.0;

/// What speaks for one product.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Lanes {
    /// [`Tables::lately`], holdings fading with the short half-life.
    pub lately_short: f32,
    /// The same with the long one.
    pub lately_long: f32,
    /// The same without fading.
    pub lately_flat: f32,
    /// The strongest single holding of `lately_long`.
    pub lately_max: f32,
    /// [`Tables::ever`], holdings fading with the long half-life.
    pub ever_long: f32,
    /// The same without fading.
    pub ever_flat: f32,
    /// [`Tables::in_baskets`] over the holdings, fading with the short half-life.
    pub baskets_short: f32,
    /// [`Tables::in_baskets`] over the basket.
    pub basket: f32,
    /// The strongest single product of the basket.
    pub basket_max: f32,
    /// [`Tables::lately`] over the basket.
    pub basket_lately: f32,
    /// The highest share of the baskets with a product of this one that also held the candidate.
    pub confidence: f32,
}

/// Sums up for every product of the model.
#[must_use]
pub fn lanes(tables: &Tables, asked: &Asked) -> Vec<Lanes> {
    let mut lanes = vec![Lanes::default(); tables.products.len()];
    for had in &asked.had {
        let age = asked.now - had.last;
        let (short, long) = (fading(age, SHORT_HALF_LIFE_DAYS), fading(age, LONG_HALF_LIFE_DAYS));
        let number = had.product as usize;
        for neighbour in of(&tables.lately, number) {
            let lane = &mut lanes[neighbour.product as usize];
            lane.lately_short += short * neighbour.weight;
            lane.lately_long += long * neighbour.weight;
            lane.lately_flat += neighbour.weight;
            lane.lately_max = lane.lately_max.max(long * neighbour.weight);
        }
        for neighbour in of(&tables.ever, number) {
            let lane = &mut lanes[neighbour.product as usize];
            lane.ever_long += long * neighbour.weight;
            lane.ever_flat += neighbour.weight;
        }
        for neighbour in of(&tables.in_baskets, number) {
            lanes[neighbour.product as usize].baskets_short += short * neighbour.weight;
        }
    }
    for &number in &asked.basket {
        let baskets = tables.products[number as usize].baskets as f32 + CONFIDENCE_PRIOR;
        for neighbour in of(&tables.in_baskets, number as usize) {
            let lane = &mut lanes[neighbour.product as usize];
            lane.basket += neighbour.weight;
            lane.basket_max = lane.basket_max.max(neighbour.weight);
            lane.confidence = lane.confidence.max(neighbour.together as f32 / baskets);
        }
        for neighbour in of(&tables.lately, number as usize) {
            lanes[neighbour.product as usize].basket_lately += neighbour.weight;
        }
    }
    lanes
}

fn of(neighbours: &[Vec<super::super::ridge::Neighbour>], number: usize) -> &[super::super::ridge::Neighbour] {
    neighbours.get(number).map_or(&[], Vec::as_slice)
}

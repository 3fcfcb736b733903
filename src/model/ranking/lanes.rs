//! What the weights between products say about every product, summed over what is asked about.

use super::super::ridge::{Neighbour, Neighbours};
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
    /// What the profile says, learned with [`Tables::lately`].
    pub profile_lately: f32,
    /// The same learned with [`Tables::ever`].
    pub profile_ever: f32,
    /// The highest share of the baskets with a product of this one that also held the candidate.
    pub confidence: f32,
}

/// What speaks for every product of a model. Of most nothing does: only the others take space.
#[derive(Debug, Clone)]
pub struct AllLanes {
    /// For each product its place in `spoken_for`.
    places: Vec<u32>,
    /// The first is that of everything else.
    spoken_for: Vec<Lanes>,
    /// The products of the others.
    products: Vec<u32>,
}

impl AllLanes {
    fn of_nothing(products: usize) -> Self {
        Self { places: vec![0; products], spoken_for: vec![Lanes::default()], products: Vec::new() }
    }

    /// What speaks for a product.
    pub fn of(&self, product: u32) -> &Lanes {
        &self.spoken_for[self.places[product as usize] as usize]
    }

    /// The products that something speaks for, or against, in no order.
    pub fn products(&self) -> &[u32] {
        &self.products
    }

    /// True for a product that something speaks for, or against.
    pub fn speak_for(&self, product: u32) -> bool {
        self.places[product as usize] != 0
    }

    fn of_mut(&mut self, product: u32) -> &mut Lanes {
        let place = &mut self.places[product as usize];
        if *place == 0 {
            *place = self.spoken_for.len() as u32;
            self.spoken_for.push(Lanes::default());
            self.products.push(product);
        }
        &mut self.spoken_for[*place as usize]
    }
}

/// Sums up for every product of the model.
pub fn lanes(tables: &Tables, asked: &Asked) -> AllLanes {
    let mut lanes = lanes_of_holdings(tables, asked);
    for &number in &asked.basket {
        let baskets = tables.products[number as usize].baskets;
        for neighbour in of(&tables.in_baskets, number) {
            lanes.of_mut(neighbour.product).add_in_baskets(neighbour, baskets);
        }
        for neighbour in of(&tables.lately, number) {
            lanes.of_mut(neighbour.product).basket_lately += neighbour.weight;
        }
    }
    lanes
}

/// The same with nothing in the basket.
pub fn lanes_of_holdings(tables: &Tables, asked: &Asked) -> AllLanes {
    let mut lanes = AllLanes::of_nothing(tables.products.len());
    for had in &asked.had {
        let age = asked.now - had.last;
        let (short, long) = (fading(age, SHORT_HALF_LIFE_DAYS), fading(age, LONG_HALF_LIFE_DAYS));
        for neighbour in of(&tables.lately, had.product) {
            let lane = lanes.of_mut(neighbour.product);
            lane.lately_short += short * neighbour.weight;
            lane.lately_long += long * neighbour.weight;
            lane.lately_flat += neighbour.weight;
            lane.lately_max = lane.lately_max.max(long * neighbour.weight);
        }
        for neighbour in of(&tables.ever, had.product) {
            let lane = lanes.of_mut(neighbour.product);
            lane.ever_long += long * neighbour.weight;
            lane.ever_flat += neighbour.weight;
        }
        for neighbour in of(&tables.in_baskets, had.product) {
            lanes.of_mut(neighbour.product).baskets_short += short * neighbour.weight;
        }
    }
    for &column in &asked.profile {
        for neighbour in of(&tables.profile_lately, column) {
            lanes.of_mut(neighbour.product).profile_lately += neighbour.weight;
        }
        for neighbour in of(&tables.profile_ever, column) {
            lanes.of_mut(neighbour.product).profile_ever += neighbour.weight;
        }
    }
    lanes
}

impl Lanes {
    /// What one product of a basket adds for `candidate`.
    pub fn with_product(mut self, tables: &Tables, product: u32, candidate: u32) -> Self {
        let find = |neighbours: &[Neighbour]| {
            let found = neighbours.binary_search_by_key(&candidate, |neighbour| neighbour.product);
            found.ok().map(|found| neighbours[found])
        };
        if let Some(neighbour) = find(of(&tables.in_baskets, product)) {
            self.add_in_baskets(&neighbour, tables.products[product as usize].baskets);
        }
        self.basket_lately += find(of(&tables.lately, product)).map_or(0.0, |neighbour| neighbour.weight);
        self
    }

    /// `baskets` held the neighbour whose weight this is.
    fn add_in_baskets(&mut self, neighbour: &Neighbour, baskets: u32) {
        self.basket += neighbour.weight;
        self.basket_max = self.basket_max.max(neighbour.weight);
        self.confidence = self.confidence.max(neighbour.together as f32 / (baskets as f32 + CONFIDENCE_PRIOR));
    }
}

fn of(neighbours: &Neighbours, product: u32) -> &[Neighbour] {
    neighbours.get(product as usize).map_or(&[], Vec::as_slice)
}

//! Scores of items by their item-to-item weights, summed over the held items, the basket and the profile of a query.

use super::super::ridge::{Neighbour, Neighbours};
use super::decay::{LONG_HALF_LIFE_DAYS, SHORT_HALF_LIFE_DAYS, decay_weight};
use super::item_model::ItemModel;
use super::ranking_query::RankingQuery;

/// Prior of a confidence: baskets that are added to the denominator.
const CONFIDENCE_PRIOR: f32 = 5.0;

/// Association scores of one item.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AssociationScores {
    /// [`ItemModel::recency_weighted`] over the held items, decayed with the short half-life.
    pub recency_weighted_short: f32,
    /// The same with the long half-life.
    pub recency_weighted_long: f32,
    /// The same without decay.
    pub recency_weighted_undecayed: f32,
    /// The strongest single term of `recency_weighted_long`.
    pub recency_weighted_max: f32,
    /// [`ItemModel::all_time`] over the held items, decayed with the long half-life.
    pub all_time_long: f32,
    /// The same without decay.
    pub all_time_undecayed: f32,
    /// [`ItemModel::within_basket`] over the held items, decayed with the short half-life.
    pub within_basket_short: f32,
    /// [`ItemModel::within_basket`] over the basket.
    pub basket: f32,
    /// The strongest single term of `basket`.
    pub basket_max: f32,
    /// [`ItemModel::recency_weighted`] over the basket.
    pub basket_recency_weighted: f32,
    /// [`ItemModel::profile_recency_weighted`] over the profile.
    pub profile_recency_weighted: f32,
    /// [`ItemModel::profile_all_time`] over the profile.
    pub profile_all_time: f32,
    /// The highest confidence of a rule from an item of the basket to this one: the share of baskets with the former that
    /// also held the latter.
    pub confidence: f32,
}

/// Association scores of all items of a model. Most items have none, and take no space.
#[derive(Debug, Clone)]
pub struct SparseScores {
    /// For each item its slot in `scores`.
    slots: Vec<u32>,
    /// The first slot is that of all items without a score.
    scores: Vec<AssociationScores>,
    /// The items of the other slots.
    items: Vec<u32>,
}

impl SparseScores {
    fn empty(items: usize) -> Self {
        Self { slots: vec![0; items], scores: vec![AssociationScores::default()], items: Vec::new() }
    }

    /// Scores of an item.
    pub fn of(&self, item: u32) -> &AssociationScores {
        &self.scores[self.slots[item as usize] as usize]
    }

    /// Items with a score, in no order.
    pub fn items(&self) -> &[u32] {
        &self.items
    }

    /// True for an item with a score.
    pub fn contains(&self, item: u32) -> bool {
        self.slots[item as usize] != 0
    }

    fn of_mut(&mut self, item: u32) -> &mut AssociationScores {
        let slot = &mut self.slots[item as usize];
        if *slot == 0 {
            *slot = self.scores.len() as u32;
            self.scores.push(AssociationScores::default());
            self.items.push(item);
        }
        &mut self.scores[*slot as usize]
    }
}

/// Scores all items for a query.
pub fn score_associations(model: &ItemModel, query: &RankingQuery) -> SparseScores {
    let mut associations = score_held_items(model, query);
    for &item in &query.basket {
        let baskets = model.products[item as usize].baskets;
        for neighbour in neighbours_of(&model.within_basket, item) {
            associations.of_mut(neighbour.item).add_within_basket(neighbour, baskets);
        }
        for neighbour in neighbours_of(&model.recency_weighted, item) {
            associations.of_mut(neighbour.item).basket_recency_weighted += neighbour.weight;
        }
    }
    associations
}

/// Scores all items by held items and profile alone, without a basket.
pub fn score_held_items(model: &ItemModel, query: &RankingQuery) -> SparseScores {
    let mut associations = SparseScores::empty(model.products.len());
    for held in &query.held {
        let age = query.now - held.last_bought;
        let (short, long) = (decay_weight(age, SHORT_HALF_LIFE_DAYS), decay_weight(age, LONG_HALF_LIFE_DAYS));
        for neighbour in neighbours_of(&model.recency_weighted, held.item) {
            let scores = associations.of_mut(neighbour.item);
            scores.recency_weighted_short += short * neighbour.weight;
            scores.recency_weighted_long += long * neighbour.weight;
            scores.recency_weighted_undecayed += neighbour.weight;
            scores.recency_weighted_max = scores.recency_weighted_max.max(long * neighbour.weight);
        }
        for neighbour in neighbours_of(&model.all_time, held.item) {
            let scores = associations.of_mut(neighbour.item);
            scores.all_time_long += long * neighbour.weight;
            scores.all_time_undecayed += neighbour.weight;
        }
        for neighbour in neighbours_of(&model.within_basket, held.item) {
            associations.of_mut(neighbour.item).within_basket_short += short * neighbour.weight;
        }
    }
    for &column in &query.profile {
        for neighbour in neighbours_of(&model.profile_recency_weighted, column) {
            associations.of_mut(neighbour.item).profile_recency_weighted += neighbour.weight;
        }
        for neighbour in neighbours_of(&model.profile_all_time, column) {
            associations.of_mut(neighbour.item).profile_all_time += neighbour.weight;
        }
    }
    associations
}

impl AssociationScores {
    /// These scores of `candidate` with one item more in the basket.
    pub fn with_basket_item(mut self, model: &ItemModel, item: u32, candidate: u32) -> Self {
        let find = |neighbours: &[Neighbour]| {
            let found = neighbours.binary_search_by_key(&candidate, |neighbour| neighbour.item);
            found.ok().map(|found| neighbours[found])
        };
        if let Some(neighbour) = find(neighbours_of(&model.within_basket, item)) {
            self.add_within_basket(&neighbour, model.products[item as usize].baskets);
        }
        let recency_weighted = find(neighbours_of(&model.recency_weighted, item));
        self.basket_recency_weighted += recency_weighted.map_or(0.0, |neighbour| neighbour.weight);
        self
    }

    /// Adds the weight of an item that `baskets` baskets held.
    fn add_within_basket(&mut self, neighbour: &Neighbour, baskets: u32) {
        self.basket += neighbour.weight;
        self.basket_max = self.basket_max.max(neighbour.weight);
        self.confidence = self.confidence.max(neighbour.co_occurrences as f32 / (baskets as f32 + CONFIDENCE_PRIOR));
    }
}

fn neighbours_of(neighbours: &Neighbours, column: u32) -> &[Neighbour] {
    neighbours.get(column as usize).map_or(&[], Vec::as_slice)
}

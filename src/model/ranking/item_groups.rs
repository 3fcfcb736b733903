//! Groups of comparable items, by ladder and by category, and transitions of customers between them.

use std::collections::{HashMap, HashSet};

use crate::domain::catalog::Catalog;
use crate::domain::ids::ProductId;

use super::super::history::OrderedHistory;

/// Customers who bought more items of one group are ignored there: transitions between so many carry no information.
const BOUGHT_MAX: usize = 30;

/// Ladders and categories of a catalogue, in item indices of the model.
#[derive(Debug, Clone, Default)]
pub struct ItemGroups {
    of_item: Vec<Vec<u32>>,
    items: Vec<Vec<u32>>,
}

/// Counts of customers who bought both of two items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransitionCounts {
    /// Customers who bought the second after the first.
    pub in_order: u32,
    /// Customers who bought both, in any order.
    pub in_any_order: u32,
}

/// Transitions from an item to another of a common group.
pub type Transitions = HashMap<(u32, u32), TransitionCounts>;

impl ItemGroups {
    /// Groups products by the catalogue.
    pub fn of(ids: &[ProductId], catalog: &Catalog) -> Self {
        let mut group_indices: HashMap<String, u32> = HashMap::new();
        let mut groups = Self::default();
        for (item, id) in (0_u32..).zip(ids) {
            let product = catalog.get(id);
            let ladder = product
                .and_then(|product| product.ladder_position.as_ref())
                .map(|position| format!("ladder {}", position.ladder));
            let category = product.filter(|product| !product.category.is_empty());
            let category = category.map(|product| format!("category {}", product.category.join("\n")));
            let mut of_this = Vec::new();
            for name in ladder.into_iter().chain(category) {
                let next = group_indices.len() as u32;
                let group = *group_indices.entry(name).or_insert(next);
                if group == next {
                    groups.items.push(Vec::new());
                }
                groups.items[group as usize].push(item);
                of_this.push(group);
            }
            groups.of_item.push(of_this);
        }
        groups
    }

    /// Groups of an item.
    pub fn groups_of(&self, item: u32) -> &[u32] {
        &self.of_item[item as usize]
    }

    /// Items of a group, in order.
    pub fn items_of(&self, group: u32) -> &[u32] {
        &self.items[group as usize]
    }

    /// Counts transitions before `end`. Those of a single customer are dropped as chance.
    pub fn count_transitions(&self, history: &OrderedHistory, end: i64) -> Transitions {
        let mut transitions = Transitions::new();
        for bought in history.by_customer() {
            let mut by_group: HashMap<u32, Vec<(u32, i64)>> = HashMap::new();
            for purchases in bought.chunk_by(|a, b| a.item == b.item) {
                let first = purchases[0];
                if first.second < end {
                    for &group in self.groups_of(first.item) {
                        by_group.entry(group).or_default().push((first.item, first.second));
                    }
                }
            }
            let mut counted: HashSet<(u32, u32)> = HashSet::new();
            for first_purchases in by_group.values().filter(|purchases| purchases.len() <= BOUGHT_MAX) {
                for &(from, from_bought) in first_purchases {
                    for &(to, to_bought) in first_purchases.iter().filter(|(to, _)| *to != from) {
                        if counted.insert((from, to)) {
                            let counts = transitions.entry((from, to)).or_default();
                            counts.in_any_order += 1;
                            counts.in_order += u32::from(to_bought > from_bought);
                        }
                    }
                }
            }
        }
        transitions.retain(|_, counts| counts.in_any_order > 1);
        transitions
    }
}

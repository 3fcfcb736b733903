//! Groups of items that are alternatives to each other, by ladder and by category, and transitions of customers between them.

use std::collections::{HashMap, HashSet};

use crate::domain::catalog::Catalog;
use crate::domain::ids::ProductId;

use super::super::history::{OrderedHistory, Purchase, UNKNOWN_ID};
use super::decay::DAY;

/// Customers who bought more items of one group are ignored there: transitions between so many carry no information. Nor do
/// orders of so many.
const BOUGHT_MAX: usize = 30;

/// Ladders and categories of a catalogue, in item indices of the model.
#[derive(Debug, Clone, Default)]
pub struct AlternativeGroups {
    of_item: Vec<Vec<u32>>,
    items: Vec<Vec<u32>>,
}

/// Counts of customers who bought both of two items, and of orders that held both.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TransitionCounts {
    /// Customers who bought the second after the first.
    pub in_order: u32,
    /// Customers among them who never bought the first again.
    pub replaced: u32,
    /// Customers who bought both, in any order.
    pub in_any_order: u32,
    /// Orders that held both.
    pub together: u32,
    /// Orders that would hold both if the two were bought independently of each other.
    pub together_by_chance: f32,
}

/// Transitions from an item to another of a common group.
pub type Transitions = HashMap<(u32, u32), TransitionCounts>;

impl AlternativeGroups {
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
            let mut by_group: HashMap<u32, Vec<(u32, i64, i64)>> = HashMap::new();
            for purchases in bought.chunk_by(|a, b| a.item == b.item) {
                let before = &purchases[..purchases.partition_point(|purchase| purchase.second < end)];
                if let (Some(first), Some(last)) = (before.first(), before.last()) {
                    for &group in self.groups_of(first.item) {
                        by_group.entry(group).or_default().push((first.item, first.second, last.second));
                    }
                }
            }
            let mut counted: HashSet<(u32, u32)> = HashSet::new();
            for items in by_group.values().filter(|items| items.len() <= BOUGHT_MAX) {
                for &(from, from_first, from_last) in items {
                    for &(to, to_first, _) in items.iter().filter(|(to, ..)| *to != from) {
                        if counted.insert((from, to)) {
                            let counts = transitions.entry((from, to)).or_default();
                            counts.in_any_order += 1;
                            counts.in_order += u32::from(to_first > from_first);
                            counts.replaced += u32::from(to_first > from_last);
                        }
                    }
                }
            }
        }
        transitions.retain(|_, counts| counts.in_any_order > 1);
        self.count_orders(history, end, &mut transitions);
        transitions
    }

    /// Counts the orders that hold both items of each transition, and those that would by chance.
    fn count_orders(&self, history: &OrderedHistory, end: i64, transitions: &mut Transitions) {
        let lines = order_lines(history, end);
        let mut orders_of = vec![0_u32; history.products.len()];
        let mut orders = 0_u32;
        for order in lines.chunk_by(|a, b| a.0 == b.0) {
            orders += 1;
            let mut by_group: HashMap<u32, Vec<u32>> = HashMap::new();
            for &(_, item) in order {
                orders_of[item as usize] += 1;
                for &group in self.groups_of(item) {
                    by_group.entry(group).or_default().push(item);
                }
            }
            let mut counted: HashSet<(u32, u32)> = HashSet::new();
            for items in by_group.values().filter(|items| items.len() <= BOUGHT_MAX) {
                for &from in items {
                    for &to in items.iter().filter(|&&to| to != from) {
                        if let Some(counts) = transitions.get_mut(&(from, to)).filter(|_| counted.insert((from, to))) {
                            counts.together += 1;
                        }
                    }
                }
            }
        }
        let count = f64::from(orders.max(1));
        for (&(from, to), counts) in transitions.iter_mut() {
            let [from, to] = [from, to].map(|item| f64::from(orders_of[item as usize]));
            counts.together_by_chance = (from * to / count) as f32;
        }
    }
}

/// Lines of orders before `end`, by order, every item of an order once. Without an order number, the purchases of a customer
/// on one day are an order; anonymous ones are left out.
fn order_lines(history: &OrderedHistory, end: i64) -> Vec<(OrderKey, u32)> {
    let line = |&Purchase { customer, item, second, basket }: &Purchase| {
        let key = match (basket, customer) {
            (UNKNOWN_ID, UNKNOWN_ID) => None,
            (UNKNOWN_ID, customer) => Some(OrderKey { customer, order: second.div_euclid(DAY) }),
            (basket, _) => Some(OrderKey { customer: UNKNOWN_ID, order: basket.into() }),
        };
        key.filter(|_| second < end).map(|key| (key, item))
    };
    let mut lines: Vec<(OrderKey, u32)> = history.purchases.iter().filter_map(line).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

/// Order of a purchase: the day of a customer, or a basket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct OrderKey {
    /// The customer; [`UNKNOWN_ID`] for a basket.
    customer: u32,
    order: i64,
}

//! Which products stand beside each other, on one ladder or in one category, and how customers move between them.

use std::collections::{HashMap, HashSet};

use crate::domain::catalog::Catalog;
use crate::domain::ids::ProductId;

use super::super::history::OrderedHistory;

/// Products of one shelf that a customer bought, beyond which moves between them say nothing.
const BOUGHT_MAX: usize = 30;

/// The ladders and categories of a catalogue, in the numbers of the model.
#[derive(Debug, Clone, Default)]
pub struct Shelves {
    of_product: Vec<Vec<u32>>,
    products: Vec<Vec<u32>>,
}

/// How customers who have one product came to have another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Move {
    /// Customers who bought the second after the first.
    pub later: u32,
    /// Customers who bought both, in whatever order.
    pub together: u32,
}

/// Moves from a product to another of a shelf that both stand on.
pub type Moves = HashMap<(u32, u32), Move>;

impl Shelves {
    /// Looks the products up.
    pub fn of(ids: &[ProductId], catalog: &Catalog) -> Self {
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut shelves = Self::default();
        for (product, id) in (0_u32..).zip(ids) {
            let known = catalog.get(id);
            let ladder = known
                .and_then(|known| known.ladder_position.as_ref())
                .map(|ladder_position| format!("ladder {}", ladder_position.ladder));
            let category = known.filter(|known| !known.category.is_empty());
            let category = category.map(|known| format!("category {}", known.category.join("\n")));
            let mut of_this = Vec::new();
            for name in ladder.into_iter().chain(category) {
                let next = numbers.len() as u32;
                let shelf = *numbers.entry(name).or_insert(next);
                if shelf == next {
                    shelves.products.push(Vec::new());
                }
                shelves.products[shelf as usize].push(product);
                of_this.push(shelf);
            }
            shelves.of_product.push(of_this);
        }
        shelves
    }

    /// The shelves that a product stands on.
    pub fn of_product(&self, product: u32) -> &[u32] {
        &self.of_product[product as usize]
    }

    /// The products of a shelf, in order.
    pub fn products_of(&self, number: u32) -> &[u32] {
        &self.products[number as usize]
    }

    /// How customers moved before `end`. One customer is chance: kept is what several did.
    pub fn moves(&self, history: &OrderedHistory, end: i64) -> Moves {
        let mut moves = Moves::new();
        for bought in history.by_customer() {
            let mut by_shelf: HashMap<u32, Vec<(u32, i64)>> = HashMap::new();
            for lines in bought.chunk_by(|a, b| a.product == b.product) {
                let first = lines[0];
                if first.second < end {
                    for &shelf in self.of_product(first.product) {
                        by_shelf.entry(shelf).or_default().push((first.product, first.second));
                    }
                }
            }
            let mut seen: HashSet<(u32, u32)> = HashSet::new();
            for firsts in by_shelf.values().filter(|firsts| firsts.len() <= BOUGHT_MAX) {
                for &(from, had_at) in firsts {
                    for &(to, bought_at) in firsts.iter().filter(|(to, _)| *to != from) {
                        if seen.insert((from, to)) {
                            let known = moves.entry((from, to)).or_default();
                            known.together += 1;
                            known.later += u32::from(bought_at > had_at);
                        }
                    }
                }
            }
        }
        moves.retain(|_, seen| seen.together > 1);
        moves
    }
}

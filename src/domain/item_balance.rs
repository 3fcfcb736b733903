//! Number of items of a product that a customer has, from purchases and returns in any order of arrival.
//!
//! A history may begin in the middle: a return of something bought before it must not cancel a purchase made afterwards. So
//! the number is a running balance over the movements in the order of their times, and it never falls below zero. Movements
//! are stored one by one up to a maximum; older ones are folded into a balance that is never lower than the true one, so
//! that a product of which too little is known looks owned and is not offered.

use super::time::Timestamp;

/// Purchases and returns of one product.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ItemBalance {
    /// Movements that are no longer stored one by one.
    pub folded: Option<FoldedMovements>,
    /// The latest movements in the order of time, one for each moment.
    pub movements: Vec<Movement>,
}

/// Items bought or returned at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movement {
    /// The moment.
    pub at: Timestamp,
    /// Items bought less items returned.
    pub items: i64,
}

/// Balance of the movements that are no longer stored one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldedMovements {
    /// Time of the latest of them.
    pub through: Timestamp,
    /// Number of items then, or more.
    pub items: u64,
}

impl ItemBalance {
    /// Balance after one purchase.
    pub fn bought(at: Timestamp, items: u32) -> Self {
        Self { folded: None, movements: vec![Movement { at, items: i64::from(items) }] }
    }

    /// Enters items bought (above zero) or returned (below zero), and stores at most `movements_max` movements one by one.
    pub fn add(&mut self, at: Timestamp, items: i64, movements_max: usize) {
        if let Some(folded) = self.folded.as_mut().filter(|folded| at <= folded.through) {
            // A purchase adds at most its items to the balance, and a return may have found nothing to take.
            folded.items = folded.items.saturating_add(u64::try_from(items).unwrap_or(0));
            return;
        }
        match self.movements.binary_search_by_key(&at, |movement| movement.at) {
            Ok(index) => self.movements[index].items = self.movements[index].items.saturating_add(items),
            Err(index) => self.movements.insert(index, Movement { at, items }),
        }
        while self.movements.len() > movements_max {
            let Movement { at, items } = self.movements.remove(0);
            let before = self.folded.map_or(0, |folded| folded.items);
            self.folded = Some(FoldedMovements { through: at, items: before.saturating_add_signed(items) });
        }
    }

    /// Enters the movements of another balance of the same product. The result is never lower than the true balance.
    pub fn absorb(&mut self, other: &Self, movements_max: usize) {
        if let Some(folded) = other.folded {
            let before = self.folded.unwrap_or(FoldedMovements { through: folded.through, items: 0 });
            let movements = std::mem::take(&mut self.movements);
            self.folded = Some(FoldedMovements {
                through: before.through.max(folded.through),
                items: before.items.saturating_add(folded.items),
            });
            for Movement { at, items } in movements {
                self.add(at, items, movements_max);
            }
        }
        for &Movement { at, items } in &other.movements {
            self.add(at, items, movements_max);
        }
    }

    /// Number of items that the customer has.
    pub fn quantity(&self) -> u64 {
        let folded = self.folded.map_or(0, |folded| folded.items);
        self.movements.iter().fold(folded, |balance, movement| balance.saturating_add_signed(movement.items))
    }

    /// Whether more items were bought than returned at this moment.
    pub fn is_bought_at(&self, at: Timestamp) -> bool {
        self.movements.iter().any(|movement| movement.at == at && movement.items > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::DAY;

    fn balance(movements: &[(u32, i64)], movements_max: usize) -> ItemBalance {
        let start = Timestamp::from_unix_ms(0).expect("in range");
        let mut balance = ItemBalance::default();
        for &(days, items) in movements {
            balance.add(start + DAY * days, items, movements_max);
        }
        balance
    }

    /// Broken by: lifetime sums of bought and returned items, which make the last three 0.
    #[test]
    fn a_return_takes_only_what_was_there() {
        let cases: [(&[(u32, i64)], u64); 6] = [
            (&[(1, 3), (2, -1)], 2),
            (&[(2, -1), (1, 3)], 2),
            (&[(1, 3), (1, -3)], 0),
            // Returned before anything was bought that is known of.
            (&[(1, -12), (2, 6)], 6),
            (&[(2, 6), (1, -12)], 6),
            (&[(1, 1), (2, -5), (3, 1), (4, -1), (5, 2)], 2),
        ];
        for (movements, quantity) in cases {
            assert_eq!(balance(movements, 8).quantity(), quantity, "{movements:?}");
        }
    }

    /// Broken by: a late return that is taken from the folded balance.
    #[test]
    fn beyond_its_bound_a_balance_is_never_too_low() {
        let movements = [(10, 1), (20, 1), (30, -1), (5, -1), (1, 1)];
        assert_eq!(balance(&movements, 8).quantity(), 1);
        assert_eq!(balance(&movements, 2).quantity(), 2);
        assert_eq!(balance(&movements, 2).movements.len(), 2);
    }
}

//! Products that a customer has or had.

use std::collections::{BTreeMap, BTreeSet};

use super::ids::ProductId;
use super::item_balance::ItemBalance;
use super::time::Timestamp;

/// Products that a customer has or had, bounded: the latest in full, older ones as fingerprints.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Holdings {
    /// The most recently changed holdings, at most [`StateBounds::holdings`](super::state_bounds::StateBounds::holdings).
    pub latest: BTreeMap<ProductId, Holding>,
    /// 24-bit fingerprints of older owned products, at most
    /// [`StateBounds::fingerprints`](super::state_bounds::StateBounds::fingerprints). A collision makes a product look owned
    /// that is not: one in 8,000 at worst, and the product is then not offered.
    pub fingerprints: BTreeSet<u32>,
}

/// A product that a customer has or had. Every field can be updated in any order of events.
#[derive(Debug, Clone, PartialEq)]
pub struct Holding {
    /// Earliest event about the product.
    pub first_event_at: Timestamp,
    /// Earliest and latest purchase, start or renewal; `None` where the history begins later.
    pub acquired: Option<Acquisitions>,
    /// Items bought and returned.
    pub items: ItemBalance,
    /// Latest start or renewal of a subscription.
    pub subscribed_at: Option<Timestamp>,
    /// Latest end, cancellation or downgrade.
    pub ended_at: Option<Timestamp>,
    /// Latest return.
    pub returned_at: Option<Timestamp>,
    /// Latest use of an allowance: the time, and the share used (1 is all of it).
    pub usage: Option<(Timestamp, f64)>,
}

/// Times of the purchases, starts and renewals of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acquisitions {
    /// The earliest.
    pub first_at: Timestamp,
    /// The latest.
    pub last_at: Timestamp,
}

impl Holding {
    /// Creates a holding with nothing but its first time.
    pub fn touched_at(at: Timestamp) -> Self {
        Self {
            first_event_at: at,
            acquired: None,
            items: ItemBalance::default(),
            subscribed_at: None,
            ended_at: None,
            returned_at: None,
            usage: None,
        }
    }

    /// Creates the holding of items bought at once.
    pub fn bought_at(at: Timestamp, items: u32) -> Self {
        Self {
            acquired: Some(Acquisitions { first_at: at, last_at: at }),
            items: ItemBalance::bought(at, items),
            ..Self::touched_at(at)
        }
    }

    /// Records a purchase, start or renewal.
    pub fn acquire(&mut self, at: Timestamp) {
        let Acquisitions { first_at, last_at } = self.acquired.unwrap_or(Acquisitions { first_at: at, last_at: at });
        self.acquired = Some(Acquisitions { first_at: first_at.min(at), last_at: last_at.max(at) });
    }

    /// Whether the customer has it: not ended since it last started, and not all items returned.
    pub fn is_owned(&self) -> bool {
        let has_ended = self.ended_at.is_some_and(|ended_at| self.acquired.is_none_or(|acquired| ended_at >= acquired.last_at));
        !has_ended && (self.subscribed_at.is_some() || self.items.quantity() > 0)
    }

    /// Earliest purchase, start or renewal; the earliest event where there was none.
    pub fn first_at(&self) -> Timestamp {
        self.acquired.map_or(self.first_event_at, |acquired| acquired.first_at)
    }

    /// Latest purchase, start or renewal; the earliest event where there was none.
    pub fn last_at(&self) -> Timestamp {
        self.acquired.map_or(self.first_event_at, |acquired| acquired.last_at)
    }

    /// Whether a subscription is running.
    pub fn is_subscribed(&self) -> bool {
        self.subscribed_at.is_some_and(|started_at| self.ended_at.is_none_or(|ended_at| ended_at < started_at))
    }
}

impl Holdings {
    /// Whether the customer has the product; also true for an older holding of which only the fingerprint is left.
    pub fn owns(&self, product: &ProductId) -> bool {
        match self.latest.get(product) {
            Some(holding) => holding.is_owned(),
            None => self.fingerprints.contains(&fingerprint(product)),
        }
    }

    /// Owned products among the holdings stored in full.
    pub fn owned(&self) -> impl Iterator<Item = (&ProductId, &Holding)> {
        self.latest.iter().filter(|(_, holding)| holding.is_owned())
    }

    /// Returns the holding of a product, created at `at` if there is none. Call [`Holdings::trim`] afterwards.
    pub fn touch(&mut self, product: &ProductId, at: Timestamp) -> &mut Holding {
        self.latest.entry(product.clone()).or_insert_with(|| Holding::touched_at(at))
    }

    /// Turns the oldest holdings into fingerprints until at most `len_max` are stored in full.
    pub fn trim(&mut self, len_max: usize, fingerprints_max: usize) {
        while self.latest.len() > len_max {
            let oldest = self.latest.iter().min_by_key(|(product, holding)| (holding.last_at(), *product));
            let Some((product, holding)) = oldest else { return };
            let (product, was_owned) = (product.clone(), holding.is_owned());
            self.latest.remove(&product);
            if was_owned && self.fingerprints.len() < fingerprints_max {
                self.fingerprints.insert(fingerprint(&product));
            }
        }
    }
}

/// The lower 24 bits of the FNV-1a hash of a product id, which [`Holdings::fingerprints`] stores.
pub fn fingerprint(product: &ProductId) -> u32 {
    let hash = product
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    u32::try_from((hash ^ (hash >> 24) ^ (hash >> 48)) & 0x00ff_ffff).expect("24 bits fit")
}

//! Products that a customer has or had.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ids::ProductId;
use super::item_balance::ItemBalance;
use super::state_bounds::StateBounds;
use super::time::Timestamp;
use super::usage::UsageHistory;

/// Time for which a product that was returned or ended is needed: no pause or window of a rule is expected to look back
/// further.
const GIVEN_UP_NEEDED: Duration = Duration::from_secs(180 * 86_400);

/// Products that a customer has or had, bounded: the holdings that rules need most in full, others in fewer bytes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Holdings {
    /// Holdings in full, at most [`StateBounds::holdings`]. [`Holdings::trim`] has the rule by which they are evicted.
    pub latest: BTreeMap<ProductId, Holding>,
    /// 24-bit fingerprints of other owned products, at most [`StateBounds::fingerprints`]. A collision makes a product look
    /// owned that is not: one in 8,000 at worst, and the product is then not offered.
    pub fingerprints: BTreeSet<u32>,
    /// Other running subscriptions by the fingerprint of their product, at most [`StateBounds::evicted_subscriptions`].
    pub evicted_subscriptions: BTreeMap<u32, EvictedSubscription>,
    /// Latest end of what may have been a subscription, of those whose holdings were evicted, whether or not the end was a
    /// change of plans.
    pub evicted_end_at: Option<Timestamp>,
}

/// A running subscription whose holding was evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvictedSubscription {
    /// Its purchases, starts and renewals.
    pub acquired: Acquisitions,
    /// Its latest start or renewal.
    pub subscribed_at: Timestamp,
    /// Whether that was a start.
    pub is_start: bool,
}

/// Degree to which rules still need a holding, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// Returned or ended long ago.
    Past,
    /// Bought and kept: a fingerprint says as much.
    Bought,
    /// Returned or ended lately: the product may have to rest.
    GivenUpLately,
    /// A subscription that ended: the retention outlook needs to know that there was one.
    EndedSubscription,
    /// A running subscription: tenure, evidence and a notice of cancellation need it.
    RunningSubscription,
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
    /// Starts and renewals of a subscription, in order.
    pub starts: Vec<SubscriptionStart>,
    /// Time until which starts may have been dropped; `None` where all are stored.
    pub starts_dropped_through: Option<Timestamp>,
    /// Latest end: by a cancellation, an end of the subscription or a change to another product, unless it was renewed.
    pub ended_at: Option<Timestamp>,
    /// Latest end, counting those that are a renewal only if what was dropped says so.
    pub possibly_ended_at: Option<Timestamp>,
    /// Latest of the ends that are no longer stored one by one.
    pub folded_end_at: Option<Timestamp>,
    /// Latest return.
    pub returned_at: Option<Timestamp>,
    /// Latest return of it as unwanted: for no reason, or because the customer did not want it after all.
    pub unwanted_at: Option<Timestamp>,
    /// Latest return of it as the wrong variant.
    pub wrong_variant_at: Option<Timestamp>,
    /// Use of its allowances.
    pub usage: UsageHistory,
}

/// Times of the purchases, starts and renewals of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acquisitions {
    /// The earliest.
    pub first_at: Timestamp,
    /// The latest.
    pub last_at: Timestamp,
}

/// A start or renewal of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubscriptionStart {
    /// Time of the start.
    pub at: Timestamp,
    /// Kind of start.
    pub kind: StartKind,
}

/// Kind of start of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StartKind {
    /// The customer moved to the product from another, which is no new commitment.
    PlanChange,
    /// The subscription was renewed.
    Renewal,
    /// The subscription started.
    Start,
}

impl Holding {
    /// Creates a holding with nothing but its first time.
    pub fn touched_at(at: Timestamp) -> Self {
        Self {
            first_event_at: at,
            acquired: None,
            items: ItemBalance::default(),
            starts: Vec::new(),
            starts_dropped_through: None,
            ended_at: None,
            possibly_ended_at: None,
            folded_end_at: None,
            returned_at: None,
            unwanted_at: None,
            wrong_variant_at: None,
            usage: UsageHistory::default(),
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

    /// Creates the holding of a product that may have been stored before, with starts and ends through `evicted_end_at`.
    fn possibly_evicted(at: Timestamp, evicted_end_at: Option<Timestamp>) -> Self {
        Self {
            starts_dropped_through: evicted_end_at,
            possibly_ended_at: evicted_end_at,
            folded_end_at: evicted_end_at,
            ..Self::touched_at(at)
        }
    }

    /// Creates the holding of a subscription that was evicted.
    fn restored(subscription: EvictedSubscription) -> Self {
        let EvictedSubscription { acquired, subscribed_at, is_start } = subscription;
        let kind = if is_start { StartKind::Start } else { StartKind::Renewal };
        Self {
            acquired: Some(acquired),
            starts: vec![SubscriptionStart { at: subscribed_at, kind }],
            starts_dropped_through: Some(subscribed_at),
            ..Self::touched_at(acquired.first_at)
        }
    }

    /// Whether the customer has it: not ended since it last started, and not all items returned.
    pub fn is_owned(&self) -> bool {
        !self.has_ended() && (!self.starts.is_empty() || self.items.quantity() > 0)
    }

    /// Whether it ended after its latest purchase, start or renewal.
    fn has_ended(&self) -> bool {
        self.ended_at.is_some_and(|ended_at| self.acquired.is_none_or(|acquired| ended_at >= acquired.last_at))
    }

    fn need(&self, now: Timestamp) -> Need {
        let given_up_at = self.ended_at.max(self.unwanted_at).max(self.wrong_variant_at);
        if self.is_subscribed() {
            Need::RunningSubscription
        } else if !self.starts.is_empty() {
            Need::EndedSubscription
        } else if given_up_at.is_some_and(|at| now < at + GIVEN_UP_NEEDED) && !self.is_owned() {
            Need::GivenUpLately
        } else if self.is_owned() {
            Need::Bought
        } else {
            Need::Past
        }
    }

    fn changed_at(&self) -> Timestamp {
        let ends = [self.ended_at, self.returned_at, self.usage.latest_start()];
        ends.into_iter().flatten().fold(self.last_at(), Timestamp::max)
    }

    /// Earliest purchase, start or renewal; the earliest event where there was none.
    pub fn first_at(&self) -> Timestamp {
        self.acquired.map_or(self.first_event_at, |acquired| acquired.first_at)
    }

    /// Latest purchase, start or renewal; the earliest event where there was none.
    pub fn last_at(&self) -> Timestamp {
        self.acquired.map_or(self.first_event_at, |acquired| acquired.last_at)
    }

    /// Latest start or renewal of a subscription, or change to it.
    pub fn subscribed_at(&self) -> Option<Timestamp> {
        self.starts.last().map(|start| start.at)
    }

    /// Latest start or renewal of a subscription, changes from other products aside.
    pub fn committed_at(&self) -> Option<Timestamp> {
        self.commitment().map(|start| start.at)
    }

    fn commitment(&self) -> Option<&SubscriptionStart> {
        self.starts.iter().rev().find(|start| start.kind != StartKind::PlanChange)
    }

    /// Drops the oldest starts that can be spared, until at most the bounds are stored. The latest commitment stays, and so
    /// does a start near a parting, with the one before it: they say whether the two are a renewal or a change of plans, and
    /// dropping one must not turn it into an end.
    pub fn drop_old_starts(&mut self, bounds: &StateBounds, is_near_parting: impl Fn(Timestamp) -> bool) {
        let StateBounds { starts: starts_max, starts_near_partings: all_starts_max, .. } = *bounds;
        let len = self.starts.len();
        let commitment = self.commitment().copied();
        let near: Vec<bool> = self.starts.iter().map(|start| is_near_parting(start.at)).collect();
        let is_needed = |index: usize| near[index] || near.get(index + 1).copied().unwrap_or(false);
        let is_spare: Vec<bool> = (0..len).map(|index| index + starts_max < len && !is_needed(index)).collect();
        let mut beyond = is_spare.iter().filter(|&&is_spare| !is_spare).count().saturating_sub(all_starts_max);
        let mut spare = is_spare.into_iter();
        self.starts.retain(|start| {
            let mut is_dropped = spare.next().unwrap_or(false);
            if !is_dropped && beyond > 0 {
                beyond -= 1;
                is_dropped = true;
            }
            is_dropped &= Some(*start) != commitment;
            if is_dropped {
                self.starts_dropped_through = self.starts_dropped_through.max(Some(start.at));
            }
            !is_dropped
        });
    }

    /// Adds a start or renewal of a subscription.
    pub fn add_start(&mut self, start: SubscriptionStart) {
        if let Err(index) = self.starts.binary_search(&start) {
            self.starts.insert(index, start);
        }
        self.acquire(start.at);
    }

    /// Whether a subscription is running.
    pub fn is_subscribed(&self) -> bool {
        self.subscribed_at().is_some_and(|started_at| self.ended_at.is_none_or(|ended_at| ended_at < started_at))
    }
}

impl Holdings {
    /// Whether the customer has the product; also true for an evicted holding of which only the fingerprint is left.
    pub fn owns(&self, product: &ProductId) -> bool {
        let fingerprint = fingerprint(product);
        let is_evicted =
            || self.fingerprints.contains(&fingerprint) || self.evicted_subscriptions.contains_key(&fingerprint);
        match self.latest.get(product) {
            // A return may not have been of all items, and an end may have been before the latest purchase.
            Some(holding) => holding.is_owned() || is_evicted(),
            None => is_evicted(),
        }
    }

    /// Owned products among the holdings stored in full.
    pub fn owned(&self) -> impl Iterator<Item = (&ProductId, &Holding)> {
        self.latest.iter().filter(|(_, holding)| holding.is_owned())
    }

    /// Fingerprints of owned products whose holdings were evicted, and not stored in full again since.
    pub fn evicted_fingerprints(&self) -> BTreeSet<u32> {
        let mut evicted: BTreeSet<u32> =
            self.fingerprints.iter().chain(self.evicted_subscriptions.keys()).copied().collect();
        // Few customers have evicted holdings, and every ranking asks.
        if !evicted.is_empty() {
            for product in self.latest.keys() {
                evicted.remove(&fingerprint(product));
            }
        }
        evicted
    }

    /// Whether the product is a running subscription whose holding was evicted.
    pub fn is_evicted_subscription(&self, product: &ProductId) -> bool {
        !self.latest.contains_key(product) && self.evicted_subscriptions.contains_key(&fingerprint(product))
    }

    /// Whether the customer has or had a subscription.
    pub fn has_subscribed(&self) -> bool {
        self.evicted_end_at.is_some()
            || !self.evicted_subscriptions.is_empty()
            || self.latest.values().any(|holding| holding.committed_at().is_some())
    }

    /// Returns the holding of a product, created at `at` if there is none. Call [`Holdings::trim`] afterwards.
    pub fn touch(&mut self, product: &ProductId, at: Timestamp) -> &mut Holding {
        let Self { latest, evicted_subscriptions, evicted_end_at, .. } = self;
        latest.entry(product.clone()).or_insert_with(|| {
            let evicted = evicted_subscriptions.remove(&fingerprint(product));
            evicted.map_or_else(|| Holding::possibly_evicted(at, *evicted_end_at), Holding::restored)
        })
    }

    /// Evicts the holdings that rules need least, and of those the ones that changed longest ago, until at most `len_max` are
    /// stored in full. What lasts stays: running subscriptions go last, and keep their tenure even then; products that were
    /// bought go early, because a fingerprint keeps what matters about them.
    pub fn trim(&mut self, len_max: usize, bounds: &StateBounds, now: Timestamp) {
        if self.latest.len() <= len_max {
            return;
        }
        let ranked = self.latest.iter().map(|(product, holding)| {
            let need = holding.need(now);
            (need, holding.changed_at(), product.clone())
        });
        let mut ranked: Vec<(Need, Timestamp, ProductId)> = ranked.collect();
        ranked.sort_unstable();
        ranked.truncate(self.latest.len() - len_max);
        for (need, _, product) in ranked {
            if let Some(holding) = self.latest.remove(&product) {
                self.evict(&product, &holding, need, bounds);
            }
        }
    }

    fn evict(&mut self, product: &ProductId, holding: &Holding, need: Need, bounds: &StateBounds) {
        let fingerprint = fingerprint(product);
        self.evicted_end_at = self.evicted_end_at.max(holding.folded_end_at);
        if !holding.starts.is_empty() {
            self.evicted_end_at = self.evicted_end_at.max(holding.possibly_ended_at);
        }
        match need {
            Need::Past | Need::GivenUpLately | Need::Bought | Need::EndedSubscription => {
                if holding.is_owned() {
                    self.insert_fingerprint(fingerprint, bounds);
                }
            }
            Need::RunningSubscription => {
                let is_running = |start: &&SubscriptionStart| holding.possibly_ended_at < Some(start.at);
                let Some(commitment) = holding.commitment().filter(is_running) else {
                    // The customer moved to it, or back to it: the subscription that moved is the one that has the tenure.
                    self.insert_fingerprint(fingerprint, bounds);
                    return;
                };
                let subscription = EvictedSubscription {
                    acquired: Acquisitions { first_at: holding.first_at(), last_at: holding.last_at() },
                    subscribed_at: commitment.at,
                    is_start: commitment.kind == StartKind::Start,
                };
                self.evicted_subscriptions.insert(fingerprint, subscription);
                if let Some(shortest) = self.pop_shortest_tenure(bounds) {
                    self.insert_fingerprint(shortest, bounds);
                }
            }
        }
    }

    /// Removes one evicted subscription if there are too many: the shortest tenure says least. Returns the fingerprint of its
    /// product, which stays owned.
    pub fn pop_shortest_tenure(&mut self, bounds: &StateBounds) -> Option<u32> {
        if self.evicted_subscriptions.len() <= bounds.evicted_subscriptions {
            return None;
        }
        let (&shortest, _) = self.evicted_subscriptions.iter().max_by_key(|(_, it)| it.acquired.first_at)?;
        self.evicted_subscriptions.remove(&shortest);
        Some(shortest)
    }

    fn insert_fingerprint(&mut self, fingerprint: u32, bounds: &StateBounds) {
        if self.fingerprints.len() < bounds.fingerprints {
            self.fingerprints.insert(fingerprint);
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

//! Bounds of the lists in a customer's state.
//!
//! Within them a history gives the same state in any order. Beyond them what is older is folded or dropped, so that
//! relationship health and the allowance are never higher than without bounds, apart from what docs/decisions/0034 says of
//! reports about something that was folded. They are a value so that tests can compare
//! the stored state with one that has room for everything; the server always uses [`StateBounds::STORED`].

/// Maximum lengths of the lists in a customer's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateBounds {
    /// Holdings stored in full.
    pub holdings: usize,
    /// Fingerprints of older holdings.
    pub fingerprints: usize,
    /// Running subscriptions whose holdings were evicted.
    pub evicted_subscriptions: usize,
    /// Starts and renewals of one subscription that are stored although no parting is near.
    pub starts: usize,
    /// All starts and renewals of one subscription.
    pub starts_near_partings: usize,
    /// Movements of items stored one by one, of one holding.
    pub movements: usize,
    /// Tickets and complaints stored one by one.
    pub cases: usize,
    /// Accepted offers.
    pub accepted_offers: usize,
    /// Returns.
    pub returns: usize,
    /// Cancellations, ends and changes of subscriptions.
    pub partings: usize,
    /// Purchase days.
    pub purchase_days: usize,
}

impl StateBounds {
    /// Bounds of the customers that are stored.
    pub const STORED: Self = Self {
        holdings: 160,
        fingerprints: 2048,
        evicted_subscriptions: 128,
        starts: 4,
        starts_near_partings: 32,
        movements: 8,
        cases: 160,
        accepted_offers: 32,
        returns: 32,
        partings: 48,
        purchase_days: 128,
    };
}

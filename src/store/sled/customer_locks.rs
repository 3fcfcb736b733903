//! Locks that order commits and erasures of one customer.

use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Number of locks, which customers share by hash.
const LOCKS: usize = 64;

/// Locks of customers: a commit holds one shared, an erasure or a recovery exclusively.
pub(super) struct CustomerLocks([RwLock<()>; LOCKS]);

impl Default for CustomerLocks {
    fn default() -> Self {
        Self(std::array::from_fn(|_| RwLock::new(())))
    }
}

impl CustomerLocks {
    /// Locks a customer for a commit; several may hold it at once.
    pub async fn shared(&self, customer_key: &[u8]) -> RwLockReadGuard<'_, ()> {
        self.0[lock_index(customer_key)].read().await
    }

    /// Locks a customer for what its commits must wait for, such as an erasure.
    pub async fn exclusive(&self, customer_key: &[u8]) -> RwLockWriteGuard<'_, ()> {
        self.0[lock_index(customer_key)].write().await
    }
}

fn lock_index(customer_key: &[u8]) -> usize {
    let mut hasher = DefaultHasher::new();
    customer_key.hash(&mut hasher);
    usize::try_from(hasher.finish() % LOCKS as u64).expect("below 64")
}

//! Coordination of the processes that share one store.
//!
//! Each process, a replica, decides with a snapshot of what the store has published. It learns from numbers that something
//! newer was published, says which policies it still uses, and takes leases for work that one of them is to do.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::error::StoreError;
use crate::domain::time::Timestamp;

/// Identity of a process that uses the store, drawn at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaId(pub Uuid);

impl ReplicaId {
    /// Draws an identity.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

/// Numbers of what is published. A number changes with every change of what it stands for, in the same transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PublishedNumbers {
    /// Number of activations: that of the policy in force.
    pub policy: u64,
    /// Products.
    pub catalog: u64,
    /// Explicit offers.
    pub offers: u64,
    /// The current model.
    pub model: u64,
    /// Acceptance counts.
    pub acceptances: u64,
}

/// State of the store at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedState {
    /// Numbers of the latest publications.
    pub numbers: PublishedNumbers,
    /// Time of the store's clock.
    pub time: Timestamp,
}

/// Work that at most one replica does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Learning a model.
    Training,
    /// Counting the acceptances of offers.
    CountingAcceptances,
    /// Deleting what is past its retention period.
    Retention,
}

impl Job {
    /// Name of the job, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::CountingAcceptances => "counting_acceptances",
            Self::Retention => "retention",
        }
    }
}

/// Position in the order of commits: every transaction that began to write before it has a lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommitPosition(pub u64);

/// A store that several processes share. Times and spans are those of the store's clock.
#[async_trait]
pub trait SharedStore: Send + Sync + 'static {
    /// Reads what was published last, with the store's time.
    async fn published(&self) -> Result<PublishedState, StoreError>;

    /// Records that a replica is there and uses no policy older than this number. Returns when that is durable, so it also
    /// shows whether commits are.
    async fn report_replica(&self, replica: ReplicaId, oldest_policy: u64) -> Result<(), StoreError>;

    /// Records that a replica has stopped.
    async fn remove_replica(&self, replica: ReplicaId) -> Result<(), StoreError>;

    /// Returns the position of the commits that may come next.
    async fn commit_position(&self) -> Result<CommitPosition, StoreError>;

    /// Whether no replica that was seen lately uses a policy older than this number, and every commit below the position has
    /// ended.
    async fn is_drained(&self, policy: u64, position: CommitPosition) -> Result<bool, StoreError>;

    /// Takes the lease on a job for a span from now, or extends it; false when another replica has it.
    async fn lease(&self, job: Job, holder: ReplicaId, span: Duration) -> Result<bool, StoreError>;

    /// Ends the lease on a job, if the replica still has it.
    async fn end_lease(&self, job: Job, holder: ReplicaId) -> Result<(), StoreError>;

    /// Writes encoded acceptance counts, unless others were written since the number was read; false then.
    async fn put_acceptances(&self, counts: &[u8], expected: u64) -> Result<bool, StoreError>;

    /// Reads the encoded acceptance counts; `None` before the first count.
    async fn load_acceptances(&self) -> Result<Option<Vec<u8>>, StoreError>;
}

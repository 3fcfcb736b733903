//! The store as the use cases see it.
//!
//! **One customer is the unit of consistency.** All that a decision changes about a customer commits in one
//! compare-and-swap against the version that was read. What must outlive the customer's bounded value (events,
//! decisions) is *appended* by the same commit: it becomes visible with the commit or not at all, whatever crashes
//! when. Nothing relies on a transaction across customers.
//!
//! **A commit is not yet durable.** Await [`Store::durable`] before telling anybody.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::backup::record::BackupRecord;
use crate::domain::cached_ranking::CachedRanking;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::explicit_offer::{ExplicitOffer, Volume, VolumeToken};
use crate::domain::ids::{CustomerId, DecisionId, EventId, OfferId, ProductId};
use crate::domain::product::Product;
use crate::domain::time::Timestamp;

/// The largest encoded customer, in bytes.
pub const CUSTOMER_BYTES_MAX: usize = 16 * 1024;
/// The most events and decisions one commit may append.
pub const APPENDED_MAX: usize = 64;

/// A value and the version at which it was read; 0 stands for a customer that is not stored yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Versioned<T> {
    /// Grows by one with each commit.
    pub version: u64,
    /// The value.
    pub value: T,
}

/// What a commit adds to history and to the decision log.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Appended {
    /// Events of this customer, each with an id that history does not hold yet.
    pub events: Vec<Event>,
    /// The decision made, if any.
    pub decision: Option<Decision>,
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The customer now has this version.
    Committed {
        /// The version after the commit.
        version: u64,
    },
    /// The customer changed since it was read; read again and decide again.
    Conflict,
    /// The customer was erased and cannot be stored again.
    Erased,
    /// The customer with its appended entries does not fit [`CUSTOMER_BYTES_MAX`]; nothing changed. Forget what may be
    /// forgotten and try again.
    TooLarge {
        /// The size it would have, in bytes.
        bytes: usize,
    },
}

/// A stored model: the artifact is opaque to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredModel {
    /// 1 for the first; each training makes the next.
    pub version: u64,
    /// The artifact.
    pub bytes: Vec<u8>,
}

/// A version of the policy: never changed once stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPolicy {
    /// Its name, 1 to 64 bytes.
    pub version: String,
    /// The document.
    pub text: String,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// A policy came into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// Which.
    pub policy: String,
    /// When.
    pub at: Timestamp,
}

/// How much the store holds. Kept as counters, so cheap to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreCounts {
    /// Customers.
    pub customers: u64,
    /// Products.
    pub products: u64,
    /// Events, with and without a customer.
    pub events: u64,
    /// Decisions.
    pub decisions: u64,
}

/// What stays of a customer who was erased, beside a keyed hash of the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// When.
    pub at: Timestamp,
    /// Whether the customer had opted out of offers.
    pub was_opted_out: bool,
}

/// What was removed with a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Erased {
    /// Whether anything was kept of the customer.
    pub was_stored: bool,
    /// Events.
    pub events: u64,
    /// Decisions.
    pub decisions: u64,
}

/// What was forgotten for its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Events, with and without a customer.
    pub events: u64,
    /// Decisions.
    pub decisions: u64,
}

/// A place in all that is held of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldPlace {
    /// The customer, and what was committed and not yet entered in history.
    Profile,
    /// History, after this event.
    Events {
        /// The last event told.
        after: Option<EventId>,
    },
    /// The decision log, after this decision.
    Decisions {
        /// The last decision told.
        after: Option<DecisionId>,
    },
}

/// A page of all that is held of a customer.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldPage {
    /// Records as they are stored, in JSON; each names its kind in `record`.
    pub records: Vec<serde_json::Value>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<HeldPlace>,
}

/// Why the store cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the data directory open.
    #[error("data directory {path} is in use by another process")]
    Locked {
        /// The directory.
        path: String,
    },
    /// The data was written by another version of tactful that this one cannot read.
    #[error(
        "data directory {path} has format {found}, but this version of tactful reads format {supported} only: run the \
         version that wrote it, or import the data into an empty directory"
    )]
    OtherFormat {
        /// The directory.
        path: String,
        /// The format found.
        found: String,
        /// The format this version reads.
        supported: u32,
    },
    /// A stored value does not decode or fails its checksum.
    #[error("stored {what} is damaged: {detail}")]
    Damaged {
        /// Which kind of value.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The disk or the backend failed. The store stays failed until the process restarts.
    #[error("the store failed: {detail}")]
    Failed {
        /// What happened.
        detail: String,
    },
}

/// What is remembered.
///
/// Reads see every commit that returned before they began. All methods may be called from async tasks.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Reads a customer; `None` when nothing is stored under the id.
    async fn load_customer(&self, id: &CustomerId) -> Result<Option<Versioned<Customer>>, StoreError>;

    /// Writes a customer whose version is still `expected` (0: still not stored), and appends to history and to the
    /// decision log in the same step.
    ///
    /// A commit that would make the customer too large is refused. Backends that need room of their own inside the
    /// value (an outbox) first wait until what is in it is durable elsewhere and may be dropped.
    async fn commit_customer(
        &self,
        expected: u64,
        customer: &Customer,
        appended: &Appended,
    ) -> Result<CommitOutcome, StoreError>;

    /// Returns when all that this process committed, put or read before the call is durable.
    async fn durable(&self) -> Result<(), StoreError>;

    /// Which of these ids history holds already, in the order asked. `None` asks among events without a customer.
    async fn recorded(&self, customer: Option<&CustomerId>, events: &[EventId]) -> Result<Vec<bool>, StoreError>;

    /// Erases a customer: profile, ledger, history, decisions, prepared candidates. What stays is a keyed hash of the id, which blocks the id for
    /// ever, and whether the customer had opted out. Again for one who was erased finds nothing and changes nothing; an
    /// erasure that was interrupted is finished at the next start.
    async fn erase_customer(&self, customer: &CustomerId, at: Timestamp) -> Result<Erased, StoreError>;

    /// What stays of a customer who was erased; `None` when the customer was not.
    async fn load_erasure(&self, customer: &CustomerId) -> Result<Option<Erasure>, StoreError>;

    /// Keeps candidates that were ranked for a customer, in place of those kept before. Nothing is kept of a customer who is
    /// not stored. They may be lost at any time, and are in no digest and no count.
    async fn put_cached_ranking(&self, customer: &CustomerId, prepared: &CachedRanking) -> Result<(), StoreError>;

    /// Forgets the candidates kept for a customer.
    async fn delete_cached_ranking(&self, customer: &CustomerId) -> Result<(), StoreError>;

    /// Reads the candidates kept for a customer; `None` also when they do not read.
    async fn load_cached_ranking(&self, customer: &CustomerId) -> Result<Option<CachedRanking>, StoreError>;

    /// A page of all that is held of a customer, from a place on.
    async fn load_held(&self, customer: &CustomerId, place: HeldPlace, page_len: usize)
    -> Result<HeldPage, StoreError>;

    /// Removes events and decisions dated before these moments; `None` keeps all. What is known of customers stays as it is.
    async fn forget_before(
        &self,
        events: Option<Timestamp>,
        decisions: Option<Timestamp>,
    ) -> Result<Forgotten, StoreError>;

    /// Adds events without a customer; those whose id is known already change nothing. Returns which were new.
    async fn append_anonymous(&self, events: &[Event]) -> Result<Vec<bool>, StoreError>;

    /// Calls `visit` with every event in an order of the store's own, in pages of at most `page_len`. Events
    /// committed meanwhile may or may not be seen. The pause between pages lets other tasks run.
    async fn visit_history(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Event>) + Send),
    ) -> Result<(), StoreError>;

    /// Calls `visit` with every customer in an order of the store's own, in pages of at most `page_len`, as
    /// [`Store::visit_history`] does with events.
    async fn visit_customers(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Customer>) + Send),
    ) -> Result<(), StoreError>;

    /// Calls `visit` with every decision, those of one customer together, in pages of at most `page_len`, as
    /// [`Store::visit_history`] does with events.
    async fn visit_decisions(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Decision>) + Send),
    ) -> Result<(), StoreError>;

    /// Reads a decision of a customer.
    async fn load_decision(&self, customer: &CustomerId, decision: DecisionId) -> Result<Option<Decision>, StoreError>;

    /// Writes products, each replacing the one with its id. True for each that was not stored just so already.
    async fn put_products(&self, products: &[Product]) -> Result<Vec<bool>, StoreError>;

    /// Removes a product; false when there was none.
    async fn delete_product(&self, id: &ProductId) -> Result<bool, StoreError>;

    /// Reads all products, ordered by id.
    async fn load_products(&self) -> Result<Vec<Product>, StoreError>;

    /// Writes explicit offers, each replacing the one with its id. True for each that was not stored just so already.
    async fn put_offers(&self, offers: &[ExplicitOffer]) -> Result<Vec<bool>, StoreError>;

    /// Removes an explicit offer; false when there was none. What is gone of its volume stays known.
    async fn delete_offer(&self, id: &OfferId) -> Result<bool, StoreError>;

    /// Reads all explicit offers, ordered by id.
    async fn load_offers(&self) -> Result<Vec<ExplicitOffer>, StoreError>;

    /// Takes one of an offer's volume for a decision that is about to be committed; false when `cap` are gone. The order is:
    /// take, commit the customer, settle; and for a release: commit the customer, then release. So a crash may waste one and
    /// never grants one too many.
    async fn take_volume(&self, token: &VolumeToken, cap: u64) -> Result<bool, StoreError>;

    /// The decision that took it was committed.
    async fn settle_volume(&self, offer: &OfferId, decision: DecisionId) -> Result<(), StoreError>;

    /// The decision that took it was not committed and never can be. Again, or after it was settled, changes nothing.
    async fn abandon_volume(&self, offer: &OfferId, decision: DecisionId) -> Result<(), StoreError>;

    /// The grant that the decision made was given back unseen. Call once for each.
    async fn release_volume(&self, offer: &OfferId, decision: DecisionId) -> Result<(), StoreError>;

    /// How much of an offer's volume is gone.
    async fn load_volume(&self, offer: &OfferId) -> Result<Volume, StoreError>;

    /// Every volume of which something was taken, ordered by offer.
    async fn load_volumes(&self) -> Result<Vec<(OfferId, Volume)>, StoreError>;

    /// Writes a model and makes it the current one, in one step. Older models may be dropped.
    async fn put_model(&self, model: &StoredModel) -> Result<(), StoreError>;

    /// Reads the current model.
    async fn load_model(&self) -> Result<Option<StoredModel>, StoreError>;

    /// Writes a policy unless one with its name is stored; false when one is.
    async fn put_policy(&self, policy: &StoredPolicy) -> Result<bool, StoreError>;

    /// Reads all policies, ordered by name.
    async fn load_policies(&self) -> Result<Vec<StoredPolicy>, StoreError>;

    /// Notes that a policy came into force. The order of the notes is kept.
    async fn append_activation(&self, activation: &Activation) -> Result<(), StoreError>;

    /// Reads which policies came into force, the last one last.
    async fn load_activations(&self) -> Result<Vec<Activation>, StoreError>;

    /// How much is stored.
    async fn counts(&self) -> Result<StoreCounts, StoreError>;

    /// Sends all that is stored, but for prepared candidates, while the store goes on. A customer comes with exactly the
    /// events and decisions that its value has counted; different customers may come as of different moments of the backup.
    /// Of a volume at least as much is gone as the customers sent were granted. Who was erased meanwhile may be among the
    /// customers and is among the erased. Ends early, and well, when nobody receives any more.
    async fn back_up(&self, pages: mpsc::Sender<Vec<BackupRecord>>) -> Result<(), StoreError>;

    /// Enters records of a backup, in the order in which they were sent, into a store that was empty and that nobody uses yet.
    /// Erased customers are among its customers until it is opened again.
    async fn restore(&self, records: Vec<BackupRecord>) -> Result<(), StoreError>;

    /// A digest of customers, history, decisions, products, explicit offers and their volumes, independent of the backend's layout: equal stores
    /// have equal digests. Reads everything; for tests and backups.
    async fn digest(&self) -> Result<u64, StoreError>;
}

//! Store on local disk, on top of sled: one directory, one process, one key per customer.
//!
//! A commit is one compare-and-swap on the customer's value. Appended events and decisions are part of that value, in its
//! outbox, and are *then* copied to history and to the decision log; a later swap drops them from the outbox, once the
//! copies are durable. So after a crash at any point, an event is both counted and in history, or neither.
//!
//! Faults of sled 0.34 decided this design: `flush_async` deadlocks under load, `flush` is not an fsync, and
//! transactions and batches stall later flushes for seconds. None of them is used; one thread flushes and syncs for
//! all callers (`committer`). Do not call `flush`, `flush_async`, `transaction` or `apply_batch` anywhere else after opening.
//!
//! In debug builds, tests can stop a commit or an erasure at a failpoint, as if the process had died there:
//!
//! | failpoint | stops |
//! | --- | --- |
//! | `store::before_apply` | before anything is read or written |
//! | `store::before_drop` | before a swap that also drops entries from the outbox |
//! | `store::after_apply` | after the swap, before any copy |
//! | `store::between_copies` | after the first copy, when there are several |
//! | `store::after_copy` | after all copies, before they are recorded in memory |
//! | `store::after_flush` | in the committer, after the sync and before the waiting callers are woken; fails the store |
//! | `store::idle_decisions_removed` | a removal of an idle customer after its decisions are removed, before the customer is |
//! | `store::erasure_marked` | an erasure after its marker is written, before any record is removed |

mod back_up;
mod cached_ranking;
mod catalog;
mod commit;
mod committer;
mod compact;
mod counters;
mod customer_export;
mod customer_locks;
mod customers;
mod engine;
mod erase;
mod expire;
mod expire_customers;
mod explicit_offers;
mod failpoint;
mod flush_watermark;
mod history;
mod maintenance;
mod model;
mod open;
mod outbox_progress;
mod policies;
mod policies_and_models;
mod products;
mod recovery;
mod releases;
pub mod restore;
mod scan;
pub mod store;
mod sweep_watermark;
mod trees;
mod volumes;

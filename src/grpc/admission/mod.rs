//! Admission of calls: load shedding, FIFO queueing, and permits for what a call may hold while it is served.
//!
//! A request is shed when its queueing delay would be too long ([`queue`]). An admitted call acquires a request permit once a
//! message of its client is complete, and releases it while waiting for client input, so that bodies that trickle in take
//! nothing from other calls. The memory of incomplete and unanswered messages is limited over all calls ([`metered_body`]).

pub(crate) mod arrival;
pub(crate) mod concurrency;
pub(crate) mod message_framing;
pub(crate) mod metered_body;
pub(crate) mod permits;
pub(crate) mod queue;
pub(crate) mod shedding;

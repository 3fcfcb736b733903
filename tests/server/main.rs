//! The program as an operator runs it: a process that is started, observed, stopped, killed, and runs out of disk.

mod cli;
mod disk_full;
mod kill;
mod kill_changes;
mod observed;
mod restarts;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "otlp")]
mod traces;

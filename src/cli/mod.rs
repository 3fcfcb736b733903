//! The command line: one file per subcommand. Most are clients of a running server; only `serve` and `restore` open a store.

#![warn(clippy::print_stdout, reason = "println! panics when the reader closes the pipe; use `outln!`")]

mod backfire;
mod backup;
mod chart;
mod client;
pub mod command;
mod customer;
mod customer_export;
pub mod demo;
mod evaluate;
mod explain;
mod export;
mod figures;
mod health;
mod import;
mod offers;
mod output;
mod policy;
mod rankings;
mod restore;
mod serve;
mod simulate;
mod simulate_policy;
#[cfg(feature = "postgres")]
mod store;
mod table;
mod train;

//! The command line: one file per subcommand. Most are clients of a running server; only `serve` and `restore` open a store.

#![warn(clippy::print_stdout, reason = "a reader who stops would be a panic: `say`")]

pub mod app;
pub mod backfire;
pub mod backup;
pub mod client;
pub mod customer;
pub mod demo;
pub mod evaluate;
pub mod explain;
pub mod export;
pub mod failure;
pub mod health;
pub mod import;
pub mod offers;
pub mod policy;
mod rankings;
pub mod restore;
mod say;
pub mod serve;
pub mod simulate;
pub mod simulate_policy;
pub mod table;
pub mod train;

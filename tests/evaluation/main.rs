//! The commands that work on files: import, evaluation, simulation, export.

mod bad_input;
mod distorted_data_set;
#[cfg(feature = "parquet")]
mod export;
mod ingest;
mod simulation;
#[path = "../support/mod.rs"]
mod support;
mod tasks;

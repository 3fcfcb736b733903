//! tactful: a gRPC recommendation backend that decides what to offer a customer, and when to offer nothing.
//!
//! ```text
//! layer
//!   6                        main.rs -> cli/
//!   5                          server/                 alone names the store backends
//!   4                           grpc/                  alone knows prost and tonic
//!   3         use_cases/    evaluation/    simulation/    config
//!   2   decision/  model/  measurement/  policy_document/  store/  ingest/  export/  wording/
//!   1                    domain/             telemetry
//! ```
//!
//! Imports point down, and no module of layer 2 imports another; `tests/architecture` checks it. `ARCHITECTURE.md` maps the
//! code, `docs/glossary.md` defines the terms.

pub mod cli;
pub mod config;
pub mod decision;
pub mod domain;
pub mod evaluation;
#[cfg(feature = "parquet")]
pub mod export;
pub mod grpc;
pub mod ingest;
pub(crate) mod measurement;
pub mod model;
pub mod policy_document;
pub mod server;
pub mod simulation;
pub mod store;
pub(crate) mod telemetry;
pub mod use_cases;
pub(crate) mod wording;

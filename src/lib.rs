//! tactful: a gRPC backend that answers what to offer a customer, and when to offer nothing.
//!
//! ```text
//! floor
//!   6                   main.rs -> cli/       one file per subcommand
//!   5                   server/               the composition root; alone names sled and memory
//!   4                    grpc/                the wire; alone knows prost and tonic
//!       +-----------+-------------+-------------+-------------+-------------+
//!   3   | config.rs | use_cases/  | evaluation/ | simulation/ |   ingest/   |
//!       +-----------+-+---------+-+------+------+-------+-----+-------------+
//!   2   |  decision/  | store/  | model/ | measurement/ |  policy_document/  |
//!       +-------------+---------+--------+--------------+--------------------+
//!   1   |                       domain/ (the nouns)                          |   telemetry/
//!       +--------------------------------------------------------------------+
//! ```
//!
//! Imports point down, and no wing of floor 2 imports another; `tests/architecture.rs` keeps it so.

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

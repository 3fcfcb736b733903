//! History and decisions as Parquet files, for those who analyse them elsewhere.
//!
//! One table for events, one for decisions, one for the offers of decisions; rows in the order in which they come. It reads no
//! store: what is exported is a backup, so an export is as consistent as one. Customers' profiles stay out: who needs those asks
//! for them by name (`tactful customer export`).

pub mod columns;
pub mod tables;

//! Export of history and decisions as Parquet files for analysis elsewhere.
//!
//! One table for events, one for decisions and one for the offers of decisions; rows keep the order of the source. No store is
//! read: the source is a backup, so an export is as consistent as one. Customer profiles are deliberately left out; they are
//! exported one customer at a time (`tactful customer export`).

pub(crate) mod export_tables;

mod table_writer;

//! Support shared by the benchmarks that generate a shop.

pub mod generated_catalog;

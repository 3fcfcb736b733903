//! Baseline methods: what an operator would use without tactful, each small enough to be checked by reading.

pub mod base_rate;
pub mod ease;
pub mod item_cosine;
pub mod popularity;
pub mod purchase_matrix;
pub mod purchase_rhythm;
pub mod random;
pub mod similarity;
pub mod tenure;
pub mod upgrade_rules;

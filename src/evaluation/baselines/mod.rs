//! What a user would have without tactful, each small enough to be checked by reading.

pub mod base_rate;
pub mod purchase_rhythm;
pub mod tenure;

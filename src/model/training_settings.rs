//! Resources of a training.

/// Resources that a training may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainingSettings {
    /// Number of threads.
    pub threads: usize,
    /// Maximum memory of the weights between items, in bytes. Items beyond what fits are ranked without weights.
    pub memory_bytes_max: u64,
    /// Maximum number of items and profile columns of a dense regression. With more, each is regressed on its nearest.
    pub dense_columns_max: usize,
}

impl TrainingSettings {
    /// Default of `dense_columns_max`: a dense solution of so many columns takes some five seconds, and no other order of
    /// magnitude would do.
    pub const DENSE_COLUMNS_MAX: usize = 6_000;

    /// Settings with so many threads and so much memory.
    pub const fn new(threads: usize, memory_bytes_max: u64) -> Self {
        Self { threads, memory_bytes_max, dense_columns_max: Self::DENSE_COLUMNS_MAX }
    }
}

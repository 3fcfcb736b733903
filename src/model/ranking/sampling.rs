//! Deterministic sampling: the same choice in every run, whatever the number of threads.

/// Hash of two numbers that looks random: the finalizer of splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
pub fn hash_pair(one: u32, other: u32) -> u64 {
    let seed = (u64::from(one) << 32 | u64::from(other)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// True for a share of all pairs of a query and an item.
pub fn is_sampled(query: usize, item: u32, share: f64) -> bool {
    ((hash_pair(query as u32, item) % 1_000_000) as f64) < share * 1e6
}

/// At most about `count` elements, evenly spread over all.
pub fn spread<T>(all: Vec<T>, count: usize) -> Vec<T> {
    let stride = all.len().div_ceil(count).max(1);
    all.into_iter().step_by(stride).collect()
}

//! Random ranking.

use crate::evaluation::queries::EvaluationQuery;
use crate::evaluation::split_mix64::SplitMix64;

/// Returns random scores that are the same in every run and differ from query to query.
pub fn scores(query: &EvaluationQuery, products: usize) -> Vec<f32> {
    let of_truth = query.truth.iter().flat_map(|product| product.as_str().bytes());
    let of_given = query.given.iter().flat_map(|product| product.as_str().bytes());
    let of_customer = query.customer.iter().flat_map(|customer| customer.as_str().bytes());
    let seed = of_customer.chain(of_given).chain(of_truth);
    let mut random = SplitMix64(seed.fold(17, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte))));
    (0..products).map(|_| (random.next() >> 40) as f32).collect()
}

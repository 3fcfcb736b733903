//! Item-to-item weights and the scores computed from them.

/// Weighted neighbours of each product, by catalogue index.
pub struct Similarity(pub Vec<Vec<(usize, f32)>>);

impl Similarity {
    /// Returns the score of every product: the sum of its weights to the given products.
    pub fn scores(&self, given: &[usize]) -> Vec<f32> {
        let mut scores = vec![0.0; self.0.len()];
        for &(other, weight) in given.iter().flat_map(|&product| &self.0[product]) {
            scores[other] += weight;
        }
        scores
    }
}

//! Weights between products, and the scores that they give.

/// For each product the others with a weight.
pub struct Similarity(pub Vec<Vec<(usize, f32)>>);

impl Similarity {
    /// The sum of the weights of what is given.
    pub fn scores(&self, given: &[usize]) -> Vec<f32> {
        let mut scores = vec![0.0; self.0.len()];
        for &(other, weight) in given.iter().flat_map(|&product| &self.0[product]) {
            scores[other] += weight;
        }
        scores
    }
}

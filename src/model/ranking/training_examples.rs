//! Training examples of a forest.

use std::borrow::Borrow;

/// Labelled and weighted rows of features.
#[derive(Debug)]
pub struct TrainingExamples {
    feature_count: usize,
    /// Features of each example, one example after the other.
    features: Vec<f32>,
    labels: Vec<bool>,
    weights: Vec<f32>,
}

impl TrainingExamples {
    /// No examples, of so many features each.
    pub fn new(feature_count: usize) -> Self {
        Self { feature_count, features: Vec::new(), labels: Vec::new(), weights: Vec::new() }
    }

    /// Adds an example that stands for `weight` examples.
    pub fn push(&mut self, features: &[f32], label: bool, weight: f32) {
        debug_assert_eq!(features.len(), self.feature_count);
        self.features.extend(features);
        self.labels.push(label);
        self.weights.push(weight);
    }

    /// Concatenates examples of so many features each.
    pub fn concat(feature_count: usize, parts: &[impl Borrow<Self>]) -> Self {
        let mut all = Self::new(feature_count);
        for part in parts.iter().map(Borrow::borrow) {
            all.features.extend(&part.features);
            all.labels.extend(&part.labels);
            all.weights.extend(&part.weights);
        }
        all
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True when all examples have the same label, or there are none.
    pub fn is_one_class(&self) -> bool {
        self.labels.iter().all(|label| *label == self.labels[0])
    }

    /// Features as a matrix in column-major order, with its number of columns.
    pub fn feature_columns(&self) -> (Vec<f64>, usize) {
        let (rows, columns) = (self.len(), self.feature_count);
        let mut cells = vec![0.0_f64; rows * columns];
        for (row, features) in self.features.chunks_exact(columns).enumerate() {
            for (column, &feature) in features.iter().enumerate() {
                cells[column * rows + row] = f64::from(feature);
            }
        }
        (cells, columns)
    }

    /// Labels as 0 and 1.
    pub fn labels(&self) -> Vec<f64> {
        self.labels.iter().map(|label| f64::from(u8::from(*label))).collect()
    }

    pub fn weights(&self) -> Vec<f64> {
        self.weights.iter().map(|weight| f64::from(*weight)).collect()
    }
}

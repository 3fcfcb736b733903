//! A forest of decision trees with a logistic objective, grown by gradient boosting (J. Friedman, "Greedy function
//! approximation: a gradient boosting machine", Annals of Statistics 29, 2001).
//!
//! Grown by `forust-ml`; kept and asked here as one flat list of nodes, because asking is on the way of every answer.
//! The same rows give the same forest, whatever the number of threads.

use forust_ml::gradientbooster::GrowPolicy;
use forust_ml::objective::ObjectiveType;
use forust_ml::{GradientBooster, Matrix};

/// Trees, and how much each counts. Set once for all data: between 100 and 400 trees, 15 and 31 leaves the figures of the
/// sets at hand differ by less than their errors; many that count little depend less on the seed.
const TREES: usize = 400;
const LEARNING_RATE: f32 = 0.03;
const LEAVES_MAX: usize = 15;
const DEPTH_MAX: usize = 8;
/// The least curvature in a leaf: many observations, since hits are rare.
const LEAF_WEIGHT_MIN: f32 = 50.0;
/// Of few observations the same in proportion.
const LEAF_SHARE_MIN: f32 = 2e-4;
const LEAF_PULL: f32 = 5.0;
/// The share of the signals that a tree may look at.
const SIGNALS_SHARE: f64 = 0.3;
const BINS: u16 = 128;
const SEED: u64 = 7;

/// Observations to grow a forest from.
#[derive(Debug)]
pub struct Lessons {
    signals: usize,
    /// The signals of each observation, one observation after the other.
    values: Vec<f32>,
    hits: Vec<bool>,
    weights: Vec<f32>,
}

impl Lessons {
    /// No observations, of so many signals each.
    #[must_use]
    pub fn of(signals: usize) -> Self {
        Self { signals, values: Vec::new(), hits: Vec::new(), weights: Vec::new() }
    }

    /// Adds an observation that stands for `weight`.
    pub fn push(&mut self, values: &[f32], hit: bool, weight: f32) {
        debug_assert_eq!(values.len(), self.signals);
        self.values.extend(values);
        self.hits.push(hit);
        self.weights.push(weight);
    }

    /// Adds the observations of others.
    pub fn extend(&mut self, other: Self) {
        self.values.extend(other.values);
        self.hits.extend(other.hits);
        self.weights.extend(other.weights);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.hits.len()
    }
}

/// A node; a leaf names itself as both children.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Node {
    /// The signal looked at.
    pub signal: u16,
    /// Below it, left; else right. In a leaf: what the leaf adds to the logit.
    pub value: f32,
    /// The left child; 0 in a leaf, which no node has as a child.
    pub left: u32,
    /// The right child.
    pub right: u32,
}

/// A forest.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    /// The logit without any tree.
    pub base: f32,
    /// All nodes of all trees.
    pub nodes: Vec<Node>,
    /// The first node of each tree.
    pub roots: Vec<u32>,
}

impl Forest {
    /// Grows a forest; `None` when there is nothing to be told apart.
    #[must_use]
    pub fn grow(lessons: &Lessons, threads: usize) -> Option<Self> {
        let (rows, columns) = (lessons.count(), lessons.signals);
        if rows == 0 || lessons.hits.iter().all(|hit| *hit == lessons.hits[0]) {
            return None;
        }
        let mut cells = vec![0.0_f64; rows * columns];
        for (row, values) in lessons.values.chunks_exact(columns).enumerate() {
            for (column, &value) in values.iter().enumerate() {
                cells[column * rows + row] = f64::from(value);
            }
        }
        let hits: Vec<f64> = lessons.hits.iter().map(|hit| f64::from(u8::from(*hit))).collect();
        let weights: Vec<f64> = lessons.weights.iter().map(|weight| f64::from(*weight)).collect();
        let mut booster = GradientBooster::default()
            .set_objective_type(ObjectiveType::LogLoss)
            .set_iterations(TREES)
            .set_learning_rate(LEARNING_RATE)
            .set_max_leaves(LEAVES_MAX)
            .set_max_depth(DEPTH_MAX)
            .set_min_leaf_weight(LEAF_WEIGHT_MIN.min(weights.iter().sum::<f64>() as f32 * LEAF_SHARE_MIN))
            .set_l2(LEAF_PULL)
            .set_colsample_bytree(SIGNALS_SHARE)
            .set_nbins(BINS)
            .set_seed(SEED)
            .set_initialize_base_score(true)
            .set_parallel(threads > 1)
            .set_num_threads(Some(threads));
        booster.grow_policy = GrowPolicy::LossGuide;
        booster.fit(&Matrix::new(&cells, rows, columns), &hits, &weights, None).ok()?;
        Some(Self::flat(&booster))
    }

    fn flat(booster: &GradientBooster) -> Self {
        let mut forest = Self { base: booster.base_score as f32, nodes: Vec::new(), roots: Vec::new() };
        for tree in &booster.trees {
            let first = forest.nodes.len() as u32;
            forest.roots.push(first);
            forest.nodes.extend(tree.nodes.iter().map(|node| {
                if node.is_leaf {
                    return Node { signal: 0, value: node.weight_value, left: 0, right: 0 };
                }
                let (left, right) = (first + node.left_child as u32, first + node.right_child as u32);
                Node { signal: node.split_feature as u16, value: node.split_value as f32, left, right }
            }));
        }
        forest
    }

    /// The logit of each row of signals. Tree by tree, because a tree fits into the nearest cache and a forest does not.
    #[must_use]
    pub fn logits<const SIGNALS: usize>(&self, rows: &[[f32; SIGNALS]]) -> Vec<f32> {
        let mut logits = vec![self.base; rows.len()];
        for &root in &self.roots {
            for (logit, values) in logits.iter_mut().zip(rows) {
                let mut node = self.nodes[root as usize];
                while node.left != 0 {
                    let next = if values[node.signal as usize] < node.value { node.left } else { node.right };
                    node = self.nodes[next as usize];
                }
                *logit += node.value;
            }
        }
        logits
    }

    /// True when every node leads to a leaf further on and looks at one of so many signals. One that was read is checked, so
    /// that no bytes make asking go on for ever.
    #[must_use]
    pub fn is_sound(&self, signals: usize) -> bool {
        let count = self.nodes.len();
        let leads_on = |(place, node): (usize, &Node)| {
            let is_leaf = node.left == 0 && node.right == 0;
            let further = |child: u32| child as usize > place && (child as usize) < count;
            node.value.is_finite()
                && (node.signal as usize) < signals
                && (is_leaf || (further(node.left) && further(node.right)))
        };
        self.base.is_finite()
            && self.roots.iter().all(|root| (*root as usize) < count)
            && self.nodes.iter().enumerate().all(leads_on)
    }
}

//! A forest of decision trees with a logistic objective, grown by gradient boosting (J. Friedman, "Greedy function
//! approximation: a gradient boosting machine", Annals of Statistics 29, 2001).
//!
//! Grown by `forust-ml`; kept and asked here as one flat list of nodes, because asking is on the way of every answer.
//! The same rows give the same forest, whatever the number of threads.

use forust_ml::gradientbooster::GrowPolicy;
use forust_ml::objective::ObjectiveType;
use forust_ml::{GradientBooster, Matrix};

use super::signals::Signals;

/// Trees, and how much each counts. Set once for all data: between 100 and 300 trees, 15 and 31 leaves the figures of the
/// sets at hand differ by less than their errors.
const TREES: usize = 250;
const LEARNING_RATE: f32 = 0.05;
const LEAVES_MAX: usize = 15;
const DEPTH_MAX: usize = 8;
/// The least curvature in a leaf: many observations, since hits are rare.
const LEAF_WEIGHT_MIN: f32 = 50.0;
const LEAF_PULL: f32 = 5.0;
/// The share of the signals that a tree may look at.
const SIGNALS_SHARE: f64 = 0.3;
const BINS: u16 = 128;
const SEED: u64 = 7;

/// Rows to grow a forest from.
#[derive(Debug, Default)]
pub struct Lessons {
    /// One for each observation.
    pub rows: Vec<Signals>,
    /// What came of it.
    pub hits: Vec<bool>,
    /// How many observations it stands for.
    pub weights: Vec<f32>,
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
        let rows = lessons.rows.len();
        let columns = Signals::NAMES.len();
        if rows == 0 || lessons.hits.iter().all(|hit| *hit == lessons.hits[0]) {
            return None;
        }
        let mut cells = vec![0.0_f64; rows * columns];
        for (row, signals) in lessons.rows.iter().enumerate() {
            for (column, value) in signals.values().enumerate() {
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
            .set_min_leaf_weight(LEAF_WEIGHT_MIN.min(weights.iter().sum::<f64>() as f32 / 1000.0))
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

    /// The logit of a candidate.
    #[must_use]
    pub fn logit(&self, signals: &Signals) -> f32 {
        let mut values = [0.0_f32; Signals::NAMES.len()];
        values.iter_mut().zip(signals.values()).for_each(|(to, from)| *to = from);
        let leaf = |&root: &u32| {
            let mut node = self.nodes[root as usize];
            while node.left != 0 {
                let next = if values[node.signal as usize] < node.value { node.left } else { node.right };
                node = self.nodes[next as usize];
            }
            node.value
        };
        self.base + self.roots.iter().map(leaf).sum::<f32>()
    }

    /// True when every node leads to a leaf further on and looks at a signal that there is. One that was read is checked,
    /// so that no bytes make asking go on for ever.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let count = self.nodes.len();
        let leads_on = |(place, node): (usize, &Node)| {
            let is_leaf = node.left == 0 && node.right == 0;
            let further = |child: u32| child as usize > place && (child as usize) < count;
            node.value.is_finite()
                && (node.signal as usize) < Signals::NAMES.len()
                && (is_leaf || (further(node.left) && further(node.right)))
        };
        self.base.is_finite()
            && self.roots.iter().all(|root| (*root as usize) < count)
            && self.nodes.iter().enumerate().all(leads_on)
    }
}

//! Ensemble of decision trees with a logistic objective, grown by gradient boosting (J. Friedman, "Greedy function
//! approximation: a gradient boosting machine", Annals of Statistics 29, 2001).
//!
//! Trained by `forust-ml`; stored and evaluated here as one flat list of nodes, because every answer waits for its
//! evaluation. The same examples give the same forest, whatever the number of threads.

use std::collections::BTreeMap;

use forust_ml::gradientbooster::GrowPolicy;
use forust_ml::objective::ObjectiveType;
use forust_ml::{GradientBooster, Matrix};

use super::training_examples::TrainingExamples;

/// Number of trees. Set with the learning rate once for all data: between 100 and 400 trees, 15 and 31 leaves the figures
/// of the sets at hand differ by less than their errors; many trees of a low rate depend less on the seed.
const TREES: usize = 200;
const LEARNING_RATE: f32 = 0.06;
const LEAVES_MAX: usize = 15;
const DEPTH_MAX: usize = 8;
/// Minimum curvature of a leaf: many examples, since positives are rare.
const LEAF_WEIGHT_MIN: f32 = 50.0;
/// The same as a share of the weight of all examples, where these are few.
const LEAF_SHARE_MIN: f32 = 2e-4;
const LEAF_L2: f32 = 5.0;
/// Share of the features that a tree may split by.
const FEATURE_SHARE: f64 = 0.3;
const BINS: u16 = 128;
const SEED: u64 = 7;

/// Node of a tree; a leaf has itself as both children.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Node {
    /// Index of the feature that the node splits by.
    pub feature: u16,
    /// Threshold of the split: below it left, else right. In a leaf: what the leaf adds to the logit.
    pub value: f32,
    /// Index of the left child.
    pub left: u32,
    /// Index of the right child.
    pub right: u32,
}

/// Ensemble of decision trees.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    /// Logit without any tree.
    pub base: f32,
    /// Nodes of all trees; children come after their parents.
    nodes: Vec<Node>,
    /// Index of the first node of each tree.
    roots: Vec<u32>,
    /// The same trees in the form in which they are evaluated.
    splits: Splits,
}

/// Bit set of the leaves of one tree, from left to right.
type LeafSet = u16;
/// Maximum number of leaves of a tree.
const TREE_LEAVES_MAX: usize = LeafSet::BITS as usize;
/// Number of rows that are evaluated at once, one in each element of a vector register.
const BATCH_LEN: usize = 16;

/// Splits of all trees by their feature. A split that a row does not pass rules out the leaves on its left; the first of the
/// remaining leaves is the row's (C. Lucchese and others, "`QuickScorer`: a fast algorithm to rank documents with additive
/// ensembles of regression trees", SIGIR 2015; several rows at once: "Exploiting CPU SIMD extensions to speed-up document
/// scoring with tree ensembles", SIGIR 2016).
#[derive(Debug, Clone, PartialEq, Default)]
struct Splits {
    /// Features with their splits, by rising threshold.
    by_feature: Vec<(usize, Vec<Split>)>,
    /// Logits that the leaves of each tree add.
    leaves: Vec<[f32; TREE_LEAVES_MAX]>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Split {
    threshold: f32,
    tree: u32,
    /// Leaves that are not on the left of the split.
    not_left: LeafSet,
}

impl Split {
    /// Rules out the leaves on the left where a value is at or above the threshold.
    ///
    /// A function of its own even where programs are made small: there it is a few vector instructions only as long as the
    /// compiler can see that the two arrays do not overlap.
    #[inline(never)]
    fn rule_out(&self, values: &[f32; BATCH_LEN], remaining: &mut [LeafSet; BATCH_LEN]) {
        for (remaining, value) in remaining.iter_mut().zip(values) {
            *remaining &= if *value < self.threshold { LeafSet::MAX } else { self.not_left };
        }
    }
}

impl Splits {
    /// Splits of all trees; `None` when a tree has a cycle or too many leaves.
    fn of(nodes: &[Node], roots: &[u32]) -> Option<Self> {
        let mut splits = Self { by_feature: Vec::new(), leaves: vec![[0.0; TREE_LEAVES_MAX]; roots.len()] };
        let mut by_feature: BTreeMap<u16, Vec<Split>> = BTreeMap::new();
        for ((tree, &root), leaves) in (0..).zip(roots).zip(&mut splits.leaves) {
            let mut collector =
                SplitCollector { nodes, tree, leaves, leaf_count: 0, node_count: 0, by_feature: &mut by_feature };
            collector.visit(root)?;
        }
        for (feature, mut of_feature) in by_feature {
            of_feature.sort_by(|a, b| a.threshold.total_cmp(&b.threshold));
            splits.by_feature.push((usize::from(feature), of_feature));
        }
        Some(splits)
    }
}

/// Depth-first traversal of one tree that collects its splits and leaves, from left to right.
struct SplitCollector<'a> {
    nodes: &'a [Node],
    tree: u32,
    leaves: &'a mut [f32; TREE_LEAVES_MAX],
    leaf_count: usize,
    node_count: usize,
    by_feature: &'a mut BTreeMap<u16, Vec<Split>>,
}

impl SplitCollector<'_> {
    /// Visits a node and all below it; returns its leaves.
    fn visit(&mut self, index: u32) -> Option<LeafSet> {
        let node = *self.nodes.get(index as usize)?;
        // A binary tree of n leaves has n - 1 other nodes.
        self.node_count += 1;
        if self.node_count >= 2 * TREE_LEAVES_MAX {
            return None;
        }
        if node.left == index && node.right == index {
            let leaf = self.leaf_count;
            *self.leaves.get_mut(leaf)? = node.value;
            self.leaf_count += 1;
            return Some(1 << leaf);
        }
        if node.left <= index || node.right <= index {
            return None;
        }
        let (left, right) = (self.visit(node.left)?, self.visit(node.right)?);
        let split = Split { threshold: node.value, tree: self.tree, not_left: !left };
        self.by_feature.entry(node.feature).or_default().push(split);
        Some(left | right)
    }
}

impl Forest {
    /// Grows a forest; `None` when all examples have the same label.
    pub fn grow(examples: &TrainingExamples, threads: usize) -> Option<Self> {
        if examples.is_one_class() {
            return None;
        }
        let (cells, columns) = examples.feature_columns();
        let (labels, weights) = (examples.labels(), examples.weights());
        let mut booster = GradientBooster::default()
            .set_objective_type(ObjectiveType::LogLoss)
            .set_iterations(TREES)
            .set_learning_rate(LEARNING_RATE)
            .set_max_leaves(LEAVES_MAX)
            .set_max_depth(DEPTH_MAX)
            .set_min_leaf_weight(LEAF_WEIGHT_MIN.min(weights.iter().sum::<f64>() as f32 * LEAF_SHARE_MIN))
            .set_l2(LEAF_L2)
            .set_colsample_bytree(FEATURE_SHARE)
            .set_nbins(BINS)
            .set_seed(SEED)
            .set_initialize_base_score(true)
            .set_parallel(threads > 1)
            .set_num_threads(Some(threads));
        booster.grow_policy = GrowPolicy::LossGuide;
        booster.fit(&Matrix::new(&cells, examples.len(), columns), &labels, &weights, None).ok()?;
        Self::flatten(&booster)
    }

    fn flatten(booster: &GradientBooster) -> Option<Self> {
        let (mut nodes, mut roots) = (Vec::new(), Vec::new());
        for tree in &booster.trees {
            let first = nodes.len() as u32;
            roots.push(first);
            nodes.extend((first..).zip(&tree.nodes).map(|(index, node)| {
                if node.is_leaf {
                    return Node { feature: 0, value: node.weight_value, left: index, right: index };
                }
                let (left, right) = (first + node.left_child as u32, first + node.right_child as u32);
                Node { feature: node.split_feature as u16, value: node.split_value as f32, left, right }
            }));
        }
        Self::new(booster.base_score as f32, nodes, roots)
    }

    /// Forest of these nodes and the first node of each tree; `None` unless every node leads to leaves further on, of which
    /// a tree has at most 16, and every number is finite. Stored forests pass this check too, so that no bytes make the
    /// evaluation run for ever.
    pub fn new(base: f32, nodes: Vec<Node>, roots: Vec<u32>) -> Option<Self> {
        let is_finite = base.is_finite() && nodes.iter().all(|node| node.value.is_finite());
        let splits = Splits::of(&nodes, &roots).filter(|_| is_finite)?;
        Some(Self { base, nodes, roots, splits })
    }

    /// True when it splits only by the first `feature_count` features.
    pub fn fits(&self, feature_count: usize) -> bool {
        self.nodes.iter().all(|node| usize::from(node.feature) < feature_count)
    }

    /// Nodes of all trees.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Index of the first node of each tree.
    pub fn roots(&self) -> &[u32] {
        &self.roots
    }

    /// Logit of each row of features, none of which is NaN.
    pub fn logits<const FEATURES: usize>(&self, rows: &[[f32; FEATURES]]) -> Vec<f32> {
        let Splits { by_feature, leaves } = &self.splits;
        let mut logits = vec![self.base; rows.len()];
        let mut remaining = vec![[LeafSet::MAX; BATCH_LEN]; leaves.len()];
        for (logits, rows) in logits.chunks_mut(BATCH_LEN).zip(rows.chunks(BATCH_LEN)) {
            remaining.fill([LeafSet::MAX; BATCH_LEN]);
            for (feature, splits) in by_feature {
                let mut values = [f32::NEG_INFINITY; BATCH_LEN];
                for (value, row) in values.iter_mut().zip(rows) {
                    *value = row[*feature];
                }
                let highest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                for split in splits.iter().take_while(|split| split.threshold <= highest) {
                    split.rule_out(&values, &mut remaining[split.tree as usize]);
                }
            }
            for (remaining, leaves) in remaining.iter().zip(leaves) {
                for (logit, remaining) in logits.iter_mut().zip(remaining) {
                    *logit += leaves[remaining.trailing_zeros() as usize];
                }
            }
        }
        logits
    }
}

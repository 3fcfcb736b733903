//! A forest of decision trees with a logistic objective, grown by gradient boosting (J. Friedman, "Greedy function
//! approximation: a gradient boosting machine", Annals of Statistics 29, 2001).
//!
//! Grown by `forust-ml`; kept and asked here as one flat list of nodes, because asking is on the way of every answer.
//! The same rows give the same forest, whatever the number of threads.

use std::collections::BTreeMap;

use forust_ml::gradientbooster::GrowPolicy;
use forust_ml::objective::ObjectiveType;
use forust_ml::{GradientBooster, Matrix};

/// Trees, and how much each counts. Set once for all data: between 100 and 400 trees, 15 and 31 leaves the figures of the
/// sets at hand differ by less than their errors; many that count little depend less on the seed.
const TREES: usize = 200;
const LEARNING_RATE: f32 = 0.06;
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

    /// The observations of several, of so many signals each.
    pub fn together(signals: usize, parts: &[impl std::borrow::Borrow<Self>]) -> Self {
        let mut all = Self::of(signals);
        for part in parts.iter().map(std::borrow::Borrow::borrow) {
            all.values.extend(&part.values);
            all.hits.extend(&part.hits);
            all.weights.extend(&part.weights);
        }
        all
    }

    /// How many there are.
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
    /// The left child.
    pub left: u32,
    /// The right child.
    pub right: u32,
}

/// A forest.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    /// The logit without any tree.
    pub base: f32,
    /// All nodes of all trees; children come after their parents.
    nodes: Vec<Node>,
    /// The first node of each tree.
    roots: Vec<u32>,
    /// The same as it is asked.
    splits: Splits,
}

/// A set of leaves of one tree, from left to right.
type Leaves = u16;
/// The most leaves of a tree.
const TREE_LEAVES_MAX: usize = Leaves::BITS as usize;
/// Rows that are asked together, in the lanes of a vector register.
const ABREAST: usize = 16;

/// The splits of all trees by the signal that they look at. A split that a row does not pass rules out the leaves on its left;
/// of those that are left the first one is the row's (C. Lucchese and others, "`QuickScorer`: a fast algorithm to rank documents
/// with additive ensembles of regression trees", SIGIR 2015; several rows at once: "Exploiting CPU SIMD extensions to
/// speed-up document scoring with tree ensembles", SIGIR 2016).
#[derive(Debug, Clone, PartialEq, Default)]
struct Splits {
    /// A signal and its splits, by rising value.
    by_signal: Vec<(usize, Vec<Split>)>,
    /// What the leaves of each tree add.
    leaves: Vec<[f32; TREE_LEAVES_MAX]>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Split {
    /// Below it, left.
    value: f32,
    tree: u32,
    /// The leaves that are not on its left.
    kept: Leaves,
}

impl Split {
    /// Rules out the leaves on its left where a value passes it.
    ///
    /// A function of its own even where programs are made small: there it is a few vector instructions only as long as the
    /// compiler can see that the two arrays do not overlap.
    #[inline(never)]
    fn rule_out(&self, values: &[f32; ABREAST], left_over: &mut [Leaves; ABREAST]) {
        for (left_over, value) in left_over.iter_mut().zip(values) {
            *left_over &= if *value < self.value { Leaves::MAX } else { self.kept };
        }
    }
}

impl Splits {
    /// `None` for a tree that is none, or has too many leaves.
    fn of(nodes: &[Node], roots: &[u32]) -> Option<Self> {
        let mut splits = Self { by_signal: Vec::new(), leaves: vec![[0.0; TREE_LEAVES_MAX]; roots.len()] };
        let mut by_signal: BTreeMap<u16, Vec<Split>> = BTreeMap::new();
        for ((tree, &root), leaves) in (0..).zip(roots).zip(&mut splits.leaves) {
            Walk { nodes, tree, leaves, leaves_met: 0, nodes_met: 0, by_signal: &mut by_signal }.enter(root)?;
        }
        for (signal, mut of_signal) in by_signal {
            of_signal.sort_by(|a, b| a.value.total_cmp(&b.value));
            splits.by_signal.push((usize::from(signal), of_signal));
        }
        Some(splits)
    }
}

/// Through one tree, from left to right.
struct Walk<'a> {
    nodes: &'a [Node],
    tree: u32,
    leaves: &'a mut [f32; TREE_LEAVES_MAX],
    leaves_met: usize,
    nodes_met: usize,
    by_signal: &'a mut BTreeMap<u16, Vec<Split>>,
}

impl Walk<'_> {
    /// Enters what is below a node; returns its leaves.
    fn enter(&mut self, place: u32) -> Option<Leaves> {
        let node = *self.nodes.get(place as usize)?;
        // A tree of so many leaves has as many other nodes less one.
        self.nodes_met += 1;
        if self.nodes_met >= 2 * TREE_LEAVES_MAX {
            return None;
        }
        if node.left == place && node.right == place {
            let leaf = self.leaves_met;
            *self.leaves.get_mut(leaf)? = node.value;
            self.leaves_met += 1;
            return Some(1 << leaf);
        }
        if node.left <= place || node.right <= place {
            return None;
        }
        let (left, right) = (self.enter(node.left)?, self.enter(node.right)?);
        let split = Split { value: node.value, tree: self.tree, kept: !left };
        self.by_signal.entry(node.signal).or_default().push(split);
        Some(left | right)
    }
}

impl Forest {
    /// Grows a forest; `None` when there is nothing to be told apart.
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
        Self::flat(&booster)
    }

    fn flat(booster: &GradientBooster) -> Option<Self> {
        let (mut nodes, mut roots) = (Vec::new(), Vec::new());
        for tree in &booster.trees {
            let first = nodes.len() as u32;
            roots.push(first);
            nodes.extend((first..).zip(&tree.nodes).map(|(place, node)| {
                if node.is_leaf {
                    return Node { signal: 0, value: node.weight_value, left: place, right: place };
                }
                let (left, right) = (first + node.left_child as u32, first + node.right_child as u32);
                Node { signal: node.split_feature as u16, value: node.split_value as f32, left, right }
            }));
        }
        Self::new(booster.base_score as f32, nodes, roots)
    }

    /// The forest of these nodes and the first node of each tree; `None` unless every node leads to leaves further on, of
    /// which a tree has at most 16, and every number is finite. One that was read is checked, so that no bytes make asking go
    /// on for ever.
    pub fn new(base: f32, nodes: Vec<Node>, roots: Vec<u32>) -> Option<Self> {
        let is_finite = base.is_finite() && nodes.iter().all(|node| node.value.is_finite());
        let splits = Splits::of(&nodes, &roots).filter(|_| is_finite)?;
        Some(Self { base, nodes, roots, splits })
    }

    /// True when it looks at no more than so many signals.
    pub fn fits(&self, signals: usize) -> bool {
        self.nodes.iter().all(|node| usize::from(node.signal) < signals)
    }

    /// All nodes of all trees.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The first node of each tree.
    pub fn roots(&self) -> &[u32] {
        &self.roots
    }

    /// The logit of each row of signals, none of which is NaN.
    pub fn logits<const SIGNALS: usize>(&self, rows: &[[f32; SIGNALS]]) -> Vec<f32> {
        let Splits { by_signal, leaves } = &self.splits;
        let mut logits = vec![self.base; rows.len()];
        let mut left_over = vec![[Leaves::MAX; ABREAST]; leaves.len()];
        for (logits, rows) in logits.chunks_mut(ABREAST).zip(rows.chunks(ABREAST)) {
            left_over.fill([Leaves::MAX; ABREAST]);
            for (signal, splits) in by_signal {
                let mut values = [f32::NEG_INFINITY; ABREAST];
                for (value, row) in values.iter_mut().zip(rows) {
                    *value = row[*signal];
                }
                let highest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                for split in splits.iter().take_while(|split| split.value <= highest) {
                    split.rule_out(&values, &mut left_over[split.tree as usize]);
                }
            }
            for (left_over, leaves) in left_over.iter().zip(leaves) {
                for (logit, left_over) in logits.iter_mut().zip(left_over) {
                    *logit += leaves[left_over.trailing_zeros() as usize];
                }
            }
        }
        logits
    }
}

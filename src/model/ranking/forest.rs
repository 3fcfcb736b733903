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
    trees: Vec<Tree>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Tree {
    root: u32,
    /// As many steps lead from the root to any leaf, or stay there.
    depth: u32,
}

/// Rows that go down a tree together: while one waits for its next node, the others go on.
const ABREAST: usize = 16;

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

    /// The forest of these nodes and the first node of each tree; `None` unless every node leads to a leaf further on and
    /// every number is finite. One that was read is checked, so that no bytes make asking go on for ever.
    #[must_use]
    pub fn new(base: f32, nodes: Vec<Node>, roots: Vec<u32>) -> Option<Self> {
        let mut depths = vec![0_u32; nodes.len()];
        for (place, node) in nodes.iter().enumerate().rev() {
            let (left, right) = (node.left as usize, node.right as usize);
            let is_leaf = left == place && right == place;
            let further = place + 1..nodes.len();
            if !node.value.is_finite() || !(is_leaf || (further.contains(&left) && further.contains(&right))) {
                return None;
            }
            depths[place] = if is_leaf { 0 } else { 1 + depths[left].max(depths[right]) };
        }
        let tree = |root: u32| Some(Tree { root, depth: *depths.get(root as usize)? });
        let trees = roots.into_iter().map(tree).collect::<Option<Vec<Tree>>>()?;
        base.is_finite().then_some(Self { base, nodes, trees })
    }

    /// True when it looks at no more than so many signals.
    #[must_use]
    pub fn fits(&self, signals: usize) -> bool {
        self.nodes.iter().all(|node| usize::from(node.signal) < signals)
    }

    /// All nodes of all trees.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The first node of each tree.
    pub fn roots(&self) -> impl Iterator<Item = u32> {
        self.trees.iter().map(|tree| tree.root)
    }

    /// The logit of each row of signals. Tree by tree, because a tree fits into the nearest cache and a forest does not;
    /// and always as many steps as the tree is deep, because a leaf that is reached sooner is hard to predict.
    #[must_use]
    pub fn logits<const SIGNALS: usize>(&self, rows: &[[f32; SIGNALS]]) -> Vec<f32> {
        let mut logits = vec![self.base; rows.len()];
        for &Tree { root, depth } in &self.trees {
            for (logits, rows) in logits.chunks_mut(ABREAST).zip(rows.chunks(ABREAST)) {
                let mut places = [root; ABREAST];
                for _ in 0..depth {
                    for (place, values) in places.iter_mut().zip(rows) {
                        let node = self.nodes[*place as usize];
                        *place = if values[node.signal as usize] < node.value { node.left } else { node.right };
                    }
                }
                for (logit, place) in logits.iter_mut().zip(places) {
                    *logit += self.nodes[place as usize].value;
                }
            }
        }
        logits
    }
}

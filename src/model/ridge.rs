//! Item-to-item weights by ridge regression in closed form.
//!
//! With `X` the matrix of rows (customers or baskets) by columns and `P = (X'X + lambda I)^-1`, the weights
//! `B = -P / diag(P)` by columns, zero on the diagonal, minimise `|X - XB|^2 + lambda |B|^2` (H. Steck, "Embarrassingly
//! Shallow Autoencoders for Sparse Data", WWW 2019, equation 8). A customer's score for column `j` is `sum over i of
//! x_i B_ij`.
//!
//! Each column of `B` is a regression of its own. When there are many columns, each is regressed on its nearest only: the
//! same equations, without those of distant columns.

use faer::linalg::solvers::{DenseSolveCore, Solve};
use faer::{Col, Mat, MatRef, Par, Side};
use rayon::prelude::*;

use super::training_settings::TrainingSettings;

/// Maximum number of weights stored of each column, the strongest.
pub const NEIGHBOURS_MAX: usize = 200;
/// Weaker weights are dropped.
const WEIGHT_MIN: f32 = 1e-5;
/// Maximum number of products with other columns that are stored of each column; fewer where memory is short.
const CELLS_MAX: usize = 800;
const CELLS_MIN: usize = 40;
/// A column is regressed on this fraction of the columns whose products with it are stored.
const CELLS_PER_NEAREST: usize = 4;
/// Memory of each stored product: itself, and its share of the weights of three solutions.
const BYTES_PER_SPARSE_CELL: u64 = 12 + 3 * 12 / CELLS_PER_NEAREST as u64;
/// Memory of each cell of a dense problem: the Gram matrix, its factor, the inverse, and the counts.
pub const BYTES_PER_CELL: u64 = 4 * 4;

/// Row of the matrix: columns with weights in 0 to 1, each column once.
pub type SparseRow = Vec<(u32, f32)>;

/// Weight of a column on another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// The other column: an item.
    pub item: u32,
    /// Weight of the regression.
    pub weight: f32,
    /// Number of rows with both.
    pub co_occurrences: u32,
}

/// Neighbours of each column, in order.
pub type Neighbours = Vec<Vec<Neighbour>>;

/// Maximum number of columns in so much memory.
pub fn columns_within(memory_bytes: u64) -> usize {
    (memory_bytes / (CELLS_MIN as u64 * BYTES_PER_SPARSE_CELL)) as usize
}

/// Ridge regression of columns on each other, solvable for any number of regularizers.
pub struct RidgeProblem {
    columns: usize,
    targets: usize,
    threads: usize,
    gram: GramMatrix,
}

enum GramMatrix {
    Dense { gram: Vec<f32>, co_occurrences: Vec<u32> },
    Sparse { columns: Vec<SparseColumn>, nearest_max: usize },
}

/// Weighting of the rows: with their weights, or each with 1. The products of the latter are the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowWeighting {
    AsGiven,
    Uniform,
}

impl RowWeighting {
    fn product(self, cell: &GramCell) -> f32 {
        match self {
            Self::AsGiven => cell.product,
            Self::Uniform => cell.co_occurrences as f32,
        }
    }

    fn diagonal(self, column: &SparseColumn) -> f32 {
        match self {
            Self::AsGiven => column.diagonal,
            Self::Uniform => column.rows as f32,
        }
    }
}

/// Slot of a column that is not among the nearest. There are few enough of these for their slots to fit into a byte, and
/// for all slots to fit into a near cache.
const NO_SLOT: u8 = u8::MAX;
const _: () = assert!(CELLS_MAX / CELLS_PER_NEAREST < NO_SLOT as usize);

/// Column of a sparse Gram matrix.
struct SparseColumn {
    /// Product of the column with itself.
    diagonal: f32,
    /// Number of rows with the column.
    rows: u32,
    /// Products with other columns, in order of column.
    cells: Vec<GramCell>,
}

#[derive(Clone, Copy)]
struct GramCell {
    column: u32,
    product: f32,
    co_occurrences: u32,
}

/// Accumulator of the products of one column.
struct ColumnSums {
    products: Vec<f32>,
    co_occurrences: Vec<u32>,
    touched: Vec<u32>,
}

impl RidgeProblem {
    /// Regression of the first `targets` columns on all columns.
    pub fn new(columns: usize, targets: usize, rows: &[SparseRow], settings: &TrainingSettings) -> Self {
        let TrainingSettings { threads, memory_bytes_max, dense_columns_max } = *settings;
        let dense_bytes = (columns as u64).pow(2) * BYTES_PER_CELL;
        let gram = if columns <= dense_columns_max && dense_bytes <= memory_bytes_max {
            dense_gram(columns, rows)
        } else {
            let cells = memory_bytes_max / (columns.max(1) as u64 * BYTES_PER_SPARSE_CELL);
            let cells = (cells as usize).clamp(CELLS_MIN, CELLS_MAX);
            GramMatrix::Sparse { columns: sparse_columns(columns, rows, cells), nearest_max: cells / CELLS_PER_NEAREST }
        };
        Self { columns, targets, threads, gram }
    }

    /// The same with a dense matrix, whatever the number of columns.
    pub fn dense(columns: usize, targets: usize, rows: &[SparseRow], threads: usize) -> Self {
        Self { columns, targets, threads, gram: dense_gram(columns, rows) }
    }

    /// Solves the regression. `None` when a matrix of this size cannot be factored, which a positive `lambda` prevents.
    pub fn solve(&self, lambda: f64) -> Option<Neighbours> {
        self.solve_as(RowWeighting::AsGiven, lambda as f32)
    }

    /// Solves the regression over the same rows with every weight 1.
    pub fn solve_unweighted(&self, lambda: f64) -> Option<Neighbours> {
        self.solve_as(RowWeighting::Uniform, lambda as f32)
    }

    fn solve_as(&self, weighting: RowWeighting, lambda: f32) -> Option<Neighbours> {
        let weights = match &self.gram {
            GramMatrix::Dense { gram, co_occurrences } => self.solve_dense(gram, co_occurrences, weighting, lambda)?,
            GramMatrix::Sparse { columns, nearest_max } => self.solve_sparse(columns, *nearest_max, weighting, lambda),
        };
        Some(weights.into_par_iter().map(strongest).collect())
    }

    fn solve_dense(
        &self,
        gram: &[f32],
        co_occurrences: &[u32],
        weighting: RowWeighting,
        lambda: f32,
    ) -> Option<Neighbours> {
        // Single precision: a positive lambda keeps the matrix far from singular, and it takes half the time and memory.
        let mut gram = match weighting {
            RowWeighting::AsGiven => MatRef::from_column_major_slice(gram, self.columns, self.columns).to_owned(),
            RowWeighting::Uniform => Mat::from_fn(self.columns, self.columns, |row, column| {
                co_occurrences[column * self.columns + row] as f32
            }),
        };
        for column in 0..self.columns {
            gram[(column, column)] += lambda;
        }
        faer::set_global_parallelism(Par::rayon(self.threads));
        let inverse = gram.llt(Side::Lower).ok()?.inverse();
        drop(gram);
        let of_column = |from: usize| {
            let others = (0..self.targets).filter(|&to| to != from);
            others
                .map(|to| Neighbour {
                    item: to as u32,
                    weight: -inverse[(from, to)] / inverse[(to, to)],
                    co_occurrences: co_occurrences[from * self.columns + to],
                })
                .collect()
        };
        Some((0..self.columns).into_par_iter().map(of_column).collect())
    }

    fn solve_sparse(
        &self,
        columns: &[SparseColumn],
        nearest_max: usize,
        weighting: RowWeighting,
        lambda: f32,
    ) -> Neighbours {
        // Each thread has a regression of its own.
        faer::set_global_parallelism(Par::Seq);
        let slots = || vec![NO_SLOT; self.columns];
        let on_target: Vec<Vec<(u32, Neighbour)>> = (0..self.targets)
            .into_par_iter()
            .map_init(slots, |slots, target| regress(columns, target, nearest_max, weighting, lambda, slots))
            .collect();
        let mut weights: Neighbours = vec![Vec::new(); self.columns];
        for (from, neighbour) in on_target.into_iter().flatten() {
            weights[from as usize].push(neighbour);
        }
        weights
    }
}

/// Regresses a column on its nearest. `slots` is scratch space, and unchanged afterwards.
fn regress(
    columns: &[SparseColumn],
    target: usize,
    nearest_max: usize,
    weighting: RowWeighting,
    lambda: f32,
    slots: &mut [u8],
) -> Vec<(u32, Neighbour)> {
    let nearest = nearest_columns(columns, target, nearest_max, weighting, lambda);
    let count = nearest.len();
    for (slot, cell) in (0_u8..NO_SLOT).zip(&nearest) {
        slots[cell.column as usize] = slot;
    }
    let mut gram = Mat::<f32>::zeros(count, count);
    for (slot, cell) in nearest.iter().enumerate() {
        let column = &columns[cell.column as usize];
        gram[(slot, slot)] = weighting.diagonal(column) + lambda;
        for other in &column.cells {
            let other_slot = slots[other.column as usize];
            if other_slot != NO_SLOT {
                // Either of the two columns may store their product.
                gram[(slot, usize::from(other_slot))] = weighting.product(other);
                gram[(usize::from(other_slot), slot)] = weighting.product(other);
            }
        }
    }
    for cell in &nearest {
        slots[cell.column as usize] = NO_SLOT;
    }
    let products = Col::<f32>::from_fn(count, |slot| weighting.product(&nearest[slot]));
    let weights = solve_small(gram, &products);
    let neighbour = |(slot, cell): (usize, &GramCell)| {
        let GramCell { column, co_occurrences, .. } = *cell;
        (column, Neighbour { item: target as u32, weight: weights[slot], co_occurrences })
    };
    nearest.iter().enumerate().map(neighbour).collect()
}

/// Columns that alone predict the target best: by the share of its square that one column explains.
fn nearest_columns(
    columns: &[SparseColumn],
    target: usize,
    nearest_max: usize,
    weighting: RowWeighting,
    lambda: f32,
) -> Vec<GramCell> {
    let explained = |cell: &GramCell| {
        weighting.product(cell).powi(2) / (weighting.diagonal(&columns[cell.column as usize]) + lambda)
    };
    let mut nearest: Vec<(f32, GramCell)> = columns[target].cells.iter().map(|cell| (explained(cell), *cell)).collect();
    if nearest.len() > nearest_max {
        nearest.select_nth_unstable_by(nearest_max, |a, b| b.0.total_cmp(&a.0).then(a.1.column.cmp(&b.1.column)));
        nearest.truncate(nearest_max);
    }
    nearest.into_iter().map(|(_, cell)| cell).collect()
}

/// Solves for the weights. Products that were dropped may leave a matrix that is not positive definite; a heavier diagonal
/// makes it so.
fn solve_small(mut gram: Mat<f32>, products: &Col<f32>) -> Col<f32> {
    for _ in 0..8 {
        if let Ok(factor) = gram.llt(Side::Lower) {
            return factor.solve(products);
        }
        for index in 0..gram.nrows() {
            gram[(index, index)] *= 1.5;
        }
    }
    Col::zeros(products.nrows())
}

fn dense_gram(columns: usize, rows: &[SparseRow]) -> GramMatrix {
    let rows_of = rows_of_columns(columns, rows);
    let (mut gram, mut co_occurrences) = (vec![0.0_f32; columns * columns], vec![0_u32; columns * columns]);
    // One column at a time stays in the nearest cache.
    let by_column = gram.par_chunks_mut(columns.max(1)).zip(co_occurrences.par_chunks_mut(columns.max(1)));
    by_column.zip(&rows_of).for_each(|((gram, co_occurrences), rows_of)| {
        for &(row, weight) in rows_of {
            for &(other, other_weight) in &rows[row as usize] {
                gram[other as usize] += weight * other_weight;
                co_occurrences[other as usize] += 1;
            }
        }
    });
    GramMatrix::Dense { gram, co_occurrences }
}

/// Rows of each column, with its weight there.
fn rows_of_columns(columns: usize, rows: &[SparseRow]) -> Vec<Vec<(u32, f32)>> {
    let mut rows_of: Vec<Vec<(u32, f32)>> = vec![Vec::new(); columns];
    for (number, row) in (0_u32..).zip(rows) {
        for &(column, weight) in row {
            rows_of[column as usize].push((number, weight));
        }
    }
    rows_of
}

/// Columns of the Gram matrix with at most `cells_max` products each, those of the nearest.
fn sparse_columns(columns: usize, rows: &[SparseRow], cells_max: usize) -> Vec<SparseColumn> {
    let rows_of = rows_of_columns(columns, rows);
    let diagonal = |column: usize| rows_of[column].iter().map(|(_, weight)| weight * weight).sum::<f32>();
    let diagonal: Vec<f32> = (0..columns).map(diagonal).collect();
    let sums = || ColumnSums { products: vec![0.0; columns], co_occurrences: vec![0; columns], touched: Vec::new() };
    let of_column = |sums: &mut ColumnSums, column: usize| {
        sums.add_products(&rows_of[column], rows);
        let mut cells = sums.take_cells(column);
        if cells.len() > cells_max {
            // By either weighting, relative to the size of both columns.
            let nearness = |cell: &GramCell| {
                let other = cell.column as usize;
                let weighted = cell.product.powi(2) / (diagonal[column] * diagonal[other]).max(f32::MIN_POSITIVE);
                weighted.max(
                    cell.co_occurrences as f32 / rows_of[column].len() as f32 * cell.co_occurrences as f32
                        / rows_of[other].len() as f32,
                )
            };
            let nearest_first =
                |a: &GramCell, b: &GramCell| nearness(b).total_cmp(&nearness(a)).then(a.column.cmp(&b.column));
            cells.select_nth_unstable_by(cells_max, nearest_first);
            cells.truncate(cells_max);
            cells.shrink_to_fit();
        }
        cells.sort_unstable_by_key(|cell| cell.column);
        SparseColumn { diagonal: diagonal[column], rows: rows_of[column].len() as u32, cells }
    };
    (0..columns).into_par_iter().map_init(sums, of_column).collect()
}

impl ColumnSums {
    /// Adds the products of a column with all columns of its rows.
    fn add_products(&mut self, rows_of_column: &[(u32, f32)], rows: &[SparseRow]) {
        for &(row, weight) in rows_of_column {
            for &(other, other_weight) in &rows[row as usize] {
                let index = other as usize;
                if self.co_occurrences[index] == 0 {
                    self.touched.push(other);
                }
                self.products[index] += weight * other_weight;
                self.co_occurrences[index] += 1;
            }
        }
    }

    /// Products with all columns but `column` itself; all sums are 0 afterwards.
    fn take_cells(&mut self, column: usize) -> Vec<GramCell> {
        let mut cells: Vec<GramCell> = Vec::with_capacity(self.touched.len());
        for other in self.touched.drain(..) {
            let index = other as usize;
            let product = std::mem::take(&mut self.products[index]);
            let co_occurrences = std::mem::take(&mut self.co_occurrences[index]);
            if index != column {
                cells.push(GramCell { column: other, product, co_occurrences });
            }
        }
        cells
    }
}

fn strongest(mut neighbours: Vec<Neighbour>) -> Vec<Neighbour> {
    neighbours.retain(|neighbour| neighbour.weight.abs() >= WEIGHT_MIN);
    if neighbours.len() > NEIGHBOURS_MAX {
        let by_strength =
            |a: &Neighbour, b: &Neighbour| b.weight.abs().total_cmp(&a.weight.abs()).then(a.item.cmp(&b.item));
        neighbours.select_nth_unstable_by(NEIGHBOURS_MAX, by_strength);
        neighbours.truncate(NEIGHBOURS_MAX);
        neighbours.sort_unstable_by_key(|neighbour| neighbour.item);
    }
    neighbours
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The closed form for two products that are together in `t` of `a` and `b` rows, worked out by hand: the column of
    /// `b` regressed on `a` alone with penalty is `t / (a + lambda)`.
    #[test]
    fn two_products_give_the_ridge_estimate() {
        let rows = vec![vec![(0, 1.0), (1, 1.0)], vec![(0, 1.0), (1, 1.0)], vec![(0, 1.0)]];
        let neighbours = RidgeProblem::dense(2, 2, &rows, 1).solve(0.5).expect("solvable");
        assert!((neighbours[0][0].weight - 2.0 / 3.5).abs() < 1e-6);
        assert!((neighbours[1][0].weight - 2.0 / 2.5).abs() < 1e-6);
        assert_eq!(neighbours[0][0].co_occurrences, 2);
    }

    /// Three products: each weight equals the solution of the two normal equations of its column.
    #[test]
    fn three_products_satisfy_the_normal_equations() {
        let rows = vec![
            vec![(0, 1.0), (1, 1.0)],
            vec![(0, 1.0), (2, 1.0)],
            vec![(0, 1.0), (1, 1.0), (2, 1.0)],
            vec![(1, 1.0)],
        ];
        let lambda = 0.7;
        let neighbours = RidgeProblem::dense(3, 3, &rows, 1).solve(lambda).expect("solvable");
        let x = [[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]];
        let dot = |a: usize, b: usize| x.iter().map(|row| row[a] * row[b]).sum::<f64>();
        for target in 0..3 {
            let others: Vec<usize> = (0..3).filter(|&other| other != target).collect();
            let weight = |from: usize| {
                let found = neighbours[from].iter().find(|neighbour| neighbour.item as usize == target);
                f64::from(found.map_or(0.0, |neighbour| neighbour.weight))
            };
            for &equation in &others {
                let left: f64 = others.iter().map(|&other| dot(equation, other) * weight(other)).sum::<f64>()
                    + lambda * weight(equation);
                assert!((left - dot(equation, target)).abs() < 1e-5, "target {target}, equation {equation}");
            }
        }
    }

    /// When nothing is dropped, the regression on the nearest columns is the regression on all.
    #[test]
    fn sparse_and_dense_agree_when_all_columns_are_near() {
        let row = |number: usize| -> SparseRow {
            let held = (0..12_usize).filter(|column| (number * 7 + column * column * 5) % 9 < 4);
            held.map(|column| (column as u32, 0.5 + (number % 2) as f32 / 2.0)).collect()
        };
        // One row has everything, so that all columns occur together.
        let everything: SparseRow = (0..12).map(|column| (column, 1.0)).collect();
        let rows: Vec<SparseRow> = (0..60).map(row).chain([everything]).collect();
        let all = RidgeProblem::dense(12, 10, &rows, 1).solve(3.0).expect("solvable");
        let near = sparse_columns(12, &rows, CELLS_MAX);
        let gram = GramMatrix::Sparse { columns: near, nearest_max: 11 };
        let nearest = RidgeProblem { columns: 12, targets: 10, threads: 1, gram }.solve(3.0).expect("solvable");
        for (one, other) in all.iter().flatten().zip(nearest.iter().flatten()) {
            assert_eq!((one.item, one.co_occurrences), (other.item, other.co_occurrences));
            assert!((one.weight - other.weight).abs() < 1e-4, "{one:?} {other:?}");
        }
        assert_eq!(all.iter().map(Vec::len).sum::<usize>(), nearest.iter().map(Vec::len).sum::<usize>());
    }
}

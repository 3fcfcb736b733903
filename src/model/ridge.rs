//! Item-to-item weights by ridge regression in closed form.
//!
//! With `X` the matrix of rows (customers or baskets) by columns and `P = (X'X + lambda I)^-1`, the weights
//! `B = -P / diag(P)` by columns, zero on the diagonal, minimise `|X - XB|^2 + lambda |B|^2` (H. Steck, "Embarrassingly
//! Shallow Autoencoders for Sparse Data", WWW 2019, equation 8). A customer's score for column `j` is `sum over i of
//! x_i B_ij`.
//!
//! Each column of `B` is a regression of its own. Of many columns each is regressed on its nearest only: the same equations,
//! without what is far away.

use faer::linalg::solvers::{DenseSolveCore, Solve};
use faer::{Col, Mat, MatRef, Par, Side};
use rayon::prelude::*;

use super::train::TrainingSettings;

/// The strongest weights kept of each column.
pub const NEIGHBOURS_MAX: usize = 200;
/// Weights weaker than this are dropped.
const WEIGHT_MIN: f32 = 1e-5;
/// How many products with others each column remembers; fewer where memory is short.
const CELLS_MAX: usize = 800;
const CELLS_MIN: usize = 40;
/// One in so many of those that a column remembers are its nearest.
const CELLS_PER_NEAREST: usize = 4;
/// Memory for each cell remembered: itself, and its share of the weights of three solutions.
const BYTES_PER_REMEMBERED: u64 = 12 + 3 * 12 / CELLS_PER_NEAREST as u64;
/// Memory for each cell of a dense problem: the Gram matrix, its factor, the inverse, and the counts.
pub const BYTES_PER_CELL: u64 = 4 * 4;

/// A row of the matrix: columns with weights in 0 to 1, each column once.
pub type Row = Vec<(u32, f32)>;

/// What one column says about another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// The other column.
    pub product: u32,
    /// The weight.
    pub weight: f32,
    /// In how many rows both are.
    pub together: u32,
}

/// For each column its neighbours, in order.
pub type Neighbours = Vec<Vec<Neighbour>>;

/// How many columns fit into so much memory.
pub fn columns_within(memory_bytes: u64) -> usize {
    (memory_bytes / (CELLS_MIN as u64 * BYTES_PER_REMEMBERED)) as usize
}

/// A problem that can be solved for as many regularisers as are wanted.
pub struct Problem {
    columns: usize,
    targets: usize,
    threads: usize,
    gram: Gram,
}

enum Gram {
    /// Both by column.
    Dense {
        gram: Vec<f32>,
        together: Vec<u32>,
    },
    Near {
        near: Vec<Near>,
        nearest_max: usize,
    },
}

/// Whether the weights of the rows count as they are, or each as 1. The products of the latter are the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weighing {
    AsGiven,
    Alike,
}

impl Weighing {
    fn product(self, cell: &Cell) -> f32 {
        match self {
            Self::AsGiven => cell.product,
            Self::Alike => cell.together as f32,
        }
    }

    fn own(self, near: &Near) -> f32 {
        match self {
            Self::AsGiven => near.own,
            Self::Alike => near.rows as f32,
        }
    }
}

/// Of a column that is not among the nearest; so few are that their places fit into a byte, and all places into a near
/// cache.
const NOWHERE: u8 = u8::MAX;
const _: () = assert!(CELLS_MAX / CELLS_PER_NEAREST < NOWHERE as usize);

/// What is near a column.
struct Near {
    /// The column's product with itself.
    own: f32,
    /// How many rows have it.
    rows: u32,
    /// Its products with others, in order of column.
    cells: Vec<Cell>,
}

#[derive(Clone, Copy)]
struct Cell {
    column: u32,
    product: f32,
    together: u32,
}

/// Sums of one column's products while they are added up.
struct Sums {
    products: Vec<f32>,
    together: Vec<u32>,
    touched: Vec<u32>,
}

impl Problem {
    /// The problem of the rows: the weights of all columns on the first `targets` of them.
    pub fn new(columns: usize, targets: usize, rows: &[Row], settings: &TrainingSettings) -> Self {
        let TrainingSettings { threads, memory_bytes_max, dense_columns_max } = *settings;
        let dense_bytes = (columns as u64).pow(2) * BYTES_PER_CELL;
        let gram = if columns <= dense_columns_max && dense_bytes <= memory_bytes_max {
            dense(columns, rows)
        } else {
            let cells = memory_bytes_max / (columns.max(1) as u64 * BYTES_PER_REMEMBERED);
            let cells = (cells as usize).clamp(CELLS_MIN, CELLS_MAX);
            Gram::Near { near: near(columns, rows, cells), nearest_max: cells / CELLS_PER_NEAREST }
        };
        Self { columns, targets, threads, gram }
    }

    /// The same with all columns in each regression, however many they are.
    pub fn dense(columns: usize, targets: usize, rows: &[Row], threads: usize) -> Self {
        Self { columns, targets, threads, gram: dense(columns, rows) }
    }

    /// Solves it. `None` when a matrix of this size cannot be factored, which a positive `lambda` prevents.
    pub fn solve(&self, lambda: f64) -> Option<Neighbours> {
        self.solve_as(Weighing::AsGiven, lambda as f32)
    }

    /// Solves the problem of the same rows with every weight 1.
    pub fn solve_unweighted(&self, lambda: f64) -> Option<Neighbours> {
        self.solve_as(Weighing::Alike, lambda as f32)
    }

    fn solve_as(&self, weighing: Weighing, lambda: f32) -> Option<Neighbours> {
        let weights = match &self.gram {
            Gram::Dense { gram, together } => self.solve_dense(gram, together, weighing, lambda)?,
            Gram::Near { near, nearest_max } => self.solve_near(near, *nearest_max, weighing, lambda),
        };
        Some(weights.into_par_iter().map(strongest).collect())
    }

    fn solve_dense(&self, gram: &[f32], together: &[u32], weighing: Weighing, lambda: f32) -> Option<Neighbours> {
        // Single precision: a positive lambda keeps the matrix far from singular, and it takes half the time and memory.
        let mut gram = match weighing {
            Weighing::AsGiven => MatRef::from_column_major_slice(gram, self.columns, self.columns).to_owned(),
            Weighing::Alike => {
                Mat::from_fn(self.columns, self.columns, |row, column| together[column * self.columns + row] as f32)
            }
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
                    product: to as u32,
                    weight: -inverse[(from, to)] / inverse[(to, to)],
                    together: together[from * self.columns + to],
                })
                .collect()
        };
        Some((0..self.columns).into_par_iter().map(of_column).collect())
    }

    fn solve_near(&self, near: &[Near], nearest_max: usize, weighing: Weighing, lambda: f32) -> Neighbours {
        // Each thread has a regression of its own.
        faer::set_global_parallelism(Par::Seq);
        let places = || vec![NOWHERE; self.columns];
        let on_target: Vec<Vec<(u32, Neighbour)>> = (0..self.targets)
            .into_par_iter()
            .map_init(places, |places, target| regress(near, target, nearest_max, weighing, lambda, places))
            .collect();
        let mut weights: Neighbours = vec![Vec::new(); self.columns];
        for (from, neighbour) in on_target.into_iter().flatten() {
            weights[from as usize].push(neighbour);
        }
        weights
    }
}

/// The regression of a column on its nearest. `places` is for scratch, and as it was afterwards.
fn regress(
    near: &[Near],
    target: usize,
    nearest_max: usize,
    weighing: Weighing,
    lambda: f32,
    places: &mut [u8],
) -> Vec<(u32, Neighbour)> {
    // What alone says most about the target: the share of its square that one column explains.
    let mut nearest: Vec<(f32, Cell)> = near[target]
        .cells
        .iter()
        .map(|cell| (weighing.product(cell).powi(2) / (weighing.own(&near[cell.column as usize]) + lambda), *cell))
        .collect();
    if nearest.len() > nearest_max {
        nearest.select_nth_unstable_by(nearest_max, |a, b| b.0.total_cmp(&a.0).then(a.1.column.cmp(&b.1.column)));
        nearest.truncate(nearest_max);
    }
    let count = nearest.len();
    for (place, (_, cell)) in (0_u8..NOWHERE).zip(&nearest) {
        places[cell.column as usize] = place;
    }
    let mut gram = Mat::<f32>::zeros(count, count);
    for (place, (_, cell)) in nearest.iter().enumerate() {
        let of_this = &near[cell.column as usize];
        gram[(place, place)] = weighing.own(of_this) + lambda;
        for other in &of_this.cells {
            let place_of_other = places[other.column as usize];
            if place_of_other != NOWHERE {
                // Either of the two may remember their product.
                gram[(place, usize::from(place_of_other))] = weighing.product(other);
                gram[(usize::from(place_of_other), place)] = weighing.product(other);
            }
        }
    }
    for (_, cell) in &nearest {
        places[cell.column as usize] = NOWHERE;
    }
    let products = Col::<f32>::from_fn(count, |place| weighing.product(&nearest[place].1));
    let weights = solve_small(gram, &products);
    let neighbour = |(place, (_, cell)): (usize, &(f32, Cell))| {
        (cell.column, Neighbour { product: target as u32, weight: weights[place], together: cell.together })
    };
    nearest.iter().enumerate().map(neighbour).collect()
}

/// Products that were forgotten may leave a matrix that is not positive; a heavier diagonal makes it so.
fn solve_small(mut gram: Mat<f32>, products: &Col<f32>) -> Col<f32> {
    for _ in 0..8 {
        if let Ok(factor) = gram.llt(Side::Lower) {
            return factor.solve(products);
        }
        for place in 0..gram.nrows() {
            gram[(place, place)] *= 1.5;
        }
    }
    Col::zeros(products.nrows())
}

fn dense(columns: usize, rows: &[Row]) -> Gram {
    let rows_of = rows_of(columns, rows);
    let (mut gram, mut together) = (vec![0.0_f32; columns * columns], vec![0_u32; columns * columns]);
    // One column at a time stays in the nearest cache.
    let by_column = gram.par_chunks_mut(columns.max(1)).zip(together.par_chunks_mut(columns.max(1)));
    by_column.zip(&rows_of).for_each(|((gram, together), rows_of)| {
        for &(row, weight) in rows_of {
            for &(other, other_weight) in &rows[row as usize] {
                gram[other as usize] += weight * other_weight;
                together[other as usize] += 1;
            }
        }
    });
    Gram::Dense { gram, together }
}

/// For each column the rows that have it, with its weight there.
fn rows_of(columns: usize, rows: &[Row]) -> Vec<Vec<(u32, f32)>> {
    let mut rows_of: Vec<Vec<(u32, f32)>> = vec![Vec::new(); columns];
    for (number, row) in (0_u32..).zip(rows) {
        for &(column, weight) in row {
            rows_of[column as usize].push((number, weight));
        }
    }
    rows_of
}

fn near(columns: usize, rows: &[Row], cells_max: usize) -> Vec<Near> {
    let rows_of = rows_of(columns, rows);
    let own = |column: usize| rows_of[column].iter().map(|(_, weight)| weight * weight).sum::<f32>();
    let own: Vec<f32> = (0..columns).map(own).collect();
    let sums = || Sums { products: vec![0.0; columns], together: vec![0; columns], touched: Vec::new() };
    let of_column = |sums: &mut Sums, column: usize| {
        for &(row, weight) in &rows_of[column] {
            for &(other, other_weight) in &rows[row as usize] {
                let place = other as usize;
                if sums.together[place] == 0 {
                    sums.touched.push(other);
                }
                sums.products[place] += weight * other_weight;
                sums.together[place] += 1;
            }
        }
        let mut cells: Vec<Cell> = Vec::with_capacity(sums.touched.len());
        for other in sums.touched.drain(..) {
            let place = other as usize;
            let product = std::mem::take(&mut sums.products[place]);
            let together = std::mem::take(&mut sums.together[place]);
            if place != column {
                cells.push(Cell { column: other, product, together });
            }
        }
        if cells.len() > cells_max {
            // By either weighing, beside what the other column has at all.
            let nearness = |cell: &Cell| {
                let other = cell.column as usize;
                let given = cell.product.powi(2) / (own[column] * own[other]).max(f32::MIN_POSITIVE);
                given.max(
                    cell.together as f32 / rows_of[column].len() as f32 * cell.together as f32
                        / rows_of[other].len() as f32,
                )
            };
            let nearest_first = |a: &Cell, b: &Cell| nearness(b).total_cmp(&nearness(a)).then(a.column.cmp(&b.column));
            cells.select_nth_unstable_by(cells_max, nearest_first);
            cells.truncate(cells_max);
            cells.shrink_to_fit();
        }
        cells.sort_unstable_by_key(|cell| cell.column);
        Near { own: own[column], rows: rows_of[column].len() as u32, cells }
    };
    (0..columns).into_par_iter().map_init(sums, of_column).collect()
}

fn strongest(mut neighbours: Vec<Neighbour>) -> Vec<Neighbour> {
    neighbours.retain(|neighbour| neighbour.weight.abs() >= WEIGHT_MIN);
    if neighbours.len() > NEIGHBOURS_MAX {
        let by_strength =
            |a: &Neighbour, b: &Neighbour| b.weight.abs().total_cmp(&a.weight.abs()).then(a.product.cmp(&b.product));
        neighbours.select_nth_unstable_by(NEIGHBOURS_MAX, by_strength);
        neighbours.truncate(NEIGHBOURS_MAX);
        neighbours.sort_unstable_by_key(|neighbour| neighbour.product);
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
        let neighbours = Problem::dense(2, 2, &rows, 1).solve(0.5).expect("solvable");
        assert!((neighbours[0][0].weight - 2.0 / 3.5).abs() < 1e-6);
        assert!((neighbours[1][0].weight - 2.0 / 2.5).abs() < 1e-6);
        assert_eq!(neighbours[0][0].together, 2);
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
        let neighbours = Problem::dense(3, 3, &rows, 1).solve(lambda).expect("solvable");
        let x = [[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]];
        let dot = |a: usize, b: usize| x.iter().map(|row| row[a] * row[b]).sum::<f64>();
        for target in 0..3 {
            let others: Vec<usize> = (0..3).filter(|&other| other != target).collect();
            let weight = |from: usize| {
                let found = neighbours[from].iter().find(|neighbour| neighbour.product as usize == target);
                f64::from(found.map_or(0.0, |neighbour| neighbour.weight))
            };
            for &equation in &others {
                let left: f64 = others.iter().map(|&other| dot(equation, other) * weight(other)).sum::<f64>()
                    + lambda * weight(equation);
                assert!((left - dot(equation, target)).abs() < 1e-5, "target {target}, equation {equation}");
            }
        }
    }

    /// With room for all of them, the regression on the nearest is the regression on all.
    #[test]
    fn near_and_dense_agree_where_nothing_is_far() {
        let row = |number: usize| -> Row {
            let held = (0..12_usize).filter(|column| (number * 7 + column * column * 5) % 9 < 4);
            held.map(|column| (column as u32, 0.5 + (number % 2) as f32 / 2.0)).collect()
        };
        // One row has everything, so that no two columns are strangers.
        let everything: Row = (0..12).map(|column| (column, 1.0)).collect();
        let rows: Vec<Row> = (0..60).map(row).chain([everything]).collect();
        let all = Problem::dense(12, 10, &rows, 1).solve(3.0).expect("solvable");
        let near = near(12, &rows, CELLS_MAX);
        let gram = Gram::Near { near, nearest_max: 11 };
        let nearest = Problem { columns: 12, targets: 10, threads: 1, gram }.solve(3.0).expect("solvable");
        for (one, other) in all.iter().flatten().zip(nearest.iter().flatten()) {
            assert_eq!((one.product, one.together), (other.product, other.together));
            assert!((one.weight - other.weight).abs() < 1e-4, "{one:?} {other:?}");
        }
        assert_eq!(all.iter().map(Vec::len).sum::<usize>(), nearest.iter().map(Vec::len).sum::<usize>());
    }
}

//! Item-to-item weights by ridge regression in closed form.
//!
//! With `X` the matrix of rows (customers or baskets) by products and `P = (X'X + lambda I)^-1`, the weights
//! `B = -P / diag(P)` by columns, zero on the diagonal, minimise `|X - XB|^2 + lambda |B|^2` (H. Steck, "Embarrassingly
//! Shallow Autoencoders for Sparse Data", WWW 2019, equation 8). A customer's score for product `j` is `sum over i of
//! x_i B_ij`.

use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, Par, Side};
use rayon::prelude::*;

/// The strongest weights kept of each product.
pub const NEIGHBOURS_MAX: usize = 200;
/// Weights weaker than this are dropped.
const WEIGHT_MIN: f32 = 1e-5;
/// Memory for each cell of the products by products matrix: the Gram matrix, its factor, the inverse, and the counts.
pub const BYTES_PER_CELL: u64 = 4 * 4;

/// A row of the matrix: products with weights in 0 to 1, each product once.
pub type Row = Vec<(u32, f32)>;

/// What one product says about another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// The other product.
    pub product: u32,
    /// The weight.
    pub weight: f32,
    /// In how many rows both are.
    pub together: u32,
}

/// For each product its neighbours, in order of product.
pub type Neighbours = Vec<Vec<Neighbour>>;

/// Solves the regression. `None` when a matrix of this size cannot be factored, which a positive `lambda` prevents.
#[must_use]
pub fn fit(products: usize, rows: &[Row], lambda: f64, threads: usize) -> Option<Neighbours> {
    // Single precision: a positive lambda keeps the matrix far from singular, and it takes half the time and memory.
    let mut gram = Mat::<f32>::zeros(products, products);
    let mut together = vec![0_u32; products * products];
    for row in rows {
        for &(a, weight_a) in row {
            for &(b, weight_b) in row {
                let (a, b) = (a as usize, b as usize);
                gram[(a, b)] += weight_a * weight_b;
                together[a * products + b] += 1;
            }
        }
    }
    for product in 0..products {
        gram[(product, product)] += lambda as f32;
    }
    faer::set_global_parallelism(Par::rayon(threads));
    let inverse = gram.llt(Side::Lower).ok()?.inverse();
    drop(gram);
    let strongest = |from: usize| {
        let mut neighbours: Vec<Neighbour> = (0..products)
            .filter(|&to| to != from)
            .map(|to| Neighbour {
                product: to as u32,
                weight: -inverse[(from, to)] / inverse[(to, to)],
                together: together[from * products + to],
            })
            .filter(|neighbour| neighbour.weight.abs() >= WEIGHT_MIN)
            .collect();
        if neighbours.len() > NEIGHBOURS_MAX {
            let by_strength = |a: &Neighbour, b: &Neighbour| b.weight.abs().total_cmp(&a.weight.abs());
            neighbours.select_nth_unstable_by(NEIGHBOURS_MAX, by_strength);
            neighbours.truncate(NEIGHBOURS_MAX);
            neighbours.sort_unstable_by_key(|neighbour| neighbour.product);
        }
        neighbours
    };
    Some((0..products).into_par_iter().map(strongest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The closed form for two products that are together in `t` of `a` and `b` rows, worked out by hand: the column of
    /// `b` regressed on `a` alone with penalty is `t / (a + lambda)`.
    #[test]
    fn two_products_give_the_ridge_estimate() {
        let rows = vec![vec![(0, 1.0), (1, 1.0)], vec![(0, 1.0), (1, 1.0)], vec![(0, 1.0)]];
        let neighbours = fit(2, &rows, 0.5, 1).expect("solvable");
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
        let neighbours = fit(3, &rows, lambda, 1).expect("solvable");
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
}

//! Minimization without derivatives by the simplex method (J. Nelder and R. Mead, "A simplex method for function
//! minimization", The Computer Journal 7, 1965), for a handful of parameters.

/// Coefficients of the method: reflection 1, expansion 2, contraction and shrinkage 1/2, as in the paper.
const REFLECTION: f64 = 1.0;
const EXPANSION: f64 = 2.0;
const CONTRACTION: f64 = 0.5;
const SHRINKAGE: f64 = 0.5;

/// Point with its cost.
type Vertex<const N: usize> = ([f64; N], f64);

/// Minimizes a cost from a start, where each coordinate is first varied by `step`, until the standard deviation of the
/// costs of the simplex is below `tolerance` or after `iterations_max`. Returns the best point with its cost; `None` when
/// costs are no numbers.
pub fn minimize<const N: usize>(
    cost: impl Fn(&[f64; N]) -> f64,
    start: [f64; N],
    step: f64,
    tolerance: f64,
    iterations_max: usize,
) -> Option<Vertex<N>> {
    let varied = |index: usize| {
        let mut point = start;
        point[index] += step;
        point
    };
    let mut simplex: Vec<Vertex<N>> =
        std::iter::once(start).chain((0..N).map(varied)).map(|point| (point, cost(&point))).collect();
    sort(&mut simplex);
    for _ in 0..iterations_max {
        if deviation(&simplex) < tolerance {
            break;
        }
        iterate(&cost, &mut simplex)?;
        sort(&mut simplex);
    }
    let best = simplex[0];
    (best.1.is_finite() && best.0.iter().all(|coordinate| coordinate.is_finite())).then_some(best)
}

/// Replaces the worst vertex, or shrinks the simplex towards the best. The simplex is sorted by cost, the best first.
fn iterate<const N: usize>(cost: &impl Fn(&[f64; N]) -> f64, simplex: &mut [Vertex<N>]) -> Option<()> {
    let (best, second_worst, worst) = (simplex[0], simplex[N - 1], simplex[N]);
    let centroid = centroid(&simplex[..N]);
    let at = |point: [f64; N]| (point, cost(&point));
    let reflected = at(combine(&centroid, &worst.0, -REFLECTION));
    if reflected.1.is_nan() {
        return None;
    }
    let replacement = if reflected.1 < best.1 {
        let expanded = at(combine(&centroid, &reflected.0, EXPANSION));
        Some(if expanded.1 < reflected.1 { expanded } else { reflected })
    } else if reflected.1 < second_worst.1 {
        Some(reflected)
    } else if reflected.1 < worst.1 {
        Some(at(combine(&centroid, &reflected.0, CONTRACTION))).filter(|contracted| contracted.1 <= reflected.1)
    } else {
        Some(at(combine(&centroid, &worst.0, CONTRACTION))).filter(|contracted| contracted.1 < worst.1)
    };
    match replacement {
        Some(vertex) => simplex[N] = vertex,
        None => simplex[1..].iter_mut().for_each(|vertex| *vertex = at(combine(&best.0, &vertex.0, SHRINKAGE))),
    }
    Some(())
}

fn sort<const N: usize>(simplex: &mut [Vertex<N>]) {
    simplex.sort_by(|a, b| a.1.total_cmp(&b.1));
}

/// Standard deviation of the costs.
fn deviation<const N: usize>(simplex: &[Vertex<N>]) -> f64 {
    let count = simplex.len() as f64;
    let mean = simplex.iter().map(|vertex| vertex.1).sum::<f64>() / count;
    (simplex.iter().map(|vertex| (vertex.1 - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt()
}

fn centroid<const N: usize>(simplex: &[Vertex<N>]) -> [f64; N] {
    std::array::from_fn(|index| simplex.iter().map(|vertex| vertex.0[index]).sum::<f64>() / simplex.len() as f64)
}

/// `from + share * (to - from)`.
fn combine<const N: usize>(from: &[f64; N], to: &[f64; N], share: f64) -> [f64; N] {
    std::array::from_fn(|index| from[index] + share * (to[index] - from[index]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A curved valley (H. Rosenbrock, The Computer Journal 3, 1960) with its minimum at (1, 1).
    #[test]
    fn finds_the_minimum_of_a_curved_valley() {
        let valley = |&[x, y]: &[f64; 2]| (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2);
        let (point, cost) = minimize(valley, [-1.2, 1.0], 0.7, 1e-12, 600).expect("finite");
        assert!(point.iter().all(|coordinate| (coordinate - 1.0).abs() < 1e-4), "{point:?}");
        assert!(cost < 1e-8, "{cost}");
    }

    #[test]
    fn finds_the_minimum_in_four_dimensions() {
        let bowl = |point: &[f64; 4]| -> f64 {
            (1..).zip(point).map(|(scale, x)| f64::from(scale) * (x - f64::from(scale)).powi(2)).sum()
        };
        let (point, _) = minimize(bowl, [0.0; 4], 0.7, 1e-12, 600).expect("finite");
        for (expected, coordinate) in (1..).zip(point) {
            assert!((coordinate - f64::from(expected)).abs() < 1e-4, "{point:?}");
        }
    }

    /// Broken by: iterations without a limit, or a NaN taken for the lowest cost.
    #[test]
    fn stops_without_a_minimum() {
        let (_, cost) = minimize(|&[x]: &[f64; 1]| -x, [0.0], 1.0, 1e-7, 50).expect("finite");
        assert!(cost < -1000.0);
        assert_eq!(minimize(|_: &[f64; 1]| f64::NAN, [0.0], 1.0, 1e-7, 50), None);
    }
}

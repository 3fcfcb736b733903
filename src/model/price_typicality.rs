//! Typicality of a price, which stands for the acceptance of a product of which nothing else is known.
//!
//! With one propensity for all of them, the expected value would put the dearest first. But the fewer buyers can afford or want a
//! price, the further it is from what the others cost, in either direction.

use crate::domain::catalog::Catalog;
use crate::domain::product::Product;

/// Typicality of a price relative to a reference: `4x / (1 + x)^2` for the ratio `x`, 1 at the reference and the same for a
/// price of twice and of half as much. 1 for an unknown price.
pub fn typicality(price: Option<f64>, reference: Option<f64>) -> f64 {
    match price.zip(reference).map(|(price, reference)| price / reference) {
        Some(ratio) if ratio.is_finite() && ratio >= 0.0 => 4.0 * ratio / ((1.0 + ratio) * (1.0 + ratio)),
        Some(_) | None => 1.0,
    }
}

/// Typicality of the price of a product relative to the median of the catalogue.
pub fn typicality_in_catalog(product: &Product, catalog: &Catalog) -> f64 {
    let reference = product.price.and_then(|price| catalog.median_price(price.currency()));
    typicality(product.price.map(crate::domain::money::Money::approximate), reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_less_typical_the_further_it_is_from_the_others() {
        let of = |price: f64| typicality(Some(price), Some(20.0));
        assert!((of(20.0) - 1.0).abs() < 1e-12);
        assert!((of(40.0) - of(10.0)).abs() < 1e-12 && of(40.0) < 1.0);
        assert!(of(300.0) < of(60.0) && of(1.0) < of(5.0));
        assert!((0.0..1e-12).contains(&of(0.0)));
        for unknown in [typicality(None, Some(20.0)), typicality(Some(5.0), None), typicality(Some(5.0), Some(0.0))] {
            assert!((unknown - 1.0).abs() < 1e-12);
        }
    }
}

//! Scoring of candidates by expected value: `score = propensity x value x context x lever - attention price`.
//!
//! Values are in units of the catalogue's median item value (its median price times the default margin share), so that the
//! attention price suits shops with low prices too. The blend of seller's value and customer's gain leans to the customer, and the
//! attention price rises, as relationship health falls.

use crate::domain::candidate::Candidate;
use crate::domain::catalog::Catalog;
use crate::domain::money::Money;
use crate::domain::offer::Factors;
use crate::domain::policy::ArbitrationPolicy;
use crate::domain::product::Product;

/// Upper bound of value times context: each side of the blend is at most 2.
pub(crate) const VALUE_MAX: f64 = 2.0;

/// Computes the factors of a candidate's score. `product` is the product under its terms, `health_score` the customer's
/// relationship health (0 to 1), and `times_ignored` how often the customer did not respond to an offer of it.
pub(crate) fn score_factors(
    candidate: &Candidate,
    product: &Product,
    lever: f64,
    catalog: &Catalog,
    health_score: f64,
    times_ignored: usize,
    policy: &ArbitrationPolicy,
) -> Factors {
    let (seller_value, margin_is_assumed) = seller_value(product, catalog, policy);
    let customer_gain = candidate.need * candidate.keep_probability;
    let seller_share = policy.seller_share * health_score;
    Factors {
        propensity: candidate.propensity,
        propensity_basis: candidate.propensity_basis,
        acceptance_lift: candidate.acceptance_lift,
        value: seller_share * seller_value + (1.0 - seller_share) * customer_gain,
        seller_value,
        margin_is_assumed,
        customer_gain,
        need: candidate.need,
        keep_probability: candidate.keep_probability,
        seller_share,
        context: impression_discount(times_ignored, policy),
        lever,
        attention_price: attention_price(health_score, policy),
    }
}

/// Impression discount: a factor on the score that falls exponentially with the number of ignored offers, one of the forms
/// compared by P. Li, L. Lakshmanan, M. Tiwari, S. Shah, "Modeling impression discounting in large-scale recommender
/// systems", KDD 2014.
fn impression_discount(times_ignored: usize, policy: &ArbitrationPolicy) -> f64 {
    policy.ignored_discount.powi(i32::try_from(times_ignored).unwrap_or(i32::MAX))
}

/// Price of the customer's attention; rises as relationship health falls.
pub(crate) fn attention_price(health_score: f64, policy: &ArbitrationPolicy) -> f64 {
    policy.attention_price * (1.0 + policy.attention_price_growth * (1.0 - health_score))
}

/// The margin relative to that of the median item, damped by `2x / (1 + x)`: 1 for the median item, always below 2. Also
/// returns whether the margin is assumed.
fn seller_value(product: &Product, catalog: &Catalog, policy: &ArbitrationPolicy) -> (f64, bool) {
    let is_assumed = product.margin.is_none();
    let Some(price) = product.price else { return (1.0, true) };
    let Some(median_price) = catalog.median_price(price.currency()) else { return (1.0, is_assumed) };
    let margin = product.margin.map_or(price.approximate() * policy.default_margin_share, Money::approximate);
    let relative = (margin / (median_price * policy.default_margin_share)).max(0.0);
    (2.0 * relative / (1.0 + relative), is_assumed)
}

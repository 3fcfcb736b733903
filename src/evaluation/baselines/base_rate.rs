//! Base rate: the same probability for every customer.

/// Returns the share of hits; 0.5 when there are none to count.
pub fn base_rate(hits: impl Iterator<Item = bool>) -> f64 {
    let (count, hits) = hits.fold((0.0, 0.0), |(count, hits), hit| (count + 1.0, hits + f64::from(u8::from(hit))));
    if count > 0.0 { hits / count } else { 0.5 }
}

//! Exponential decay of evidence by age.

/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// Half-lives of held items in a query, in days.
pub const SHORT_HALF_LIFE_DAYS: f64 = 30.0;
/// The longer of the two, in days.
pub const LONG_HALF_LIFE_DAYS: f64 = 90.0;

/// Weight of evidence of some age: halved with every half-life, 1 for the future.
pub fn decay_weight(age_seconds: i64, half_life_days: f64) -> f32 {
    (-(age_seconds.max(0) as f64) / DAY as f64 / half_life_days).exp2() as f32
}

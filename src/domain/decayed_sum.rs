//! Exponentially decayed sums: each entry loses half its weight every half-life.
//!
//! An entry dated before the latest one enters with the weight that it would have by now, so the sum does not depend on the
//! order of arrival (up to rounding). The sums for a small fixed set of half-lives are stored side by side, so that a policy
//! can choose another half-life without reading the history again.

use super::time::Timestamp;

/// Supported half-lives, in days.
pub const HALF_LIVES_DAYS: [f64; 8] = [7.0, 14.0, 21.0, 30.0, 60.0, 90.0, 180.0, 365.0];

/// One of [`HALF_LIVES_DAYS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HalfLife(usize);

impl HalfLife {
    /// The half-life of this many days; `None` when it is not supported.
    pub fn of_days(days: f64) -> Option<Self> {
        HALF_LIVES_DAYS.iter().position(|&supported| supported.total_cmp(&days).is_eq()).map(Self)
    }

    /// Length in days.
    pub fn days(self) -> f64 {
        HALF_LIVES_DAYS[self.0]
    }

    /// Remaining share after this many days: `2^(-days / half-life)`, in 0 to 1 for days of zero and more.
    pub fn decay(self, days: f64) -> f64 {
        (-days / self.days()).exp2()
    }
}

/// A sum of weighted entries under every supported half-life.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DecayedSum {
    /// Time as of which `sums` are decayed; `None` before the first entry.
    pub as_of: Option<Timestamp>,
    /// One sum for each of [`HALF_LIVES_DAYS`].
    pub sums: [f64; HALF_LIVES_DAYS.len()],
}

impl DecayedSum {
    /// Adds an entry dated `at`.
    pub fn add(&mut self, at: Timestamp, weight: f64) {
        let as_of = self.as_of.map_or(at, |as_of| as_of.max(at));
        for index in 0..self.sums.len() {
            let half_life = HalfLife(index);
            let remaining = self.as_of.map_or(0.0, |before| half_life.decay(as_of.days_since(before)));
            self.sums[index] = self.sums[index] * remaining + weight * half_life.decay(as_of.days_since(at));
        }
        self.as_of = Some(as_of);
    }

    /// Adds the entries of another sum.
    pub fn absorb(&mut self, other: &Self) {
        let Some(as_of) = self.as_of.max(other.as_of) else { return };
        for index in 0..self.sums.len() {
            let half_life = HalfLife(index);
            let remaining = |sum: &Self| {
                sum.as_of.map_or(0.0, |before| sum.sums[index] * half_life.decay(as_of.days_since(before)))
            };
            self.sums[index] = remaining(self) + remaining(other);
        }
        self.as_of = Some(as_of);
    }

    /// The sum at `now` under one half-life. Before the latest entry it is the sum at that entry.
    pub fn at(&self, now: Timestamp, half_life: HalfLife) -> f64 {
        match self.as_of {
            None => 0.0,
            Some(as_of) => self.sums[half_life.0] * half_life.decay(now.days_since(as_of)),
        }
    }

    /// Whether there is no entry yet.
    pub fn is_empty(&self) -> bool {
        self.as_of.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::DAY;

    #[test]
    fn an_entry_halves_every_half_life_and_order_does_not_matter() {
        let half_life = HalfLife::of_days(30.0).expect("a supported half-life");
        let start = Timestamp::from_unix_ms(0).expect("in range");
        let later = start + DAY * 30;
        let mut forwards = DecayedSum::default();
        forwards.add(start, 1.0);
        forwards.add(later, 1.0);
        let mut backwards = DecayedSum::default();
        backwards.add(later, 1.0);
        backwards.add(start, 1.0);
        for sum in [&forwards, &backwards] {
            assert!((sum.at(later, half_life) - 1.5).abs() < 1e-12);
            assert!((sum.at(later + DAY * 30, half_life) - 0.75).abs() < 1e-12);
        }
        assert_eq!(HalfLife::of_days(31.0), None);
    }
}

//! Chance, the same in every arm.
//!
//! What happens by chance to a customer in a week is a function of seed, customer, week and what it is about. So the arms of a
//! market share their world, and differ in what was decided alone.

use std::f64::consts::TAU;

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum About {
    /// Traits: need, sensitivity, purchase rate, tenure, tastes.
    Need = 1,
    /// See [`About::Need`].
    Sensitivity,
    /// See [`About::Need`].
    PurchaseRate,
    /// See [`About::Need`].
    Tenure,
    /// See [`About::Need`].
    Taste,
    /// What the company's model thinks of a taste or need.
    Estimate,
    /// Whether something goes wrong.
    Incident,
    /// Whether the customer complains of it.
    IncidentComplaint,
    /// Whether the customer buys.
    Purchase,
    /// Whether the customer complains of being pitched to.
    Complaint,
    /// Whether there is an opportunity to pitch, and for what.
    Opportunity,
    /// See [`About::Opportunity`].
    Question,
    /// Whether an offer is taken.
    Acceptance,
    /// Whether what was taken is kept.
    Keeping,
    /// What a customer who does not take it says.
    Answer,
    /// Whether the customer opts out.
    OptOut,
    /// Whether the customer leaves.
    Churn,
}

/// The chances of one customer.
#[derive(Debug, Clone, Copy)]
pub struct Draws {
    seed: u64,
    customer: u64,
}

impl Draws {
    /// Those of a customer in the market of a seed.
    pub fn of(seed: u64, customer: usize) -> Self {
        Self { seed, customer: customer as u64 }
    }

    /// A number in `(0, 1)`, evenly spread; `place` tells weeks, or several draws about one thing, apart.
    pub fn uniform(&self, about: About, place: usize) -> f64 {
        let mut state = self.seed;
        for part in [self.customer, about as u64, place as u64] {
            state = mix(state ^ mix(part.wrapping_add(0x9e37_79b9_7f4a_7c15)));
        }
        ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// True with this probability.
    pub fn happens(&self, probability: f64, about: About, place: usize) -> bool {
        self.uniform(about, place) < probability
    }

    /// A standard normal number (Box and Muller, Annals of Mathematical Statistics 29, 1958).
    pub fn normal(&self, about: About, place: usize) -> f64 {
        let (first, second) = (self.uniform(about, 2 * place), self.uniform(about, 2 * place + 1));
        (-2.0 * first.ln()).sqrt() * (TAU * second).cos()
    }

    /// A gamma number of this shape and scale 1 (Marsaglia and Tsang, ACM Transactions on Mathematical Software 26, 2000;
    /// shapes below 1 by the power of an even number, section 6).
    pub fn gamma(&self, shape: f64, about: About) -> f64 {
        let boosted = if shape < 1.0 { shape + 1.0 } else { shape };
        let d = boosted - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        for round in 0..64 {
            let normal = self.normal(about, 100 + round);
            let cube = (1.0 + c * normal).powi(3);
            let even = self.uniform(about, 1000 + round);
            if cube > 0.0 && even.ln() < 0.5 * normal * normal + d - d * cube + d * cube.ln() {
                let boost = if shape < 1.0 { self.uniform(about, 2000).powf(1.0 / shape) } else { 1.0 };
                return d * cube * boost;
            }
        }
        // One round in twenty is turned down; sixty-four in a row never are.
        shape
    }
}

/// The finaliser of `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014).
fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(count: usize, draw: impl Fn(Draws) -> f64) -> f64 {
        (0..count).map(|customer| draw(Draws::of(7, customer))).sum::<f64>() / count as f64
    }

    #[test]
    fn draws_have_the_moments_they_should_have() {
        let even = mean(20_000, |draws| draws.uniform(About::Churn, 3));
        assert!((even - 0.5).abs() < 0.01, "{even}");
        let normal = mean(20_000, |draws| draws.normal(About::Taste, 1));
        let square = mean(20_000, |draws| draws.normal(About::Taste, 1).powi(2));
        assert!(normal.abs() < 0.03 && (square - 1.0).abs() < 0.04, "{normal} {square}");
        for shape in [0.39, 2.5] {
            let gamma = mean(20_000, |draws| draws.gamma(shape, About::PurchaseRate));
            let variance = mean(20_000, |draws| (draws.gamma(shape, About::PurchaseRate) - shape).powi(2));
            assert!((gamma / shape - 1.0).abs() < 0.05 && (variance / shape - 1.0).abs() < 0.15, "{gamma} {variance}");
        }
    }

    #[test]
    fn two_things_of_one_week_are_drawn_apart() {
        let same = (0..2000).filter(|&customer| {
            let draws = Draws::of(1, customer);
            draws.happens(0.5, About::Churn, 4) == draws.happens(0.5, About::Purchase, 4)
        });
        let same = same.count();
        assert!((900..1100).contains(&same), "{same}");
    }
}

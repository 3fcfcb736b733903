//! Counter-based random numbers, shared by all arms of a market (common random numbers).
//!
//! A random number is a function of seed, customer, stream and index. All arms therefore see the same chance events, and differ
//! only in what was decided.

use std::f64::consts::TAU;

/// Stream of random numbers for one kind of chance event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum RandomStream {
    /// The customer's need for a bigger plan.
    Need = 1,
    /// The customer's sensitivity to offers.
    Sensitivity,
    /// The customer's purchase rate.
    PurchaseRate,
    /// The customer's tenure at the start.
    Tenure,
    /// The customer's taste for each add-on.
    Taste,
    /// Error of the company's estimate of a taste or need.
    Estimate,
    /// Occurrence of a service incident.
    Incident,
    /// Complaint about an incident.
    IncidentComplaint,
    /// Occurrence of a purchase.
    Purchase,
    Complaint,
    /// Occurrence of an opportunity to make an offer.
    Opportunity,
    /// Kind of offer that an opportunity is for.
    OfferKind,
    /// Acceptance of an offer.
    Acceptance,
    /// Whether the customer keeps an accepted product.
    Keeping,
    /// Response of a customer who does not accept.
    Response,
    /// Opt-out after an offer.
    OptOut,
    /// Churn at the end of a week.
    Churn,
}

/// Random number generator of one customer: stateless, addressed by stream and index.
#[derive(Debug, Clone, Copy)]
pub struct SeededRng {
    seed: u64,
    customer: u64,
}

impl SeededRng {
    /// Creates the generator of a customer in the market of a seed.
    pub fn new(seed: u64, customer: usize) -> Self {
        Self { seed, customer: customer as u64 }
    }

    /// Returns a uniform number in `(0, 1)`; `index` is the week, or counts several draws from one stream.
    pub fn uniform(&self, stream: RandomStream, index: usize) -> f64 {
        let mut state = self.seed;
        for part in [self.customer, stream as u64, index as u64] {
            state = mix(state ^ mix(part.wrapping_add(0x9e37_79b9_7f4a_7c15)));
        }
        ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Returns true with this probability.
    pub fn bernoulli(&self, probability: f64, stream: RandomStream, index: usize) -> bool {
        self.uniform(stream, index) < probability
    }

    /// Returns a standard normal number (Box and Muller, Annals of Mathematical Statistics 29, 1958).
    pub fn normal(&self, stream: RandomStream, index: usize) -> f64 {
        let (first, second) = (self.uniform(stream, 2 * index), self.uniform(stream, 2 * index + 1));
        (-2.0 * first.ln()).sqrt() * (TAU * second).cos()
    }

    /// Returns a gamma number of this shape and scale 1 (Marsaglia and Tsang, ACM Transactions on Mathematical Software 26,
    /// 2000; shapes below 1 by the power of a uniform number, section 6).
    pub fn gamma(&self, shape: f64, stream: RandomStream) -> f64 {
        let boosted = if shape < 1.0 { shape + 1.0 } else { shape };
        let d = boosted - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        for round in 0..64 {
            let normal = self.normal(stream, 100 + round);
            let cube = (1.0 + c * normal).powi(3);
            let uniform = self.uniform(stream, 1000 + round);
            if cube > 0.0 && uniform.ln() < 0.5 * normal * normal + d - d * cube + d * cube.ln() {
                let boost = if shape < 1.0 { self.uniform(stream, 2000).powf(1.0 / shape) } else { 1.0 };
                return d * cube * boost;
            }
        }
        // One round in twenty is rejected; sixty-four in a row never are.
        shape
    }
}

/// Finalizer of `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014).
fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(count: usize, draw: impl Fn(SeededRng) -> f64) -> f64 {
        (0..count).map(|customer| draw(SeededRng::new(7, customer))).sum::<f64>() / count as f64
    }

    #[test]
    fn numbers_have_the_moments_of_their_distributions() {
        let uniform = mean(20_000, |rng| rng.uniform(RandomStream::Churn, 3));
        assert!((uniform - 0.5).abs() < 0.01, "{uniform}");
        let normal = mean(20_000, |rng| rng.normal(RandomStream::Taste, 1));
        let square = mean(20_000, |rng| rng.normal(RandomStream::Taste, 1).powi(2));
        assert!(normal.abs() < 0.03 && (square - 1.0).abs() < 0.04, "{normal} {square}");
        for shape in [0.39, 2.5] {
            let gamma = mean(20_000, |rng| rng.gamma(shape, RandomStream::PurchaseRate));
            let variance = mean(20_000, |rng| (rng.gamma(shape, RandomStream::PurchaseRate) - shape).powi(2));
            assert!((gamma / shape - 1.0).abs() < 0.05 && (variance / shape - 1.0).abs() < 0.15, "{gamma} {variance}");
        }
    }

    #[test]
    fn streams_of_one_week_are_independent() {
        let same = (0..2000).filter(|&customer| {
            let rng = SeededRng::new(1, customer);
            rng.bernoulli(0.5, RandomStream::Churn, 4) == rng.bernoulli(0.5, RandomStream::Purchase, 4)
        });
        let same = same.count();
        assert!((900..1100).contains(&same), "{same}");
    }
}

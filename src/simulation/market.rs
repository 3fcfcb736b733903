//! Whole markets: every arm on the same customers, seed by seed; the experiment that the assumptions are calibrated by; and
//! the sweep that shows where health caps lose.

use rayon::prelude::*;

use super::arms::Pitching;
use super::life::{Life, Outcomes, World};
use super::parameters::Parameters;
use super::shop::Shop;
use super::summary::Mean;
use crate::decision::explicit_offer_index::ExplicitOfferIndex;

/// What is measured of an arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Margin per customer.
    Revenue,
    /// The share that left.
    Churn,
    /// Complaints per 100 customers.
    Complaints,
    /// Opt-outs per 100 customers.
    OptOuts,
    /// Offers shown per customer.
    Offers,
    /// Offers taken per customer.
    Accepted,
    /// Discounted margin per customer, and what those who stayed are still worth.
    LifetimeValue,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Revenue,
        Self::Churn,
        Self::Complaints,
        Self::OptOuts,
        Self::Offers,
        Self::Accepted,
        Self::LifetimeValue,
    ];

    /// The measure's name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revenue => "revenue",
            Self::Churn => "churn",
            Self::Complaints => "complaints",
            Self::OptOuts => "opt_outs",
            Self::Offers => "offers",
            Self::Accepted => "accepted",
            Self::LifetimeValue => "lifetime_value",
        }
    }

    fn of(self, outcomes: &Outcomes) -> f64 {
        match self {
            Self::Revenue => outcomes.margin,
            Self::Churn => outcomes.churned,
            Self::Complaints => outcomes.complaints * 100.0,
            Self::OptOuts => outcomes.opted_out * 100.0,
            Self::Offers => outcomes.offers,
            Self::Accepted => outcomes.accepted,
            Self::LifetimeValue => outcomes.lifetime_value,
        }
    }
}

/// Each measure, in the order of [`Measure::ALL`], as a mean over the customers of one market.
type Means = [f64; Measure::ALL.len()];

/// The arms on the same markets.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Each arm in the order of [`Pitching::ALL`], each measure in the order of [`Measure::ALL`].
    pub arms: Vec<Vec<Mean>>,
    /// Health caps less each other arm, market by market, in the order of [`Pitching::OTHERS`].
    pub gains: Vec<Vec<Mean>>,
}

impl Comparison {
    /// Health caps less another arm, in lifetime value; `None` for health caps themselves.
    pub fn gain_over(&self, other: Pitching) -> Option<Mean> {
        let measure = Measure::ALL.iter().position(|&it| it == Measure::LifetimeValue)?;
        let other = Pitching::OTHERS.iter().position(|&it| it == other)?;
        Some(self.gains[other][measure])
    }
}

/// Runs every arm on the markets of all seeds, on all cores. `done` is called after each market of an arm.
pub fn compare(parameters: &Parameters, done: impl Fn() + Sync) -> Comparison {
    let shop = Shop::open(parameters.plan_margins, parameters.add_on_margin);
    let policies = Pitching::ALL.map(Pitching::policy);
    let offers = ExplicitOfferIndex::default();
    let runs: Vec<(usize, usize)> =
        (0..parameters.seeds).flat_map(|seed| (0..policies.len()).map(move |arm| (seed, arm))).collect();
    let means: Vec<Means> = runs
        .into_par_iter()
        .map(|(seed, arm)| {
            let world = World { parameters, shop: &shop, policy: &policies[arm], offers: &offers };
            let means = market(&world, seed as u64);
            done();
            means
        })
        .collect();
    let by_seed: Vec<&[Means]> = means.chunks(policies.len()).collect();
    let mean = |measure: usize, of: &dyn Fn(&[Means], usize) -> f64| {
        Mean::of(&by_seed.iter().map(|arms| of(arms, measure)).collect::<Vec<_>>())
    };
    let all = |of: &dyn Fn(&[Means], usize) -> f64| (0..Measure::ALL.len()).map(|measure| mean(measure, of)).collect();
    let health = policies.len() - 1;
    Comparison {
        arms: (0..policies.len()).map(|arm| all(&|arms, measure| arms[arm][measure])).collect(),
        gains: (0..health).map(|arm| all(&|arms, measure| arms[health][measure] - arms[arm][measure])).collect(),
    }
}

fn market(world: &World<'_>, seed: u64) -> Means {
    let mut sums: Means = [0.0; Measure::ALL.len()];
    for number in 0..world.parameters.customers {
        let outcomes = Life::begin(world, seed, number).live();
        for (sum, measure) in sums.iter_mut().zip(Measure::ALL) {
            *sum += measure.of(&outcomes);
        }
    }
    sums.map(|sum| sum / world.parameters.customers as f64)
}

/// The field experiment that the assumptions are calibrated by, with so many customers who would benefit from a bigger plan:
/// the share that leaves within three months without a recommendation of it, and with one.
pub fn recommendation_experiment(parameters: &Parameters, seed: u64, customers: usize) -> [f64; 2] {
    const WEEKS: usize = 13;
    let shop = Shop::open(parameters.plan_margins, parameters.add_on_margin);
    let (policy, offers) = (Pitching::NoCap.policy(), ExplicitOfferIndex::default());
    let world = World { parameters, shop: &shop, policy: &policy, offers: &offers };
    // Half of everybody would.
    let chosen: Vec<usize> = (0..customers * 4)
        .filter(|&number| Life::begin(&world, seed, number).would_benefit())
        .take(customers)
        .collect();
    [false, true].map(|is_recommended| {
        let left = chosen
            .par_iter()
            .filter(|&&number| Life::begin(&world, seed, number).live_with_one_recommendation(WEEKS, is_recommended));
        left.count() as f64 / chosen.len().max(1) as f64
    })
}

/// How strongly pitches drive customers away, from not at all to twice what the field experiment says.
pub const EFFECTS: [f64; 6] = [0.0, 0.125, 0.25, 0.5, 1.0, 2.0];
/// How much of it health can see: the shares of all that links irritation to what customers say and do before they leave.
pub const VISIBILITIES: [f64; 3] = [0.0, 0.5, 1.0];

/// One cell of the sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Times the effect of the parameters.
    pub effect: f64,
    /// Times what health can see.
    pub visibility: f64,
    /// The arms there.
    pub comparison: Comparison,
}

/// Compares the arms over effects and visibilities. `done` is called after each market of an arm.
pub fn sweep(parameters: &Parameters, done: impl Fn() + Sync) -> Vec<Cell> {
    let cells = VISIBILITIES.into_iter().flat_map(|visibility| EFFECTS.map(|effect| (effect, visibility)));
    let cell = |(effect, visibility): (f64, f64)| {
        let changed = Parameters {
            irritation_effect: parameters.irritation_effect * effect,
            friction_amplifies: parameters.friction_amplifies * visibility,
            rejection_per_irritation: parameters.rejection_per_irritation * visibility,
            complaint_rate: parameters.complaint_rate * visibility,
            ..parameters.clone()
        };
        Cell { effect, visibility, comparison: compare(&changed, &done) }
    };
    cells.map(cell).collect()
}

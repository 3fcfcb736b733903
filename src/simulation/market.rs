//! Whole markets: every arm on the same customers, seed by seed; the experiment to which the parameters are calibrated; and
//! the sweep that shows where health caps lose.

use rayon::prelude::*;

use super::mean_estimate::MeanEstimate;
use super::parameters::Parameters;
use super::policy_arm::PolicyArm;
use super::simulated_customer::{CustomerTotals, MarketContext, SimulatedCustomer};
use super::simulated_shop::SimulatedShop;
use crate::decision::explicit_offer_index::ExplicitOfferIndex;

/// Metric of an arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarketMetric {
    /// Undiscounted margin per customer.
    Revenue,
    /// Share of customers who left.
    Churn,
    /// Complaints per 100 customers.
    Complaints,
    /// Opt-outs per 100 customers.
    OptOuts,
    /// Offers shown per customer.
    Offers,
    /// Offers accepted per customer.
    Accepted,
    /// Discounted margin per customer, with the residual value of the customers who stayed.
    LifetimeValue,
}

impl MarketMetric {
    /// All metrics, in the order of the reports.
    pub const ALL: [Self; 7] = [
        Self::Revenue,
        Self::Churn,
        Self::Complaints,
        Self::OptOuts,
        Self::Offers,
        Self::Accepted,
        Self::LifetimeValue,
    ];

    /// Name of the metric in reports.
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

    fn of(self, outcomes: &CustomerTotals) -> f64 {
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

/// Metrics of one market in the order of [`MarketMetric::ALL`], each a mean over its customers.
type Means = [f64; MarketMetric::ALL.len()];

/// Result of all arms on the same markets.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmComparison {
    /// Metrics of each arm: arms in the order of [`PolicyArm::ALL`], metrics in the order of [`MarketMetric::ALL`].
    pub arms: Vec<Vec<MeanEstimate>>,
    /// Paired differences between the health caps and each baseline, in the order of [`PolicyArm::BASELINES`].
    pub differences: Vec<Vec<MeanEstimate>>,
}

impl ArmComparison {
    /// Difference in lifetime value between the health caps and a baseline; `None` for the health caps themselves.
    pub fn lifetime_value_gain(&self, other: PolicyArm) -> Option<MeanEstimate> {
        let metric = MarketMetric::ALL.iter().position(|&it| it == MarketMetric::LifetimeValue)?;
        let other = PolicyArm::BASELINES.iter().position(|&it| it == other)?;
        Some(self.differences[other][metric])
    }
}

/// Runs every arm on the markets of all seeds, on all cores, and calls `done` after each market of an arm.
pub fn compare_arms(parameters: &Parameters, done: impl Fn() + Sync) -> ArmComparison {
    let shop = SimulatedShop::new(parameters.plan_margins, parameters.add_on_margin);
    let policies = PolicyArm::ALL.map(PolicyArm::policy);
    let offers = ExplicitOfferIndex::default();
    let runs: Vec<(usize, usize)> =
        (0..parameters.seeds).flat_map(|seed| (0..policies.len()).map(move |arm| (seed, arm))).collect();
    let means: Vec<Means> = runs
        .into_par_iter()
        .map(|(seed, arm)| {
            let context = MarketContext { parameters, shop: &shop, policy: &policies[arm], offers: &offers };
            let means = market(&context, seed as u64);
            done();
            means
        })
        .collect();
    let by_seed: Vec<&[Means]> = means.chunks(policies.len()).collect();
    let mean = |metric: usize, of: &dyn Fn(&[Means], usize) -> f64| {
        MeanEstimate::of(&by_seed.iter().map(|arms| of(arms, metric)).collect::<Vec<_>>())
    };
    let all =
        |of: &dyn Fn(&[Means], usize) -> f64| (0..MarketMetric::ALL.len()).map(|metric| mean(metric, of)).collect();
    let health = policies.len() - 1;
    ArmComparison {
        arms: (0..policies.len()).map(|arm| all(&|arms, metric| arms[arm][metric])).collect(),
        differences: (0..health).map(|arm| all(&|arms, metric| arms[health][metric] - arms[arm][metric])).collect(),
    }
}

fn market(context: &MarketContext<'_>, seed: u64) -> Means {
    let mut sums: Means = [0.0; MarketMetric::ALL.len()];
    for number in 0..context.parameters.customers {
        let outcomes = SimulatedCustomer::new(context, seed, number).simulate();
        for (sum, metric) in sums.iter_mut().zip(MarketMetric::ALL) {
            *sum += metric.of(&outcomes);
        }
    }
    sums.map(|sum| sum / context.parameters.customers as f64)
}

/// Repeats the field experiment to which the parameters are calibrated, with customers who would benefit from a bigger plan:
/// returns the share that leaves within three months without a recommendation, and with one.
pub fn recommendation_experiment(parameters: &Parameters, seed: u64, customers: usize) -> [f64; 2] {
    const WEEKS: usize = 13;
    let shop = SimulatedShop::new(parameters.plan_margins, parameters.add_on_margin);
    let (policy, offers) = (PolicyArm::NoCap.policy(), ExplicitOfferIndex::default());
    let context = MarketContext { parameters, shop: &shop, policy: &policy, offers: &offers };
    // Half of all customers would benefit.
    let chosen: Vec<usize> = (0..customers * 4)
        .filter(|&number| SimulatedCustomer::new(&context, seed, number).would_benefit())
        .take(customers)
        .collect();
    [false, true].map(|is_recommended| {
        let left = chosen
            .par_iter()
            .filter(|&&number| SimulatedCustomer::new(&context, seed, number).leaves_within(WEEKS, is_recommended));
        left.count() as f64 / chosen.len().max(1) as f64
    })
}

/// Multiples of the effect of offers on churn, from none to twice that of the field experiment.
pub const EFFECTS: [f64; 6] = [0.0, 0.125, 0.25, 0.5, 1.0, 2.0];
/// Shares of the irritation that health can observe: they scale all that links irritation to what customers say and do before
/// they leave.
pub const VISIBILITIES: [f64; 3] = [0.0, 0.5, 1.0];

/// One point of the sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepPoint {
    /// Multiple of the effect of offers on churn.
    pub effect: f64,
    /// Share of the irritation that health can observe.
    pub visibility: f64,
    /// Comparison of the arms at this point.
    pub comparison: ArmComparison,
}

/// Compares the arms over all effects and visibilities, and calls `done` after each market of an arm.
pub fn sweep(parameters: &Parameters, done: impl Fn() + Sync) -> Vec<SweepPoint> {
    let cells = VISIBILITIES.into_iter().flat_map(|visibility| EFFECTS.map(|effect| (effect, visibility)));
    let cell = |(effect, visibility): (f64, f64)| {
        let changed = Parameters {
            irritation_effect: parameters.irritation_effect * effect,
            friction_amplifies: parameters.friction_amplifies * visibility,
            rejection_per_irritation: parameters.rejection_per_irritation * visibility,
            complaint_rate: parameters.complaint_rate * visibility,
            ..parameters.clone()
        };
        SweepPoint { effect, visibility, comparison: compare_arms(&changed, &done) }
    };
    cells.map(cell).collect()
}

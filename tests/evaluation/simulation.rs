//! The simulated market: its calibration, and that every arm can win.

#![allow(clippy::cast_precision_loss, reason = "small counts")]

use tactful::decision::explicit_offer_index::ExplicitOfferIndex;
use tactful::simulation::market::{ArmComparison, MarketMetric, compare_arms, recommendation_experiment};
use tactful::simulation::parameters::Parameters;
use tactful::simulation::policy_arm::PolicyArm;
use tactful::simulation::simulated_customer::{MarketContext, SimulatedCustomer};
use tactful::simulation::simulated_shop::SimulatedShop;

fn small(scenario: &str) -> Parameters {
    Parameters { customers: 60, seeds: 6, ..Parameters::read(None, scenario).expect("reads") }
}

fn mean(comparison: &ArmComparison, arm: PolicyArm, metric: MarketMetric) -> f64 {
    let arm = PolicyArm::ALL.iter().position(|&it| it == arm).expect("one of them");
    let metric = MarketMetric::ALL.iter().position(|&it| it == metric).expect("one of them");
    comparison.arms[arm][metric].value
}

/// 6.4 % without and 10.0 % with the recommendation (Ascarza, Iyengar and Schleicher 2016). The standard error of each share is
/// .0017 here.
#[test]
fn one_recommendation_raises_churn_as_the_field_experiment_found() {
    for scenario in ["default", "health_blind"] {
        let parameters = Parameters::read(None, scenario).expect("reads");
        let [without, with] = recommendation_experiment(&parameters, 1, 30_000);
        assert!((without - 0.064).abs() < 0.004, "{scenario}: {without}");
        assert!((with - 0.100).abs() < 0.005, "{scenario}: {with}");
    }
}

#[test]
fn the_same_seed_gives_the_same_market() {
    let parameters = Parameters { customers: 10, seeds: 2, ..small("default") };
    assert_eq!(compare_arms(&parameters, || {}), compare_arms(&parameters, || {}));
}

/// Broken by: random numbers drawn in sequence instead of by stream and week.
#[test]
fn without_effects_of_offers_churn_and_complaints_are_the_same_in_every_arm() {
    let parameters = Parameters {
        irritation_effect: 0.0,
        kept_effect: 1.0,
        complaint_rate: 0.0,
        opt_out_rate: 0.0,
        ..small("default")
    };
    let comparison = compare_arms(&parameters, || {});
    for metric in [MarketMetric::Churn, MarketMetric::Complaints] {
        let means = PolicyArm::ALL.map(|arm| mean(&comparison, arm, metric).to_bits());
        assert_eq!(means, [means[0]; 4], "{metric:?}");
    }
    let offers = PolicyArm::ALL.map(|arm| mean(&comparison, arm, MarketMetric::Offers));
    assert!(offers[1..].iter().all(|&capped| 0.0 < capped && capped < offers[0]), "{offers:?}");
}

/// It must be possible for health caps to lose.
#[test]
fn health_caps_lose_where_offers_hardly_hurt() {
    let comparison = compare_arms(&small("insensitive"), || {});
    let gain = comparison.lifetime_value_gain(PolicyArm::NoCap).expect("another arm");
    assert!(gain.is_below_zero(), "{gain:?}");
}

/// The arms differ in their policies alone: no customer gets more offers than the policy allows.
#[test]
fn no_arm_makes_more_offers_than_its_policy_allows() {
    let parameters = Parameters { opportunity_rate: 1.0, irritation_effect: 0.0, ..small("default") };
    let shop = SimulatedShop::new(parameters.plan_margins, parameters.add_on_margin);
    let offers = ExplicitOfferIndex::default();
    for arm in PolicyArm::ALL {
        let policy = arm.policy();
        let context = MarketContext { parameters: &parameters, shop: &shop, policy: &policy, offers: &offers };
        for number in 0..30 {
            let shown = SimulatedCustomer::new(&context, 3, number).simulate().offers;
            let most = match arm {
                PolicyArm::NoCap => parameters.weeks as f64 * 3.0,
                PolicyArm::WeeklyCap | PolicyArm::SteadyCap => parameters.weeks as f64,
                // 8 in 28 days at best.
                PolicyArm::HealthCaps => parameters.weeks as f64 / 4.0 * 8.0,
            };
            assert!(shown <= most, "{arm:?}: {shown}");
        }
    }
}

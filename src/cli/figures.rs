//! Figures of `tactful evaluate --plot` and `tactful simulate market --plot`.

#![allow(clippy::cast_precision_loss, reason = "positions and counts of arms and metrics are small")]

use super::chart::{Axis, Chart, Mark, Panel, Point, Series};
use crate::evaluation::score_deciles::Decile;
use crate::simulation::market::{ArmComparison, MarketMetric, SweepPoint};
use crate::simulation::mean_estimate::MeanEstimate;
use crate::simulation::policy_arm::PolicyArm;

const COLOURS: [&str; 4] = ["#c8503c", "#787878", "#d29628", "#1e6eb4"];

/// Draws the share of customers that returned, with its interval, over the mean score of each decile.
pub(super) fn draw_deciles(title: &str, deciles: &[Decile]) -> String {
    let highest = deciles.iter().map(|decile| decile.interval[1]).fold(0.1, f64::max);
    let point = |decile: &Decile| Point { x: decile.mean_score, y: decile.share, interval: Some(decile.interval) };
    let series = Series {
        label: None,
        colour: COLOURS[3],
        points: deciles.iter().map(point).collect(),
        mark: Mark::DotsAndLine,
    };
    let panel = Panel {
        caption: None,
        x: Axis::numeric("relationship health (mean of the decile)", [0.0, 1.0]),
        y: Axis::numeric("share of customers that returned", [0.0, (highest * 1.1).min(1.0)]),
        series: vec![series],
    };
    Chart { size: (720, 440), title: title.to_owned(), panels: vec![panel] }.to_svg()
}

/// Draws every metric of every arm, relative to its value without a cap.
pub(super) fn draw_comparison(title: &str, comparison: &ArmComparison) -> String {
    let no_cap: Vec<f64> = comparison.arms[0].iter().map(|mean| mean.value.abs().max(1e-9)).collect();
    let bounds =
        comparison.arms.iter().flat_map(|arm| arm.iter().zip(&no_cap).map(|(mean, base)| mean.interval[1] / base));
    let highest = bounds.filter(|bound| bound.is_finite()).fold(1.2, f64::max).min(3.0);
    let positions = || (0..MarketMetric::ALL.len()).map(|index| index as f64);
    let series = |(place, (arm, means)): (usize, (PolicyArm, &Vec<MeanEstimate>))| {
        let offset = (place as f64 - 1.5) * 0.18;
        let point = |((mean, base), x): ((&MeanEstimate, &f64), f64)| Point {
            x: x + offset,
            y: mean.value / base,
            interval: Some(mean.interval.map(|bound| bound / base)),
        };
        Series {
            label: Some(arm.as_str().replace('_', " ")),
            colour: COLOURS[place],
            points: means.iter().zip(&no_cap).zip(positions()).map(point).collect(),
            mark: Mark::Dots,
        }
    };
    let names = MarketMetric::ALL.map(|metric| metric.as_str().replace('_', " "));
    let panel = Panel {
        caption: None,
        x: Axis {
            label: String::new(),
            range: [-0.5, MarketMetric::ALL.len() as f64 - 0.5],
            ticks: positions().zip(names).collect(),
        },
        y: Axis::numeric("relative to no cap", [0.0, highest * 1.05]),
        series: PolicyArm::ALL.into_iter().zip(&comparison.arms).enumerate().map(series).collect(),
    };
    Chart { size: (980, 480), title: title.to_owned(), panels: vec![panel] }.to_svg()
}

/// Draws the difference in lifetime value between the health caps and each baseline over the effect of an offer on churn; below
/// zero the health caps lose.
pub(super) fn draw_sweep(title: &str, sweep: &[SweepPoint]) -> String {
    let panel = |other: PolicyArm| {
        let gains: Vec<(&SweepPoint, MeanEstimate)> =
            sweep.iter().filter_map(|point| Some((point, point.comparison.lifetime_value_gain(other)?))).collect();
        let bounds = || gains.iter().flat_map(|(_, gain)| gain.interval).filter(|bound| bound.is_finite());
        let (low, high) = (bounds().fold(0.0, f64::min), bounds().fold(0.0, f64::max));
        let room = (high - low).max(1.0) * 0.05;
        let mut visibilities: Vec<f64> = sweep.iter().map(|point| point.visibility).collect();
        visibilities.dedup();
        let series = |(place, visibility): (usize, f64)| {
            let of_series = gains.iter().filter(|(point, _)| point.visibility.total_cmp(&visibility).is_eq());
            let point = |(point, gain): &(&SweepPoint, MeanEstimate)| Point {
                x: point.effect + (place as f64 - 1.0) * 0.015,
                y: gain.value,
                interval: Some(gain.interval),
            };
            Series {
                label: Some(format!("health detects {:.0} %", visibility * 100.0)),
                colour: COLOURS[place % COLOURS.len()],
                points: of_series.map(point).collect(),
                mark: Mark::Line,
            }
        };
        Panel {
            caption: Some(format!("against {}", other.as_str().replace('_', " "))),
            x: Axis::numeric("effect of an offer on churn (1: field experiment)", [-0.1, 2.1]),
            y: Axis::numeric("gain of health caps in lifetime value", [low - room, high + room]),
            series: visibilities.into_iter().enumerate().map(series).collect(),
        }
    };
    Chart { size: (980, 480), title: title.to_owned(), panels: PolicyArm::BASELINES.map(panel).into() }.to_svg()
}

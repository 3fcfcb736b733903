//! Figures as SVG.

use std::path::Path;

use plotters::prelude::*;

use super::arms::Pitching;
use super::market::{Cell, Comparison, Measure};
use super::summary::Mean;

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
#[error("the figure cannot be drawn: {0}")]
pub struct PlotError(String);

const SIZE: (u32, u32) = (980, 480);
const COLOURS: [RGBColor; 4] =
    [RGBColor(200, 80, 60), RGBColor(120, 120, 120), RGBColor(210, 150, 40), RGBColor(30, 110, 180)];

/// Draws every measure of every arm, as a share of what it is without a cap.
///
/// # Errors
/// When the file cannot be written.
pub fn draw_comparison(file: &Path, title: &str, comparison: &Comparison) -> Result<(), PlotError> {
    comparison_chart(file, title, comparison).map_err(|error| PlotError(error.to_string()))
}

/// Draws what health caps gain over the other arms in lifetime value, over the effect of a pitch; below zero they lose.
///
/// # Errors
/// When the file cannot be written.
pub fn draw_sweep(file: &Path, title: &str, cells: &[Cell]) -> Result<(), PlotError> {
    sweep_chart(file, title, cells).map_err(|error| PlotError(error.to_string()))
}

fn comparison_chart(file: &Path, title: &str, comparison: &Comparison) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let no_cap: Vec<f64> = comparison.arms[0].iter().map(|mean| mean.value.abs().max(1e-9)).collect();
    let share = |mean: &Mean, measure: usize| {
        let base = no_cap[measure];
        (mean.value / base, mean.interval.map(|bound| bound / base))
    };
    let all =
        comparison.arms.iter().flat_map(|arm| arm.iter().enumerate().map(|(measure, mean)| share(mean, measure).1[1]));
    let highest = all.fold(1.2, f64::max).min(3.0);
    let measures = Measure::ALL.len() as f64;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(52)
        .build_cartesian_2d(-0.5..measures - 0.5, 0.0..highest * 1.05)?;
    let name = |place: &f64| {
        let number = place.round();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 6")]
        let measure = Measure::ALL.get(number.max(0.0) as usize).filter(|_| (place - number).abs() < 1e-6);
        measure.map_or_else(String::new, |measure| measure.as_str().replace('_', " "))
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(Measure::ALL.len() * 2)
        .x_label_formatter(&name)
        .y_desc("as a share of no cap")
        .light_line_style(WHITE)
        .draw()?;
    for (place, (arm, means)) in Pitching::ALL.into_iter().zip(&comparison.arms).enumerate() {
        let colour = COLOURS[place];
        let at = |measure: usize| measure as f64 + (place as f64 - 1.5) * 0.18;
        let points = means.iter().enumerate().map(|(measure, mean)| (at(measure), share(mean, measure)));
        let points: Vec<(f64, (f64, [f64; 2]))> = points.collect();
        chart
            .draw_series(points.iter().map(|(x, (y, _))| Circle::new((*x, *y), 4, colour.filled())))?
            .label(arm.as_str().replace('_', " "))
            .legend(move |(x, y)| Circle::new((x + 8, y), 4, colour.filled()));
        chart.draw_series(
            points.iter().map(|(x, (_, [low, high]))| PathElement::new(vec![(*x, *low), (*x, *high)], colour)),
        )?;
    }
    chart.configure_series_labels().border_style(BLACK).background_style(WHITE).draw()?;
    area.present()?;
    Ok(())
}

fn sweep_chart(file: &Path, title: &str, cells: &[Cell]) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let panels = area.titled(title, ("sans-serif", 18))?.split_evenly((1, Pitching::OTHERS.len()));
    for (panel, other) in panels.iter().zip(Pitching::OTHERS) {
        let gains: Vec<(&Cell, Mean)> =
            cells.iter().filter_map(|cell| Some((cell, cell.comparison.gain_over(other)?))).collect();
        let bounds =
            |pick: usize, fold: fn(f64, f64) -> f64| gains.iter().map(|(_, gain)| gain.interval[pick]).fold(0.0, fold);
        let (low, high) = (bounds(0, f64::min), bounds(1, f64::max));
        let room = (high - low).max(1.0) * 0.05;
        let mut chart = ChartBuilder::on(panel)
            .caption(format!("against {}", other.as_str().replace('_', " ")), ("sans-serif", 14))
            .margin(10)
            .x_label_area_size(38)
            .y_label_area_size(56)
            .build_cartesian_2d(-0.1..2.1_f64, low - room..high + room)?;
        chart
            .configure_mesh()
            .x_desc("effect of a pitch (1: field experiment)")
            .y_desc("gain of health caps in lifetime value")
            .light_line_style(WHITE)
            .draw()?;
        chart.draw_series(LineSeries::new([(-0.1, 0.0), (2.1, 0.0)], BLACK))?;
        let mut visibilities: Vec<f64> = cells.iter().map(|cell| cell.visibility).collect();
        visibilities.dedup();
        for (place, visibility) in visibilities.into_iter().enumerate() {
            let colour = COLOURS[place % COLOURS.len()];
            let of_line = || gains.iter().filter(move |(cell, _)| cell.visibility.total_cmp(&visibility).is_eq());
            let at = |cell: &Cell| cell.effect + (place as f64 - 1.0) * 0.015;
            chart
                .draw_series(LineSeries::new(of_line().map(|(cell, gain)| (at(cell), gain.value)), colour))?
                .label(format!("health sees {:.0} %", visibility * 100.0))
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], colour));
            chart.draw_series(of_line().map(|(cell, gain)| {
                let [low, high] = gain.interval;
                PathElement::new(vec![(at(cell), low), (at(cell), high)], colour)
            }))?;
        }
        chart.configure_series_labels().border_style(BLACK).background_style(WHITE).draw()?;
    }
    area.present()?;
    Ok(())
}

//! Figures as SVG.

use std::path::Path;

use plotters::prelude::*;

use super::deciles::Decile;

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PlotError(String);

const SIZE: (u32, u32) = (720, 440);

/// Draws the share that came back, with its interval, over the mean score of each group.
///
/// # Errors
/// When the file cannot be written.
pub fn draw_deciles(file: &Path, title: &str, deciles: &[Decile]) -> Result<(), PlotError> {
    draw(file, title, deciles).map_err(|error| PlotError(format!("{} cannot be drawn: {error}", file.display())))
}

fn draw(file: &Path, title: &str, deciles: &[Decile]) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let highest = deciles.iter().map(|decile| decile.interval[1]).fold(0.1, f64::max);
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..1.0, 0.0..(highest * 1.1).min(1.0))?;
    chart
        .configure_mesh()
        .x_desc("relationship health (mean of the group)")
        .y_desc("share that came back")
        .light_line_style(WHITE)
        .draw()?;
    let points = || deciles.iter().map(|decile| (decile.mean_score, decile.share));
    chart.draw_series(LineSeries::new(points(), &BLUE))?;
    chart.draw_series(points().map(|point| Circle::new(point, 3, BLUE.filled())))?;
    chart.draw_series(deciles.iter().map(|decile| {
        let [low, high] = decile.interval;
        PathElement::new(vec![(decile.mean_score, low), (decile.mean_score, high)], BLUE)
    }))?;
    area.present()?;
    Ok(())
}

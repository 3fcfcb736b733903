//! Small charts as SVG: panels side by side with points, lines and error bars.
//!
//! Only what `--plot` of `tactful evaluate` and `tactful simulate` draws: no other marks, no dates, no logarithmic axes. A plotting
//! crate would be built into every server for three figures.

use std::fmt::Write;

/// Ticks of an axis, at most about this many.
const TICKS: f64 = 6.0;
const MARGIN: f64 = 12.0;
const TITLE_HEIGHT: f64 = 28.0;
const X_LABELS_HEIGHT: f64 = 42.0;
const Y_LABELS_WIDTH: f64 = 58.0;

/// Figure of one or more panels.
pub(super) struct Chart {
    /// Width and height in pixels.
    pub size: (u32, u32),
    pub title: String,
    /// From left to right.
    pub panels: Vec<Panel>,
}

/// Coordinate system with its series.
pub(super) struct Panel {
    pub caption: Option<String>,
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
}

/// Range of an axis with its labels.
pub(super) struct Axis {
    pub label: String,
    pub range: [f64; 2],
    /// Positions and texts of the ticks.
    pub ticks: Vec<(f64, String)>,
}

/// Points of one colour.
pub(super) struct Series {
    /// Name in the legend; absent from it without one.
    pub label: Option<String>,
    pub colour: &'static str,
    pub points: Vec<Point>,
    pub mark: Mark,
}

/// Mark of the points of a series.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Dots,
    Line,
    DotsAndLine,
}

/// Point with an optional error bar.
pub(super) struct Point {
    pub x: f64,
    pub y: f64,
    /// Lower and upper end of the error bar.
    pub interval: Option<[f64; 2]>,
}

impl Axis {
    /// Makes an axis with ticks at multiples of 1, 2 or 5 times a power of ten.
    pub fn numeric(label: &str, range: [f64; 2]) -> Self {
        let [low, high] = range;
        let magnitude = 10_f64.powf(((high - low) / TICKS).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude);
        let step = step.into_iter().find(|step| (high - low) / step <= TICKS).unwrap_or(magnitude * 10.0);
        let decimals = if step >= 1.0 { 0 } else { 1 + usize::from(step < 0.1) + usize::from(step < 0.01) };
        let first = (low / step).ceil();
        let ticks = (0..12_u32).map(|number| (first + f64::from(number)) * step).take_while(|&tick| tick <= high);
        // Adding 0 turns -0.0 into 0.0.
        let ticks = ticks.map(|tick| (tick, format!("{:.decimals$}", tick + 0.0))).collect();
        Self { label: label.to_owned(), range, ticks }
    }

    /// Position within the range, 0 to 1; values beyond it are drawn at its ends.
    fn share(&self, value: f64) -> f64 {
        let [low, high] = self.range;
        ((value - low) / (high - low)).clamp(0.0, 1.0)
    }
}

impl Chart {
    /// Writes the figure as an SVG document.
    pub fn to_svg(&self) -> String {
        let (width, height) = (f64::from(self.size.0), f64::from(self.size.1));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
        );
        text(&mut svg, [width / 2.0, 20.0], "middle", 18, &self.title);
        let panel_width = width / self.panels.iter().map(|_| 1.0).sum::<f64>().max(1.0);
        let mut left = 0.0;
        for panel in &self.panels {
            panel.draw(&mut svg, [left, TITLE_HEIGHT], [left + panel_width, height]);
            left += panel_width;
        }
        svg.push_str("</svg>\n");
        svg
    }
}

impl Panel {
    /// Draws the panel between its upper left and lower right corner.
    fn draw(&self, svg: &mut String, [left, top]: [f64; 2], [right, bottom]: [f64; 2]) {
        let (x0, x1) = (left + Y_LABELS_WIDTH, right - MARGIN);
        let (y0, y1) = (bottom - X_LABELS_HEIGHT, top + if self.caption.is_some() { 28.0 } else { MARGIN });
        let x = |value: f64| x0 + (x1 - x0) * self.x.share(value);
        let y = |value: f64| y0 + (y1 - y0) * self.y.share(value);
        if let Some(caption) = &self.caption {
            text(svg, [f64::midpoint(x0, x1), top + 18.0], "middle", 14, caption);
        }
        for (tick, label) in &self.y.ticks {
            line(svg, [x0, y(*tick)], [x1, y(*tick)], "#ddd");
            text(svg, [x0 - 6.0, y(*tick) + 4.0], "end", 12, label);
        }
        for (tick, label) in &self.x.ticks {
            line(svg, [x(*tick), y0], [x(*tick), y0 + 4.0], "black");
            text(svg, [x(*tick), y0 + 17.0], "middle", 12, label);
        }
        line(svg, [x0, y0], [x1, y0], "black");
        line(svg, [x0, y0], [x0, y1], "black");
        if self.y.range[0] < 0.0 {
            line(svg, [x0, y(0.0)], [x1, y(0.0)], "black");
        }
        text(svg, [f64::midpoint(x0, x1), y0 + 35.0], "middle", 12, &self.x.label);
        let (label_x, label_y) = (left + 14.0, f64::midpoint(y0, y1));
        let _ = writeln!(svg, "<g transform=\"rotate(-90 {label_x:.1} {label_y:.1})\">");
        text(svg, [label_x, label_y], "middle", 12, &self.y.label);
        svg.push_str("</g>\n");
        for series in &self.series {
            series.draw(svg, &x, &y);
        }
        let labelled = self.series.iter().filter_map(|series| Some((series.label.as_ref()?, series.colour)));
        let mut legend_y = y1 + 10.0;
        for (label, colour) in labelled {
            let _ = writeln!(svg, "<circle cx=\"{:.1}\" cy=\"{legend_y:.1}\" r=\"4\" fill=\"{colour}\"/>", x1 - 8.0);
            text(svg, [x1 - 18.0, legend_y + 4.0], "end", 12, label);
            legend_y += 17.0;
        }
    }
}

impl Series {
    fn draw(&self, svg: &mut String, x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64) {
        for point in &self.points {
            if let Some([low, high]) = point.interval {
                line(svg, [x(point.x), y(low)], [x(point.x), y(high)], self.colour);
            }
            if self.mark != Mark::Line {
                let (cx, cy) = (x(point.x), y(point.y));
                let _ = writeln!(svg, "<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"3.5\" fill=\"{}\"/>", self.colour);
            }
        }
        if self.mark != Mark::Dots {
            let points: Vec<String> =
                self.points.iter().map(|point| format!("{:.1},{:.1}", x(point.x), y(point.y))).collect();
            let _ =
                writeln!(svg, "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\"/>", points.join(" "), self.colour);
        }
    }
}

fn line(svg: &mut String, [x0, y0]: [f64; 2], [x1, y1]: [f64; 2], colour: &str) {
    let _ = writeln!(svg, "<line x1=\"{x0:.1}\" y1=\"{y0:.1}\" x2=\"{x1:.1}\" y2=\"{y1:.1}\" stroke=\"{colour}\"/>");
}

fn text(svg: &mut String, [x, y]: [f64; 2], anchor: &str, size: u32, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ =
        writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\">{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_within_the_range() {
        let ticks = |range| Axis::numeric("x", range).ticks.into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        assert_eq!(ticks([0.0, 1.0]), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(ticks([-3.0, 21.0]), ["0", "5", "10", "15", "20"]);
        assert_eq!(ticks([-0.1, 0.04]), ["-0.10", "-0.05", "0.00"]);
    }

    /// Broken by: a y axis that points down, a title that is not escaped, an infinite interval that is written as `inf`.
    #[test]
    fn points_are_where_the_axes_say() {
        let point = |x, y| Point { x, y, interval: Some([f64::NEG_INFINITY, f64::INFINITY]) };
        let series =
            Series { label: None, colour: "blue", points: vec![point(0.0, 0.0), point(1.0, 1.0)], mark: Mark::Dots };
        let (x, y) = (Axis::numeric("x", [0.0, 1.0]), Axis::numeric("y", [0.0, 1.0]));
        let panel = Panel { caption: None, x, y, series: vec![series] };
        let svg = Chart { size: (200, 100), title: "a < b".to_owned(), panels: vec![panel] }.to_svg();
        for part in ["a &lt; b", "cx=\"58.0\" cy=\"58.0\"", "cx=\"188.0\" cy=\"40.0\""] {
            assert!(svg.contains(part), "{part} is not in\n{svg}");
        }
        assert!(!svg.contains("inf") && !svg.contains("NaN"), "{svg}");
    }
}

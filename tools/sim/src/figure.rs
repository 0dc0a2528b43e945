//! The book's figure of hops against nodes, from the reports of `mesh --json`.

use serde::Deserialize;

/// What the figure needs of a report.
#[derive(Clone, Copy, Deserialize)]
struct Point {
    nodes: u32,
    lookup_hops: Hops,
}

#[derive(Clone, Copy, Deserialize)]
struct Hops {
    mean: f64,
    p95: u32,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 60.0;
const BOTTOM: f64 = 50.0;
const MARGIN: f64 = 20.0;

/// Where things are drawn: nodes by their logarithm, hops as they are.
struct Frame {
    decades: (f64, f64),
    hops: f64,
}

impl Frame {
    fn around(points: &[Point]) -> Self {
        let decades = points.iter().map(|point| f64::from(point.nodes).log10());
        let (low, high) = decades.fold((f64::MAX, f64::MIN), |(low, high), decade| {
            (low.min(decade.floor()), high.max(decade.ceil()))
        });
        let most = points.iter().map(|point| point.lookup_hops.p95).max().unwrap_or(1);
        Self { decades: (low, high.max(low + 1.0)), hops: f64::from(most + 1) }
    }

    fn x(&self, nodes: f64) -> f64 {
        let (low, high) = self.decades;
        LEFT + (nodes.log10() - low) / (high - low) * (WIDTH - LEFT - MARGIN)
    }

    fn y(&self, hops: f64) -> f64 {
        HEIGHT - BOTTOM - hops / self.hops * (HEIGHT - BOTTOM - MARGIN)
    }
}

/// The SVG for these reports, one JSON object a line.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn hops(reports: &str) -> Result<String, String> {
    let parse = |line: &str| serde_json::from_str(line).map_err(|error| error.to_string());
    let lines = reports.lines().filter(|line| !line.trim().is_empty());
    let mut points: Vec<Point> = lines.map(parse).collect::<Result<_, _>>()?;
    points.sort_by_key(|point| point.nodes);
    if points.len() < 2 {
        return Err("two reports at least make a figure".to_owned());
    }
    let frame = Frame::around(&points);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    axes(&frame, &mut svg);
    fit(&frame, &points, &mut svg);
    marks(&frame, &points, &mut svg);
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn axes(frame: &Frame, svg: &mut String) {
    let (base, right) = (HEIGHT - BOTTOM, WIDTH - MARGIN);
    for hops in 0..=frame.hops as u32 {
        let y = frame.y(f64::from(hops));
        svg.push_str(&format!(
            "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{hops}</text>\n",
            LEFT - 8.0,
            y + 4.0
        ));
    }
    for decade in frame.decades.0 as i32..=frame.decades.1 as i32 {
        let nodes = 10_f64.powi(decade);
        let x = frame.x(nodes);
        svg.push_str(&format!(
            "<path d=\"M{x:.1} {MARGIN}V{base}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{nodes}</text>\n",
            base + 18.0
        ));
    }
    svg.push_str(&format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">nodes</text>\
         <text x=\"16\" y=\"{:.1}\" transform=\"rotate(-90 16 {:.1})\" \
         text-anchor=\"middle\">hops of a lookup</text>\n",
        f64::midpoint(LEFT, right),
        HEIGHT - 10.0,
        f64::midpoint(MARGIN, base),
        f64::midpoint(MARGIN, base)
    ));
}

/// The line of the least squares through the means: hops = a + b log2(nodes).
fn fit(frame: &Frame, points: &[Point], svg: &mut String) {
    let count = points.len() as f64;
    let log = |point: &Point| f64::from(point.nodes).log2();
    let mean = |value: &dyn Fn(&Point) -> f64| points.iter().map(value).sum::<f64>() / count;
    let (x, y) = (mean(&log), mean(&|point| point.lookup_hops.mean));
    let covariance = mean(&|point| (log(point) - x) * (point.lookup_hops.mean - y));
    let slope = covariance / mean(&|point| (log(point) - x).powi(2));
    let at = |nodes: u32| {
        let hops = y + slope * (f64::from(nodes).log2() - x);
        format!("{:.1} {:.1}", frame.x(f64::from(nodes)), frame.y(hops))
    };
    let (first, last) = (points[0].nodes, points[points.len() - 1].nodes);
    let offset = y - slope * x;
    svg.push_str(&format!(
        "<path d=\"M{} L{}\" stroke=\"#36c\" stroke-dasharray=\"6 4\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#36c\">mean ≈ {offset:.2} + {slope:.3} log₂ n</text>\n",
        at(first),
        at(last),
        LEFT + 16.0,
        MARGIN + 36.0
    ));
}

fn marks(frame: &Frame, points: &[Point], svg: &mut String) {
    for point in points {
        let x = frame.x(f64::from(point.nodes));
        let (mean, p95) = (point.lookup_hops.mean, f64::from(point.lookup_hops.p95));
        svg.push_str(&format!(
            "<circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"#36c\"/>\
             <rect x=\"{:.1}\" y=\"{:.1}\" width=\"7\" height=\"7\" fill=\"#c63\"/>\n",
            frame.y(mean),
            x - 3.5,
            frame.y(p95) - 3.5
        ));
    }
    svg.push_str(&format!(
        "<text x=\"{:.1}\" y=\"{:.1}\"><tspan fill=\"#36c\">● mean</tspan>\
         <tspan dx=\"14\" fill=\"#c63\">■ 95 of 100 at most</tspan></text>\n",
        LEFT + 16.0,
        MARGIN + 16.0
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_a_mark_a_report_and_the_line_that_fits() {
        let report = |nodes: u32, mean: f64| {
            format!("{{\"nodes\":{nodes},\"lookup_hops\":{{\"mean\":{mean},\"p95\":4}}}}\n")
        };
        let svg = hops(&[report(1024, 2.0), report(256, 1.0)].concat()).unwrap();
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("-3.00 + 0.500 log₂ n"), "{svg}");
        assert!(hops(&report(10, 1.0)).is_err() && hops("{}\n{}\n").is_err());
    }
}

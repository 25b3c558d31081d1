//! Draws the benchmarks' charts. Beside each CSV it writes an SVG that is readable on light and dark backgrounds.
//!
//! `cargo run --manifest-path benches/charts/Cargo.toml` draws those of docs/bench or of the folder it is given.

use csv::{Position, ReaderBuilder};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde::Deserialize;
use std::error::Error;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{env, fs, process};

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The charts. Each has a file name without its ending, the thing that is started, the thing that it is compared with,
/// and the text of the horizontal axis.
const CHARTS: [[&str; 4]; 4] = [
    ["ways", "task", "the bare trampoline", "times as long (logarithmic)"],
    ["memory", "small program", "the caller's memory", "MB that the caller has touched"],
    ["descriptors", "small program", "the caller's open descriptors", "open descriptors"],
    ["threads", "small program", "the threads that do so at once", "threads at once"],
];

/// Gives black parts a colour that suits the background. If media queries are not known, one colour has to suit both.
const STYLE: &str = r##"<style>
svg { color: #7b838c }
@media (prefers-color-scheme: light) { svg { color: #59636e } }
@media (prefers-color-scheme: dark) { svg { color: #9198a1 } }
[fill="#000000"] { fill: currentColor }
[stroke="#000000"] { stroke: currentColor }
</style>"##;

/// These are from Okabe and Ito's palette, whose yellow is too light for a white background.
const OURS: [RGBColor; 3] = [RGBColor(0, 114, 178), RGBColor(0, 158, 115), RGBColor(86, 180, 233)];
const OTHERS: [RGBColor; 3] = [RGBColor(213, 94, 0), RGBColor(204, 121, 167), RGBColor(230, 159, 0)];

const WIDTH: u32 = 760;
const MARGIN: i32 = 12;
const TITLE_HEIGHT: i32 = 44;
const CAPTION_HEIGHT: i32 = 28;
const AXIS_HEIGHT: i32 = 40;
const LABEL_HEIGHT: f64 = 16.0;
const LABEL_SIZE: f64 = 12.0;

#[derive(Deserialize)]
struct Row {
    way: String,
    #[serde(alias = "megabytes", alias = "descriptors", alias = "threads")]
    x: f64,
    us: f64,
    ratio: f64,
}

impl Row {
    fn is_ours(&self) -> bool {
        ["Command", "call", "spawn", "trampoline"].iter().any(|name| self.way.starts_with(name))
    }
}

/// Reads the caption and the rows. An error names the line, but not the file.
fn read(csv: &Path) -> Result<(String, Vec<Row>)> {
    let content = fs::read_to_string(csv)?;
    let caption = content.lines().next().and_then(|line| line.strip_prefix('#'));
    let caption = caption.ok_or("line 1: not `# machine, kernel, ..., date`")?.trim().into();
    let mut reader = ReaderBuilder::new().comment(Some(b'#')).from_reader(content.as_bytes());
    let (header, mut rows) = (reader.headers()?.clone(), Vec::new());
    for record in reader.records() {
        let record = record?;
        let row: Row = record.deserialize(Some(&header))?;
        // The axes are logarithmic.
        if [row.x, row.us, row.ratio].iter().any(|number| !number.is_finite() || *number <= 0.0) {
            return Err(format!("line {}: not above 0", record.position().map_or(0, Position::line)).into());
        }
        rows.push(row);
    }
    if rows.is_empty() { Err("line 3: no row".into()) } else { Ok((caption, rows)) }
}

fn text(size: f64, horizontal: HPos) -> TextStyle<'static> {
    // The backend makes every font smaller by this.
    TextStyle::from(("sans-serif", size * 1.24)).pos(Pos::new(horizontal, VPos::Center))
}

/// Returns how many pixels the longest name takes in a wide font.
fn widest_name(rows: &[Row]) -> i32 {
    let letters = rows.iter().map(|row| row.way.chars().count()).max();
    (letters.unwrap_or(0) as f64 * LABEL_SIZE * 0.6) as i32
}

/// Returns the range from the smallest to the largest value, with some space on both sides.
fn around(values: impl Iterator<Item = f64>, space: f64) -> Range<f64> {
    let (least, most) = values.fold((f64::MAX, 0.0_f64), |(least, most), v| (least.min(v), most.max(v)));
    least / space..most * space
}

/// Returns the powers of ten in a range, with some numbers between them if they are few.
fn ticks(range: &Range<f64>) -> Vec<f64> {
    let factors: &[f64] = if range.end / range.start > 200.0 { &[1.0] } else { &[1.0, 2.0, 3.0, 5.0] };
    let powers = range.start.log10().floor() as i32..=range.end.log10() as i32;
    let all = powers.flat_map(|power| factors.iter().map(move |factor| factor * 10_f64.powi(power)));
    all.filter(|tick| range.contains(tick)).collect()
}

fn time(us: f64) -> String {
    match us {
        1e6.. => format!("{} s", us / 1e6),
        1e3.. => format!("{} ms", us / 1e3),
        _ => format!("{us} µs"),
    }
}

fn draw_bars(rows: &[Row], axis: &str, canvas: &Canvas<'_>) -> Result<()> {
    let range = around(rows.iter().map(|row| row.ratio).chain([1.0]), 1.25);
    let (start, points) = (range.start, ticks(&range));
    let mut plot = ChartBuilder::on(canvas)
        .margin_top(TITLE_HEIGHT)
        .margin_bottom(CAPTION_HEIGHT)
        .margin_left(MARGIN + 8 + widest_name(rows))
        .margin_right(MARGIN + 30)
        .x_label_area_size(AXIS_HEIGHT)
        .build_cartesian_2d(range.log_scale().with_key_points(points), rows.len() as f64..0.0)?;
    let mut mesh = plot.configure_mesh();
    mesh.disable_mesh().disable_y_axis().axis_style(BLACK.mix(0.5)).x_desc(axis);
    mesh.label_style(text(LABEL_SIZE, HPos::Center)).x_label_formatter(&|ratio| format!("{ratio}")).draw()?;
    for (i, row) in rows.iter().enumerate() {
        let middle = i as f64 + 0.5;
        let (colour, half) = if row.is_ours() { (OURS[0], 0.34) } else { (OTHERS[0], 0.17) };
        let corners = [(start, middle - half), (row.ratio, middle + half)];
        plot.draw_series([Rectangle::new(corners, colour.filled())])?;
        let (left, y) = plot.backend_coord(&(start, middle));
        // The number must not lie across the line at 1.
        let (right, _) = plot.backend_coord(&(row.ratio.max(1.0), middle));
        let digits = if row.ratio < 10.0 { 2 } else { usize::from(row.ratio < 100.0) };
        let ratio = format!("{:.digits$}", row.ratio);
        canvas.draw_text(&row.way, &text(LABEL_SIZE, HPos::Right), (left - 8, y))?;
        canvas.draw_text(&ratio, &text(LABEL_SIZE, HPos::Left), (right + 6, y))?;
    }
    plot.draw_series([PathElement::new([(1.0, 0.0), (1.0, rows.len() as f64)], BLACK)])?;
    Ok(())
}

fn draw_lines(rows: &[Row], axis: &str, canvas: &Canvas<'_>) -> Result<()> {
    let mut xs: Vec<f64> = rows.iter().map(|row| row.x).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let range = around(rows.iter().map(|row| row.us), 1.25);
    let ys = ticks(&range);
    let across = around(xs.iter().copied(), 1.0).log_scale().with_key_points(xs);
    let down = range.log_scale().with_key_points(ys);
    let mut plot = ChartBuilder::on(canvas)
        .margin_top(TITLE_HEIGHT)
        .margin_bottom(CAPTION_HEIGHT)
        .margin_left(MARGIN)
        .margin_right(MARGIN + 28 + widest_name(rows))
        .x_label_area_size(AXIS_HEIGHT)
        .y_label_area_size(56)
        .build_cartesian_2d(across, down)?;
    let mut mesh = plot.configure_mesh();
    mesh.disable_x_mesh().bold_line_style(BLACK.mix(0.2)).axis_style(BLACK.mix(0.5)).x_desc(axis);
    mesh.label_style(text(LABEL_SIZE, HPos::Center)).x_label_formatter(&|x| format!("{x}"));
    mesh.y_label_formatter(&|us| time(*us)).draw()?;

    let is_first = |&(i, row): &(usize, &Row)| rows[..i].iter().all(|before| before.way != row.way);
    let mut ways: Vec<&Row> = rows.iter().enumerate().filter(is_first).map(|(_, row)| row).collect();
    // Ours come first, because they are thicker and would hide the others.
    ways.sort_by_key(|way| !way.is_ours());
    let (mut ours, mut others, mut labels) = (OURS.iter().cycle(), OTHERS.iter().cycle(), Vec::new());
    for way in ways {
        let (colours, width, radius) = if way.is_ours() { (&mut ours, 4, 5) } else { (&mut others, 2, 3) };
        let style = colours.next().unwrap_or(&BLACK).filled().stroke_width(width);
        let of_way = rows.iter().filter(|row| row.way == way.way);
        let points: Vec<_> = of_way.map(|row| (row.x, row.us)).collect();
        let end = plot.backend_coord(&points[points.len() - 1]);
        plot.draw_series(LineSeries::new(points, style).point_size(radius))?;
        labels.push((f64::from(end.1), end, &way.way, style));
    }
    let (across, down) = plot.plotting_area().get_pixel_range();
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Labels that overlap move apart, step by step.
    for i in (1..labels.len()).cycle().take(100 * labels.len()) {
        let half = (LABEL_HEIGHT - (labels[i].0 - labels[i - 1].0)).max(0.0) / 2.0;
        labels[i - 1].0 = (labels[i - 1].0 - half).max(down.start.into());
        labels[i].0 = (labels[i].0 + half).min(down.end.into());
    }
    for (y, end, way, style) in labels {
        canvas.draw(&PathElement::new([end, (across.end + 23, y as i32)], style.stroke_width(1)))?;
        canvas.draw_text(way, &text(LABEL_SIZE, HPos::Left), (across.end + 28, y as i32))?;
    }
    Ok(())
}

fn draw([name, task, against, axis]: [&str; 4], csv: &Path) -> Result<()> {
    let (caption, rows) = read(csv)?;
    let height = if name == "ways" { 120 + 24 * rows.len() as i32 } else { 400 };
    let mut svg = String::new();
    let canvas = SVGBackend::with_string(&mut svg, (WIDTH, height as u32)).into_drawing_area();
    let title = format!("Starting a {task} and waiting for it, against {against}");
    canvas.draw_text(&title, &text(15.0, HPos::Left), (MARGIN, TITLE_HEIGHT / 2))?;
    canvas.draw_text(&caption, &text(10.0, HPos::Left), (MARGIN, height - CAPTION_HEIGHT / 2))?;
    (if name == "ways" { draw_bars } else { draw_lines })(&rows, axis, &canvas)?;
    canvas.present()?;
    drop(canvas);
    let svg = svg.replacen('>', &format!(">\n{STYLE}"), 1);
    fs::write(csv.with_extension("svg"), svg).map_err(|error| format!("the SVG beside it: {error}").into())
}

fn main() {
    let usual = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/bench");
    let folder = env::args_os().nth(1).map_or(PathBuf::from(usual), PathBuf::from);
    for chart in CHARTS {
        let csv = folder.join(chart[0]).with_extension("csv");
        if let Err(error) = draw(chart, &csv) {
            eprintln!("{}: {error}", csv.display());
            process::exit(1);
        }
    }
}

//! Numbers of several turns, and their table.

use std::time::Duration;

/// The middle value (of an even number: the mean of the two in the middle).
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[half],
        _ => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

/// Two sides of a comparison, turn by turn.
pub struct Ratio {
    ours: Vec<f64>,
    bare: Vec<f64>,
}

impl Ratio {
    pub fn new(ours: Vec<f64>, bare: Vec<f64>) -> Self {
        assert_eq!(ours.len(), bare.len());
        Self { ours, bare }
    }

    /// `name`, then the ratio of the medians and that of each turn: median, lowest, highest.
    pub fn print(&self, name: &str) {
        let turns: Vec<f64> = self.ours.iter().zip(&self.bare).map(|(a, b)| a / b).collect();
        let (low, high) = turns.iter().fold((f64::INFINITY, 0_f64), |(l, h), t| (l.min(*t), h.max(*t)));
        println!(
            "  {name:<34} {:>5.2}   of turns {:.2} ({low:.2} to {high:.2})",
            median(&self.ours) / median(&self.bare),
            median(&turns)
        );
    }
}

/// One row: name, then cells under the heads of [`heads`].
pub fn row(name: &str, cells: &[String]) {
    println!("  {name:<34} {}", cells.iter().map(|c| format!("{c:>10}")).collect::<String>());
}

/// The first row.
pub fn heads(name: &str, heads: &[&str]) {
    row(name, &heads.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>());
}

/// Seconds, as a cell.
pub fn seconds(s: f64) -> String {
    format!("{s:.2}")
}

pub fn each(of: &[Duration]) -> Vec<f64> {
    of.iter().map(Duration::as_secs_f64).collect()
}

//! The figures, beside each other.

use std::collections::BTreeMap;
use std::fmt;

use crate::experiments::{EXPERIMENTS, Experiment};
use crate::sink::Scheme;

/// Figures by experiment, scheme and row, one for each round.
#[derive(Default)]
pub(crate) struct Table(BTreeMap<(&'static str, Scheme, usize), Vec<f64>>);

impl Table {
    /// Takes what an experiment gave in a round.
    pub(crate) fn add(&mut self, experiment: &Experiment, scheme: Scheme, figures: Vec<f64>) {
        assert_eq!(figures.len(), experiment.rows.len(), "{}: a figure for each row", experiment.name);
        for (row, figure) in figures.into_iter().enumerate() {
            self.0.entry((experiment.name, scheme, row)).or_default().push(figure);
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, name: &str, https: &str, http: &str, target: &str| {
            writeln!(f, "{name:58} {https:>24} {http:>24}   {target}")
        };
        line(f, "", "HTTPS", "HTTP", "wanted (HTTPS, HTTP)")?;
        for experiment in &EXPERIMENTS {
            for (number, row) in experiment.rows.iter().enumerate() {
                let cell = |scheme| self.0.get(&(experiment.name, scheme, number)).map(|figures| summary(figures));
                if let (Some(https), Some(http)) = (cell(Scheme::Https), cell(Scheme::Http)) {
                    line(f, row.name, &https, &http, row.target)?;
                }
            }
        }
        Ok(())
    }
}

/// The median, and the least and the greatest.
fn summary(figures: &[f64]) -> String {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
    format!("{} ({} to {})", grouped(median), grouped(sorted[0]), grouped(sorted[sorted.len() - 1]))
}

/// A whole number with commas between its thousands.
fn grouped(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let groups = digits.as_bytes().rchunks(3).rev();
    groups.map(String::from_utf8_lossy).collect::<Vec<_>>().join(",")
}

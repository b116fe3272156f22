//! How figures are printed: the contestants side by side.

use super::{contestant::NAMES, print::median};

const WIDTH: usize = 34;

/// What is aimed at, for one contestant.
#[derive(Clone, Copy)]
pub enum Aim {
    AtMost(usize, f64),
    Below(usize, f64),
}

/// The names of so many contestants.
pub fn head(contestants: usize) {
    let names: Vec<String> = NAMES.iter().take(contestants).map(|name| format!("{name:>12}")).collect();
    println!("\n{:WIDTH$}{}  aim", "", names.concat());
}

/// The values of a figure in all rounds, one column for each contestant; an empty column is left blank. The median is
/// held against the aims.
pub fn rows(what: &str, columns: &[Vec<f64>], digits: usize, aims: &[Aim]) {
    row(&format!("{what}, min"), columns, digits, &[], |sorted| sorted[0]);
    row(&format!("{what}, median"), columns, digits, aims, median);
    row(&format!("{what}, max"), columns, digits, &[], |sorted| sorted[sorted.len() - 1]);
}

pub fn row(what: &str, columns: &[Vec<f64>], digits: usize, aims: &[Aim], of: impl Fn(&[f64]) -> f64) {
    let values: Vec<Option<f64>> = columns
        .iter()
        .map(|column| {
            let mut sorted = column.clone();
            sorted.sort_by(f64::total_cmp);
            (!sorted.is_empty()).then(|| of(&sorted))
        })
        .collect();
    let cells: Vec<String> = values
        .iter()
        .map(|value| value.map_or_else(|| " ".repeat(12), |value| format!("{value:>12.digits$}")))
        .collect();
    let verdicts: Vec<String> = aims.iter().filter_map(|aim| aim.verdict(&values)).collect();
    println!("{}", format!("{what:WIDTH$}{}  {}", cells.concat(), verdicts.join("; ")).trim_end());
}

impl Aim {
    fn verdict(self, values: &[Option<f64>]) -> Option<String> {
        let (which, met, text) = match self {
            Self::AtMost(which, aim) => (which, (*values.get(which)?)? <= aim, format!("≤ {aim}")),
            Self::Below(which, aim) => (which, (*values.get(which)?)? < aim, format!("< {aim}")),
        };
        let of = NAMES[which].trim_start_matches("reading ");
        Some(format!("{of} {text} {}", if met { "met" } else { "missed" }))
    }
}

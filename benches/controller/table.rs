//! How figures are printed.

use std::collections::BTreeMap;

use super::{
    audit::{Request, count},
    print::median,
};

/// What is aimed at.
#[derive(Clone, Copy)]
pub enum Aim {
    AtMost(f64),
    Below(f64),
    None,
}

impl Aim {
    fn verdict(self, value: f64) -> String {
        let (met, text) = match self {
            Self::AtMost(aim) => (value <= aim, format!("≤ {aim}")),
            Self::Below(aim) => (value < aim, format!("< {aim}")),
            Self::None => return String::new(),
        };
        format!("{text:<7} {}", if met { "met" } else { "missed" })
    }
}

const WIDTH: usize = 52;

pub fn head() {
    println!("\n{:WIDTH$} {:>9} {:>9} {:>9} {:>5}  aim", "", "min", "median", "max", "runs");
}

/// One figure over several runs; the median is held against the aim.
pub fn row(what: &str, values: &[f64], digits: usize, aim: Aim) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else { return };
    let median = median(&sorted);
    let verdict = aim.verdict(median);
    let runs = sorted.len();
    let line = format!("{what:WIDTH$} {min:>9.digits$} {median:>9.digits$} {max:>9.digits$} {runs:>5}  {verdict}");
    println!("{}", line.trim_end());
}

/// Requests of some objects, by resource and verb.
pub struct Column<'a> {
    pub title: String,
    pub objects: usize,
    pub requests: &'a [Request],
}

/// Requests per object, one column for each kind of round.
pub fn requests(columns: &[Column]) {
    let counts: Vec<BTreeMap<_, _>> = columns.iter().map(|column| count(column.requests)).collect();
    let per_object = |sum: usize, column: &Column| sum as f64 / column.objects as f64;
    let print = |what: &str, of: &dyn Fn(usize) -> usize, aim: Option<f64>| {
        let values: Vec<f64> =
            columns.iter().enumerate().map(|(index, column)| per_object(of(index), column)).collect();
        let cells: Vec<String> = values.iter().map(|value| format!("{value:>24.2}")).collect();
        let worst = values.iter().copied().fold(0.0, f64::max);
        let verdict = aim.map_or(String::new(), |aim| Aim::AtMost(aim).verdict(worst));
        println!("{}", format!("{what:34}{}  {verdict}", cells.concat()).trim_end());
    };
    let titles: Vec<String> = columns.iter().map(|column| format!("{:>24}", column.title)).collect();
    println!("\n{:34}{}  aim", "", titles.concat());
    let mut keys: Vec<_> = counts.iter().flat_map(BTreeMap::keys).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let aim = ["modeldeployments/status", "events"].contains(&key.0.as_str()).then_some(3.0);
        let of = |index: usize| counts[index].get(key).copied().unwrap_or_default();
        print(&format!("{} {}", key.1, key.0), &of, aim);
    }
    print("all", &|index| columns[index].requests.len(), None);
}

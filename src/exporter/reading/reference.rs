//! How predictions were spread when the model was made: the field `predictions.reference` of the settings.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    class::{self, OTHER},
    settings::{Class, a, given},
};

/// Bins of a reference: each is two time series per pod.
const MOST_BINS: usize = 50;

/// What live predictions are compared with. Made by [`super::check`]; there is at least one count above zero.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reference {
    /// Counts by the name of the class, as its series bears it.
    Classes(Vec<(String, f64)>),
    /// Ascending upper bounds of bins, and counts: those up to the first bound, …, those above the last.
    Bounds { bounds: Vec<f64>, counts: Vec<f64> },
}

impl Reference {
    /// The bins by name, with the share of each.
    pub fn shares(&self) -> Vec<(String, f64)> {
        let counts: Vec<(String, f64)> = match self {
            Self::Classes(classes) => classes.iter().cloned().chain([(OTHER.to_owned(), 0.0)]).collect(),
            Self::Bounds { bounds, counts } => {
                let from = std::iter::once(f64::NEG_INFINITY).chain(bounds.iter().copied());
                let to = bounds.iter().copied().chain([f64::INFINITY]);
                from.zip(to).map(|(from, to)| interval(from, to)).zip(counts.iter().copied()).collect()
            }
        };
        let total: f64 = counts.iter().map(|(_, count)| count).sum();
        counts.into_iter().map(|(bin, count)| (bin, count / total)).collect()
    }
}

/// Tells apart the bins of one reference from another's of the same name, in few characters.
pub(super) fn id(shares: &[(String, f64)]) -> String {
    let mut hash = Sha256::new();
    for (bin, share) in shares {
        hash.update(format!("{bin:?} {share}\n"));
    }
    hash.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// A bin of numbers as a label: above the first number, up to the second.
fn interval(from: f64, to: f64) -> String {
    match (from.is_infinite(), to.is_infinite()) {
        (true, true) => "(-Inf, +Inf)".into(),
        (true, false) => format!("(-Inf, {to}]"),
        (false, true) => format!("({from}, +Inf)"),
        (false, false) => format!("({from}, {to}]"),
    }
}

pub(super) fn parse(value: &Value, declared: &[Class]) -> Result<Reference, String> {
    let Value::Object(fields) = value else {
        return Err(format!(
            "predictions.reference is {}, but must be an object with classes, or with bounds and counts",
            a(value)
        ));
    };
    match (given(fields, "classes"), given(fields, "bounds"), given(fields, "counts")) {
        (Some(classes), None, None) => by_class(classes, declared),
        (None, Some(bounds), Some(counts)) => by_bounds(bounds, counts),
        _ => Err("predictions.reference has either classes, such as {\"stay\": 800, \"churn\": 200}, or bounds and \
                  counts, such as [0, 10] and [5, 20, 3]"
            .into()),
    }
}

fn by_class(value: &Value, declared: &[Class]) -> Result<Reference, String> {
    const FIELD: &str = "predictions.reference.classes";
    let Value::Object(counts) = value else {
        return Err(format!(
            "{FIELD} is {}, but must be an object such as {{\"stay\": 800, \"churn\": 200}}",
            a(value)
        ));
    };
    // One bin is kept for all other classes.
    if counts.is_empty() || counts.len() >= MOST_BINS {
        return Err(format!("{FIELD} has {} classes, but must have 1 to {}", counts.len(), MOST_BINS - 1));
    }
    let mut classes: Vec<(String, f64)> = Vec::with_capacity(counts.len());
    for (name, count) in counts {
        let class = class_name(name, declared)?;
        if classes.iter().any(|(other, _)| *other == class) {
            return Err(format!("{FIELD} has two counts for one class, '{class}'; add them up"));
        }
        classes.push((class, one_count(count, &format!("{FIELD}['{name}']"))?));
    }
    some(classes.iter().map(|(_, count)| count), FIELD)?;
    Ok(Reference::Classes(classes))
}

/// What the class is called in metrics.
fn class_name(name: &str, declared: &[Class]) -> Result<String, String> {
    const FIELD: &str = "predictions.reference.classes";
    if name.is_empty() || name.len() > class::LONGEST_NAME || name == OTHER {
        return Err(format!(
            "{FIELD}: {name:?} is no class; a name has 1 to {} bytes, and {OTHER} is what has no name",
            class::LONGEST_NAME
        ));
    }
    if declared.is_empty() {
        return Ok(class::tidy(name));
    }
    let tidy = class::tidy(name);
    if declared.iter().any(|class| class.name == tidy) {
        return Ok(tidy);
    }
    let names: Vec<&str> = declared.iter().take(10).map(|class| class.name.as_str()).collect();
    Err(format!("{FIELD}: '{name}' is none of the names in predictions.classes: {}", names.join(", ")))
}

fn by_bounds(bounds: &Value, counts: &Value) -> Result<Reference, String> {
    const FIELD: &str = "predictions.reference";
    let wrong = || format!("{FIELD}.bounds must be 1 to {} rising numbers, like [0, 10, 20]", MOST_BINS - 1);
    let list = bounds.as_array().filter(|list| (1..MOST_BINS).contains(&list.len())).ok_or_else(wrong)?;
    let bounds: Vec<f64> = list.iter().filter_map(Value::as_f64).filter(|bound| bound.is_finite()).collect();
    if bounds.len() != list.len() || !bounds.windows(2).all(|pair| pair[0] < pair[1]) {
        return Err(wrong());
    }
    let list = counts.as_array().filter(|list| list.len() == bounds.len() + 1).ok_or_else(|| {
        format!(
            "{FIELD}.counts must be a list of {} numbers, one more than bounds: up to the first bound, …, above the last",
            bounds.len() + 1
        )
    })?;
    let counts = list.iter().enumerate().map(|(at, count)| one_count(count, &format!("{FIELD}.counts[{at}]")));
    let counts = counts.collect::<Result<Vec<f64>, String>>()?;
    some(counts.iter(), &format!("{FIELD}.counts"))?;
    // Adding zero takes the sign off -0.
    Ok(Reference::Bounds { bounds: bounds.into_iter().map(|bound| bound + 0.0).collect(), counts })
}

fn one_count(value: &Value, field: &str) -> Result<f64, String> {
    value
        .as_f64()
        .filter(|count| (0.0..=1e15).contains(count))
        .ok_or_else(|| format!("{field} is {}, but must be a count: a number from 0 to 10^15", a(value)))
}

fn some<'a>(mut counts: impl Iterator<Item = &'a f64>, field: &str) -> Result<(), String> {
    if counts.any(|count| *count > 0.0) {
        return Ok(());
    }
    Err(format!("{field} has no count above 0: give the counts of the training data"))
}

//! Whether a version's training was good enough for users. What runs already is never judged, and a person's pin is not
//! either: both are decided before this is asked.

use std::collections::BTreeMap;

use crate::api::mlflow::Requirement;

/// Metrics that are listed where one is missing.
const MOST_NAMED: usize = 10;

pub type Metrics = BTreeMap<String, f64>;

/// What is known of the candidate's training.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// Metrics, and whose they are: `run 4f2a`.
    Metrics { metrics: Metrics, of: String },
    /// They may come to be known: why they are not yet.
    Awaited(String),
    /// There will be none for this version: why.
    Never(String),
}

/// What the candidate's figures are compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Beside<'a> {
    /// The metrics of the version that users get.
    Metrics(&'a Metrics),
    /// Nothing is known of the version that users get, or there is none.
    Nothing,
    /// Nothing: users have had the candidate before, and going back to it need be no progress.
    Return,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// With a sentence that says by which figures.
    Passed(String),
    /// With a sentence that names metric, value and bound, and how to mend it.
    Refused(String),
    /// Nothing is known for or against it.
    Waiting(String),
}

impl Verdict {
    pub fn passed(&self) -> bool {
        matches!(self, Self::Passed(_))
    }
}

/// Judges a version by its short digest, its metrics, and what they are compared with.
pub fn judge(require: &[Requirement], short: &str, known: &Known, beside: Beside<'_>) -> Verdict {
    let (metrics, of) = match known {
        _ if require.is_empty() => return Verdict::Passed(format!("{short}: nothing is required")),
        Known::Awaited(why) => {
            return Verdict::Waiting(format!("{short} waits for its metrics ({}): {why}", names(require)));
        }
        Known::Never(why) => {
            return Verdict::Refused(format!("{short} is not taken: its {} cannot be known: {why}", names(require)));
        }
        Known::Metrics { metrics, of } => (metrics, of),
    };
    let (mut met, mut missed) = (Vec::new(), Vec::new());
    for requirement in require {
        match check(requirement, metrics, beside) {
            Ok(words) => met.push(words),
            Err(words) => missed.push(words),
        }
    }
    if missed.is_empty() {
        return Verdict::Passed(format!("{short} ({of}): {}", met.join("; ")));
    }
    Verdict::Refused(format!(
        "{short} ({of}) is not taken: {}; train a better one and push it, change spec.mlflow.require, or take it all the \
         same with spec.image.pin",
        missed.join("; ")
    ))
}

/// What one metric's figure is, beside its bounds; an error when it misses one.
fn check(requirement: &Requirement, metrics: &Metrics, beside: Beside<'_>) -> Result<String, String> {
    let name = &requirement.metric;
    let Some(value) = metrics.get(name) else { return Err(missing(name, metrics)) };
    if let Some(min) = requirement.min.filter(|min| value < min) {
        return Err(format!("{name} is {value}, less than the {min} of min"));
    }
    if let Some(max) = requirement.max.filter(|max| value > max) {
        return Err(format!("{name} is {value}, more than the {max} of max"));
    }
    let (below, above) = (requirement.not_below_stable_by, requirement.not_above_stable_by);
    if below.is_none() && above.is_none() {
        return Ok(format!("{name} is {value}"));
    }
    let stable = match beside {
        Beside::Metrics(stable) => stable.get(name),
        Beside::Nothing => None,
        Beside::Return => return Ok(format!("{name} is {value}, and users have had this version before")),
    };
    let Some(stable) = stable else {
        return Ok(format!("{name} is {value}, and of the version that users get it is not known"));
    };
    let lower = below.filter(|margin| exceeds(stable - value, *margin));
    let higher = above.filter(|margin| exceeds(value - stable, *margin));
    match (lower, higher) {
        (Some(margin), _) => Err(format!("{name} is {value}, more than {margin} below the {stable} that users get")),
        (None, Some(margin)) => Err(format!("{name} is {value}, more than {margin} above the {stable} that users get")),
        (None, None) => Ok(format!("{name} is {value}, where users get {stable}")),
    }
}

/// Figures of metrics are decimal: 0.85 - 0.84 is to be no more than 0.01, though the nearest binary numbers say otherwise.
fn exceeds(difference: f64, margin: f64) -> bool {
    const DUST: f64 = 1e-9;
    difference > margin + DUST * margin.abs().max(difference.abs())
}

fn missing(name: &str, metrics: &Metrics) -> String {
    if metrics.is_empty() {
        return format!("{name} is missing, and there is no other metric; log it in training");
    }
    let listed: Vec<&str> = metrics.keys().take(MOST_NAMED).map(String::as_str).collect();
    let more = if metrics.len() > MOST_NAMED { ", …" } else { "" };
    format!("{name} is missing (there are {}{more}); log it in training, or correct its name", listed.join(", "))
}

fn names(require: &[Requirement]) -> String {
    require.iter().map(|requirement| requirement.metric.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "tests/gate.rs"]
mod tests;

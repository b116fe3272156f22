//! Words of PromQL: quoting, numbers, durations, and the selectors of one model's series.

use std::time::Duration;

use crate::{api::monitoring::valid::Monitoring, resources::Owner};

/// A Prometheus that asks every 15 s keeps 20 samples in five minutes; one that asks rarely needs more time for a rate.
const SHORTEST_WINDOW: Duration = Duration::from_secs(300);
/// A rate needs two samples, and a scrape may fail, or come late.
const SCRAPES_PER_WINDOW: u32 = 4;

/// The model whose series are asked for.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub namespace: String,
    pub model: String,
    /// The usual window of rates.
    pub window: Duration,
}

impl Scope {
    pub fn new(owner: &Owner, monitoring: &Monitoring) -> Self {
        Self {
            namespace: owner.namespace.clone(),
            model: owner.name.clone(),
            window: SHORTEST_WINDOW.max(monitoring.scrape_interval * SCRAPES_PER_WINDOW),
        }
    }

    /// A series of all of the model's pods.
    pub fn any(&self, metric: &str, more: &str) -> String {
        format!("{metric}{{namespace={},model={}{}}}", quote(&self.namespace), quote(&self.model), and(more))
    }

    /// A series of the pods that users' requests come to. A candidate's exporter counts again what the stable pods'
    /// exporters sent on to it, or copies of requests that nobody waits for.
    pub fn served(&self, metric: &str, more: &str) -> String {
        self.any(metric, &format!("track!=\"candidate\"{}", and(more)))
    }

    /// A series that the operator tells of the model.
    pub fn told(&self, metric: &str, more: &str) -> String {
        format!("{metric}{{model_namespace={},model={}{}}}", quote(&self.namespace), quote(&self.model), and(more))
    }

    /// While one operator takes over from another, both tell: their answers are equal but for a moment.
    pub fn told_once(&self, metric: &str, more: &str) -> String {
        format!("max({})", self.told(metric, more))
    }

    /// A series of the kubelet about the model's container. The kubelet knows pods, not models: pods of a Deployment
    /// are called after it, with the hash of their template and five characters more.
    pub fn container(&self, metric: &str) -> String {
        format!(
            "{metric}{{namespace={},pod=~{},container=\"model\"}}",
            quote(&self.namespace),
            quote(&format!("{}-[a-z0-9]+-[a-z0-9]{{5}}", self.model))
        )
    }
}

fn and(more: &str) -> String {
    if more.is_empty() { String::new() } else { format!(",{more}") }
}

/// The sum over all series of how far they went up, resets of a restarted pod taken into account.
pub(super) fn increase(selector: &str, window: Duration) -> String {
    format!("sum(increase({selector}[{}]))", duration(window))
}

/// The sum over all series of how fast they go up, per second.
pub(super) fn rate(selector: &str, window: Duration) -> String {
    format!("sum(rate({selector}[{}]))", duration(window))
}

/// A string of PromQL, and of Go's templates, which have the same escapes.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            // PromQL takes the replacement character for broken text.
            c if c.is_control() || c == '\u{fffd}' => quoted.push_str(&format!("\\u{:04x}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A number as PromQL reads it, without the last digits that binary fractions leave behind (0.14400000000000002).
pub(super) fn number(value: f64) -> String {
    let rounded = format!("{value:.9}");
    let short = rounded.trim_end_matches('0').trim_end_matches('.');
    // Too small to be rounded.
    if value != 0.0 && matches!(short, "0" | "-0") { value.to_string() } else { short.to_owned() }
}

/// `0.05` as people read it: `5%`.
pub(super) fn percent(ratio: f64) -> String {
    format!("{}%", number(ratio * 100.0))
}

/// A duration in the largest unit that is exact, as Prometheus and people read it: `5m`, `90s`, `500ms`.
pub(super) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    match units.into_iter().find(|(unit, _)| millis > 0 && millis.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", millis / unit),
        None => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_becomes_one_string() {
        let rows = [
            ("math score", r#""math score""#),
            ("race/ethnicity", r#""race/ethnicity""#),
            (r#"it's "x""#, r#""it's \"x\"""#),
            (r"C:\new", r#""C:\\new""#),
            ("{{ $value }}", r#""{{ $value }}""#),
            ("two\nlines\t\u{7}", r#""two\nlines\u0009\u0007""#),
            ("größer ≥ 5 €", r#""größer ≥ 5 €""#),
            ("\u{fffd}", r#""\ufffd""#),
        ];
        for (text, quoted) in rows {
            assert_eq!(quote(text), quoted);
        }
    }

    #[test]
    fn numbers_are_written_without_exponents_and_without_dust() {
        let rows = [(0.05, "0.05"), (14.4 * 0.01, "0.144"), (100.0, "100"), (0.0, "0"), (1.0 - 0.99999, "0.00001")];
        for (value, text) in rows {
            assert_eq!(number(value), text);
        }
        assert_eq!(number(1e-12), "0.000000000001");
        assert_eq!(percent(0.145), "14.5%");
    }

    #[test]
    fn durations_are_written_in_the_largest_exact_unit() {
        for (millis, text) in
            [(0, "0ms"), (500, "500ms"), (90_000, "90s"), (300_000, "5m"), (5_400_000, "90m"), (259_200_000, "3d")]
        {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }
}

//! Rules and panels of the user's own: what Prometheus or Grafana would not read.

use serde_json::Value;

use super::{
    super::{findings::Findings, units},
    query, template,
};

/// Panels of the user's own, with those inside of rows; Modelship's board has a quarter of that.
const MOST_PANELS: usize = 200;

/// One rule that Prometheus refuses would take all of the model's rules with it.
pub(super) fn rules(at: &str, rules: &[Value], findings: &mut Findings) {
    for (index, rule) in rules.iter().enumerate() {
        if let Err(message) = check(rule) {
            findings.add(format!("{at}[{index}]"), message);
        }
    }
}

pub(super) fn panels(at: &str, panels: &[Value], findings: &mut Findings) {
    let all: usize = panels.iter().map(within).sum();
    if all > MOST_PANELS {
        findings.add(at, format!("has {all} panels; {MOST_PANELS} are the most"));
    }
    for (index, panel) in panels.iter().enumerate() {
        if !panel["type"].is_string() || !panel["title"].is_string() {
            findings.add(
                format!("{at}[{index}]"),
                "is no panel: it needs type and title, as in a Grafana dashboard's JSON",
            );
        }
    }
}

/// Of a panel: itself and those inside.
fn within(panel: &Value) -> usize {
    1 + panel["panels"].as_array().into_iter().flatten().map(within).sum::<usize>()
}

fn check(rule: &Value) -> Result<(), String> {
    let (alert, record) = (rule["alert"].as_str(), rule["record"].as_str());
    if alert.is_some() == record.is_some() {
        return Err("has exactly one of alert and record".to_owned());
    }
    if record.is_some_and(|name| !metric_name(name)) {
        return Err("record is no name of a metric: letters, digits, '_' and ':'".to_owned());
    }
    let expression = rule["expr"].as_str().ok_or("needs expr, the query")?;
    query::check(expression)?;
    let known = ["alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"];
    if let Some(field) = rule.as_object().and_then(|rule| rule.keys().find(|field| !known.contains(&field.as_str()))) {
        return Err(format!("has a field {field}, which rules do not have; they have {}", known.join(", ")));
    }
    for field in ["for", "keep_firing_for"] {
        match &rule[field] {
            Value::Null => {}
            Value::String(text) if record.is_none() => drop(units::duration(text)?),
            _ => return Err(format!("{field} is a duration, such as 5m, and only alerts have it")),
        }
    }
    for field in ["labels", "annotations"] {
        let names = rule[field].as_object();
        if names.is_some_and(|names| names.iter().any(|(name, value)| !label_name(name) || !value.is_string())) {
            return Err(format!("{field} map names of letters, digits and '_' to text"));
        }
    }
    if record.is_some() && !rule["annotations"].is_null() {
        return Err("only alerts have annotations".to_owned());
    }
    let texts = ["labels", "annotations"].into_iter().filter_map(|field| rule[field].as_object()).flatten();
    for (name, text) in texts.filter(|_| alert.is_some()) {
        template::check(text.as_str().unwrap_or_default())
            .map_err(|fault| format!("{name} is no template that Prometheus reads: it {fault}"))?;
    }
    Ok(())
}

fn metric_name(name: &str) -> bool {
    let begins = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':');
    name.starts_with(begins) && name.chars().all(|c| begins(c) || c.is_ascii_digit())
}

/// `__name__` is the metric's, which Prometheus lets no rule set.
fn label_name(name: &str) -> bool {
    metric_name(name) && !name.contains(':') && name != "__name__"
}

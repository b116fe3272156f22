//! The queries of the shares of predictions that an alert watches.

use serde_json::{Value, json};

use super::bounds;
use crate::api::monitoring::valid::{ClassShare, ShareOf};

const SELECTOR: &str =
    r#"namespace="$namespace", model="$model", track!="candidate", job=~"$job", instance=~"$instance""#;

/// One query for each share. `None`: there is none to show.
pub(super) fn targets(shares: &[ClassShare]) -> Option<Vec<Value>> {
    let queries: Vec<(String, String)> = shares.iter().map(query).collect();
    let targets = queries.into_iter().enumerate().map(|(at, (expr, legend))| {
        json!({
            "refId": format!("S{at}"),
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "expr": expr,
            "legendFormat": legend,
            "instant": false,
            "range": true,
        })
    });
    let targets: Vec<Value> = targets.collect();
    (!targets.is_empty()).then_some(targets)
}

/// Query and legend.
fn query(share: &ClassShare) -> (String, String) {
    let window = bounds::text(share.window);
    let total = |metric: &str| format!("(sum(increase({metric}{{{SELECTOR}}}[{window}])) > 0)");
    match &share.of {
        ShareOf::Class(class) => {
            let all = total("model_predictions_total");
            let class = quoted(class);
            // The legend comes from the label: Grafana would read a name with braces or a dollar as its own.
            let one =
                format!("sum by (class) (increase(model_predictions_total{{{SELECTOR}, class={class}}}[{window}]))");
            (format!("{one} / ignoring (class) group_left () {all}"), format!("{{{{class}}}} within {window}"))
        }
        ShareOf::ScoreAbove(score) => {
            let all = total("model_prediction_probability_count");
            let below =
                format!("sum(increase(model_prediction_probability_bucket{{{SELECTOR}, le=\"{score}\"}}[{window}]))");
            (format!("1 - {below} / {all}"), format!("above {score} within {window}"))
        }
    }
}

/// A string of PromQL in which Grafana finds no variable of its own: neither `$name` nor `[[name]]`.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '$' | '[' => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

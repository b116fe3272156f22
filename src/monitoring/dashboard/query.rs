//! What a panel's query asks for.

use std::collections::BTreeMap;

use promql_parser::{
    label::Matchers,
    parser::{self, Expr},
    util::{ExprVisitor, walk_expr},
};
use serde_json::Value;

/// What Grafana puts for its variables, so that a query becomes PromQL. Longer names first: `$model` begins others' names.
const VARIABLES: [(&str, &str); 10] = [
    ("${model}", "churn"),
    ("$__rate_interval", "1m"),
    ("$traffic_window", "1h"),
    ("$recent_window", "5m"),
    ("$drift_window", "1h"),
    ("$namespace", "ml"),
    ("$instance", ".+"),
    ("$__range", "6h"),
    ("$model", "churn"),
    ("$job", ".+"),
];

/// The queries of a panel.
pub(crate) fn queries(panel: &Value) -> impl Iterator<Item = &str> {
    panel["targets"].as_array().into_iter().flatten().filter_map(|target| target["expr"].as_str())
}

/// The query as Grafana would send it.
pub(crate) fn interpolated(query: &str) -> String {
    VARIABLES.iter().fold(query.to_owned(), |query, (name, value)| query.replace(name, value))
}

/// The metrics that a query reads, each with the matchers of all its places.
///
/// # Errors
/// When it is no PromQL.
pub(crate) fn selectors(query: &str) -> Result<BTreeMap<String, Vec<Matchers>>, String> {
    let query = interpolated(query);
    let parsed = parser::parse(&query).map_err(|error| format!("{query}: {error}"))?;
    let mut found = Found::default();
    walk_expr(&mut found, &parsed)?;
    Ok(found.0)
}

#[derive(Default)]
struct Found(BTreeMap<String, Vec<Matchers>>);

impl ExprVisitor for Found {
    type Error = String;

    fn pre_visit(&mut self, plan: &Expr) -> Result<bool, String> {
        let selector = match plan {
            Expr::VectorSelector(selector) => selector,
            Expr::MatrixSelector(matrix) => &matrix.vs,
            _ => return Ok(true),
        };
        let name = selector.name.clone().ok_or("a selector without a metric's name")?;
        self.0.entry(name).or_default().push(selector.matchers.clone());
        Ok(true)
    }
}

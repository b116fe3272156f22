//! Series that are computed beforehand, for dashboards and for queries of the user's own. Names are level:metric:operations;
//! where scrapes are so rare that five minutes do not hold four, the window is longer, and the name stays.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    alert::own_labels,
    errors, latency,
    promql::{Scope, duration, increase, rate},
};

const REQUESTS: &str = "http_requests_total";
const SHARES: Duration = Duration::from_secs(3600);

pub(super) fn rules(scope: &Scope) -> Vec<Value> {
    let window = scope.window;
    // Compared, so that NaN is left out: no traffic is no latency.
    let p95 = format!("{} >= 0", latency::p95(scope, window));
    let predictions = scope.served("model_predictions_total", "");
    let shares = format!(
        "sum by (class) (increase({predictions}[{}])) / on () group_left () ({} > 0)",
        duration(SHARES),
        increase(&predictions, SHARES)
    );
    vec![
        record(scope, "model:http_requests:rate5m", rate(&scope.served(REQUESTS, ""), window)),
        record(scope, "model:http_request_errors:ratio_rate5m", errors::ratio(scope, REQUESTS, window)),
        record(scope, "model:http_request_duration_seconds:p95_rate5m", p95),
        record(scope, "model:predictions:ratio", shares),
    ]
}

pub(super) fn record(scope: &Scope, name: &str, expr: String) -> Value {
    json!({"record": name, "expr": expr, "labels": own_labels(scope, str::to_owned)})
}

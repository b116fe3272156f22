//! The tests that `modelship render --promtool-tests` gives pass, for models of every kind.

use modelship::monitoring::rules::{self, Sources};
use serde_json::{Value, json};

use super::support::{groups, promtool, run, with, write};

const MODEL: (&str, &str) = ("cellar", "grape-scorer");

/// Every alert, with bounds at their ends.
fn everything() -> Value {
    json!({"monitoring": {"alerts": {
        "highTraffic": "5000/1h", "trafficDetected": true, "noTraffic": "30m", "objective": "99.9%",
        "latencyP95": "9999ms", "errorRatio": "100%", "memory": "100%", "restarts": 100, "downFor": "1h",
        "classShare": [
            {"class": "{{ race/ethnicity }}", "above": "40%"}, {"class": "it's \"x\"\\", "above": "100%"},
            {"scoreAbove": "0.05", "above": "0.1%", "window": "6h"},
        ],
        "drift": {"psi": "18", "minimum": 1_000_000},
    }}})
}

fn check(spec: &Value) {
    let Some(promtool) = promtool() else { return };
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "rules.yml", &json!({"groups": groups(MODEL, spec)}));
    let tests = with(MODEL, spec, |subject| rules::promtool_tests(subject, Sources { cadvisor: true }));
    write(folder.path(), "tests.yml", &tests);
    run(&promtool, folder.path(), &["check", "rules", "--lint-fatal", "rules.yml"]);
    run(&promtool, folder.path(), &["test", "rules", "tests.yml"]);
}

#[test]
fn the_tests_of_the_smallest_model_pass() {
    check(&json!({}));
}

#[test]
fn the_tests_of_a_model_with_every_alert_pass() {
    check(&everything());
}

#[test]
fn the_tests_of_a_model_that_is_asked_rarely_or_often_pass() {
    for interval in ["1s", "5m"] {
        check(&json!({"monitoring": {"scrapeInterval": interval, "alerts": {"objective": "95%", "noTraffic": "20m"}}}));
    }
}

#[test]
fn the_tests_of_a_model_without_an_exporter_pass() {
    check(&json!({"exporter": {"enabled": false}}));
}

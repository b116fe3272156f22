//! What is asked of Prometheus.

use std::collections::BTreeSet;

use promql_parser::label::{MatchOp, Matchers};

use super::*;

/// Those that Prometheus adds, of the kubelet, of Python, and the recorded ones.
const OTHERS: &str = "
    up scrape_duration_seconds
    container_memory_working_set_bytes container_cpu_usage_seconds_total
    container_cpu_cfs_throttled_periods_total container_cpu_cfs_periods_total
    python_gc_collections_total python_gc_objects_collected_total python_gc_objects_uncollectable_total
    model:prediction_drift:psi model:prediction_drift:samples
";

/// The exporter's and the operator's series, from their references.
fn exported() -> impl Iterator<Item = &'static str> {
    let references = [include_str!("../../../exporter/METRICS.md"), include_str!("../../../controller/METRICS.md")];
    let rows = references.into_iter().flat_map(str::lines);
    rows.filter_map(|row| row.strip_prefix("| `")?.split_once('`').map(|(name, _)| name))
}

fn matches(matchers: &Matchers, label: &str, value: &str) -> bool {
    matchers.matchers.iter().any(|matcher| matcher.name == label && matcher.value == value)
}

#[test]
fn every_query_is_promql_once_grafana_has_put_in_its_variables() {
    for board in all() {
        for query in queries(&board) {
            query::selectors(&query).unwrap();
            assert!(!query::interpolated(&query).contains('$') || query.contains("\"$1\""), "{query}");
        }
    }
}

#[test]
fn where_nothing_is_told_no_query_makes_up_a_figure() {
    for board in all() {
        for query in queries(&board) {
            assert!(!query.contains("vector("), "{query}");
        }
    }
}

#[test]
fn every_metric_that_is_asked_for_exists() {
    let known: BTreeSet<&str> = exported().chain(OTHERS.split_whitespace()).collect();
    for board in all() {
        for query in queries(&board) {
            for name in query::selectors(&query).unwrap().into_keys() {
                let base = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end));
                let exists = known.contains(name.as_str()) || base.is_some_and(|base| known.contains(base));
                assert!(exists, "there is no metric {name}: {query}");
            }
        }
    }
}

#[test]
fn every_query_of_a_model_matches_its_namespace_and_its_name() {
    for board in two() {
        for query in queries(&board) {
            for (metric, places) in query::selectors(&query).unwrap() {
                for place in places {
                    let named = match metric.starts_with("modelship_model_") {
                        true => matches(&place, "model_namespace", "ml") && matches(&place, "model", "churn"),
                        false if metric.starts_with("container_") => {
                            matches(&place, "namespace", "ml") && matches(&place, "pod", "churn-[a-z0-9]+-[a-z0-9]{5}")
                        }
                        false => matches(&place, "namespace", "ml") && matches(&place, "model", "churn"),
                    };
                    assert!(named, "{metric} of any model: {query}");
                }
            }
        }
    }
}

#[test]
fn every_query_of_scraped_series_heeds_the_chosen_job_and_instance() {
    for board in two() {
        for query in queries(&board) {
            for (metric, places) in query::selectors(&query).unwrap() {
                let scraped =
                    !["modelship_model_", "container_", "model:"].iter().any(|start| metric.starts_with(start));
                let heeds = |place| matches(place, "job", ".+") && matches(place, "instance", ".+");
                assert!(!scraped || places.iter().all(heeds), "{query}");
            }
        }
    }
}

#[test]
fn requests_and_predictions_of_a_candidate_do_not_count_as_the_alerts_have_it() {
    let starts = ["http_", "model_prediction", "model_rows"];
    for board in all() {
        for query in queries(&board) {
            for (metric, places) in query::selectors(&query).unwrap() {
                let served = starts.iter().any(|start| metric.starts_with(start));
                let without = |place: &Matchers| {
                    place
                        .matchers
                        .iter()
                        .any(|m| m.name == "track" && m.op == MatchOp::NotEqual && m.value == "candidate")
                };
                assert_eq!(places.iter().all(without), served, "{metric}: {query}");
            }
        }
    }
}

#[test]
fn two_models_ask_for_their_own_series_by_the_values_of_hidden_variables() {
    for (board, namespace, model) in [(&two()[0], "ml", "churn"), (&two()[1], "risk", "credit-scoring")] {
        for (name, value) in [("namespace", namespace), ("model", model)] {
            let constant = variable(board, name);
            assert_eq!((&constant["type"], &constant["hide"]), (&json!("constant"), &json!(2)));
            assert_eq!((&constant["query"], &constant["current"]["value"]), (&json!(value), &json!(value)));
        }
    }
}

#[test]
fn rates_are_taken_over_four_scrapes_at_least() {
    let [quick, minutely, models, operator] = <[Value; 4]>::try_from(all()).unwrap();
    let slow = monitored(json!({"scrapeInterval": "5m"}));
    assert_eq!(variable(&slow, "recent_window")["query"], "20m");
    assert!([&quick, &minutely].iter().all(|board| variable(board, "recent_window")["query"] == "5m"));
    // Grafana takes what varies with the board's range over four of the target's interval.
    for (board, now, course) in [
        (&quick, "$recent_window", "$__rate_interval"),
        (&minutely, "$recent_window", "$__rate_interval"),
        (&slow, "$recent_window", "$__rate_interval"),
        (&operator, "5m", "$__rate_interval"),
        // These models may be scraped as seldom as every five minutes.
        (&models, "20m", "20m"),
    ] {
        for target in targets(board) {
            let query = target["expr"].as_str().unwrap();
            for (at, _) in query.match_indices("rate(") {
                let range = query[at..].split_once("}[").unwrap().1.split_once(']').unwrap().0;
                assert_eq!(range, if target["instant"] == true { now } else { course }, "{query}");
            }
        }
    }
}

#[test]
fn what_others_scrape_is_asked_for_no_more_often_than_they_usually_do() {
    for target in targets(&two()[0]) {
        let kubelets = target["expr"].as_str().unwrap().contains("container_");
        assert_eq!(target["interval"], if kubelets { "1m" } else { "15s" }, "{target}");
    }
    assert!(targets(&serde_json::from_str(OPERATOR).unwrap()).all(|target| target["interval"] == "1m"));
}

#[test]
fn counters_are_never_shown_as_they_are() {
    for board in all() {
        for query in queries(&board) {
            for name in query::selectors(&query).unwrap().into_keys().filter(|name| name.ends_with("_total")) {
                for (at, _) in query.match_indices(&format!("{name}{{")) {
                    assert!(query[..at].ends_with("rate(") || query[..at].ends_with("increase("), "{name}: {query}");
                }
            }
        }
    }
}

#[test]
fn no_division_is_by_zero_and_no_quantile_is_of_nothing() {
    for board in all() {
        for query in queries(&board) {
            for (at, _) in query.match_indices(" / ") {
                let divisor = &query[at + 3..];
                let positive = divisor.contains("> 0)");
                assert!(positive, "NaN without traffic: {query}");
            }
            assert!(!query.contains("histogram_quantile") || query.ends_with(">= 0"), "NaN without traffic: {query}");
        }
    }
}

#[test]
fn heat_maps_are_drawn_from_buckets() {
    for board in all() {
        for panel in panels(&board).filter(|panel| panel["type"] == "heatmap") {
            let target = &panel["targets"][0];
            assert_eq!((&target["format"], &target["legendFormat"]), (&json!("heatmap"), &json!("{{le}}")));
            assert!(target["expr"].as_str().unwrap().starts_with("sum by (le) (increase("), "{target}");
        }
    }
}

#[test]
fn the_interval_between_points_is_no_shorter_than_between_scrapes() {
    assert!(targets(&two()[1]).all(|target| target["interval"] == "1m"));
}

#[test]
fn the_windows_are_those_of_the_alerts() {
    let board = monitored(json!({"alerts": {"highTraffic": "5000/2h", "drift": {"window": "30m"}}}));
    assert_eq!(variable(&board, "traffic_window")["query"], "2h");
    assert_eq!(variable(&board, "drift_window")["query"], "30m");
    let board = monitored(json!({"alerts": {"highTraffic": "100/s", "drift": {"window": "90s"}}}));
    assert_eq!(variable(&board, "traffic_window")["query"], "1h");
    assert_eq!(variable(&board, "drift_window")["query"], "90s");
}

#[test]
fn class_names_with_spaces_slashes_quotes_and_dollars_are_asked_for_as_they_are() {
    for class in ["math score", "race/ethnicity", r#"it's "x""#, r"back\slash", "$model", "[[model]]", "${job}", "ü\n"]
    {
        let board = monitored(json!({"alerts": {"classShare": [{"class": class, "above": "40%"}]}}));
        let target = &panel(&board, "Watched shares")["targets"][0];
        let places =
            query::selectors(target["expr"].as_str().unwrap()).unwrap().remove("model_predictions_total").unwrap();
        let asked = places.iter().flat_map(|place| &place.matchers).find(|matcher| matcher.name == "class").unwrap();
        assert_eq!((asked.value.as_str(), &asked.op), (class, &MatchOp::Equal));
        // The name comes from the label, not from the text of the board.
        assert_eq!(target["legendFormat"], "{{class}} within 1h");
    }
}

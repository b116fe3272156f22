//! What is drawn for the alerts.

use super::*;

/// Values of the steps above the first, and how they are drawn.
fn drawn(board: &Value, title: &str) -> (Vec<f64>, Value) {
    let defaults = &panel(board, title)["fieldConfig"]["defaults"];
    let steps = defaults["thresholds"]["steps"].as_array().unwrap();
    assert_eq!(steps[0]["value"], Value::Null, "{title}");
    (
        steps[1..].iter().map(|step| step["value"].as_f64().unwrap()).collect(),
        defaults["custom"]["thresholdsStyle"]["mode"].clone(),
    )
}

#[test]
fn every_bound_of_the_spec_is_drawn_in_the_unit_of_its_panel() {
    let board = monitored(json!({"alerts": {
        "highTraffic": "120/m", "errorRatio": "3%", "latencyP95": "250ms", "objective": "99.5%", "restarts": 4,
        "scrapeDuration": "3s", "memory": "85%", "cpuThrottling": "20%", "openFiles": "70%",
        "classShare": [{"class": "churn", "above": "40%"}, {"class": "stay", "above": "90%"}],
        "drift": {"psi": "0.2", "minimum": 300},
    }}));
    for (title, bounds) in [
        ("Requests per second", vec![2.0]),
        ("Failed requests, of all", vec![0.03]),
        ("Time to answer", vec![0.25]),
        ("Time to answer by pod (p95)", vec![0.25]),
        ("Answered well within the last hour", vec![0.995]),
        ("Restarts within 15 minutes", vec![4.0]),
        ("Time to scrape", vec![3.0]),
        ("Memory of its limit", vec![0.85]),
        ("CPU held back", vec![0.2]),
        ("Open files, of those allowed", vec![0.7]),
        ("Watched shares", vec![0.4, 0.9]),
        ("Distance from the reference", vec![0.2]),
        ("Predictions compared", vec![300.0]),
    ] {
        let all =
            panels(&board).filter(|panel| panel["title"] == title && panel["type"] == "timeseries").collect::<Vec<_>>();
        assert_eq!(all.len(), 1, "{title}");
        let one = json!({"panels": [all[0]]});
        assert_eq!(drawn(&one, title), (bounds, json!("dashed")), "{title}");
    }
    let stat = panels(&board).find(|panel| panel["title"] == "95 of 100 within (p95)").unwrap();
    assert_eq!(stat["fieldConfig"]["defaults"]["thresholds"]["steps"][1], json!({"color": "red", "value": 0.25}));
}

#[test]
fn a_total_over_a_window_is_drawn_where_totals_are() {
    let board = monitored(json!({"alerts": {"highTraffic": "5000/2h"}}));
    assert_eq!(drawn(&board, "Requests within $traffic_window"), (vec![5000.0], json!("dashed")));
    assert_eq!(drawn(&board, "Requests per second").0, Vec::<f64>::new());
}

#[test]
fn what_lies_below_an_objective_is_red() {
    let board = monitored(json!({"alerts": {"objective": "99%"}}));
    let steps = &panel(&board, "Answered well within the last hour")["fieldConfig"]["defaults"]["thresholds"]["steps"];
    assert_eq!(*steps, json!([{"color": "red", "value": null}, {"color": "green", "value": 0.99}]));
}

#[test]
fn no_line_is_drawn_for_an_alert_that_is_off() {
    let board = monitored(json!({"alerts": {"disabled": ["HighLatency", "HighErrorRatio"]}}));
    for title in ["Time to answer", "Failed requests, of all", "Answered well within the last hour"] {
        assert_eq!(drawn(&board, title), (Vec::new(), json!("off")), "{title}");
        assert!(panel(&board, title).get("links").is_none(), "{title}");
    }
}

#[test]
fn a_panel_with_a_bound_leads_to_what_to_do() {
    let board = with(json!({}));
    let links = panel(&board, "Time to answer")["links"].as_array().unwrap();
    assert_eq!(links.len(), 1);
    assert_eq!(links[0]["title"], "What to do: HighLatency");
    assert_eq!(
        links[0]["url"],
        "https://github.com/modelship/modelship/blob/main/src/monitoring/runbooks/HighLatency.md"
    );
}

#[test]
fn every_alert_has_a_panel_that_leads_to_its_runbook() {
    let board = monitored(json!({"alerts": {
        "highTraffic": "100/s", "trafficDetected": true, "noTraffic": "1h", "objective": "99%",
        "classShare": [{"class": "churn", "above": "40%"}],
    }}));
    let links = panels(&board).flat_map(|panel| panel["links"].as_array().into_iter().flatten());
    let linked: Vec<&str> = links.map(|link| link["title"].as_str().unwrap()).collect();
    for alert in [
        "HighTraffic",
        "TrafficDetected",
        "NoTraffic",
        "HighErrorRatio",
        "HighLatency",
        "ErrorBudgetBurn",
        "ModelDown",
        "ModelCrashLooping",
        "RolloutFailed",
        "VersionHeldBack",
        "ImageNotResolved",
        "SlowScrape",
        "HighMemory",
        "CpuThrottled",
        "TooManyOpenFiles",
        "HighClassShare",
        "PredictionDrift",
    ] {
        assert!(linked.contains(&format!("What to do: {alert}").as_str()), "{alert}");
    }
}

#[test]
fn the_shares_that_an_alert_watches_are_drawn_over_its_window() {
    let board = monitored(json!({"alerts": {"classShare": [
        {"class": "churn", "above": "40%", "window": "30m"},
        {"scoreAbove": "0.85", "above": "30%"},
    ]}}));
    let targets = panel(&board, "Watched shares")["targets"].as_array().unwrap();
    assert_eq!(targets.len(), 2);
    let (class, score) = (targets[0]["expr"].as_str().unwrap(), targets[1]["expr"].as_str().unwrap());
    assert!(class.contains(r#"class="churn"}[30m]"#), "{class}");
    assert!(score.starts_with("1 - ") && score.contains(r#"le="0.85"}[1h]"#), "{score}");
    assert!(!titles(&with(json!({}))).contains(&"Watched shares"));
}

//! Which panels a model has.

use super::*;

#[test]
fn the_template_can_be_read_with_every_mark() {
    let board: Value = serde_json::from_str(MODEL).unwrap();
    assert_eq!(template::panels().len(), everything(&board).count());
    for (panel, (marks, _)) in everything(&board).zip(template::panels()) {
        let Some(mark) = panel.get("modelship") else { continue };
        assert_eq!(*marks, serde_json::from_value::<Marks>(mark.clone()).unwrap());
        assert_ne!(*marks, Marks::default(), "{}: a mark that says nothing", panel["title"]);
    }
}

#[test]
fn without_the_exporter_nothing_asks_for_its_series() {
    let board = with(json!({"exporter": {"enabled": false}}));
    for query in queries(&board) {
        for name in query::selectors(&query).unwrap().into_keys() {
            assert!(name.starts_with("modelship_model_") || name.starts_with("container_"), "{name}");
        }
    }
    let rows: Vec<&Value> = board["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] == "row").collect();
    let rows: Vec<&str> = rows.iter().map(|row| row["title"].as_str().unwrap()).collect();
    assert_eq!(rows, ["At a glance", "Resources", "Roll-outs"]);
}

#[test]
fn the_board_has_the_rows_of_the_issue_in_order() {
    let board = with(json!({}));
    let rows = board["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] == "row");
    let rows: Vec<&str> = rows.map(|row| row["title"].as_str().unwrap()).collect();
    assert_eq!(rows, ["At a glance", "Traffic", "Errors", "Latency", "Predictions", "Drift", "Resources", "Roll-outs"]);
}

#[test]
fn panels_of_another_kind_of_predictions_are_left_out() {
    let kinds = ["Scores", "How sure the model is", "Predicted numbers", "Share of each class"];
    for (kind, shown) in [
        ("class", vec!["Share of each class"]),
        ("probability", vec!["Share of each class", "Scores"]),
        ("probabilities", vec!["Share of each class", "How sure the model is"]),
        ("number", vec!["Predicted numbers"]),
    ] {
        let board = with(json!({"predictions": {"kind": kind}}));
        let titles: Vec<&str> = titles(&board).into_iter().filter(|title| kinds.contains(title)).collect();
        assert_eq!(titles, shown, "{kind}");
    }
    let board = with(json!({}));
    assert!(kinds.iter().all(|title| titles(&board).contains(title)), "nobody knows yet: all of them");
}

#[test]
fn drift_is_shown_where_there_is_a_reference() {
    let mut model = Model::new("ml", "churn", json!({}));
    assert!(titles(&model.board()).contains(&"Predictions beside the reference"));
    model.spec.predictions = json!({});
    let board = model.board();
    assert!(board["panels"].as_array().unwrap().iter().all(|panel| panel["title"] != "Drift"));
    assert!(queries(&board).iter().all(|query| !query.contains("prediction_drift") && !query.contains("reference")));
}

#[test]
fn python_is_shown_where_something_may_export_it() {
    let python = |server: Value| titles(&with(json!({"server": server}))).contains(&"Python garbage collections");
    assert!(python(json!({})), "pythonMetrics is on in this test's model");
    assert!(!python(json!({"pythonMetrics": false})));
    assert!(python(json!({"pythonMetrics": false, "metricsPath": "/metrics"})));
}

#[test]
fn processes_are_shown_where_they_can_be_seen() {
    let board = with(json!({"server": {"shareProcessNamespace": false}}));
    assert!(!board.to_string().contains("process_"));
    assert!(titles(&board).contains(&"Memory of the model"));
}

#[test]
fn memory_is_shown_in_the_units_of_limits_against_its_limit() {
    let board = with(json!({}));
    let memory = panel(&board, "Memory of the model");
    assert_eq!(memory["fieldConfig"]["defaults"]["unit"], "bytes");
    let exprs: Vec<&str> = query::queries(memory).collect();
    assert!(exprs[0].contains("container_memory_working_set_bytes"), "{exprs:?}");
    assert!(exprs[1].contains("modelship_model_memory_limit_bytes"));
}

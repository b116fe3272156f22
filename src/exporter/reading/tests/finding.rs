//! What is found without settings, and that it never flips.

use pretty_assertions::assert_eq;
use serde_json::json;

use super::Room;

fn found(answers: &[&str]) -> String {
    let mut room = Room::new(&json!(null));
    for answer in answers {
        room.answer(answer);
    }
    room.decided().map(|(kind, path)| format!("{kind} {path}")).unwrap_or_default()
}

#[test]
fn the_first_row_decides_unless_it_can_be_several_things() {
    assert_eq!("class $", found(&["[\"stay\"]"]));
    assert_eq!("class $", found(&["[2]"]));
    assert_eq!("class $", found(&["[-1]"]));
    assert_eq!("number $", found(&["[101]"]));
    assert_eq!("number $", found(&["[-7.25]"]));
    assert_eq!("number $[0]", found(&["[[341.5]]"]));
    assert_eq!("probabilities $", found(&["[[0.3333, 0.3333, 0.3333]]"]));
    assert_eq!("", found(&["[0.7]"]));
    assert_eq!("", found(&["[1.0]"]));
}

#[test]
fn a_column_without_a_name_is_found_as_mlflow_writes_it_and_two_of_them_are_left_alone() {
    assert_eq!("class $.0", found(&[r#"{"predictions": [{"0": 1}, {"0": 0}]}"#]));
    assert_eq!("class $.0", found(&[r#"[{"0": "stay"}]"#]));
    assert_eq!("", found(&[r#"[{"0": 1, "1": 0}]"#]));
    assert_eq!("", found(&[r#"[{"1": 1}]"#]));
    let mut room = Room::new(&json!(null));
    room.answer(r#"{"predictions": [{"0": 1}, {"0": 0}, {"0": 1}]}"#);
    assert_eq!(2.0, room.value("model_predictions_total{class=\"1\"}"));
}

#[test]
fn ten_numbers_decide_what_one_does_not() {
    assert_eq!("", found(&["[0.7, 0.2, 0.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5]"]));
    assert_eq!("probability $", found(&["[0.7, 0.2, 0.0, 1.0, 0.5]", "[0.5, 0.5, 0.5, 0.5, 0]"]));
    assert_eq!("class $", found(&["[1.0, 0.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]"]));
    assert_eq!("number $", found(&["[0.7]", "[3.0]"]));
    assert_eq!("number $", found(&["[3.0]", "[0.7]"]));
    assert_eq!("number $", found(&["[1.0, 250.0]"]));
}

#[test]
fn rows_that_waited_for_the_decision_are_counted_once_it_is_made() {
    let mut room = Room::new(&json!(null));
    room.answer("[0.25]").answer("[0.5, NaN]");
    assert_eq!(0.0, room.value("model_prediction_probability_count"));
    assert_eq!(2.0, room.value("modelship_exporter_exchanges_read_total"));
    room.answer("[NaN, 2.5]");
    assert_eq!(3.0, room.value("model_prediction_value_count"));
    assert_eq!(3.25, room.value("model_prediction_value_sum"));
    assert_eq!(1.0, room.value("model_predictions_unread_total{reason=\"nan\"}"));
}

#[test]
fn later_evidence_never_flips_the_decision() {
    let mut room = Room::new(&json!(null));
    room.answer("[1]");
    let series = "modelship_exporter_reading_info{kind=\"class\",path=\"$\",source=\"found\"}";
    for answer in
        ["[0.7]", "[[0.5, 0.5]]", "[341.5]", "[{\"label\": \"a\"}]", "{\"predictions\": {\"label\": [1.5, 2.5]}}"]
    {
        for _ in 0..20 {
            room.answer(answer);
        }
        assert_eq!(Some(("class".to_owned(), "$".to_owned())), room.decided(), "{answer}");
        assert_eq!(1.0, room.value(series));
    }
    assert_eq!(1, room.page().keys().filter(|series| series.contains("reading_info")).count());
}

#[test]
fn what_was_found_before_wins_over_finding_anew_and_settings_over_both() {
    let handed_back = json!({"found": {"kind": "number", "path": "$"}});
    let mut room = Room::new(&handed_back);
    assert_eq!(Some(("number".to_owned(), "$".to_owned())), room.decided());
    room.answer("[1, 0]");
    assert_eq!(2.0, room.value("model_prediction_value_count"));
    assert_eq!(1.0, room.value("modelship_exporter_reading_info{kind=\"number\",path=\"$\",source=\"found\"}"));
    room.set(&json!({"kind": "class", "found": {"kind": "number", "path": "$"}}));
    room.answer("[1, 0]");
    assert_eq!(1.0, room.value("modelship_exporter_reading_info{kind=\"class\",path=\"$\",source=\"settings\"}"));
    assert_eq!("0=1 1=1", room.classes());
}

#[test]
fn what_another_pod_has_found_comes_too_late_for_one_that_has_found_something_else() {
    let mut room = Room::new(&json!(null));
    room.answer("[1]");
    room.set(&json!({"found": {"kind": "number", "path": "$"}}));
    assert_eq!(Some(("class".to_owned(), "$".to_owned())), room.decided());
    let mut room = Room::new(&json!(null));
    room.answer("[0.5]");
    room.set(&json!({"found": {"kind": "number", "path": "$"}}));
    assert_eq!(Some(("number".to_owned(), "$".to_owned())), room.decided(), "nothing had been found yet");
}

#[test]
fn new_settings_count_from_the_next_exchange_on_and_no_series_falls_or_goes() {
    let mut room = Room::new(&json!({"kind": "class", "classes": [{"value": 0, "name": "stay"}]}));
    room.answer("[0, 0, 1]");
    let before = room.page();
    for settings in [
        json!({"kind": "class", "classes": [{"value": 0, "name": "bleibt"}, {"value": 1, "name": "geht"}]}),
        json!({"kind": "number"}),
        json!({"kind": "probabilities", "path": "$.p", "classes": ["a", "b"]}),
        json!(null),
    ] {
        room.set(&settings);
        room.answer("[0, 1, 1]");
        for (series, value) in &before {
            if !series.contains("reading_info") {
                assert!(room.value(series) >= *value, "{series} fell with {settings}");
            }
        }
    }
    assert_eq!("__other__=1 bleibt=1 geht=2 stay=2", room.classes());
}

#[test]
fn declared_classes_are_there_at_zero_from_the_start() {
    let room = Room::new(&json!({"classes": ["stay", "churn"]}));
    assert_eq!(1.0, room.value("modelship_exporter_reading_info{kind=\"undecided\",path=\"\",source=\"found\"}"));
    for name in ["stay", "churn", "__other__"] {
        assert_eq!(0.0, room.value(&format!("model_predictions_total{{class=\"{name}\"}}")));
    }
    for series in ["model_prediction_value_count", "model_prediction_probability_count", "model_rows_per_request_count"]
    {
        assert_eq!(0.0, room.value(series));
    }
}

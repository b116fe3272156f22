//! What is found without settings: from which rows, and how a wrong first impression is corrected.

use std::time::Duration;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::Room;

fn open() -> Room {
    Room::new(&json!(null))
}

fn found(answers: &[&str]) -> String {
    let mut room = open();
    for answer in answers {
        room.answer(answer);
    }
    decision(&room)
}

fn decision(room: &Room) -> String {
    room.decided().map(|(kind, path)| format!("{kind} {path}")).unwrap_or_default()
}

fn corrections(room: &Room) -> f64 {
    room.value("modelship_exporter_reading_corrections_total")
}

fn rows_of(values: impl Iterator<Item = impl ToString>) -> String {
    format!("[{}]", values.map(|value| value.to_string()).collect::<Vec<_>>().join(", "))
}

#[test]
fn what_can_be_one_thing_only_decides_at_the_first_row() {
    assert_eq!("class $", found(&["[\"stay\"]"]));
    assert_eq!("class $", found(&["[true]"]));
    assert_eq!("number $", found(&["[101]"]));
    assert_eq!("number $", found(&["[-7.25]"]));
    assert_eq!("number $[0]", found(&["[[341.5]]"]));
    assert_eq!("probabilities $", found(&["[[0.3333, 0.3333, 0.3333]]"]));
    for waits in ["[0.7]", "[1.0]", "[2]", "[-1]", "[\"87.35%\"]", "[[0, 1]]", "[[0.2, 0.9]]", "[[1.5, 3]]"] {
        assert_eq!("", found(&[waits]), "{waits}");
    }
}

#[test]
fn whole_numbers_are_classes_when_they_repeat_and_numbers_when_they_hardly_do() {
    let classes = rows_of((0..30).map(|at| at % 3));
    assert_eq!("class $", found(&[&classes]));
    assert_eq!("class $", found(&[&rows_of((0..30).map(|at| format!("{}.0", at % 2)))]));
    // Whole targets of a tree or a nearest neighbour.
    assert_eq!("number $", found(&[&rows_of((0..20).map(|at| format!("{}.0", 20 + at * 3)))]));
    let mut room = open();
    room.answer(&classes);
    assert_eq!("0=10 1=10 2=10", room.classes());
}

#[test]
fn a_fraction_that_comes_late_makes_numbers_of_what_seemed_to_be_classes_and_all_rows_count_as_numbers() {
    for (answers, kind, count, sum) in [
        // R plumber prints 1.0 as 1.
        (vec!["[1]", "[0.73]"], "probability", 60.0, 60.0 * 0.865),
        // LitServe.
        (vec![r#"{"output": 0}"#, r#"{"output": 0.25}"#], "probability", 60.0, 60.0 * 0.125),
        (vec![r#"{"prediction": 12}"#, r#"{"prediction": 250.5}"#], "value", 60.0, 60.0 * 131.25),
    ] {
        let mut room = open();
        for answer in answers.iter().cycle().take(60) {
            room.answer(answer);
        }
        assert_eq!("", room.classes(), "{answers:?}");
        assert_eq!(count, room.value(&format!("model_prediction_{kind}_count")), "{answers:?}");
        assert!((sum - room.value(&format!("model_prediction_{kind}_sum"))).abs() < 1e-9, "{answers:?}");
    }
    // Even after the whole numbers were counted as classes.
    let mut room = open();
    room.answer(&rows_of((0..40).map(|at| at % 2)));
    assert_eq!("0=20 1=20", room.classes());
    room.answer("[2.5]");
    assert_eq!(("number $".to_owned(), String::new()), (decision(&room), room.classes()));
    assert_eq!((41.0, 22.5), (room.value("model_prediction_value_count"), room.value("model_prediction_value_sum")));
    assert_eq!(1.0, corrections(&room));
    assert!(!room.page().contains_key("model_predictions_total{class=\"1\"}"), "a series of no class is left");
}

#[test]
fn probabilities_of_which_a_later_one_is_none_are_numbers() {
    let mut room = open();
    room.answer(&rows_of((1..=12).map(|at| f64::from(at) / 20.0)));
    assert_eq!(12.0, room.value("model_prediction_probability_count"));
    room.answer("[1.5]");
    assert_eq!(0.0, room.value("model_prediction_probability_count"));
    assert_eq!(13.0, room.value("model_prediction_value_count"));
    assert_eq!(1.0, corrections(&room));
}

#[test]
fn rows_whose_later_sum_is_not_one_are_no_probabilities_and_wait_for_settings() {
    let mut room = open();
    room.answer("[[0.3, 0.7], [0.5, 0.5]]");
    assert_eq!("0=1 1=1".to_owned(), {
        let mut it = open();
        it.answer("[[0.7, 0.3], [0.3, 0.7]]");
        it.classes()
    });
    room.answer("[[0.3, 0.9]]");
    assert_eq!((String::new(), String::new()), (decision(&room), room.classes()));
    assert_eq!(0.0, room.value("model_prediction_top_probability_count"));
    assert_eq!(1.0, corrections(&room));
    room.set(&json!({"kind": "number", "path": "$[1]"}));
    room.answer("[[0.3, 0.9]]");
    assert_eq!(1.0, room.value("model_prediction_value_count"));
}

#[test]
fn texts_with_figures_are_classes_only_if_they_repeat() {
    let mut room = open();
    for row in 0..200 {
        room.answer(&format!("[\"{}.{}%\"]", row, row % 97));
    }
    assert_eq!((String::new(), String::new()), (decision(&room), room.classes()));
    let mut room = open();
    room.answer(r#"["grade 1", "grade 2", "grade 1", "grade 2", "grade 1"]"#);
    assert_eq!("grade 1=3 grade 2=2", room.classes());
    // Decimals in texts keep their digits, and are numbers.
    let mut room = open();
    room.answer(&rows_of((0..12).map(|at| format!("\"{at}.50\""))));
    assert_eq!(("number $".to_owned(), 12.0), (decision(&room), room.value("model_prediction_value_count")));
    let mut room = open();
    room.answer(&rows_of((0..12).map(|at| format!("\"1.{}0\"", at % 2))));
    assert_eq!("1.00=6 1.10=6", room.classes());
}

#[test]
fn names_of_which_none_comes_twice_are_no_classes_in_the_end() {
    let mut room = open();
    let name = |at: u32| -> String {
        (0..6).map(|digit| char::from(b'a' + u8::try_from(at >> (digit * 2) & 3).unwrap())).collect()
    };
    for row in 0..60 {
        room.answer(&format!("[\"{}\"]", name(row)));
    }
    assert_eq!((String::new(), String::new()), (decision(&room), room.classes()));
}

#[test]
fn a_path_that_is_no_models_decides_nothing_for_one_that_is() {
    for (path, receipt) in [("/feedback", r#"{"result": "ok"}"#), ("/login", "true"), ("/log", r#"{"value": 17.5}"#)] {
        let mut room = open();
        for _ in 0..40 {
            room.at(path, receipt);
        }
        for row in 0..20 {
            room.at("/predict", &format!("{{\"prediction\": {row}.5}}")).at(path, receipt);
        }
        assert_eq!("number $.prediction", decision(&room), "{path}");
        assert_eq!(Some("/predict".to_owned()), room.whole_decision().unwrap().request_path);
        assert_eq!((20.0, String::new()), (room.value("model_prediction_value_count"), room.classes()), "{path}");
        assert_eq!(0.0, room.value("model_predictions_unread_total{reason=\"missing\"}"), "{path}");
        assert!(room.value("modelship_exporter_exchanges_skipped_total{reason=\"other_path\"}") >= 19.0, "{path}");
    }
}

#[test]
fn of_two_paths_that_nobody_knows_the_one_whose_answers_vary_wins() {
    let mut room = open();
    for row in 0..30 {
        room.at("/feedback", r#"{"result": "ok"}"#);
        room.at("/api/v1/churn", if row % 3 == 0 { r#"{"label": "churn"}"# } else { r#"{"label": "stay"}"# });
    }
    assert_eq!(("class $.label".to_owned(), "churn=10 stay=20".to_owned()), (decision(&room), room.classes()));
}

#[test]
fn paths_of_models_that_answer_alike_count_together() {
    let mut room = open();
    for _ in 0..20 {
        room.at("/v1/predict", "[\"a\"]").at("/v2/predict", "[\"b\"]").at("/predict_proba", "[[0.5, 0.5]]");
        room.at("/users/17/predict", "[\"a\"]").at("/users/4711/predict", "[\"a\"]");
    }
    assert_eq!(("class $".to_owned(), "a=60 b=20".to_owned()), (decision(&room), room.classes()));
}

#[test]
fn paths_of_one_model_may_hold_its_predictions_in_different_places() {
    let mut room = open();
    for row in 0..20 {
        let class = if row % 2 == 0 { "a" } else { "b" };
        room.at("/predict", &format!("{{\"label\": \"{class}\"}}"));
        room.at("/predict/batch", &format!("{{\"predictions\": [\"{class}\", \"c\"]}}"));
        room.at("/predict_batch", &format!("{{\"results\": [{{\"label\": \"{class}\"}}, {{\"label\": \"d\"}}]}}"));
    }
    assert_eq!("a=30 b=30 c=20 d=20", room.classes());
    assert_eq!(0.0, room.value("model_predictions_unread_total{reason=\"missing\"}"));
}

#[test]
fn models_that_hold_their_numbers_in_different_places_are_not_mixed() {
    let mut room = open();
    for row in 0..20 {
        room.at("/price/predict", &format!("{{\"price\": {row}.5}}"));
        room.at("/demand/forecast", &format!("{{\"yhat\": 9{row}.25}}"));
    }
    assert_eq!(20.0, room.value("model_prediction_value_count"));
    // Nor is what does not fit the settings.
    let mut room = Room::new(&json!({"kind": "class", "path": "$.label"}));
    room.at("/predict", r#"{"label": "a"}"#).at("/predict/batch", r#"{"predictions": ["a", "b"]}"#);
    assert_eq!(
        ("a=1".to_owned(), 0.0),
        (room.classes(), room.value("model_predictions_unread_total{reason=\"missing\"}"))
    );
    // What another path says to a receipt is no class.
    let mut room = Room::new(&json!({"kind": "class", "path": "$"}));
    room.at("/detect", "\"defect\"").at("/feedback", "\"ok\"").at("/detect", "\"ok\"");
    assert_eq!("defect=1 ok=1", room.classes());
}

#[test]
fn many_models_of_one_server_count_together() {
    let mut room = open();
    for name in 0..12 {
        room.at(&format!("/users/name{name}/score"), "[\"a\"]").at(&format!("/users/name{name}/score"), "[\"b\"]");
    }
    assert_eq!("a=12 b=12", room.classes());
}

#[test]
fn the_request_path_of_the_settings_has_the_last_word() {
    let mut room = Room::new(&json!({"requestPath": "/feedback"}));
    room.at("/predict", "[\"a\"]").at("/feedback", r#"{"result": "good"}"#).at("/feedback/", r#"{"result": "bad"}"#);
    assert_eq!(("class $.result".to_owned(), "bad=1 good=1".to_owned()), (decision(&room), room.classes()));
    let mut room = Room::new(&json!({"kind": "class", "path": "$.label", "requestPath": "/score"}));
    room.at("/score", r#"{"label": "a"}"#).at("/predict", r#"{"label": "b"}"#).at("/score", "{}").at("/score", "[{}]");
    assert_eq!("a=1", room.classes());
    assert_eq!(1.0, room.value("model_predictions_unread_total{reason=\"missing\"}"));
    let info =
        "modelship_exporter_reading_info{kind=\"class\",path=\"$.label\",request_path=\"/score\",source=\"settings\"}";
    assert_eq!(1.0, room.value(info));
}

#[test]
fn with_kind_and_path_said_other_paths_miss_nothing() {
    let mut room = Room::new(&json!({"kind": "class", "path": "$.label"}));
    room.at("/feedback", r#"{"result": "ok"}"#)
        .at("/score-it", r#"{"label": "a"}"#)
        .at("/feedback", r#"{"result": "ok"}"#);
    assert_eq!("a=1", room.classes());
    assert_eq!(0.0, room.value("model_predictions_unread_total{reason=\"missing\"}"));
    let skipped =
        |reason: &str| room.value(&format!("modelship_exporter_exchanges_skipped_total{{reason=\"{reason}\"}}"));
    assert_eq!((1.0, 1.0), (skipped("unknown_shape"), skipped("other_path")));
}

#[test]
fn more_paths_than_are_looked_at_are_skipped() {
    let mut room = open();
    for path in 0..40 {
        room.at(&format!("/p{path}/do"), "[\"a\"]");
    }
    assert_eq!(8.0, room.value("modelship_exporter_exchanges_skipped_total{reason=\"other_path\"}"));
}

#[test]
fn a_model_that_is_hardly_asked_shows_something_after_an_hour_or_a_day() {
    let mut room = open();
    room.answer("[1]").answer("[0]").answer("[1]").answer("[1]");
    assert_eq!("", room.classes());
    room.later(Duration::from_secs(3600)).answer("[0]");
    assert_eq!("0=2 1=3", room.classes());
    let mut room = open();
    room.answer("[12]").answer("[15]");
    room.later(Duration::from_secs(3600)).answer("[31]");
    assert_eq!("", decision(&room));
    room.later(Duration::from_secs(86_400)).answer("[8]");
    assert_eq!(("number $".to_owned(), 4.0), (decision(&room), room.value("model_prediction_value_count")));
    // A path that nobody knows, too.
    let mut room = open();
    room.at("/", "[\"a\"]").later(Duration::from_secs(3600)).at("/", "[\"b\"]");
    assert_eq!("a=1 b=1", room.classes());
}

#[test]
fn named_classes_make_classes_of_whole_numbers_at_once_and_a_fraction_corrects_it() {
    let mut room = Room::new(&json!({"classes": ["stay", "churn"]}));
    room.answer("[1]");
    assert_eq!("churn=1", room.classes());
    room.answer(&rows_of((1..=12).map(|at| f64::from(at) / 20.0)));
    assert_eq!("probability $", decision(&room));
    assert_eq!(13.0, room.value("model_prediction_probability_count"));
    assert_eq!("churn=4 stay=9", room.classes());
}

#[test]
fn it_is_said_from_how_many_rows_and_how_sure_and_whether_it_is_final() {
    let mut room = open();
    room.answer("[\"a\"]");
    let (rows, certainty, settled) = (
        "modelship_exporter_reading_rows",
        "modelship_exporter_reading_certainty_ratio",
        "modelship_exporter_reading_settled",
    );
    assert_eq!((1.0, 0.66, 0.0), (room.value(rows), room.value(certainty), room.value(settled)));
    for _ in 0..9 {
        room.answer("[\"a\"]");
    }
    assert_eq!((10.0, 0.91, 1.0), (room.value(rows), room.value(certainty), room.value(settled)));
    let recorded = serde_json::to_value(room.whole_decision().unwrap()).unwrap();
    let expected = json!({
        "kind": "class", "path": "$", "requestPath": "/invocations", "rows": 10, "certainty": 91, "settled": true,
    });
    assert_eq!(expected, recorded);
}

#[test]
fn what_is_final_is_not_corrected() {
    let mut room = open();
    room.answer(&rows_of((0..100).map(|at| at % 4)));
    for answer in ["[0.7]", "[[0.5, 0.5]]", "[341.5]", "[{\"label\": \"a\"}]"] {
        for _ in 0..20 {
            room.answer(answer);
        }
        assert_eq!("class $", decision(&room), "{answer}");
    }
    assert_eq!(0.0, corrections(&room));
    assert_eq!(1, room.page().keys().filter(|series| series.contains("reading_info")).count());
}

#[test]
fn a_column_without_a_name_is_found_as_mlflow_writes_it_and_two_of_them_are_left_alone() {
    assert_eq!("class $.0", found(&[r#"{"predictions": [{"0": "a"}, {"0": "b"}]}"#]));
    assert_eq!("class $.0", found(&[r#"[{"0": "stay"}]"#]));
    assert_eq!("", found(&[r#"[{"0": "a", "1": "b"}]"#]));
    assert_eq!("", found(&[r#"[{"1": "a"}]"#]));
}

fn handed(found: Value) -> Room {
    Room::new(&json!({"found": found}))
}

#[test]
fn what_an_earlier_pod_has_found_counts_from_the_first_row_until_rows_contradict_it() {
    let mut room =
        handed(json!({"kind": "number", "path": "$", "requestPath": "/predict", "rows": 5, "certainty": 85}));
    assert_eq!("number $", decision(&room));
    room.at("/predict", "[1, 0]");
    assert_eq!(2.0, room.value("model_prediction_value_count"));
    assert_eq!(7, room.whole_decision().unwrap().rows);
    // An older exporter decided by one row, and says no more than that.
    let mut room = handed(json!({"kind": "class", "path": "$"}));
    room.answer("[1]").answer("[0]");
    assert_eq!("0=1 1=1", room.classes());
    room.answer("[250.5]");
    assert_eq!(("number $".to_owned(), String::new()), (decision(&room), room.classes()));
    assert_eq!(3.0, room.value("model_prediction_value_count"));
}

#[test]
fn what_an_earlier_pod_has_found_for_good_is_not_found_again() {
    let found = json!({"kind": "class", "path": "$", "requestPath": "/score-it", "rows": 100, "certainty": 99, "settled": true});
    let mut room = handed(found);
    room.at("/score-it", "[1]").at("/predict", "[0.5]").at("/score-it", "[2]");
    assert_eq!(("class $".to_owned(), "1=1 2=1".to_owned()), (decision(&room), room.classes()));
    assert_eq!(1.0, room.value("modelship_exporter_exchanges_skipped_total{reason=\"other_path\"}"));
    room.set(&json!({"kind": "class", "found": {"kind": "number", "path": "$"}}));
    room.at("/score-it", "[1, 0]");
    assert_eq!("0=1 1=2 2=1", room.classes());
}

#[test]
fn what_another_pod_has_found_comes_too_late_for_one_that_has_found_something_else() {
    let mut room = open();
    room.answer("[\"a\"]");
    room.set(&json!({"found": {"kind": "number", "path": "$"}}));
    assert_eq!("class $", decision(&room));
    let mut room = open();
    room.answer("[0.5]");
    room.set(&json!({"found": {"kind": "number", "path": "$"}}));
    assert_eq!("number $", decision(&room), "nothing had been found yet");
    room.answer("[0.5]");
    assert_eq!(2.0, room.value("model_prediction_value_count"), "what was held is counted");
}

#[test]
fn what_is_held_when_the_settings_come_is_counted_by_them() {
    for settings in [json!({"kind": "class", "path": "$"}), json!({"kind": "class"})] {
        let mut room = open();
        room.answer("[1]").set(&settings);
        room.answer("[0]");
        assert_eq!("0=1 1=1", room.classes(), "{settings}");
    }
}

#[test]
fn a_kind_that_only_a_newer_exporter_knows_is_found_again() {
    let mut room = handed(json!({"kind": "boxes", "path": "$"}));
    room.answer("[\"a\"]");
    assert_eq!("class $", decision(&room));
}

#[test]
fn rows_that_waited_for_the_decision_are_counted_once_it_is_made() {
    let mut room = open();
    room.answer("[0.25]").answer("[0.5, NaN]");
    assert_eq!(0.0, room.value("model_prediction_probability_count"));
    assert_eq!(2.0, room.value("modelship_exporter_exchanges_read_total"));
    room.answer("[NaN, 2.5]");
    assert_eq!(3.0, room.value("model_prediction_value_count"));
    assert_eq!(3.25, room.value("model_prediction_value_sum"));
    assert_eq!(2.0, room.value("model_predictions_unread_total{reason=\"nan\"}"));
}

#[test]
fn one_answer_of_more_rows_than_can_be_held_loses_none() {
    let mut room = open();
    room.answer(&rows_of((0..10_000).map(|at| f64::from(at) / 10_007.0)));
    assert_eq!(10_000.0, room.value("model_prediction_probability_count"));
    let mut room = open();
    room.answer(&rows_of(0..5_000));
    assert_eq!(5_000.0, room.value("model_prediction_value_count"));
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
        json!({"classes": ["x", "y"]}),
    ] {
        room.set(&settings);
        room.answer("[0, 1, 1]");
        for (series, value) in &before {
            if !series.contains("modelship_exporter_reading") {
                assert!(room.value(series) >= *value, "{series} fell with {settings}");
            }
        }
    }
    assert_eq!("__other__=1 bleibt=1 geht=2 stay=2 x=1 y=2", room.classes());
}

#[test]
fn declared_classes_are_there_at_zero_from_the_start() {
    let room = Room::new(&json!({"classes": ["stay", "churn"]}));
    let info = "modelship_exporter_reading_info{kind=\"undecided\",path=\"\",request_path=\"\",source=\"found\"}";
    assert_eq!(1.0, room.value(info));
    for name in ["stay", "churn", "__other__"] {
        assert_eq!(0.0, room.value(&format!("model_predictions_total{{class=\"{name}\"}}")));
    }
    for series in ["model_prediction_value_count", "model_prediction_probability_count", "model_rows_per_request_count"]
    {
        assert_eq!(0.0, room.value(series));
    }
}

//! What stands beside a prediction, around it, or in its place, and is none.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::Room;
use crate::reading::request::Format;

const SKIPPED: &str = "modelship_exporter_exchanges_skipped_total{reason=\"unknown_shape\"}";

/// The kind and path, the classes, and the answers that were skipped for their shape, after each answer came 40 times.
fn read(settings: &Value, request: &str, answers: &[&str]) -> (String, String, f64) {
    let mut room = Room::new(settings);
    for answer in answers.iter().cycle().take(40 * answers.len()) {
        room.both(request, Format::Json, answer);
    }
    let decided = room.decided().map(|(kind, path)| format!("{kind} {path}")).unwrap_or_default();
    (decided, room.classes(), room.value(SKIPPED))
}

fn unread(times: f64) -> (String, String, f64) {
    (String::new(), String::new(), times)
}

/// What pipelines say that find things in one text or picture; written by hand.
const FINDS: [&str; 6] = [
    r#"[{"entity_group": "PER", "score": 0.99, "word": "x", "start": 0, "end": 1},
        {"entity_group": "LOC", "score": 0.9, "word": "y", "start": 4, "end": 5}]"#,
    r#"[{"entity": "PER", "score": 0.99, "word": "x"}, {"entity": "LOC", "score": 0.9, "word": "y"}]"#,
    r#"[{"label": "PER", "score": 0.9, "start": 0, "end": 1}, {"label": "LOC", "score": 0.99, "start": 4, "end": 5}]"#,
    r#"{"predictions": [{"label": "PER", "score": 0.99, "box": {"xmin": 1}},
        {"label": "LOC", "score": 0.9, "box": {"xmin": 1}}]}"#,
    r#"{"predictions": [{"x": 1, "y": 2, "width": 3, "height": 4, "confidence": 0.9, "class": "PER"},
        {"x": 1, "y": 2, "width": 3, "height": 4, "confidence": 0.8, "class": "LOC"}]}"#,
    r#"[{"name": "PER", "class": 0, "confidence": 0.9, "box": {"x1": 1}},
        {"name": "LOC", "class": 5, "confidence": 0.7, "box": {"x1": 1}}]"#,
];

#[test]
fn things_that_were_found_within_one_row_are_no_rows() {
    for answer in FINDS {
        for request in ["{}", r#"{"inputs": ["a text"]}"#] {
            assert_eq!(unread(40.0), read(&json!(null), request, &[answer]), "{answer}");
        }
    }
    let rows = r#"{"predictions": [[{"label": "PER", "score": 0.9, "box": {}}, {"label": "LOC", "score": 0.8, "box": {}}],
        [{"label": "PER", "score": 0.9, "box": {}}]]}"#;
    assert_eq!(unread(40.0), read(&json!(null), "{}", &[rows]));
}

#[test]
fn things_that_were_found_are_the_labels_of_their_row_where_the_settings_say_so() {
    let labels = json!({"kind": "labels"});
    for answer in &FINDS[..5] {
        assert_eq!(("labels $".into(), "LOC=40 PER=40".into(), 0.0), read(&labels, "{}", &[answer]), "{answer}");
    }
    let (one, none) = (r#"[{"entity_group": "PER", "score": 0.99, "start": 0, "end": 1}]"#, "[]");
    let counted = ("labels $".into(), "PER=40 __none__=40".into(), 0.0);
    assert_eq!(counted, read(&labels, r#"{"inputs": "a text"}"#, &[one, none]));
    let rows = r#"{"predictions": [[{"label": "PER", "score": 0.9, "start": 0, "end": 1},
        {"label": "PER", "score": 0.8, "start": 4, "end": 5}], []]}"#;
    assert_eq!(("labels $".into(), "PER=40 __none__=40".into(), 0.0), read(&labels, "{}", &[rows]));
}

#[test]
fn of_two_figures_that_nobody_names_as_the_prediction_none_is_taken() {
    for answers in [
        [r#"{"value": 0.2, "growth": 0.8}"#, r#"{"value": 0.3, "growth": 0.7}"#],
        [r#"{"growth": 1.8, "value": 0.2}"#, r#"{"growth": 2.7, "value": 0.3}"#],
        [r#"{"predictions": [{"value": 7.5, "area": 12.5}]}"#, r#"{"predictions": [{"value": 8.5, "area": 2.5}]}"#],
    ] {
        assert_eq!(unread(80.0), read(&json!(null), "{}", &answers), "{}", answers[0]);
    }
    for answer in [
        r#"{"value": 7.5, "lower_bound": 6.5, "upper_bound": 8.5}"#,
        r#"{"value": 7.5, "std": 0.5, "customer_id": 17}"#,
        r#"{"value": 7.5, "unit": "kg", "version": 3, "latency_ms": 1.5}"#,
        r#"{"prediction": 7.5, "growth": 0.5}"#,
    ] {
        let (decided, _, skipped) = read(&json!(null), "{}", &[answer]);
        assert_eq!((decided.starts_with("number $."), skipped), (true, 0.0), "{answer}: {decided}");
    }
}

#[test]
fn how_sure_a_model_is_of_a_text_that_stands_beside_is_no_probability_of_a_class() {
    for answers in [
        [r#"{"sentiment": "good", "score": 0.9}"#, r#"{"sentiment": "bad", "score": 0.8}"#],
        [r#"{"species": "setosa", "probability": 0.97}"#, r#"{"species": "virginica", "probability": 0.6}"#],
        [r#"{"predictions": [{"tier": "B", "score": 3.5}]}"#, r#"{"predictions": [{"tier": "A", "score": 1.5}]}"#],
        [
            r#"{"score": 0.9, "start": 1, "end": 6, "answer": "Paris"}"#,
            r#"{"score": 0.8, "start": 1, "end": 4, "answer": "Rome"}"#,
        ],
    ] {
        assert_eq!(unread(80.0), read(&json!(null), "{}", &answers), "{}", answers[0]);
    }
    for answers in [
        [r#"{"customer_id": "anna", "score": 0.9}"#, r#"{"customer_id": "bert", "score": 0.2}"#],
        [r#"{"model_name": "credit", "probability": 0.9}"#, r#"{"model_name": "credit", "probability": 0.2}"#],
        [r#"{"customer": "c-17", "score": 0.9}"#, r#"{"customer": "c-18", "score": 0.2}"#],
        [r#"{"city": "Bonn", "churn_probability": 0.9}"#, r#"{"city": "Bonn", "churn_probability": 0.2}"#],
        [r#"{"fraud": true, "score": 0.9}"#, r#"{"fraud": false, "score": 0.2}"#],
    ] {
        let (decided, classes, skipped) = read(&json!(null), "{}", &answers);
        assert_eq!(
            (decided.starts_with("probability $."), classes, skipped),
            (true, String::new(), 0.0),
            "{}",
            answers[0]
        );
    }
    let said = json!({"kind": "class", "path": "$.sentiment"});
    let good = r#"{"sentiment": "good", "score": 0.9}"#;
    assert_eq!(("class $.sentiment".into(), "good=40".into(), 0.0), read(&said, "{}", &[good]));
}

#[test]
fn quantiles_and_days_are_no_classes_though_they_add_up() {
    for answers in [
        [
            r#"{"predictions": [{"0.1": 0.2, "0.5": 0.3, "0.9": 0.5}]}"#,
            r#"{"predictions": [{"0.1": 0.1, "0.5": 0.3, "0.9": 0.6}]}"#,
        ],
        [r#"{"p10": 0.2, "p50": 0.3, "p90": 0.5}"#, r#"{"p10": 0.1, "p50": 0.3, "p90": 0.6}"#],
        [r#"{"10%": 0.2, "50%": 0.3, "90%": 0.5}"#, r#"{"10%": 0.1, "50%": 0.3, "90%": 0.6}"#],
        [r#"{"q_0.1": 0.2, "q_0.9": 0.8}"#, r#"{"q_0.1": 0.1, "q_0.9": 0.9}"#],
        [r#"{"2026-01-01": 0.6, "2026-01-02": 0.4}"#, r#"{"2026-01-03": 0.45, "2026-01-04": 0.55}"#],
    ] {
        assert_eq!(unread(80.0), read(&json!(null), "{}", &answers), "{}", answers[0]);
    }
    for (answer, class) in [(r#"{"p0": 0.9, "p1": 0.1}"#, "p0"), (r#"{"0.0": 0.9, "1.0": 0.1}"#, "0.0")] {
        let counted = ("probabilities $".into(), format!("{class}=40"), 0.0);
        assert_eq!(counted, read(&json!(null), "{}", &[answer]), "{answer}");
    }
}

#[test]
fn an_identifier_is_no_column_and_what_was_written_is_no_class() {
    for answer in [
        r#"{"predictions": {"cust-19": 0.2}}"#,
        r#"[{"a7f31": 0.2}]"#,
        r#"[{"translation_text": "bonjour"}]"#,
        r#"[{"generated_text": "a b"}]"#,
        r#"[{"order_id": 7}]"#,
    ] {
        assert_eq!(unread(40.0), read(&json!(null), "{}", &[answer]), "{answer}");
    }
    let named = ("class $.loan_status".into(), "paid=40".into(), 0.0);
    assert_eq!(named, read(&json!(null), "{}", &[r#"{"predictions": [{"loan_status": "paid"}]}"#]));
}

#[test]
fn objects_within_the_texts_of_a_list_are_read_as_what_they_are() {
    for answer in [
        r#"{"predictions": ["{\"label\": \"a\", \"score\": 0.9}", "{\"label\": \"b\", \"score\": 0.8}"]}"#,
        r#"["{\"label\": \"a\"}", "{\"label\": \"b\"}"]"#,
        r#"{"model_name": "m", "outputs": [{"name": "p", "shape": [2], "datatype": "BYTES",
            "data": ["{\"label\": \"a\"}", "{\"label\": \"b\"}"]}]}"#,
    ] {
        assert_eq!(("class $.label".into(), "a=40 b=40".into(), 0.0), read(&json!(null), "{}", &[answer]), "{answer}");
    }
    // What is no JSON, or a class's own name, stays a text; and a range is a class.
    let ranges = r#"{"predictions": ["[0, 10]", "[10, 20]", "{b}"]}"#;
    let counted = ("class $".into(), "[0, 10]=40 [10, 20]=40 {b}=40".into(), 0.0);
    assert_eq!(counted, read(&json!(null), "{}", &[ranges]));
}

#[test]
fn what_a_language_models_server_says_of_a_classifier_is_read() {
    let usage = r#""usage": {"prompt_tokens": 3}"#;
    let classify = format!(
        r#"{{"id": "c", "object": "list", "data": [{{"index": 0, "label": "good", "probs": [0.9, 0.1], "num_classes": 2}},
            {{"index": 1, "label": "bad", "probs": [0.3, 0.7], "num_classes": 2}}], {usage}}}"#
    );
    assert_eq!(("class $.label".into(), "bad=40 good=40".into(), 0.0), read(&json!(null), "{}", &[&classify]));
    let score = format!(r#"{{"object": "list", {usage}, "data": [{{"index": 0, "object": "score", "score": 0.75}}]}}"#);
    assert_eq!(("probability $.score".into(), String::new(), 0.0), read(&json!(null), "{}", &[&score]));
    let embedding = format!(
        r#"{{"object": "list", "data": [{{"index": 0, "object": "embedding", "embedding": [0.5, 0.25]}}], {usage}}}"#
    );
    assert_eq!(unread(0.0), read(&json!(null), "{}", &[&embedding]));
}

#[test]
fn flags_of_an_object_are_labels_once_a_row_has_none_or_several() {
    let flags =
        [r#"{"predictions": [{"toxic": 1, "insult": 0}, {"toxic": 0, "insult": 0}, {"toxic": 1, "insult": 1}]}"#];
    let counted = ("labels $".into(), "__none__=40 insult=40 toxic=80".into(), 0.0);
    assert_eq!(counted, read(&json!(null), "{}", &flags));
    let sure = [r#"{"predictions": [{"churn": 1.0, "stay": 0.0}, {"churn": 0.25, "stay": 0.75}]}"#];
    assert_eq!(("probabilities $".into(), "churn=40 stay=40".into(), 0.0), read(&json!(null), "{}", &sure));
    // A row without any class has none that is the likeliest.
    let mut room = Room::new(&json!({"kind": "probabilities", "path": "$"}));
    room.answer(r#"{"predictions": [{"toxic": 1, "insult": 0}, {"toxic": 0, "insult": 0}]}"#);
    assert_eq!("toxic=1", room.classes());
    assert_eq!(1.0, room.value("model_predictions_unread_total{reason=\"kind\"}"));
}

#[test]
fn a_field_that_names_a_class_or_says_that_it_is_predicted_is_read() {
    for (answers, decided, classes) in [
        (
            [r#"{"class_name": "setosa", "probability": 0.9}"#, r#"{"class_name": "virginica", "probability": 0.8}"#],
            "class $.class_name",
            "setosa=40 virginica=40",
        ),
        (
            [r#"{"predicted_species": "setosa", "score": 0.9}"#, r#"{"predicted_species": "virginica", "score": 0.8}"#],
            "class $.predicted_species",
            "setosa=40 virginica=40",
        ),
        ([r#"{"predicted_price": 2500.5}"#, r#"{"predicted_price": 1500.5}"#], "number $.predicted_price", ""),
    ] {
        assert_eq!((decided.into(), classes.into(), 0.0), read(&json!(null), "{}", &answers), "{}", answers[0]);
    }
    let two = r#"{"predicted_price": 2500.5, "predicted_rent": 7.5}"#;
    assert_eq!(unread(40.0), read(&json!(null), "{}", &[two]));
}

#[test]
fn probabilities_that_one_row_was_asked_for_are_one_row() {
    let answers = [r#"{"prediction": [0.25, 0.75]}"#, r#"{"prediction": [0.125, 0.875]}"#];
    let one = r#"{"instances": [[1, 2]]}"#;
    assert_eq!(("probabilities $".into(), "1=80".into(), 0.0), read(&json!(null), one, &answers));
    let two = r#"{"instances": [[1, 2], [3, 4]]}"#;
    assert_eq!(("probability $".into(), String::new(), 0.0), read(&json!(null), two, &answers));
}

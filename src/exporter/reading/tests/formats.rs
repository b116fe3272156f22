//! Shapes of answers as real servers and MLflow's flavours write them, with the versions that were seen to.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::Room;

/// How an answer is read, the classes and numbers in it, and its rows.
fn read(settings: &Value, answer: &str) -> (String, String, f64, f64) {
    let mut room = Room::new(settings);
    room.answer(answer);
    let (kind, path) = room.decided().unwrap_or_default();
    let sum = room.value("model_prediction_value_sum") + room.value("model_prediction_probability_sum");
    (format!("{kind} {path}"), room.classes(), sum, room.value("model_rows_per_request_sum"))
}

#[test]
fn flavours_that_name_their_columns_are_read_without_a_setting() {
    for (answer, decided, classes, sum, rows) in [
        // skl2onnx 1.20, with zipmap and without.
        (
            r#"{"predictions": {"output_label": ["churn", "stay"], "output_probability": [{"churn": 1.0, "stay": 0.0}, {"churn": 0.0, "stay": 1.0}]}}"#,
            "class $.output_label",
            "churn=1 stay=1",
            0.0,
            2.0,
        ),
        (
            r#"{"predictions": {"label": ["churn", "stay"], "probabilities": [[1.0, 0.0], [0.0, 1.0]]}}"#,
            "class $.label",
            "churn=1 stay=1",
            0.0,
            2.0,
        ),
        // Prophet 1.5, pmdarima 2.1, statsmodels 0.15.
        (
            r#"{"predictions": [{"ds": "2026-03-01T00:00:00", "trend": 188.6, "yhat_lower": 187.7, "yhat_upper": 189.5, "yhat": 188.5}]}"#,
            "number $.yhat",
            "",
            188.5,
            1.0,
        ),
        (r#"{"predictions": [{"yhat": 190.5}, {"yhat": 191.5}]}"#, "number $.yhat", "", 382.0, 2.0),
        (r#"{"predictions": [{"predicted_mean": 190.25}]}"#, "number $.predicted_mean", "", 190.25, 1.0),
        (r#"{"predictions": [{"0": 148.5}, {"0": 584.5}]}"#, "number $.0", "", 733.0, 2.0),
        // A pandas Series with a name.
        (r#"{"predictions": [{"decision": "yes"}, {"decision": "no"}]}"#, "class $.decision", "no=1 yes=1", 0.0, 2.0),
        // tidymodels by plumber 1.2, vetiver 0.2.
        (r#"[{".pred_class": "yes"}]"#, "class $['.pred_class']", "yes=1", 0.0, 1.0),
        (r#"[{".pred_no": 0.2, ".pred_yes": 0.8, ".pred_class": "yes"}]"#, "class $['.pred_class']", "yes=1", 0.0, 1.0),
        (r#"{"predict": ["yes", "no"]}"#, "class $", "no=1 yes=1", 0.0, 2.0),
        // Seldon Core 1.19.
        (
            r#"{"data": {"names": ["t:0"], "ndarray": [["yes"], ["no"]]}, "meta": {}}"#,
            "class $[0]",
            "no=1 yes=1",
            0.0,
            2.0,
        ),
        (r#"{"data": {"ndarray": [[0.1, 0.9], [0.8, 0.2]]}}"#, "probabilities $", "0=1 1=1", 0.0, 2.0),
        (
            r#"{"data": {"tensor": {"shape": [2, 2], "values": [0.1, 0.9, 0.8, 0.2]}}}"#,
            "probabilities $",
            "0=1 1=1",
            0.0,
            2.0,
        ),
        // TensorFlow Serving's columns.
        (r#"{"outputs": {"classes": [0, 1], "label": ["a", "b"]}}"#, "class $.label", "a=1 b=1", 0.0, 2.0),
        // Handlers of their own.
        (r#"{"score": [1.5, 10.25]}"#, "number $", "", 11.75, 2.0),
        (r#"{"label": "a", "scores": [1.5, 10.25]}"#, "class $.label", "a=1", 0.0, 1.0),
        (r#"{"probabilities": [0.25, 0.75]}"#, "probabilities $.probabilities", "1=1", 0.0, 1.0),
        (r#"{"churn_score": 12.5}"#, "number $.churn_score", "", 12.5, 1.0),
        (r#"{"predictedClass": "a", "id": 3}"#, "class $.predictedClass", "a=1", 0.0, 1.0),
    ] {
        let expected = (decided.to_owned(), classes.to_owned(), sum, rows);
        assert_eq!(expected, read(&json!(null), answer), "{answer}");
    }
}

#[test]
fn a_probability_by_its_name_is_found_once_there_are_enough() {
    let mut room = Room::new(&json!(null));
    for _ in 0..10 {
        room.answer(r#"{"churn_probability": 0.8}"#);
    }
    assert_eq!(Some(("probability".to_owned(), "$.churn_probability".to_owned())), room.decided());
    assert_eq!(10.0, room.value("model_prediction_probability_count"));
}

#[test]
fn names_that_tell_of_something_else_are_no_predictions_even_alone() {
    for answer in [
        r#"{"predictions": [{"id": 7}]}"#,
        r#"[{"status": "ok"}]"#,
        r#"[{"jane doe": "yes"}]"#,
        r#"[{"a_name_that_is_longer_than_any_that_a_program_has": "yes"}]"#,
        r#"{"token": "abc"}"#,
        r#"{"decision_of": "yes"}"#,
    ] {
        assert_eq!((" ".into(), String::new(), 0.0, 0.0), read(&json!(null), answer), "{answer}");
    }
}

#[test]
fn a_path_leads_from_each_row_and_where_it_leads_nowhere_from_the_whole_answer() {
    let of = |kind: &str, path: &str| json!({"kind": kind, "path": path});
    for (settings, answer, classes, sum, rows) in [
        (of("probability", "$.probability"), r#"{"predictions": [1], "probability": 0.75}"#, "", 0.75, 1.0),
        (of("probability", "$.probability"), r#"{"predictions": ["stay"], "probability": [0.75]}"#, "", 0.75, 1.0),
        (of("probability", "$.p"), r#"{"predictions": [{"p": 0.25}, {"p": 0.5}], "p": 0.9}"#, "", 0.75, 2.0),
        (of("probability", "$.p"), r#"{"predictions": [{}, {"p": 0.5}], "p": 0.9}"#, "", 0.5, 2.0),
        (
            of("probabilities", "$.probabilities"),
            r#"{"prediction": ["a"], "probabilities": [[0.1, 0.9]]}"#,
            "1=1",
            0.0,
            1.0,
        ),
        (of("probabilities", "$.probabilities"), r#"{"label": "a", "probabilities": [0.1, 0.9]}"#, "1=1", 0.0, 1.0),
        (json!({"path": "$.probabilities"}), r#"{"label": "a", "probabilities": [0.1, 0.9]}"#, "1=1", 0.0, 1.0),
        (json!({"kind": "probabilities"}), r#"{"scores": [0.5, 2.5]}"#, "1=1", 0.0, 1.0),
        (of("number", "$.forecast.values"), r#"{"forecast": {"values": [1.5, 2.5, 3.5]}}"#, "", 7.5, 3.0),
        (of("class", "$.predict"), r#"{"predict": ["a", "b"]}"#, "a=1 b=1", 0.0, 2.0),
        (of("class", "$.data.ndarray"), r#"{"data": {"ndarray": ["a", "b"]}}"#, "a=1 b=1", 0.0, 2.0),
        (of("class", "$.predictions.label"), r#"{"predictions": {"label": "a"}}"#, "a=1", 0.0, 1.0),
        (of("class", "$.output[0].label"), "{\"output\": [{\"label\": \"a\"}, {\"label\": \"b\"}]}", "a=1", 0.0, 1.0),
    ] {
        let (_, found, total, count) = read(&settings, answer);
        assert_eq!((classes, sum, rows), (found.as_str(), total, count), "{settings} {answer}");
    }
    let mut room = Room::new(&of("class", "$.nowhere"));
    room.answer(r#"{"predictions": [1, 2]}"#);
    assert_eq!(2.0, room.value("model_predictions_unread_total{reason=\"missing\"}"));
}

#[test]
fn json_within_a_text_is_read_as_what_it_is() {
    let read = |answers: &[&str]| {
        let mut room = Room::new(&json!(null));
        for answer in answers {
            room.answer(answer);
        }
        (room.decided().map(|(kind, path)| format!("{kind} {path}")).unwrap_or_default(), room.classes())
    };
    let told = |decided: &str, classes: &str| (decided.to_owned(), classes.to_owned());
    // `return json.dumps(…)` in FastAPI, and in MLflow's pyfunc.
    let (churn, stay) = (r#""{\"prediction\": \"churn\"}""#, r#""{\"prediction\": \"stay\"}""#);
    assert_eq!(told("class $.prediction", "churn=1 stay=1"), read(&[churn, stay]));
    let rows = r#"{"predictions": "[\"a\", \"b\"]"}"#;
    assert_eq!(told("class $", "a=2 b=2"), read(&[rows, rows]));
    assert_eq!(told("class $", "a=2"), read(&[r#"{"result": "[\"a\", \"a\"]"}"#]));
    // Also once it is settled where it is, and where the settings say it.
    for settings in [json!(null), json!({"kind": "probabilities", "path": "$.probabilities"})] {
        let mut room = Room::new(&settings);
        for _ in 0..40 {
            room.answer(r#"{"probabilities": "[0.25, 0.75]"}"#);
        }
        assert_eq!("1=40", room.classes(), "{settings}");
    }
    // However many texts there are.
    let many = (0..3000).map(|_| r#""class": "[]""#).collect::<Vec<_>>().join(", ");
    assert_eq!(told("class $.prediction", "a=1"), read(&[&format!("{{{many}, \"prediction\": \"a\"}}")]));
    // What a class is called is no list, nor is a range.
    let mut room = Room::new(&json!({"kind": "class", "path": "$", "classes": [{"value": "[1]", "name": "one"}]}));
    assert_eq!("one=1", room.answer(r#"{"predictions": "[1]"}"#).classes());
    let mut room = Room::new(&json!({"kind": "class", "path": "$"}));
    room.answer(r#"{"predictions": ["[0,10)"]}"#).answer(r#"{"predictions": "[0,10)"}"#);
    assert_eq!("[0,10)=2", room.classes());
}

#[test]
fn what_elsewhere_acknowledges_is_a_class_of_a_model_that_answers_with_classes() {
    let mut room = Room::new(&json!(null));
    room.answer("\"defect\"");
    for _ in 0..10 {
        room.answer("\"ok\"").answer("\"defect\"");
    }
    assert_eq!("defect=11 ok=10", room.classes());
    let mut room = Room::new(&json!({"kind": "class", "path": "$"}));
    assert_eq!("done=1", room.answer("\"done\"").classes());
}

#[test]
fn embeddings_of_a_language_model_are_no_unknown_shape() {
    let mut room = Room::new(&json!(null));
    room.answer(r#"{"object": "list", "data": [{"embedding": [0.1, 0.2], "index": 0}], "usage": {"total_tokens": 3}}"#);
    assert_eq!(0.0, room.value("modelship_exporter_exchanges_skipped_total{reason=\"unknown_shape\"}"));
}

#[test]
fn bare_texts_are_classes_unless_they_are_sentences_or_acknowledge() {
    for (body, classes) in [("yes", "yes=1"), ("Iris-setosa\n", "Iris-setosa=1"), ("True", "True=1")] {
        let mut room = Room::new(&json!(null));
        assert_eq!(classes, room.text(body).classes(), "{body}");
    }
    for body in ["OK", "It will rain tomorrow, most likely", "Yes.", "\"done\""] {
        let mut room = Room::new(&json!(null));
        assert_eq!("", room.text(body).classes(), "{body}");
        assert_eq!(None, room.decided(), "{body}");
    }
}

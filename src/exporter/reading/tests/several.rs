//! Rows of several labels, the likeliest of several classes, and two ways to say the same rows.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::Room;
use crate::reading::request::Format;

/// The kind and path, the classes, and the rows counted.
fn read(settings: &Value, answers: &[&str]) -> (String, String, f64) {
    let mut room = Room::new(settings);
    for answer in answers {
        room.answer(answer);
    }
    let decided = room.decided().map(|(kind, path)| format!("{kind} {path}")).unwrap_or_default();
    (decided, room.classes(), room.value("model_rows_per_request_sum"))
}

fn told(decided: &str, classes: &str, rows: f64) -> (String, String, f64) {
    (decided.into(), classes.into(), rows)
}

#[test]
fn rows_of_several_labels_count_each_label_once_in_its_row() {
    let open = json!(null);
    let texts = r#"{"predictions": [["red", "big"], ["red", "red"], [], ["big"]]}"#;
    assert_eq!(told("labels $", "__none__=1 big=2 red=2", 4.0), read(&open, &[texts]));
    // scikit-learn's indicators: the sums differ, so they are no probabilities.
    let indicators = r#"{"predictions": [[1, 0, 1], [0, 0, 0], [0, 1, 0]]}"#;
    assert_eq!(told("labels $", "0=1 1=1 2=1 __none__=1", 3.0), read(&open, &[indicators]));
    let flags = "[[true, true], [false, false]]";
    assert_eq!(told("labels $", "0=1 1=1 __none__=1", 2.0), read(&open, &[flags]));
}

#[test]
fn said_labels_are_read_in_every_way_to_write_them() {
    let named = json!({"kind": "labels", "path": "$", "classes": ["red", "big", "new"], "threshold": 0.3});
    for (answer, classes) in [
        ("[[1, 0, 1]]", "new=1 red=1"),
        ("[[1.0, 0.0, 1.0]]", "new=1 red=1"),
        ("[[true, false, true]]", "new=1 red=1"),
        // Of sigmoid outputs those from the threshold on.
        ("[[0.3, 0.29, 0.9]]", "new=1 red=1"),
        (r#"[["red", "new", "red"]]"#, "new=1 red=1"),
        (r#"[{"red": 0.9, "big": 0.1, "new": 0.4}]"#, "new=1 red=1"),
        (r#"[{"red": true, "big": false, "new": true}]"#, "new=1 red=1"),
        (
            r#"[[{"label": "red", "score": 0.9}, {"label": "big", "score": 0.1}, {"label": "new", "score": 0.4}]]"#,
            "new=1 red=1",
        ),
        (r#"["red"]"#, "red=1"),
        ("[[0, 0, 0]]", "__none__=1"),
    ] {
        assert_eq!(classes, read(&named, &[answer]).1, "{answer}");
    }
    // Numbers that are no indicators are the labels' own.
    assert_eq!("17=1 3=2", read(&json!({"kind": "labels"}), &["[[3, 17], [3]]"]).1);
    let mut room = Room::new(&named);
    room.answer("[[1.5, 0.2, 0.1], [NaN, 1, 0], null, 7]");
    let unread = |reason: &str| room.value(&format!("model_predictions_unread_total{{reason=\"{reason}\"}}"));
    assert_eq!((2.0, 1.0, 1.0), (unread("kind"), unread("nan"), unread("missing")));
}

#[test]
fn one_hot_rows_are_counted_by_their_class_until_a_row_has_another_sum() {
    let row = |at: usize| ["[1, 0, 0]", "[0, 1, 0]", "[0, 0, 1]"][at % 3];
    let ten = format!("[{}]", (0..10).map(row).collect::<Vec<_>>().join(", "));
    assert_eq!(told("probabilities $", "0=4 1=3 2=3", 10.0), read(&json!(null), &[&ten]));
    assert_eq!(told("labels $", "0=5 1=4 2=3", 11.0), read(&json!(null), &[&ten, "[[1, 1, 0]]"]));
}

#[test]
fn several_outputs_that_are_no_probabilities_wait_for_a_path() {
    let two = r#"{"predictions": [[2.5, 13.0], [1.5, 12.0]]}"#;
    assert_eq!(("".to_owned(), "".to_owned()), {
        let read = read(&json!(null), &[two]);
        (read.0, read.1)
    });
    let mut room = Room::new(&json!({"kind": "number", "path": "$[1]"}));
    room.answer(two);
    assert_eq!(25.0, room.value("model_prediction_value_sum"));
}

#[test]
fn an_object_of_class_and_probability_is_counted_by_the_likeliest() {
    let open = json!(null);
    // spaCy's textcat.
    let textcat = r#"{"predictions": [{"predictions": {"POSITIVE": 0.9, "NEGATIVE": 0.1}}, {"predictions": {"POSITIVE": 0.2, "NEGATIVE": 0.8}}]}"#;
    assert_eq!(told("probabilities $.predictions", "NEGATIVE=1 POSITIVE=1", 2.0), read(&open, &[textcat]));
    assert_eq!(
        told("probabilities $", "a=1 b=1", 2.0),
        read(&open, &[r#"[{"a": 0.7, "b": 0.3}, {"a": 0.1, "b": 0.9}]"#])
    );
    // TorchServe's five likeliest of a thousand, for one image and for several.
    let five = r#"{"tabby": 0.41, "tiger_cat": 0.33, "lynx": 0.1, "Egyptian_cat": 0.05, "carton": 0.001}"#;
    assert_eq!(told("probabilities $", "tabby=1", 1.0), read(&open, &[five]));
    assert_eq!(told("probabilities $", "tabby=2", 2.0), read(&open, &[&format!("[{five}, {five}]")]));
    let mut room = Room::new(&open);
    room.answer(five);
    assert_eq!(0.41, room.value("model_prediction_top_probability_sum"));
}

#[test]
fn the_likeliest_labels_of_one_input_are_one_row_and_count_once() {
    let likeliest = r#"[{"label": "POSITIVE", "score": 0.9}, {"label": "NEGATIVE", "score": 0.1}]"#;
    let unsorted = r#"[{"label": "NEGATIVE", "score": 0.1}, {"label": "POSITIVE", "score": 0.9}]"#;
    for answer in [likeliest, unsorted] {
        assert_eq!(told("probabilities $", "POSITIVE=1", 1.0), read(&json!(null), &[answer]), "{answer}");
        let two = format!("[{answer}, {answer}]");
        assert_eq!(told("probabilities $", "POSITIVE=2", 2.0), read(&json!(null), &[&two]), "{two}");
    }
    // DJL's words.
    let djl = r#"[{"className": "cat", "probability": 0.8}, {"className": "dog", "probability": 0.2}]"#;
    assert_eq!("cat=1", read(&json!(null), &[djl]).1);
    // The request says whether they are one row or several.
    let three = r#"[{"label": "a", "score": 0.5}, {"label": "b", "score": 0.2}, {"label": "c", "score": 0.1}]"#;
    let mut room = Room::new(&json!(null));
    room.both(r#"{"inputs": "one text"}"#, Format::Json, three);
    assert_eq!(("a=1".to_owned(), 1.0), (room.classes(), room.value("model_rows_per_request_sum")));
    let mut room = Room::new(&json!(null));
    room.both(r#"{"inputs": ["x", "y", "z"]}"#, Format::Json, three);
    assert_eq!(("a=1 b=1 c=1".to_owned(), 3.0), (room.classes(), room.value("model_rows_per_request_sum")));
    let two = r#"[{"label": "a", "score": 0.6}, {"label": "b", "score": 0.4}]"#;
    let mut room = Room::new(&json!(null));
    room.both(r#"{"inputs": ["x", "y"]}"#, Format::Json, two);
    assert_eq!(("a=1 b=1".to_owned(), 2.0), (room.classes(), room.value("model_rows_per_request_sum")));
}

#[test]
fn of_labels_and_probabilities_side_by_side_the_labels_are_the_rows() {
    for (answer, classes, rows) in [
        // MLflow writes the tuple that a PythonModel returns as two rows.
        (
            r#"{"predictions": [["stay", "churn", "stay"], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]]}"#,
            "churn=1 stay=2",
            3.0,
        ),
        (r#"{"predictions": [["stay", "churn"], [0.9, 0.8]]}"#, "churn=1 stay=1", 2.0),
        (r#"[["stay"], [[0.9, 0.1]]]"#, "stay=1", 1.0),
        (r#"[["stay"], [{"stay": 0.9, "churn": 0.1}]]"#, "stay=1", 1.0),
    ] {
        assert_eq!(told("class $", classes, rows), read(&json!(null), &[answer]), "{answer}");
    }
    let mut room = Room::new(&json!({"kind": "class"}));
    room.both(r#"{"inputs": [[5, 1], [6, 1], [7, 1]]}"#, Format::Json, "[[1, 0, 1], [0.9, 0.8, 0.7]]");
    assert_eq!(("0=1 1=2".to_owned(), 3.0), (room.classes(), room.value("model_rows_per_request_sum")));
    // Two rows were asked for, and came.
    let mut room = Room::new(&json!({"kind": "probabilities"}));
    room.both(r#"{"inputs": [[5, 1], [6, 1]]}"#, Format::Json, "[[0.9, 0.1], [0.2, 0.8]]");
    assert_eq!("0=1 1=1", room.classes());
}

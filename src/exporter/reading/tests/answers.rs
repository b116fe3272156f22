//! Shapes of answers and requests.

use pretty_assertions::assert_eq;
use serde_json::json;

use super::Room;
use crate::reading::request::{Format, rows};

#[test]
fn rows_of_requests_are_counted_in_every_shape() {
    for (body, expected) in [
        (r#"{"dataframe_split": {"index": [7, 8], "columns": ["a"], "data": [[1], [2]]}}"#, Some(2)),
        (r#"{"dataframe_records": [{"a": 1}, {"a": 2}, {"a": 3}]}"#, Some(3)),
        (r#"{"instances": [[1, 2], [3, 4]]}"#, Some(2)),
        (r#"{"inputs": [[[0.5, 0.5]], [[0.5, NaN]]], "params": {"data": [1]}}"#, Some(2)),
        (r#"{"inputs": {"a": [1, 2, 3], "b": [1, 2, 3]}}"#, Some(3)),
        (r#"{"inputs": {"a": 1, "b": 2}}"#, Some(1)),
        (r#"{"inputs": []}"#, Some(0)),
        (r#"{"inputs": [{"name": "x", "shape": [5, 2], "datatype": "FP32", "data": [1, 2]}]}"#, Some(5)),
        (r#"{"inputs": [{"name": "x", "shape": [5, 2]}]}"#, Some(1)),
        (r#"{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}"#, Some(1)),
        (r#"{"prompt": "a"}"#, Some(1)),
        (r#"{"prompt": ["a", "b"]}"#, Some(2)),
        (r#"{"input": ["a", "b", "c"]}"#, Some(3)),
        (r#"{"params": {}}"#, None),
        (r#"[1, 2, 3]"#, Some(3)),
        (r#"{"inputs": [1, 2"#, None),
        ("", None),
    ] {
        assert_eq!(expected, rows(body.as_bytes(), Format::Json), "{body}");
    }
    for (body, expected) in [
        ("a,b\n1,2\n3,4\n", 2),
        ("a,b\r\n1,2\r\n3,4", 2),
        ("a,b\n1,\"two\nlines\"\n\n  \n3,\"a \"\"quoted\"\"\n word\"\n", 2),
        ("a,b\n", 0),
        ("", 0),
    ] {
        assert_eq!(Some(expected), rows(body.as_bytes(), Format::Csv), "{body:?}");
    }
}

/// Settings, answer, the kind and path in use, classes, and rows.
#[test]
fn answers_of_every_shape_are_read() {
    let (open, class) = (json!(null), json!({"kind": "class"}));
    for (settings, answer, decided, classes, rows) in [
        (&open, r#"{"predictions": ["a", "b", "a"]}"#, "class $", "a=2 b=1", 3.0),
        (&open, r#"["a", "b"]"#, "class $", "a=1 b=1", 2.0),
        (&open, r#"{"predictions": "a"}"#, "class $", "a=1", 1.0),
        (&open, r#"{"predictions": [true, false, true]}"#, "class $", "false=1 true=2", 3.0),
        (&open, r#"{"predictions": [["a"], ["b"]]}"#, "class $[0]", "a=1 b=1", 2.0),
        (
            &open,
            r#"{"predictions": [{"id": 7, "class": "a"}, {"id": 8, "class": "b"}]}"#,
            "class $.class",
            "a=1 b=1",
            2.0,
        ),
        (&open, r#"{"predictions": {"id": 7, "class": "a"}}"#, "class $.class", "a=1", 1.0),
        (&open, r#"{"predictions": {"label": ["a", "b"], "id": [1, 2]}}"#, "class $.label", "a=1 b=1", 2.0),
        (&open, r#"{"predictions": {"dense_1": [[0.2, 0.8], [0.9, 0.1]]}}"#, "probabilities $", "0=1 1=1", 2.0),
        (&open, r#"{"prediction": "a", "took": 3}"#, "class $.prediction", "a=1", 1.0),
        (&class, r#"{"prediction": [1, 0, 1]}"#, "class $", "0=1 1=2", 3.0),
        (&open, r#"{"outputs": [["a"], ["b"]]}"#, "class $[0]", "a=1 b=1", 2.0),
        (
            &class,
            r#"{"model_name": "m", "outputs": [{"name": "o", "shape": [3], "datatype": "INT64", "data": [1, 0, 1]}]}"#,
            "class $",
            "0=1 1=2",
            3.0,
        ),
        (
            &open,
            r#"{"outputs": [{"name": "o", "shape": [2, 3], "data": [0.1, 0.7, 0.2, 0.8, 0.1, 0.1]}]}"#,
            "probabilities $",
            "0=1 1=1",
            2.0,
        ),
        (
            &open,
            r#"{"outputs": [{"name": "x", "shape": [2], "data": [1.5, 2.5]},
                            {"name": "label", "shape": [2, 1], "data": ["a", "b"]}]}"#,
            "class $",
            "a=1 b=1",
            2.0,
        ),
        (
            &json!({"kind": "class", "path": "$.a['b c'][1]"}),
            r#"[{"a": {"b c": [0, "x"]}}]"#,
            "class $.a['b c'][1]",
            "x=1",
            1.0,
        ),
        (&json!({"kind": "class", "path": "$.kind"}), r#"{"kind": "x"}"#, "class $.kind", "x=1", 1.0),
        // Codes with zeros in front, and whole numbers that a double cannot tell apart, stay apart.
        (&json!({"kind": "class"}), r#"["007", "7", 7]"#, "class $", "007=1 7=2", 3.0),
        (
            &json!({"kind": "class"}),
            "[9007199254740992, 9007199254740993]",
            "class $",
            "9007199254740992=1 9007199254740993=1",
            2.0,
        ),
        (&json!({"kind": "probabilities"}), r#"[[-3.5, 2.25, 0.1]]"#, "probabilities $", "1=1", 1.0),
        (
            &json!({"kind": "class", "classes": ["stay", "churn"]}),
            r#"[1, 1.0, "1", 1e0, "1.0", "churn", 0, -0.0, "stay", 2, true]"#,
            "class $",
            "__other__=2 churn=6 stay=3",
            11.0,
        ),
        (
            &json!({"kind": "class", "classes": [{"value": true, "name": "yes"}, {"value": "False", "name": "no"}]}),
            r#"[true, "true", "True", false, "no"]"#,
            "class $",
            "no=2 yes=3",
            5.0,
        ),
        (
            &json!({"kind": "probabilities", "classes": [{"value": 1, "name": "b"}, {"value": 0, "name": "a"}]}),
            r#"[[0.9, 0.1], [0.5, 0.5], [0.1, 0.9]]"#,
            "probabilities $",
            "a=2 b=1",
            3.0,
        ),
        (
            &json!({"kind": "probability", "classes": ["no", "yes"], "threshold": 0.3, "positive": "no"}),
            r#"[0.3, 0.2, 1.0]"#,
            "probability $",
            "no=2 yes=1",
            3.0,
        ),
        (&json!({"kind": "probability"}), r#"[[0.4, 0.6]]"#, "probability $[1]", "", 1.0),
        (
            &json!({"kind": "class"}),
            "[\"\", \"a\\u0007b\", \"\\ud83d\\ude00\"]",
            "class $",
            "__empty__=1 a\u{fffd}b=1 😀=1",
            3.0,
        ),
    ] {
        let mut room = Room::new(settings);
        room.answer(answer);
        let (kind, path) = room.decided().unwrap_or_default();
        assert_eq!(decided, format!("{kind} {path}"), "{answer}");
        assert_eq!(classes, room.classes(), "{answer}");
        assert_eq!(rows, room.value("model_rows_per_request_sum"), "{answer}");
        assert_eq!(1.0, room.value("modelship_exporter_exchanges_read_total"), "{answer}");
    }
}

#[test]
fn what_cannot_be_read_is_counted_by_its_reason() {
    let deep = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
    for (answer, reason) in [
        ("", "malformed"),
        ("<html>", "malformed"),
        (r#"{"predictions": ["a"]"#, "malformed"),
        (r#"{"predictions": ["a"]} x"#, "malformed"),
        (r#"{"predictions": ["a",]}"#, "malformed"),
        (r#"{"predictions": [nan]}"#, "malformed"),
        (deep.as_str(), "malformed"),
        (r#"{"status": "ok"}"#, "unknown_shape"),
        (r#"{"predictions": [{"id": 7}]}"#, "unknown_shape"),
        (r#"{"predictions": [[0.1, 0.2, 3.0]]}"#, "unknown_shape"),
        (r#"{"predictions": null}"#, "unknown_shape"),
        ("null", "unknown_shape"),
        (r#"["This customer is going to leave because the last three invoices were late, I fear."]"#, "unknown_shape"),
    ] {
        let mut room = Room::new(&json!(null));
        room.answer(answer);
        let series = format!("modelship_exporter_exchanges_skipped_total{{reason=\"{reason}\"}}");
        assert_eq!(1.0, room.value(&series), "{answer}");
        assert_eq!(0.0, room.value("modelship_exporter_exchanges_read_total"), "{answer}");
        assert_eq!(0.0, room.value("model_rows_per_request_count"), "{answer}");
    }
}

#[test]
fn a_row_without_a_countable_prediction_is_counted_by_its_reason() {
    let mut room = Room::new(&json!({"kind": "probability", "path": "$.p"}));
    room.answer(
        r#"[{"p": NaN}, {"p": Infinity}, {"p": -Infinity}, {"p": 1e999}, {"p": null}, {}, 3,
            {"p": "x"}, {"p": 1.5}, {"p": "0.5"}]"#,
    );
    let unread = |reason: &str| room.value(&format!("model_predictions_unread_total{{reason=\"{reason}\"}}"));
    let counts: Vec<f64> = ["nan", "infinite", "missing", "kind", "range"].into_iter().map(unread).collect();
    assert_eq!(vec![1.0, 3.0, 3.0, 1.0, 1.0], counts);
    assert_eq!(1.0, room.value("model_prediction_probability_count"));
    assert_eq!(0.5, room.value("model_prediction_probability_sum"));
    assert_eq!(10.0, room.value("model_rows_per_request_sum"));
}

#[test]
fn a_cut_answer_counts_its_whole_rows_and_takes_the_number_of_rows_from_the_request() {
    let mut room = Room::new(&json!({"kind": "number"}));
    // The last number may have been longer.
    room.cut(r#"{"predictions": [1.5, 2.5, 3"#);
    assert_eq!(2.0, room.value("model_prediction_value_count"));
    assert_eq!(1.0, room.value("modelship_exporter_exchanges_read_in_part_total"));
    assert_eq!(0.0, room.value("model_rows_per_request_count"));
    room.cut(r#"{"predictions": [1"#).cut(r#"{"predi"#);
    assert_eq!(2.0, room.value("modelship_exporter_exchanges_skipped_total{reason=\"cut\"}"));
    assert_eq!(2.0, room.value("model_prediction_value_count"));
}

#[test]
fn an_answer_that_is_no_list_takes_the_number_of_rows_from_the_request() {
    let mut room = Room::new(&json!(null));
    let answer = r#"{"id": "c1", "choices": [{"message": {"content": "churn"}}]}"#;
    room.both(r#"{"prompt": ["a", "b", "c"]}"#, Format::Json, answer);
    assert_eq!(3.0, room.value("model_rows_per_request_sum"));
    room.both("not json", Format::Json, answer).answer(r#""A sentence.""#);
    assert_eq!(5.0, room.value("model_rows_per_request_sum"));
    assert_eq!(3.0, room.value("modelship_exporter_exchanges_read_total"));
    assert_eq!(("", None), (room.classes().as_str(), room.decided()));
}

#[test]
fn an_empty_list_is_read_and_is_no_row() {
    let mut room = Room::new(&json!(null));
    room.answer(r#"{"predictions": []}"#);
    assert_eq!(1.0, room.value("modelship_exporter_exchanges_read_total"));
    assert_eq!(1.0, room.value("model_rows_per_request_count"));
    assert_eq!(0.0, room.value("model_rows_per_request_sum"));
}

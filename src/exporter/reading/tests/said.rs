//! Settings and paths: what is refused says how to mend it.

use pretty_assertions::assert_eq;
use serde_json::json;

use crate::reading::{Decided, Kind, Path, Reading, blame, check};

#[test]
fn bad_settings_are_refused_with_the_field_and_the_way_to_mend_it() {
    for (settings, words) in [
        (json!([]), vec!["predictions is a list", "must be an object"]),
        (json!({"kind": "klass"}), vec!["predictions.kind", "\"klass\"", "class, probability, probabilities, number"]),
        (json!({"path": "$..a"}), vec!["predictions.path", "$..a", "$.label"]),
        (json!({"path": 3}), vec!["predictions.path is 3", "$.label"]),
        (json!({"classes": {"0": "stay"}}), vec!["predictions.classes is an object", "must be a list"]),
        (json!({"classes": [{"value": "0"}]}), vec!["predictions.classes[0] has no name"]),
        (json!({"classes": ["a", 3]}), vec!["predictions.classes[1] is 3"]),
        (json!({"classes": [""]}), vec!["predictions.classes[0].name is empty"]),
        (json!({"classes": [{"value": [], "name": "a"}]}), vec!["predictions.classes[0].value is a list"]),
        (
            json!({"classes": [{"value": 1, "name": "a"}, {"value": "1.0", "name": "b"}]}),
            vec!["classes[1].value", "\"1\""],
        ),
        (json!({"classes": vec!["a"; 201]}), vec!["201 classes", "200"]),
        (json!({"positive": "churn"}), vec!["predictions.positive needs two classes"]),
        (json!({"positive": "x", "classes": ["stay", "churn"]}), vec!["stay or churn"]),
        (json!({"threshold": 50}), vec!["predictions.threshold is 50", "0 to 1"]),
        (json!({"bins": [1, 1]}), vec!["predictions.bins", "rising"]),
        (json!({"bins": 5}), vec!["predictions.bins is 5"]),
        (json!({"maxClasses": 0}), vec!["predictions.maxClasses is 0", "1 to 200"]),
        (json!({"found": "class"}), vec!["predictions.found", "{\"kind\": \"class\", \"path\": \"$\"}"]),
        (json!({"found": {"kind": "class"}}), vec!["predictions.found.path is null"]),
    ] {
        let error = check(&settings).unwrap_err();
        for word in words {
            assert!(error.contains(word), "{settings}: {error:?} lacks {word:?}");
        }
    }
}

#[test]
fn absent_null_and_unknown_fields_are_taken() {
    assert_eq!(Ok(Reading::default()), check(&json!(null)));
    assert_eq!(Ok(Reading::default()), check(&json!({"kind": null, "somethingNew": {"a": 1}})));
}

#[test]
fn paths_are_read_and_written_alike() {
    for path in ["$", "$.a", "$.a.b", "$[0]", "$[12].x", "$['a b']", "$[\"it's\"]", "$.größe", "$['']"] {
        assert_eq!(path, path.parse::<Path>().unwrap().to_string());
    }
    assert_eq!("$.a", "$['a']".parse::<Path>().unwrap().to_string());
    for path in [
        "",
        "a",
        "$a",
        "$.",
        "$..a",
        "$.*",
        "$[*]",
        "$[-1]",
        "$[+1]",
        "$[1:2]",
        "$[?(@.a)]",
        "$['a",
        "$['a'",
        "$.a b",
        "$[0",
    ] {
        let error = path.parse::<Path>().unwrap_err().to_string();
        assert!(error.contains("$['a b']") && error.contains("$ for the row itself"), "{error}");
    }
    assert!(format!("${}", "[0]".repeat(9)).parse::<Path>().is_err());
    assert!(format!("$.{}", "a".repeat(300)).parse::<Path>().is_err());
}

#[test]
fn a_decision_can_be_recorded_and_handed_back() {
    let decided = Decided { kind: Kind::Probabilities, path: "$.scores".parse().unwrap() };
    let recorded = serde_json::to_value(&decided).unwrap();
    assert_eq!(json!({"kind": "probabilities", "path": "$.scores"}), recorded);
    assert_eq!(decided, serde_json::from_value(recorded.clone()).unwrap());
    assert_eq!(Some(decided), check(&json!({"found": recorded})).unwrap().decided());
}

#[test]
fn a_crash_inside_the_model_is_the_models_fault_in_every_mlflow_and_an_echo_of_its_words_is_not() {
    use crate::blame::Cause::{Client, Model};
    let words = "Encountered an unexpected error while evaluating the model. Verify that the serialized input \
                 Dataframe is compatible with the model for inference.";
    let trace = "Traceback (most recent call last):\\n  File".repeat(200);
    for (answer, expected) in [
        // As 1.x and 2.x write it.
        (format!(r#"{{"error_code": "BAD_REQUEST", "message": "{words}", "stack_trace": "Traceback"}}"#), Model),
        // Longer than what is looked at, or cut within the trace.
        (format!(r#"{{"error_code": "BAD_REQUEST", "message": "{words}", "stack_trace": "{trace}"}}"#), Model),
        (format!(r#"{{"stack_trace": "Traceback", "message": "{words}"}}"#), Model),
        (
            format!(
                r#"{{"error_code": "BAD_REQUEST", "message": "Failed to predict data '{words}'", "stack_trace": ""}}"#
            ),
            Client,
        ),
        (format!(r#"{{"detail": {{"message": "{words}"}}}}"#), Client),
        (
            r#"{"error_code": "MALFORMED_REQUEST", "message": "Failed to parse input", "stack_trace": "Traceback"}"#
                .into(),
            Client,
        ),
        (r#"{"detail": [{"loc": ["body"], "msg": "field required"}]}"#.into(), Client),
        (format!(r#"{{"error_code": "BAD_REQUEST", "message": "{}"#, &words[..40]), Client),
        ("[1]".into(), Client),
        (String::new(), Client),
    ] {
        let captured = super::body(&answer, Some("application/json"));
        assert_eq!(expected, blame(http::StatusCode::BAD_REQUEST, &captured), "{answer}");
    }
}

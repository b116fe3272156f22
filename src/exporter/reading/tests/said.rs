//! Settings and paths: what is refused says how to mend it.

use pretty_assertions::assert_eq;
use serde_json::json;

use crate::{
    blame::Cause,
    reading::{Decided, Kind, Path, Reading, blame, check},
};

#[test]
fn bad_settings_are_refused_with_the_field_and_the_way_to_mend_it() {
    for (settings, words) in [
        (json!([]), vec!["predictions is a list", "must be an object"]),
        (
            json!({"kind": "klass"}),
            vec!["predictions.kind", "\"klass\"", "class, probability, probabilities, number, labels"],
        ),
        (json!({"path": "$..a"}), vec!["predictions.path", "$..a", "$.label"]),
        (json!({"path": 3}), vec!["predictions.path is 3", "$.label"]),
        (json!({"classes": {"0": "stay"}}), vec!["predictions.classes is an object", "must be a list"]),
        (json!({"classes": [{"value": "0"}]}), vec!["predictions.classes[0] has no name"]),
        (json!({"classes": ["a", 3]}), vec!["predictions.classes[1] is 3"]),
        (json!({"classes": [""]}), vec!["predictions.classes[0].name is empty"]),
        (json!({"classes": [{"value": [], "name": "a"}]}), vec!["predictions.classes[0].value is a list"]),
        (
            json!({"classes": [{"value": 1.0, "name": "a"}, {"value": "1", "name": "b"}]}),
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
        (json!({"requestPath": "predict"}), vec!["predictions.requestPath is \"predict\"", "like \"/predict\""]),
        (json!({"requestPath": "/a?b=c"}), vec!["predictions.requestPath"]),
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
    let decided = Decided {
        kind: Kind::Probabilities,
        path: "$.scores".parse().unwrap(),
        request_path: Some("/predict".into()),
        rows: 12,
        certainty: 92,
        settled: true,
    };
    let recorded = serde_json::to_value(&decided).unwrap();
    let expected = json!({
        "kind": "probabilities", "path": "$.scores", "requestPath": "/predict", "rows": 12, "certainty": 92,
        "settled": true,
    });
    assert_eq!(expected, recorded);
    assert_eq!(decided, serde_json::from_value(recorded.clone()).unwrap());
    assert_eq!(Some(decided), check(&json!({"found": recorded})).unwrap().found);
}

/// MLflow's answer to an exception inside the model, from 1.x to 3.x.
fn crashed(trace: &str) -> String {
    let words = "Encountered an unexpected error while evaluating the model. Verify that the serialized input Dataframe is \
                 compatible with the model for inference.";
    json!({"error_code": "BAD_REQUEST", "message": words, "stack_trace": trace}).to_string()
}

fn blamed(answer: &str) -> Cause {
    blame(http::StatusCode::BAD_REQUEST, &super::body(answer, Some("application/json")))
}

const TRACE: &str =
    "Traceback (most recent call last):\n  File \"model.py\", line 16, in predict\n    return f(x)\n           ^^^^\n";

#[test]
fn a_crash_inside_the_model_is_the_models_fault_where_no_request_can_cause_it_and_unclear_elsewhere() {
    for (raised, expected) in [
        ("NameError: name 'scaler' is not defined", Cause::Model),
        ("ModuleNotFoundError: No module named 'lightgbm'", Cause::Model),
        ("torch.OutOfMemoryError: CUDA out of memory.", Cause::Model),
        ("MemoryError", Cause::Model),
        ("sklearn.exceptions.NotFittedError: This LogisticRegression instance is not fitted yet.", Cause::Model),
        ("AttributeError: 'SimpleImputer' object has no attribute '_fill_dtype'", Cause::Model),
        ("AttributeError: 'NoneType' object has no attribute 'lower'", Cause::Unclear),
        ("AttributeError: 'float' object has no attribute 'split'", Cause::Unclear),
        ("AttributeError: 'DataFrame' object has no attribute 'age'", Cause::Unclear),
        ("AttributeError: Can only use .str accessor with string values!", Cause::Unclear),
        ("ValueError: Input X contains NaN.\nLogisticRegression does not accept missing values", Cause::Unclear),
        ("ValueError: Found array with 0 sample(s) (shape=(0, 2))", Cause::Unclear),
        ("KeyError: 'age'", Cause::Unclear),
        ("RuntimeError: mat1 and mat2 shapes cannot be multiplied", Cause::Unclear),
        // What a client sent is repeated in a message, and looks like another exception.
        ("ValueError: unknown category 'x\nNameError: name\n'", Cause::Unclear),
        ("ValueError: 'x\nTraceback (most recent call last):\n  File \"a\", line 1\nMemoryError\n'", Cause::Unclear),
    ] {
        assert_eq!(expected, blamed(&crashed(&format!("{TRACE}{raised}\n"))), "{raised}");
    }
    let first = format!("{TRACE}ImportError: no ujson\n");
    let chained = format!("{first}\nDuring handling of the above exception, another exception occurred:\n\n{TRACE}");
    assert_eq!(
        Cause::Unclear,
        blamed(&crashed(&format!("{chained}ValueError: x\n"))),
        "one of the two may be the client's"
    );
    assert_eq!(Cause::Model, blamed(&crashed(&format!("{chained}NameError: x\n"))));
}

#[test]
fn what_sklearn_refuses_to_look_at_is_the_clients_fault() {
    let checked = "  File \"/opt/lib/python3.11/site-packages/sklearn/utils/validation.py\", line 1113, in check_array\n    raise ValueError(\n";
    for (trace, expected) in [
        (format!("{TRACE}{checked}ValueError: Found array with 0 sample(s)\n"), Cause::Client),
        (format!("{TRACE}{checked}ValueError: Input X contains NaN.\nLogisticRegression does not\n"), Cause::Client),
        (format!("{checked}{TRACE}ValueError: mine\n"), Cause::Unclear),
        (format!("{TRACE}{checked}TypeError: x\n"), Cause::Unclear),
        (format!("{TRACE}{checked}ValueError: x\n\nDuring handling\n\n{TRACE}KeyError: x\n"), Cause::Unclear),
    ] {
        assert_eq!(expected, blamed(&crashed(&trace)), "{trace}");
    }
}

#[test]
fn a_crash_whose_trace_is_missing_cut_or_odd_is_unclear() {
    let whole = crashed(&format!("{TRACE}NameError: x\n"));
    for answer in [
        crashed(""),
        crashed("NameError: x"),
        whole[..whole.len() - 20].to_owned(),
        crashed(&format!("{}{TRACE}NameError: x", "x".repeat(100_000))),
    ] {
        assert_eq!(Cause::Unclear, blamed(&answer), "{}", &answer[..answer.len().min(300)]);
    }
    let words = "Encountered an unexpected error while evaluating the model";
    assert_eq!(Cause::Unclear, blamed(&format!(r#"{{"stack_trace": 3, "message": "{words}"}}"#)));
}

#[test]
fn an_answer_that_only_repeats_mlflows_words_is_the_clients_fault() {
    let words = "Encountered an unexpected error while evaluating the model";
    for answer in [
        format!(r#"{{"error_code": "BAD_REQUEST", "message": "Failed to predict data '{words}'", "stack_trace": ""}}"#),
        format!(r#"{{"detail": {{"message": "{words}"}}}}"#),
        r#"{"error_code": "MALFORMED_REQUEST", "message": "Failed to parse input", "stack_trace": "Traceback"}"#.into(),
        r#"{"detail": [{"loc": ["body"], "msg": "field required"}]}"#.into(),
        format!(r#"{{"error_code": "BAD_REQUEST", "message": "{}"#, &words[..40]),
        "[1]".into(),
        String::new(),
    ] {
        assert_eq!(Cause::Client, blamed(&answer), "{answer}");
    }
}

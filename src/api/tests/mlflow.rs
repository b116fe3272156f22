use serde_json::{Value, json};

use super::*;
use crate::api::ValidSpec;

const URI: &str = "https://dagshub.com/vintner/wine.mlflow";

fn parse(mlflow: Value) -> Result<Training, String> {
    let spec = json!({"image": {"repository": "vintner/wine-quality"}, "mlflow": mlflow});
    match ValidSpec::parse("grape-scorer", &spec) {
        Ok(spec) => Ok(spec.mlflow.unwrap()),
        Err(faults) => Err(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
    }
}

#[test]
fn figures_are_taken_with_and_without_quotes() {
    let bare = parse(json!({"require": {"f1_score": {"min": 0.8, "notBelowStableBy": 0.01}, "loss": {"max": 1}}}));
    let quoted =
        parse(json!({"require": {"f1_score": {"min": "0.8", "notBelowStableBy": "0.01"}, "loss": {"max": "1"}}}));
    let f1 = Requirement {
        metric: "f1_score".into(),
        min: Some(0.8),
        not_below_stable_by: Some(0.01),
        ..Requirement::default()
    };
    let loss = Requirement { metric: "loss".into(), max: Some(1.0), ..Requirement::default() };
    assert_eq!(bare, Ok(Training { tracking: None, require: vec![f1, loss] }));
    assert_eq!(quoted, bare);
}

#[test]
fn a_run_is_named_by_the_image_unless_a_registered_model_is() {
    let of = |mlflow: Value| parse(mlflow).unwrap().tracking.unwrap().run_of;
    assert_eq!(of(json!({"trackingURI": URI})), RunOf::ImageLabel);
    assert_eq!(of(json!({"trackingURI": URI, "run": "fromImageLabel"})), RunOf::ImageLabel);
    let alias = RunOf::Alias { model: "wine".into(), alias: "champion".into() };
    assert_eq!(of(json!({"trackingURI": URI, "model": "wine", "alias": "champion"})), alias);
    let version = RunOf::Version { model: "wine".into(), version: "3".into() };
    assert_eq!(of(json!({"trackingURI": URI, "model": "wine", "version": "3"})), version);
}

#[test]
fn bounds_that_nothing_can_meet_are_refused() {
    for (bounds, words) in [
        (json!({"min": 2, "max": 1}), "min is greater"),
        (json!({"notBelowStableBy": -1}), "negative margin"),
        (json!({"notAboveStableBy": "-0.1"}), "negative margin"),
        (json!({"min": true}), "does not have the shape"),
        (json!({"min": "high"}), "is not a figure"),
        (json!({"atLeast": 1}), "expected one of `min`"),
    ] {
        let message = parse(json!({"require": {"f1_score": bounds}})).unwrap_err();
        assert!(message.contains(words), "{bounds}: {message}");
    }
}

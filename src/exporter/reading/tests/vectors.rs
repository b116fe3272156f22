//! The recorded exchanges of a real MLflow server, all of them, through the door.

use std::time::Duration;

use http::{Method, StatusCode};
use pretty_assertions::assert_eq;
use prometheus::Registry;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{body, page};
use crate::{
    blame::{Cause, Errors},
    exchange::Exchange,
    reading::{Intake, blame, check},
};

#[derive(Deserialize)]
struct Recorded {
    model: String,
    case: String,
    request_content_type: Option<String>,
    request: Option<String>,
    status: u16,
    response_content_type: Option<String>,
    response: String,
}

#[derive(Deserialize)]
struct File {
    exchanges: Vec<Recorded>,
}

fn recorded() -> Vec<Recorded> {
    let file =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/mlflow-3.17-wire.json"));
    serde_json::from_str::<File>(&file.unwrap()).unwrap().exchanges
}

/// What an exchange must add to: rows, and the classes or values in the order of the rows. Written by hand.
enum Expected {
    /// No POST, or about the server itself: not wanted.
    Unwanted,
    Classes(&'static [&'static str]),
    Numbers(&'static [f64]),
    /// The classes by the larger of two probabilities, and those.
    Rows(&'static [(&'static str, f64)]),
    Blamed(Cause),
}

fn expected(model: &str, case: &str) -> Expected {
    use Expected::{Blamed, Classes, Numbers, Rows, Unwanted};
    if case.starts_with("GET ") || case.starts_with("HEAD ") {
        return Unwanted;
    }
    let two = matches!(
        case,
        "dataframe_split"
            | "dataframe_split_with_index"
            | "dataframe_records"
            | "instances_rows"
            | "inputs_columns"
            | "csv"
    );
    let one = matches!(case, "inputs_list" | "params" | "charset");
    match (model, case) {
        ("label" | "records", _) if two => Classes(&["churn", "stay"]),
        ("label" | "records", _) if one => Classes(&["churn"]),
        ("label", "negative_age") => Classes(&["churn"]),
        ("label", "age_nan_output") => Classes(&["churn", "churn"]),
        ("records", "age_nan_output") => Classes(&["stay", "churn"]),
        ("records", "negative_age") => Blamed(Cause::Unclear),
        ("proba", _) if two => Rows(&[("0", 0.833_333_333_333_333_4), ("1", 1.0)]),
        ("proba", _) if one => Rows(&[("0", 0.833_333_333_333_333_4)]),
        ("proba", "negative_age") => Rows(&[("0", 0.866_666_666_666_666_7)]),
        ("proba", "age_nan_output") => Rows(&[("0", 0.8), ("0", 0.833_333_333_333_333_4)]),
        ("regressor", _) if two => Numbers(&[341.378_559_511_320_6, 243.513_179_324_781_36]),
        ("regressor", _) if one => Numbers(&[341.378_559_511_320_6]),
        ("regressor", "negative_age") => Numbers(&[330.316_025_643_477_2]),
        ("regressor", "age_nan_output") => Numbers(&[372.631_068_086_180_16, 341.378_559_511_320_6]),
        (
            _,
            "missing_column" | "wrong_type" | "two_keys" | "no_key" | "not_json" | "empty" | "unsupported_type"
            | "empty_batch",
        ) => Blamed(Cause::Client),
        other => panic!("{other:?} has no expectation"),
    }
}

fn captured(recorded: &Recorded) -> Exchange {
    let method = if recorded.case.starts_with("GET ") { Method::GET } else { Method::POST };
    Exchange {
        method,
        path: "/invocations".into(),
        status: StatusCode::from_u16(recorded.status).unwrap(),
        request: body(recorded.request.as_deref().unwrap_or_default(), recorded.request_content_type.as_deref()),
        answer: body(&recorded.response, recorded.response_content_type.as_deref()),
    }
}

/// Each exchange meets a room of its own, so that no other one decides for it.
async fn through(recorded: &Recorded, settings: &Value) -> std::collections::BTreeMap<String, f64> {
    let registry = Registry::new();
    let errors = Errors::new(&registry).unwrap();
    let intake = Intake::start(&registry, check(settings).unwrap(), errors).unwrap();
    intake.offer(captured(recorded));
    assert!(intake.flush(Duration::from_secs(30)).await, "it was not read in time");
    page(&registry)
}

#[tokio::test]
async fn every_recorded_exchange_counts_its_rows_its_predictions_and_its_blame() {
    let all = recorded();
    assert_eq!(82, all.len());
    for recorded in &all {
        let what = format!("{} {}", recorded.model, recorded.case);
        let page = through(recorded, &json!(null)).await;
        let at = |series: &str| *page.get(series).unwrap_or(&0.0);
        let class = |name: &str| at(&format!("model_predictions_total{{class=\"{name}\"}}"));
        let count = |names: &[&str], name: &str| names.iter().filter(|other| **other == name).count() as f64;
        let mut rows = 0;
        match expected(&recorded.model, &recorded.case) {
            Expected::Unwanted => {
                let (method, path) = recorded.case.split_once(' ').unwrap();
                let registry = Registry::new();
                let errors = Errors::new(&registry).unwrap();
                let intake = Intake::start(&registry, check(&json!(null)).unwrap(), errors).unwrap();
                assert!(!intake.wants(&method.parse().unwrap(), path, false), "{what} is wanted");
                continue;
            }
            Expected::Classes(names) => {
                rows = names.len();
                for name in ["churn", "stay"] {
                    assert_eq!(count(names, name), class(name), "{what}: {name}");
                }
            }
            Expected::Numbers(numbers) => {
                rows = numbers.len();
                assert_eq!(rows as f64, at("model_prediction_value_count"), "{what}");
                assert_eq!(numbers.iter().sum::<f64>(), at("model_prediction_value_sum"), "{what}");
            }
            Expected::Rows(tops) => {
                rows = tops.len();
                let names: Vec<&str> = tops.iter().map(|(name, _)| *name).collect();
                for name in ["0", "1"] {
                    assert_eq!(count(&names, name), class(name), "{what}: {name}");
                }
                assert_eq!(tops.iter().map(|(_, top)| top).sum::<f64>(), at("model_prediction_top_probability_sum"));
            }
            Expected::Blamed(cause) => {
                let name = if cause == Cause::Unclear { "unclear" } else { "client" };
                assert_eq!(1.0, at(&format!("http_request_errors_total{{cause=\"{name}\"}}")), "{what}: {name}");
                let answer = captured(recorded);
                assert_eq!(cause, blame(answer.status, &answer.answer), "{what}");
            }
        }
        let errors: f64 = ["client", "model", "unclear"]
            .iter()
            .map(|c| at(&format!("http_request_errors_total{{cause=\"{c}\"}}")))
            .sum();
        assert_eq!(if rows == 0 { 1.0 } else { 0.0 }, errors, "{what}: errors");
        assert_eq!(rows as f64, at("model_rows_per_request_sum"), "{what}: rows");
        assert_eq!(f64::from(u8::from(rows > 0)), at("modelship_exporter_exchanges_read_total"), "{what}: read");
    }
}

#[tokio::test]
async fn a_path_reads_the_probability_in_recorded_objects_and_a_literal_nan_is_counted_apart() {
    let all = recorded();
    let settings = json!({"kind": "probability", "path": "$.churn_probability", "classes": ["stay", "churn"]});
    let find = |case: &str| all.iter().find(|one| one.model == "records" && one.case == case).unwrap();
    let page = through(find("age_nan_output"), &settings).await;
    assert_eq!(1.0, page["model_prediction_probability_count"]);
    assert_eq!(0.851_952_801_968_310_6, page["model_prediction_probability_sum"]);
    assert_eq!(1.0, page["model_predictions_unread_total{reason=\"nan\"}"]);
    assert_eq!(1.0, page["model_predictions_total{class=\"churn\"}"]);
    assert_eq!(0.0, page["model_predictions_total{class=\"stay\"}"]);
    assert_eq!(2.0, page["model_rows_per_request_sum"]);
}

/// What one version of MLflow answers to what goes wrong, and whose fault it was.
#[derive(Deserialize)]
struct Failures {
    mlflow: String,
    exchanges: Vec<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(flatten)]
    recorded: Recorded,
    /// None where all went well.
    cause: Option<String>,
}

#[tokio::test]
async fn every_recorded_failure_is_blamed_as_far_as_its_answer_tells() {
    let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/mlflow-errors.json"));
    let mut file: Value = serde_json::from_str(&file.unwrap()).unwrap();
    let versions: Vec<Failures> = serde_json::from_value(file["recorded"].take()).unwrap();
    assert!(versions.iter().all(|version| version.exchanges.len() == 46), "a recording is not complete");
    for Failures { mlflow, exchanges } in versions {
        for Failure { recorded, cause } in exchanges {
            let what = format!("{mlflow}: {} {}", recorded.model, recorded.case);
            // The proxy blames for these by itself.
            if recorded.status >= 500 {
                continue;
            }
            let page = through(&recorded, &json!(null)).await;
            for name in ["client", "model", "unclear"] {
                let count = f64::from(u8::from(cause.as_deref() == Some(name)));
                assert_eq!(count, page[&format!("http_request_errors_total{{cause=\"{name}\"}}")], "{what}: {name}");
            }
        }
    }
}

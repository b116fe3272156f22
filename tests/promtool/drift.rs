//! The population stability index against known answers, and PredictionDrift (0.25, from 200 predictions on).

use std::{fs, path::Path};

use serde::Deserialize;
use serde_json::{Value, json};

use super::support::{Case, alerts, case, check, check_tests};

#[derive(Deserialize)]
struct Vectors {
    counts: Vec<Known>,
}

#[derive(Deserialize)]
struct Known {
    name: String,
    a: Vec<f64>,
    b: Vec<f64>,
    psi: f64,
}

fn vectors() -> Vec<Known> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/drift.json");
    serde_json::from_str::<Vectors>(&fs::read_to_string(path).unwrap()).unwrap().counts
}

const LABELS: &str = "namespace=\"cellar\",model=\"grape-scorer\",track=\"stable\"";

/// Reference and predictions of two pods, which share the latter unevenly.
fn series(known: &Known) -> Vec<Value> {
    let all: f64 = known.a.iter().sum();
    let mut series = Vec::new();
    for (bin, (before, now)) in known.a.iter().zip(&known.b).enumerate() {
        for (pod, part) in [("a", 0.25), ("b", 0.75)] {
            let labels = format!("{{{LABELS},pod=\"{pod}\",bin=\"{bin} ≤ x\"}}");
            series.push(json!({"series": format!("model_prediction_reference_ratio{labels}"), "values": format!("{}x240", before / all)}));
            series.push(json!({"series": format!("model_predictions_binned_total{labels}"), "values": format!("0+{}x240", now * part)}));
        }
    }
    series
}

#[test]
fn the_index_is_the_known_one_over_all_pods() {
    let tests = vectors().into_iter().map(|known| {
        // promtool compares to the last digit.
        let expr = format!("abs(model:prediction_drift:psi - {}) < bool 1e-9", known.psi);
        json!({
            "name": known.name,
            "interval": "15s",
            "input_series": series(&known),
            "promql_expr_test": [{
                "expr": expr,
                "eval_time": "30m",
                "exp_samples": [{"labels": "{namespace=\"cellar\",model=\"grape-scorer\"}", "value": 1}],
            }],
        })
    });
    check_tests(&alerts(json!({})), tests.collect());
}

fn predicted(case: Case, pod: &str, stay: &str, churn: &str) -> Case {
    let reference = |bin: &str| format!("model_prediction_reference_ratio,bin=\"{bin}\"");
    let counts = |bin: &str| format!("model_predictions_binned_total,bin=\"{bin}\"");
    case.pod(pod, &reference("stay"), "0.9x480")
        .pod(pod, &reference("churn"), "0.1x480")
        .pod(pod, &counts("stay"), stay)
        .pod(pod, &counts("churn"), churn)
}

#[test]
fn predictions_that_moved_from_the_reference_are_told() {
    let one = |name, stay, churn| predicted(case(name), "a", stay, churn);
    let fires = |case: Case| case.fires("PredictionDrift");
    check(
        &alerts(json!({})),
        &[
            // 0.27 by the known answers.
            fires(one("above the bound", "0+70x120", "0+30x120")),
            one("below the bound", "0+75x120", "0+25x120").silent(),
            one("as expected", "0+90x120", "0+10x120").silent(),
            one("no traffic", "0x120", "0x120").silent(),
            one("NaN", "NaNx120", "NaNx120").silent(),
            one("too few to tell", "0x120", "0+1x120").silent(),
            fires(one("the first ones ever", "0x120", "0x60 500x60")),
            one("not for long", "0+9x120", "0+1x110 9000x10").silent(),
            fires(one("a restart in the middle, above", "0+70x100 0+70x20", "0+30x100 0+30x20")),
            one("a restart in the middle, below", "0+90x100 0+90x20", "0+10x100 0+10x20").silent(),
            predicted(one("two replicas are judged together", "0+10x120", "0+10x120"), "b", "0+80x120", "0x120")
                .silent(),
            fires(predicted(one("two replicas make one alert", "0+70x120", "0+30x120"), "b", "0+70x120", "0+30x120")),
            one("a pod that is gone long since", "0+70x20 stale", "0+30x20 stale").at("90m").silent(),
            case("no reference").pod("a", "model_predictions_binned_total,bin=\"stay\"", "0+100x120").silent(),
            fires(one("classes that the reference lacks", "0+90x120", "0+10x120").pod(
                "a",
                "model_predictions_binned_total,bin=\"__other__\"",
                "0+100x120",
            )),
            one("classes that the reference lacks, and nobody predicts", "0+90x120", "0+10x120")
                .pod("a", "model_predictions_binned_total,bin=\"__other__\"", "0x120")
                .silent(),
        ],
    );
}

#[test]
fn what_the_version_before_predicted_does_not_count_for_the_reference_of_the_next() {
    let pod = |case: Case, pod: &str, id: &str, shares: [(&str, &str, &str); 2], until: &str| {
        shares.into_iter().fold(case, |case, (bin, share, counts)| {
            let labels = format!("bin=\"{bin}\",reference=\"{id}\"");
            case.pod(pod, &format!("model_prediction_reference_ratio,{labels}"), &format!("{share}{until}")).pod(
                pod,
                &format!("model_predictions_binned_total,{labels}"),
                counts,
            )
        })
    };
    let before = |case: Case| {
        let bins = [("(-Inf, 10]", "0.5", "0+100x240 stale"), ("(10, +Inf)", "0.5", "0+100x240 stale")];
        pod(case, "a", "4f2a9c10", bins, "x240 stale")
    };
    let after = |case: Case, low: &'static str, high: &'static str| {
        pod(before(case), "b", "b81e07d3", [("(-Inf, 12]", "0.5", low), ("(12, +Inf)", "0.5", high)], "x480")
    };
    let next = |name, low, high| after(case(name), low, high).every("15s").at("80m");
    check(
        &alerts(json!({})),
        &[
            next("as its own reference has it", "_x240 0+100x240", "_x240 0+100x240").silent(),
            next("otherwise than its own reference", "_x240 0+100x240", "_x240 0+1x240").fires("PredictionDrift"),
            next("too few of its own to tell", "_x240 0 1x239", "_x240 0+1x100 100x140").silent(),
            pod(
                case("the same bins with other shares"),
                "a",
                "4f2a9c10",
                [("stay", "0.9", "0+90x240 stale"), ("churn", "0.1", "0+10x240 stale")],
                "x240 stale",
            )
            .pod("b", "model_prediction_reference_ratio,bin=\"stay\",reference=\"b81e07d3\"", "_x240 0.2x240")
            .pod("b", "model_prediction_reference_ratio,bin=\"churn\",reference=\"b81e07d3\"", "_x240 0.8x240")
            .pod("b", "model_predictions_binned_total,bin=\"stay\",reference=\"b81e07d3\"", "_x240 0+20x240")
            .pod("b", "model_predictions_binned_total,bin=\"churn\",reference=\"b81e07d3\"", "_x240 0+80x240")
            .at("80m")
            .silent(),
        ],
    );
}

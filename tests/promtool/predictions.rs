//! HighClassShare, with classes of every spelling, and PredictionsUnread.

use serde_json::json;

use super::support::{Case, alerts, case, check};

/// As PromQL and promtool quote them, and as users write them.
const CLASSES: [(&str, &str); 6] = [
    ("math score", "math score"),
    ("race/ethnicity", "race/ethnicity"),
    (r#"it's \"x\""#, r#"it's "x""#),
    (r"C:\\new", r"C:\new"),
    ("{{ $value }}", "{{ $value }}"),
    ("größer ≥ 5 €{", "größer ≥ 5 €{"),
];

fn predictions(name: &'static str, pod: &str, class: &str, those: &str, others: &str) -> Case {
    case(name).pod(pod, &format!("model_predictions_total,class=\"{class}\""), those).pod(
        pod,
        "model_predictions_total,class=\"other\"",
        others,
    )
}

#[test]
fn a_class_that_is_predicted_too_often_is_told_whatever_it_is_called() {
    for (quoted, class) in CLASSES {
        check(
            &alerts(json!({"classShare": [{"class": class, "above": "40%"}]})),
            &[
                predictions("above the bound", "a", quoted, "0+5x120", "0+5x120").fires("HighClassShare"),
                predictions("below the bound", "a", quoted, "0+3x120", "0+7x120").silent(),
            ],
        );
    }
}

#[test]
fn a_class_that_is_predicted_too_often_is_told() {
    let churn = |name, those, others| predictions(name, "a", "churn", those, others);
    let fires = |case: Case| case.fires("HighClassShare");
    check(
        &alerts(json!({"classShare": [{"class": "churn", "above": "40%"}]})),
        &[
            fires(churn("all of them", "0+5x120", "0x120")),
            churn("none of them", "0x120", "0+5x120").silent(),
            churn("no traffic", "0x120", "0x120").silent(),
            churn("NaN", "NaNx120", "NaNx120").silent(),
            churn("too few to tell", "0x100 40x20", "0x120").silent(),
            fires(churn("the first ones ever", "0x100 90x20", "0+1x120")),
            fires(churn("a restart in the middle, above", "0+5x100 0+5x20", "0+5x100 0+5x20")),
            churn("a restart in the middle, below", "0+3x100 0+3x20", "0+7x100 0+7x20").silent(),
            predictions("two replicas are judged together", "a", "churn", "0+1x120", "0x120")
                .pod("b", "model_predictions_total,class=\"other\"", "0+9x120")
                .silent(),
            fires(churn("two replicas make one alert", "0+5x120", "0+5x120").pod(
                "b",
                "model_predictions_total,class=\"churn\"",
                "0+5x120",
            )),
            fires(churn("what a pod that is gone predicted counts", "0+5x100 stale", "0+5x100 stale")),
            churn("a pod that is gone long since", "0+5x20 stale", "0+5x20 stale").at("70m").silent(),
            churn("a candidate's predictions reach nobody", "0+1x120", "0+9x120")
                .track("candidate", "c", "model_predictions_total,class=\"churn\"", "0+90x120")
                .silent(),
        ],
    );
}

#[test]
fn scores_that_are_too_often_high_are_told() {
    let scores = |name, low: &str, all: &str| {
        case(name)
            .pod("a", "model_prediction_probability_bucket,le=\"0.8\"", low)
            .pod("a", "model_prediction_probability_bucket,le=\"1.0\"", all)
            .pod("a", "model_prediction_probability_count", all)
    };
    check(
        &alerts(json!({"classShare": [{"scoreAbove": "0.8", "above": "40%"}]})),
        &[
            scores("above the bound", "0+5x120", "0+10x120").fires("HighClassShare"),
            scores("below the bound", "0+7x120", "0+10x120").silent(),
            scores("no traffic", "0x120", "0x120").silent(),
            scores("NaN", "NaNx120", "NaNx120").silent(),
            scores("too few to tell", "0x120", "0x100 40x20").silent(),
            scores("the first ones ever", "0x120", "0x100 90x20").fires("HighClassShare"),
            scores("a restart in the middle", "0+7x100 0+7x20", "0+10x100 0+10x20").silent(),
            scores("two replicas are judged together", "0+5x120", "0+10x120")
                .pod("b", "model_prediction_probability_bucket,le=\"0.8\"", "0+10x120")
                .pod("b", "model_prediction_probability_count", "0+10x120")
                .silent(),
            scores("a pod that is gone long since", "0+5x20 stale", "0+10x20 stale").at("70m").silent(),
            case("no data").silent(),
        ],
    );
}

#[test]
fn answers_that_cannot_be_read_are_told_once_they_are_most() {
    let answers = |name, read: &str, skipped: &str| {
        case(name).pod("a", "modelship_exporter_exchanges_read_total", read).pod(
            "a",
            "modelship_exporter_exchanges_skipped_total,reason=\"unknown_shape\"",
            skipped,
        )
    };
    let fires = |case: Case| case.fires("PredictionsUnread");
    check(
        &alerts(json!({})),
        &[
            fires(answers("none is read", "0x120", "0+5x120")),
            fires(answers("six of ten are not", "0+4x120", "0+6x120")),
            answers("four of ten are not", "0+6x120", "0+4x120").silent(),
            answers("no traffic", "0x120", "0x120").silent(),
            answers("NaN", "NaNx120", "NaNx120").silent(),
            answers("the first one ever", "0x120", "0x119 1").silent(),
            answers("too few to tell", "0x100", "0x100 15x20").silent(),
            fires(answers("a counter that starts anew", "0x120", "0+5x100 0+5x20")),
            fires(answers("two replicas make one alert", "0x120", "0+5x120").pod(
                "b",
                "modelship_exporter_exchanges_skipped_total,reason=\"encoded\"",
                "0+5x120",
            )),
            answers("two replicas are judged together", "0x120", "0+1x120")
                .pod("b", "modelship_exporter_exchanges_read_total", "0+9x120")
                .silent(),
            answers("a pod that is gone long since", "0x20 stale", "0+5x20 stale").at("85m").silent(),
            answers("what came too fast, or failed", "0+1x120", "0x120")
                .pod("a", "modelship_exporter_exchanges_skipped_total,reason=\"queue_full\"", "0+50x120")
                .pod("a", "modelship_exporter_exchanges_skipped_total,reason=\"failed\"", "0+50x120")
                .silent(),
            answers("a candidate's answers reach nobody", "0+1x120", "0x120")
                .track("candidate", "c", "modelship_exporter_exchanges_skipped_total,reason=\"encoded\"", "0+90x120")
                .silent(),
        ],
    );
}

use pretty_assertions::assert_eq;
use serde_json::json;

use super::*;
use crate::{
    api::conditions::find,
    controller::decide::world::World,
    exporter::{
        blame::Errors,
        reading::{self, Intake},
    },
};

const INFO: &str = r#"path="$.data.matrix",reason="unknown_shape",shape="{\"data\": {\"matrix\": [number ×2]}}""#;

#[test]
fn most_of_enough_answers_must_be_unread_and_neither_haste_nor_failure_counts() {
    for (read, skipped, unread) in
        [(0, 20, true), (9, 11, true), (10, 10, false), (0, 19, false), (500, 501, true), (0, 0, false)]
    {
        let answers = Answers::on(&page(read, skipped, INFO));
        assert_eq!(unread, matches!(answers, Answers::Unread(_)), "{read} {skipped}");
    }
    assert_eq!(Answers::Read, Answers::on(""), "an older exporter's page");
    assert_eq!(Answers::Read, Answers::on(&page(0, 30, "reason=\"cut\"")), "half a line");
}

#[tokio::test]
async fn the_exporters_own_page_is_understood_to_the_last_bracket() {
    let registry = prometheus::Registry::new();
    let errors = Errors::new(&registry).unwrap();
    let intake = Intake::start(&registry, reading::check(&json!(null)).unwrap(), errors).unwrap();
    let json = Some(http::HeaderValue::from_static("application/json"));
    let body = bytes::Bytes::from_static(br#"{"data": {"matrix": [0.7, 12]}}"#);
    let answer = crate::exporter::exchange::Captured {
        content_type: json,
        length: body.len() as u64,
        pieces: vec![body],
        whole: true,
        ..Default::default()
    };
    for _ in 0..30 {
        intake.offer(crate::exporter::exchange::Exchange {
            method: http::Method::POST,
            path: "/".into(),
            status: http::StatusCode::OK,
            request: crate::exporter::exchange::Captured::default(),
            answer: answer.clone(),
        });
    }
    assert!(intake.flush(std::time::Duration::from_secs(30)).await);
    let page = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let judgement = Answers::on(&page).judge(None).unwrap();
    assert_eq!("NoPredictionFound", judgement.reason);
    assert_eq!(
        "requests are served, but most answers tell nothing of their predictions: no prediction was found in {\"data\": \
         {\"matrix\": [number ×2]}}; set spec.predictions.path, perhaps to $.data.matrix, and kind",
        judgement.message
    );
}

#[test]
fn every_reason_says_how_to_mend_it() {
    for reason in reading::Skip::ALL.map(reading::Skip::name).into_iter().filter(|reason| !NO_FAULT.contains(reason)) {
        let page = page(0, 30, &format!("reason=\"{reason}\",shape=\"a shape\",path=\"\""));
        let judgement = Answers::on(&page).judge(None).unwrap();
        let mends = ["let the server", "spec.predictions", "ask for fewer"]
            .iter()
            .any(|words| judgement.message.contains(words));
        assert!(mends && judgement.holds == Some(false), "{reason}: {}", judgement.message);
    }
}

#[test]
fn a_model_whose_answers_are_not_read_is_ready_says_so_and_is_told_once() {
    let mut world = World::serving(json!({}));
    let shown = |world: &World| find(&world.status.conditions, PREDICTIONS_READ).map(|known| known.reason.clone());
    world.answers = Answers::on(&page(1, 30, INFO));
    assert_eq!(vec!["PredictionsUnread"], world.turn().told());
    assert_eq!(Some("NoPredictionFound".to_owned()), shown(&world));
    assert_eq!("True", find(&world.status.conditions, "Ready").unwrap().status);
    assert!(world.turn().told().is_empty());
    // A controller that has just started has heard nobody.
    world.answers = Answers::Unknown;
    world.turn();
    assert_eq!(Some("NoPredictionFound".to_owned()), shown(&world));
    world.answers = Answers::Read;
    world.turn();
    assert_eq!(None, shown(&world));
}

#[test]
fn what_is_settled_is_not_called_unread() {
    let mut world = World::serving(json!({}));
    world.answers = Answers::on(&page(1, 30, INFO));
    world.turn();
    world.change(json!({"predictions": {"kind": "class", "path": "$.data.matrix"}}));
    world.turn();
    assert_eq!(None, find(&world.status.conditions, PREDICTIONS_READ));
}

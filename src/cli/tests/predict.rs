use bytes::Bytes;
use clap::Parser as _;
use http::StatusCode;
use pretty_assertions::assert_eq;
use tokio::net::TcpListener;

use super::*;
use crate::api::spec::PredictionClass;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    predict: Arguments,
}

fn predicted(status: u16, body: &str, classes: &[(&str, Option<&str>)]) -> Predicted {
    let class = |(name, value): &(&str, Option<&str>)| PredictionClass {
        name: (*name).to_owned(),
        value: value.map(str::to_owned),
    };
    Predicted {
        answer: Answer {
            status: StatusCode::from_u16(status).unwrap(),
            size: body.len() as u64,
            body: Bytes::copy_from_slice(body.as_bytes()),
        },
        seconds: 0.25,
        names: Names::new(&classes.iter().map(class).collect::<Vec<_>>()),
    }
}

fn told(predicted: &Predicted, output: Output) -> (u8, String, String) {
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let code = predicted.tell(output, &mut out, &mut notes);
    (code, String::from_utf8(out).unwrap(), String::from_utf8(notes).unwrap())
}

const CHURN: [(&str, Option<&str>); 2] = [("stays", Some("0")), ("leaves", Some("1"))];

#[test]
fn the_answer_is_printed_byte_for_byte_and_its_classes_are_named_beside_it() {
    let body = "{\"predictions\":  [1,0.0, 7]}";
    let (code, out, notes) = told(&predicted(200, body, &CHURN), Output::Text);
    assert_eq!((code, out.as_str()), (0, body));
    assert_eq!(notes, "row 1: leaves\nrow 2: stays\n");
}

#[test]
fn a_row_of_probabilities_is_named_by_the_position_of_the_largest() {
    let by_position = [("cat", None), ("dog", None), ("owl", None)];
    let answer = predicted(200, r#"{"predictions": [[0.1, 0.2, 0.7], [0.5, 0.4, 0.1]]}"#, &by_position);
    assert_eq!(told(&answer, Output::Text).2, "row 1: owl\nrow 2: cat\n");
}

#[test]
fn twenty_rows_are_named_and_the_rest_is_mentioned() {
    let body = json!({"predictions": vec![1; 25]}).to_string();
    let notes = told(&predicted(200, &body, &CHURN), Output::Text).2;
    assert_eq!(notes.lines().count(), 21);
    assert!(notes.ends_with("row 20: leaves\n… and 5 rows more\n"), "{notes}");
}

#[test]
fn an_answer_that_is_no_prediction_is_printed_without_a_word() {
    for body in ["", "not JSON", "{\"x\": NaN}"] {
        assert_eq!(told(&predicted(200, body, &CHURN), Output::Text), (0, body.to_owned(), String::new()));
    }
}

#[test]
fn a_refusal_ends_in_1_with_the_models_words_and_nothing_on_standard_output() {
    let body = r#"{"error_code": "BAD_REQUEST", "message": "missing inputs ['age']"}"#;
    let (code, out, notes) = told(&predicted(400, body, &CHURN), Output::Text);
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(notes, "modelship: the model answered 400 Bad Request: missing inputs ['age']\n");
}

#[test]
fn the_json_has_the_answer_and_a_class_for_every_row() {
    let (code, out, _) = told(&predicted(200, r#"{"predictions": [1, 7]}"#, &CHURN), Output::Json);
    let json: Value = serde_json::from_str(&out).unwrap();
    let answer = json!({"predictions": [1, 7]});
    assert_eq!(json, json!({"status": 200, "seconds": 0.25, "answer": answer, "classes": ["leaves", "7"]}));
    assert_eq!(code, 0);
    let (code, out, notes) = told(&predicted(502, "bad gateway", &CHURN), Output::Json);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["status"], &json["answer"]), (1, &json!(502), &json!("bad gateway")));
    assert!(notes.contains("502 Bad Gateway"), "{notes}");
}

#[tokio::test]
async fn a_request_reaches_the_server_and_a_closed_port_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let echo = axum::Router::new().fallback(|body: axum::body::Bytes| async { body });
    let server = tokio::spawn(async move { axum::serve(listener, echo).await });
    let file = std::env::temp_dir().join(format!("modelship-predict-{}.json", std::process::id()));
    std::fs::write(&file, r#"{"predictions": ["stays"]}"#).unwrap();
    let (url, path) = (format!("http://{address}/invocations"), file.display().to_string());
    let arguments = Line::try_parse_from(["x", "--url", &url, "-f", &path]).unwrap().predict;
    let predicted = perform(&arguments).await.unwrap();
    assert_eq!(told(&predicted, Output::Text), (0, r#"{"predictions": ["stays"]}"#.to_owned(), String::new()));
    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());
    let message = perform(&arguments).await.err().unwrap();
    assert!(message.starts_with(&format!("{url} gave no answer: cannot connect to")), "{message}");
}

#[tokio::test]
async fn without_a_body_the_example_of_a_profile_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/invocations", listener.local_addr().unwrap());
    let echo = axum::Router::new().fallback(|request: axum::extract::Request| async move {
        let kind = request.headers()["content-type"].to_str().unwrap().to_owned();
        let path = request.uri().path().to_owned();
        let body = axum::body::to_bytes(request.into_body(), 1 << 10).await.unwrap();
        format!("{path} {kind} {}", String::from_utf8_lossy(&body))
    });
    tokio::spawn(async move { axum::serve(listener, echo).await });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("profile.json");
    let example = r#"{"version": 1, "kind": "class", "example": {"body": {"inputs": [1.5]}, "path": "/predict"}}"#;
    std::fs::write(&file, example).unwrap();
    let file = file.to_str().unwrap();
    let arguments = Line::try_parse_from(["x", "--url", &url, "--profile", file]).unwrap().predict;
    let (code, out, _) = told(&perform(&arguments).await.unwrap(), Output::Text);
    assert_eq!((code, out.as_str()), (0, r#"/predict application/json {"inputs":[1.5]}"#));
    let message = perform(&Line::try_parse_from(["x", "--url", &url]).unwrap().predict).await.err().unwrap();
    assert!(message.starts_with("nothing to send: give -f FILE"), "{message}");
}

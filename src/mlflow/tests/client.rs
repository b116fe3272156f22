use std::time::Duration;

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{StatusCode, header};
use serde_json::{Value, json};

use super::{
    fake::{self, Fake, error},
    problem::reason,
    *,
};
use crate::outside::{
    TrustedCa,
    tests::{self as tls, Fault},
};

const NO_RUN: &str = r#"{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Run with id=r1 not found"}"#;
const NO_PAGE: &str = "<!doctype html><title>404 Not Found</title>";

fn client() -> Client {
    client_with(Duration::from_secs(10))
}

fn client_with(timeout: Duration) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new(timeout, false, &TrustedCa::default()).unwrap()
}

fn server(uri: &str, login: Login) -> Server {
    let secret = (login != Login::Nobody).then(|| "dagshub".to_owned());
    Server { uri: TrackingUri::parse(uri).unwrap(), login, secret }
}

fn alice() -> Login {
    Login::Basic { username: "alice".into(), password: "open-sesame".into() }
}

fn the_run() -> Which {
    Which::Run("r1".into())
}

fn run(status: &str, metrics: Value) -> Value {
    json!({"run": {"info": {"run_id": "r1", "run_uuid": "r1", "status": status}, "data": {"metrics": metrics}}})
}

fn finished() -> Value {
    run("FINISHED", json!([{"key": "f1_score", "value": 0.9, "step": 1}]))
}

async fn problem(fake: &Fake, which: &Which) -> Problem {
    client().run(&server(&fake.uri, alice()), which).await.unwrap_err()
}

fn assert_problem(problem: &Problem, reason: &str, words: &[&str]) {
    assert_eq!(problem.reason, reason, "{}", problem.message);
    for words in words {
        assert!(problem.message.contains(words), "'{words}' is not in: {}", problem.message);
    }
    assert!(!problem.message.contains("open-sesame"), "{}", problem.message);
}

#[tokio::test]
async fn metrics_are_finite_numbers_and_what_is_none_is_named() {
    let fake = Fake::with(|_| {
        fake::json(&run(
            "FINISHED",
            json!([
                {"key": "f1_score", "value": 0.9}, {"key": "trees", "value": 100}, {"key": "loss", "value": "NaN"},
                {"key": "auc", "value": 1.797_693_134_862_315_7e308}, {"key": "gain", "value": "-Infinity"}, {"key": "lift"},
            ]),
        ))
    })
    .await;
    let run = client().run(&server(&fake.uri, alice()), &the_run()).await.unwrap();
    assert_eq!(run.metrics, [("f1_score".to_owned(), 0.9), ("trees".to_owned(), 100.0)].into());
    assert_eq!(run.left_out, ["auc", "gain", "lift", "loss"]);
    assert_eq!(fake.signed(), [Some("Basic YWxpY2U6b3Blbi1zZXNhbWU=".to_owned())]);
    let token = server(&fake.uri, Login::Bearer("open-sesame".into()));
    client().run(&token, &the_run()).await.unwrap();
    client().run(&server(&fake.uri, Login::Nobody), &the_run()).await.unwrap();
    assert_eq!(fake.signed()[1..], [Some("Bearer open-sesame".to_owned()), None]);
}

#[tokio::test]
async fn a_run_that_has_not_ended_well_counts_for_nothing() {
    for (status, stage, reason, words) in [
        ("FAILED", "active", reason::RUN_FAILED, "ended as FAILED"),
        ("KILLED", "active", reason::RUN_FAILED, "ended as KILLED"),
        ("RUNNING", "active", reason::RUN_UNFINISHED, "has not ended yet"),
        ("SCHEDULED", "active", reason::RUN_UNFINISHED, "has not ended yet"),
        ("FINISHED", "deleted", reason::NO_SUCH_RUN, "is deleted; restore it"),
        ("DONE", "active", reason::BAD_ANSWER, "none that is known"),
    ] {
        let fake = Fake::with(move |_| {
            let mut run = run(status, json!([{"key": "f1_score", "value": 0.9}]));
            run["run"]["info"]["lifecycle_stage"] = json!(stage);
            fake::json(&run)
        })
        .await;
        assert_problem(&problem(&fake, &the_run()).await, reason, &["run r1", words]);
    }
}

#[tokio::test]
async fn a_server_before_aliases_is_asked_for_the_stage_of_that_name() {
    let old = |path: &str| match path.split('?').next().unwrap() {
        "registered-models/get-latest-versions" => fake::json(&json!({"model_versions": [
            {"name": "churn", "version": "4", "current_stage": "None", "run_id": "r0"},
            {"name": "churn", "version": "3", "current_stage": "Staging", "run_id": "r0"},
            {"name": "churn", "version": 2, "current_stage": "Production", "run_id": "r1", "source": "models:/m-1"},
        ]})),
        "runs/get" => fake::json(&finished()),
        _ => error(StatusCode::NOT_FOUND, NO_PAGE),
    };
    let fake = Fake::with(old).await;
    let alias = |alias: &str| Which::Alias { model: "churn".into(), alias: alias.into() };
    let run = client().run(&server(&fake.uri, alice()), &alias("production")).await.unwrap();
    assert_eq!((run.id.as_str(), run.version.as_deref()), ("r1", Some("2")));
    assert!(fake.asked().last().unwrap().ends_with("runs/get?run_id=r1"), "{:?}", fake.asked());
    for unknown in ["champion", "none"] {
        let problem = problem(&fake, &alias(unknown)).await;
        assert_problem(&problem, reason::NO_ALIASES, &["knows no aliases", "set spec.mlflow.version"]);
    }
}

#[tokio::test]
async fn a_version_that_was_registered_without_a_run_is_told() {
    let fake = Fake::with(|_| fake::json(&json!({"model_version": {"version": "4", "source": "s3://a/b"}}))).await;
    let version = Which::Version { model: "churn".into(), version: "4".into() };
    assert_problem(&problem(&fake, &version).await, reason::NO_RUN, &["was registered without a run"]);
}

#[tokio::test]
async fn each_refusal_says_what_to_do() {
    for (status, body, reason, words) in [
        (401, "You are not authenticated", reason::UNAUTHORIZED, "the credentials in the Secret dagshub"),
        (403, "Permission denied", reason::UNAUTHORIZED, "may read the experiment"),
        (404, NO_RUN, reason::NO_SUCH_RUN, "another tracking server"),
        (404, NO_PAGE, reason::BAD_ANSWER, "there is no MLflow at http://127.0.0.1"),
        (429, "", reason::SERVER_ERROR, "answers 429"),
        (500, "open-sesame", reason::SERVER_ERROR, "look into the server's log"),
        (503, "", reason::SERVER_ERROR, "answers 503"),
        (200, NO_PAGE, reason::BAD_ANSWER, "it is not what MLflow says"),
        (200, "{}", reason::BAD_ANSWER, "it is not what MLflow says"),
    ] {
        let fake = Fake::with(move |_| error(StatusCode::from_u16(status).unwrap(), body)).await;
        assert_problem(&problem(&fake, &the_run()).await, reason, &[words]);
    }
    let fake = Fake::with(|_| error(StatusCode::UNAUTHORIZED, "")).await;
    let problem = client().run(&server(&fake.uri, Login::Nobody), &the_run()).await.unwrap_err();
    assert_problem(&problem, reason::UNAUTHORIZED, &["name it in spec.mlflow.credentialsSecret"]);
}

#[tokio::test]
async fn credentials_go_to_no_other_address() {
    let other = Fake::with(|_| fake::json(&finished())).await;
    for target in [format!("{}/api/2.0/mlflow/runs/get", other.uri), "/elsewhere".to_owned()] {
        let fake = Fake::with(move |_| {
            Response::builder().status(302).header(header::LOCATION, &target).body(Body::empty()).unwrap()
        })
        .await;
        let problem = problem(&fake, &the_run()).await;
        assert_problem(&problem, reason::BAD_ANSWER, &["redirects to another address", "spec.mlflow.trackingURI"]);
        assert_eq!(fake.asked().len(), 1);
    }
    assert_eq!(other.asked().len(), 0);
}

#[tokio::test]
async fn an_answer_of_any_length_is_not_swallowed() {
    for status in [200, 500] {
        let fake = Fake::with(move |_| {
            let chunk = Bytes::from(vec![b' '; 64 << 10]);
            let endless = futures::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
            Response::builder().status(status).body(Body::from_stream(endless)).unwrap()
        })
        .await;
        let expected = if status == 200 { (reason::BAD_ANSWER, "far too long") } else { (reason::SERVER_ERROR, "500") };
        assert_problem(&problem(&fake, &the_run()).await, expected.0, &[expected.1]);
    }
}

#[tokio::test]
async fn a_server_that_is_away_or_slow_is_described_in_words_that_do_not_change() {
    // It takes connections, and says nothing.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let impatient = client_with(Duration::from_millis(200));
    let slow = impatient.run(&server(&uri, alice()), &the_run()).await.unwrap_err();
    assert_problem(&slow, reason::UNREACHABLE, &["does not answer in time", &uri]);
    drop(listener);
    let first = client().run(&server(&uri, alice()), &the_run()).await.unwrap_err();
    assert_problem(&first, reason::UNREACHABLE, &["the connection is refused", "(DNS, egress, proxy)"]);
    assert_eq!(client().run(&server(&uri, alice()), &the_run()).await.unwrap_err(), first);
    assert!(first.passes() && slow.passes());
}

#[test]
fn dagshub_without_its_suffix_is_told_what_lacks() {
    let server = server("https://dagshub.com/alice/churn", alice());
    let problem = answer::status(&server, answer::Subject::Run("r1"), StatusCode::NOT_FOUND, None);
    assert_problem(&problem, reason::BAD_ANSWER, &["DagsHub's tracking URI ends with .mlflow"]);
}

#[test]
fn nothing_secret_is_printed() {
    let printed = format!("{:?}", server("https://dagshub.com/alice/churn.mlflow", alice()));
    assert!(printed.contains("Basic") && !printed.contains("open-sesame"), "{printed}");
}

#[tokio::test]
async fn what_mlflow_says_of_a_version_is_as_short_as_it_ever_is_or_a_wrong_answer() {
    let long = "7".repeat(65);
    for (version, run_id, words) in [
        (json!(long), json!("r1"), "the version's number is none that MLflow gives"),
        (json!({"number": 1}), json!("r1"), "the version's number is none that MLflow gives"),
        (json!(null), json!("r1"), "the version's number is none that MLflow gives"),
        (json!("7"), json!(long), "the run's id is none that MLflow gives"),
        (json!("7"), json!("r1\nr2"), "the run's id is none that MLflow gives"),
    ] {
        let fake = Fake::with(move |path| match path.contains("runs/get") {
            true => fake::json(&finished()),
            false => fake::json(&json!({"model_version": {"version": version, "run_id": run_id}})),
        })
        .await;
        for which in [
            Which::Version { model: "wine".into(), version: "7".into() },
            Which::Alias { model: "wine".into(), alias: "champion".into() },
        ] {
            assert_problem(&problem(&fake, &which).await, reason::BAD_ANSWER, &[words]);
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_tracking_servers_tls_is_told_with_what_mends_it() {
    let rows = [
        (Fault::None, ["an authority that Modelship does not know", "trustedCA.configMap"]),
        (Fault::Expired, ["has expired", "Renew it"]),
        (Fault::NoTls, ["does not speak TLS", "with http://"]),
    ];
    for (fault, words) in rows {
        let tls = tls::Server::start(fault).await;
        let [public, named] = tls.bundles();
        let asked = server(&format!("https://{}", tls.host), Login::Nobody);
        let trusted = if fault == Fault::None { &public } else { &named };
        let client = |trusted: &TrustedCa| Client::new(Duration::from_secs(10), false, trusted).unwrap();
        let problem = client(trusted).run(&asked, &the_run()).await.unwrap_err();
        assert_problem(&problem, reason::UNREACHABLE, &words);
        assert!(!problem.message.contains("DNS"), "the network is well: {problem:?}");
        if fault == Fault::None {
            let problem = client(&named).run(&asked, &the_run()).await.unwrap_err();
            assert_eq!(problem.reason, reason::BAD_ANSWER, "it is asked: {problem:?}");
        }
    }
}

//! What a real tracking server says, read by the operator's client. `tests/run unit` installs MLflow and runs these.

#[path = "support/mlflow.rs"]
mod mlflow;

use std::time::Duration;

use modelship::{
    mlflow::{Client, Login, Problem, Run, Server, TrackingUri, Which, problem::reason},
    outside::TrustedCa,
};
use serde_json::json;

use mlflow::{Mlflow, PASSWORD, USER};

fn server(mlflow: &Mlflow, username: &str, password: &str) -> Server {
    let uri = TrackingUri::parse(&format!("http://{}/", mlflow.host)).expect("an address");
    let login = Login::Basic { username: username.into(), password: password.into() };
    Server { uri, login, secret: Some("dagshub".into()) }
}

async fn ask(server: &Server, which: Which) -> Result<Run, Problem> {
    Client::new(Duration::from_secs(30), false, &TrustedCa::default()).expect("a client").run(server, &which).await
}

fn alias(model: &str, alias: &str) -> Which {
    Which::Alias { model: model.into(), alias: alias.into() }
}

fn version(model: &str, version: &str) -> Which {
    Which::Version { model: model.into(), version: version.into() }
}

#[tokio::test]
async fn runs_versions_and_aliases_of_a_real_server_are_found_and_what_is_wrong_is_told() {
    let mlflow = Mlflow::start().await;
    let metrics = [
        ("f1_score", json!(0.9)),
        ("loss", json!("NaN")),
        ("gain", json!("Infinity")),
        ("perplexity", json!("-Infinity")),
        ("epochs", json!(3)),
    ];
    let good = mlflow.run("FINISHED", &metrics).await;
    let known = server(&mlflow, USER, PASSWORD);
    let run = ask(&known, Which::Run(good.clone())).await.expect("the run");
    assert_eq!(run.metrics, [("epochs".to_owned(), 3.0), ("f1_score".to_owned(), 0.9)].into());
    assert_eq!((run.left_out, run.version), (vec!["gain".into(), "loss".into(), "perplexity".into()], None));

    mlflow.post("registered-models/create", json!({"name": "wine"})).await;
    let source = format!("runs:/{good}/model");
    let registered = json!({"name": "wine", "source": source, "run_id": good});
    mlflow.post("model-versions/create", registered).await;
    mlflow.post("registered-models/alias", json!({"name": "wine", "alias": "champion", "version": "1"})).await;
    for which in [alias("wine", "champion"), version("wine", "1")] {
        let run = ask(&known, which).await.expect("the run");
        assert_eq!((run.id.as_str(), run.version.as_deref()), (good.as_str(), Some("1")));
    }
    mlflow.post("model-versions/create", json!({"name": "wine", "source": "s3://elsewhere/model"})).await;

    let failed = mlflow.run("FAILED", &metrics).await;
    let killed = mlflow.run("KILLED", &metrics).await;
    let running = mlflow.run("RUNNING", &metrics).await;
    let deleted = mlflow.run("FINISHED", &metrics).await;
    mlflow.post("runs/delete", json!({"run_id": deleted})).await;
    for (which, wanted) in [
        (Which::Run(failed), reason::RUN_FAILED),
        (Which::Run(killed), reason::RUN_FAILED),
        (Which::Run(running), reason::RUN_UNFINISHED),
        (Which::Run(deleted), reason::NO_SUCH_RUN),
        (Which::Run("0".repeat(32)), reason::NO_SUCH_RUN),
        (Which::Run("../experiments/search?x=".into()), reason::NO_SUCH_RUN),
        (alias("wine", "challenger"), reason::NO_SUCH_ALIAS),
        (alias("cider", "champion"), reason::NO_SUCH_MODEL),
        (version("wine", "9"), reason::NO_SUCH_VERSION),
        (version("wine", "new"), reason::NO_SUCH_VERSION),
        (version("wine", "2"), reason::NO_RUN),
    ] {
        let problem = ask(&known, which.clone()).await.expect_err("no run");
        assert_eq!(problem.reason, wanted, "{which:?}: {}", problem.message);
    }

    // Nobody's password, and a user who may see nothing.
    mlflow.post("users/create", json!({"username": "bob", "password": "open-sesame-for-bob"})).await;
    for stranger in [server(&mlflow, USER, "wrong"), server(&mlflow, "bob", "open-sesame-for-bob")] {
        let problem = ask(&stranger, Which::Run(good.clone())).await.expect_err("no run");
        assert_eq!(problem.reason, reason::UNAUTHORIZED);
        assert!(problem.message.contains("the Secret dagshub") && !problem.message.contains("wrong"), "{problem:?}");
    }
    let nobody = Server { login: Login::Nobody, secret: None, ..known };
    let problem = ask(&nobody, Which::Run(good)).await.expect_err("no run");
    assert!(problem.message.contains("does not show") && problem.message.contains("credentialsSecret"), "{problem:?}");
}

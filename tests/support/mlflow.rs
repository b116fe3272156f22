//! A real MLflow tracking server that wants a user and a password: it stands in for DagsHub.

use std::{
    fs::File,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

pub const USER: &str = "alice";
pub const PASSWORD: &str = "open-sesame-for-mlflow";

/// The server; it ends with its test.
pub struct Mlflow {
    process: Child,
    folder: TempDir,
    /// Where it listens, `127.0.0.1:5000`.
    pub host: String,
    http: reqwest::Client,
}

impl Mlflow {
    pub async fn start() -> Self {
        let python = std::env::var("MODELSHIP_TEST_MLFLOW_PYTHON");
        let python =
            python.expect("MODELSHIP_TEST_MLFLOW_PYTHON is not set: run these tests by 'make test' or tests/run");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_str().expect("text").to_owned();
        let auth = format!(
            "[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = sqlite:///{path}/auth.db\n\
             admin_username = {USER}\nadmin_password = {PASSWORD}\n\
             authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        );
        std::fs::write(folder.path().join("auth.ini"), auth).expect("written");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let host = listener.local_addr().expect("its address").to_string();
        let port = host.rsplit(':').next().unwrap_or_default().to_owned();
        drop(listener);
        let log = File::create(folder.path().join("log")).expect("a log");
        let mut command = Command::new(python);
        command
            .args(["-m", "mlflow", "server", "--app-name", "basic-auth", "--host", "127.0.0.1", "--port", &port])
            .args(["--workers", "1", "--backend-store-uri", &format!("sqlite:///{path}/mlflow.db")])
            .args(["--artifacts-destination", &format!("{path}/artifacts")])
            .env("MLFLOW_AUTH_CONFIG_PATH", format!("{path}/auth.ini"))
            .env("MLFLOW_FLASK_SERVER_SECRET_KEY", "of the tests")
            // Seven more processes, for evaluations that no test asks for.
            .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log)
            // Its workers are processes of their own.
            .process_group(0);
        let process = command.spawn().expect("MLflow starts");
        // An error means that another test was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().expect("a client");
        let mut server = Self { process, folder, host, http };
        server.answers().await;
        server
    }

    async fn answers(&mut self) {
        let (began, health) = (Instant::now(), format!("http://{}/health", self.host));
        while self.http.get(&health).send().await.is_err() {
            let ended = self.process.try_wait().expect("its state").is_some();
            if ended || began.elapsed() > Duration::from_secs(120) {
                let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                panic!("MLflow does not answer at {health}:\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// One call of the REST API by its administrator.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("http://{}/api/2.0/mlflow/{path}", self.host);
        let answer = self.http.post(&url).basic_auth(USER, Some(PASSWORD)).json(&body).send().await.expect("an answer");
        let (status, body) = (answer.status(), answer.text().await.expect("a body"));
        assert!(status.is_success(), "{path}: {status}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// A run with these metrics, which ends so; its id.
    pub async fn run(&self, status: &str, metrics: &[(&str, Value)]) -> String {
        let run = self.post("runs/create", json!({"experiment_id": "0", "start_time": 1})).await;
        let id = run["run"]["info"]["run_id"].as_str().expect("an id").to_owned();
        for (key, value) in metrics {
            let metric = json!({"run_id": id, "key": key, "value": value, "timestamp": 1, "step": 0});
            self.post("runs/log-metric", metric).await;
        }
        if status != "RUNNING" {
            self.post("runs/update", json!({"run_id": id, "status": status, "end_time": 2})).await;
        }
        id
    }
}

impl Drop for Mlflow {
    fn drop(&mut self) {
        let group = format!("-{}", self.process.id());
        drop(Command::new("kill").args(["-KILL", "--", &group]).status());
        drop(self.process.wait());
    }
}

//! What users do: ask for predictions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::task::JoinHandle;

use crate::{stage::PATIENCE, support::eventually_within};

/// One row, for a model that does not look at it.
pub const ROW: &str = r#"{"instances": [[1]]}"#;

/// Each request comes on a connection of its own, as those of many clients do, so that each is routed anew.
pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_secs(30))
        .build()
        .expect("a client")
}

/// The first row's prediction, as JSON; or what went wrong.
pub async fn ask(client: &reqwest::Client, url: &str, request: &'static str) -> Result<String, String> {
    let sent = client.post(url).header("content-type", "application/json").body(request).send().await;
    let answer = sent.map_err(|error| format!("{error:?}"))?;
    let status = answer.status();
    let body = answer.text().await.map_err(|error| format!("{error:?}"))?;
    prediction(&body).filter(|_| status.is_success()).ok_or_else(|| format!("{status}: {body}"))
}

pub fn prediction(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    body["predictions"].get(0).map(ToString::to_string)
}

/// Asks on and on until it is stopped.
pub struct Asker {
    task: JoinHandle<Vec<Result<String, String>>>,
    asked: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Asker {
    pub fn start(url: String, request: &'static str) -> Self {
        let (asked, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stopped) = (asked.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let client = client();
            let mut answers = Vec::new();
            // Leaves the machine to others now and then.
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            while !stopped.load(Ordering::Relaxed) {
                pace.tick().await;
                answers.push(ask(&client, &url, request).await);
                count.fetch_add(1, Ordering::Relaxed);
            }
            answers
        });
        Self { task, asked, stop }
    }

    /// Waits until so many further requests were answered.
    pub async fn answered(&self, more: usize) {
        let count = || self.asked.load(Ordering::Relaxed);
        let goal = count() + more;
        eventually_within(PATIENCE, "further answers", || async {
            if count() >= goal { Ok(()) } else { Err(count()) }
        })
        .await;
    }

    /// All answers, oldest first; fails if a single request did.
    pub async fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let answers = self.task.await.expect("the asker does not panic");
        let failed: Vec<_> = answers.iter().enumerate().filter(|(_, answer)| answer.is_err()).collect();
        let some = &failed[..failed.len().min(3)];
        assert!(failed.is_empty(), "{} of {} requests failed: {some:#?}", failed.len(), answers.len());
        answers.into_iter().flatten().collect()
    }
}

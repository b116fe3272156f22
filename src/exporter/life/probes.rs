//! The port of probes: what the kubelet asks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use tokio::{sync::Notify, time::Instant};

use super::{
    check::{Check, Found},
    drain::Drain,
    health::Health,
    serve::{Answer, Handle, text},
    verdict::{Rules, Why},
};

/// How long `/drained` waits for a SIGTERM: both are sent at about the same time when a pod ends.
const SIGTERM_COMES_WITHIN: Duration = Duration::from_secs(2);
/// Between two looks whether the model is up.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
const PATHS: &str = "nothing is here; there are:\n\
    /startup  200 once the model is up\n\
    /live     200 while the model need not be restarted\n\
    /ready    200 while the model can take requests\n\
    /healthz  200 while the exporter itself is well\n\
    /drained  answers when the pod's last requests are done, or at once when the pod does not end";

/// Answers probes.
pub(super) struct Probes {
    pub health: Health,
    pub drain: Drain,
    pub check: Check,
    pub rules: Rules,
    /// For the start-up probe's own check of the model.
    pub patience: Duration,
    pub asked: Asked,
}

/// Whether `/drained` was asked for at the end.
#[derive(Clone, Default)]
pub(super) struct Asked(Arc<(AtomicBool, Notify)>);

impl Asked {
    fn set(&self) {
        self.0.0.store(true, Ordering::SeqCst);
        self.0.1.notify_one();
    }

    /// Returns once it was asked for. For one who waits.
    pub async fn wait(&self) {
        while !self.0.0.load(Ordering::SeqCst) {
            self.0.1.notified().await;
        }
    }
}

impl Handle for Probes {
    async fn handle(&self, request: Request<Incoming>) -> Answer {
        let waiting = self.drain.in_flight() > 0;
        match request.uri().path() {
            "/startup" => self.startup().await,
            "/live" => verdict(self.health.evidence(waiting).live(&self.rules)),
            "/ready" => verdict(self.health.ready(waiting, &self.rules)),
            "/healthz" => text(StatusCode::OK, "ok"),
            "/drained" => self.drained().await,
            _ => text(StatusCode::NOT_FOUND, PATHS),
        }
    }
}

impl Probes {
    /// Asks the model now, for what was found earlier may have been the container before a restart; and again until it is
    /// up or the probe's time is over, so that nobody waits for the next probe.
    async fn startup(&self) -> Answer {
        let end = Instant::now() + self.patience;
        let found = loop {
            let found = self.check.ask(end.duration_since(Instant::now())).await;
            if matches!(found, Found::Healthy) || Instant::now() + BETWEEN_LOOKS >= end {
                break found;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        };
        let status = match found {
            Found::Healthy => StatusCode::OK,
            Found::Unhealthy(_) | Found::NoAnswer(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        text(status, &self.check.explain(&found))
    }

    pub(super) async fn drained(&self) -> Answer {
        if tokio::time::timeout(SIGTERM_COMES_WITHIN, self.drain.begun()).await.is_err() {
            return text(StatusCode::OK, "the pod does not end: nothing is drained");
        }
        // Whoever waits for this is to be waited for.
        self.asked.set();
        self.drain.finished().await;
        text(StatusCode::OK, "drained")
    }
}

fn verdict(verdict: Result<(), Why>) -> Answer {
    match verdict {
        Ok(()) => text(StatusCode::OK, "ok"),
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, &why.to_string()),
    }
}

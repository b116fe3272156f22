//! The exporter's own health checks of the model.

use std::{convert::Infallible, time::Duration};

use http::{StatusCode, uri::PathAndQuery};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    drain::Drain,
    fetch::{self, FetchError},
    health::Health,
    silence::Silence,
};

/// How to ask the model whether it is well.
#[derive(Clone)]
pub(super) struct Check {
    /// The model's host and port.
    pub model: String,
    /// Without one the port must open.
    pub path: Option<PathAndQuery>,
    pub health: Health,
    pub silence: Silence,
}

/// What a check found.
#[derive(Debug)]
pub(super) enum Found {
    Healthy,
    Unhealthy(StatusCode),
    /// Which may mean anything: it starts, is saturated, or hangs.
    NoAnswer(FetchError),
}

impl Check {
    /// Asks, and tells [`Health`].
    pub async fn ask(&self, patience: Duration) -> Found {
        let found = match &self.path {
            None => fetch::knock(&self.model, patience).await.map(|()| StatusCode::OK),
            Some(path) => fetch::get(&self.model, path, &[], None, patience).await.map(|answer| answer.status),
        };
        match found {
            // As the kubelet judges it.
            Ok(status) if status.is_success() || status.is_redirection() => {
                self.health.healthy();
                self.silence.over();
                Found::Healthy
            }
            // A server in front of the model's own waited for it in vain: no sign of life.
            Ok(status @ StatusCode::GATEWAY_TIMEOUT) => {
                self.silence.over();
                Found::Unhealthy(status)
            }
            Ok(status) => {
                self.health.unhealthy();
                self.silence.answered(status);
                Found::Unhealthy(status)
            }
            Err(error @ FetchError::Refused) => {
                self.health.refused();
                self.silence.refused();
                Found::NoAnswer(error)
            }
            Err(error) => {
                self.silence.over();
                Found::NoAnswer(error)
            }
        }
    }

    /// Asks every `period`, for ever. A check that is not answered yet waits for its turn in the model's queue for up
    /// to `patience`, instead of being given up and joining the queue anew.
    pub async fn repeat(self, period: Duration, patience: Duration, drain: Drain) -> Infallible {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut asked = std::pin::pin!(self.ask(patience.max(period)));
            loop {
                // Requests that wait are looked for as often while a check waits.
                self.health.evidence(drain.in_flight() > 0);
                tokio::select! {
                    _ = &mut asked => break,
                    () = tokio::time::sleep(period) => {}
                }
            }
        }
    }

    /// What is wrong and how to mend it, for the start-up probe.
    pub fn explain(&self, found: &Found) -> String {
        let path = self.path.as_ref().map_or("", |path| path.as_str());
        match found {
            Found::Healthy => "the model is up".into(),
            Found::Unhealthy(status) => format!(
                "GET {path} is answered with {}: the model is not ready yet, or server.healthPath names a wrong path",
                status.as_u16()
            ),
            Found::NoAnswer(FetchError::Refused) => {
                let others = match self.silence.listening() {
                    ports if ports.is_empty() => String::new(),
                    ports => format!("; {ports} is listened on"),
                };
                format!(
                    "nothing listens on {} yet{others}: the model is still loading, its container failed (see its log), or \
                     server.port is not the one it listens on",
                    self.model
                )
            }
            Found::NoAnswer(error) => format!("the model at {} is not up yet: {error}", self.model),
        }
    }
}

#[cfg(test)]
#[path = "tests/check.rs"]
mod tests;

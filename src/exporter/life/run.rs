//! Ties the room together.

use std::{
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{Stream, StreamExt as _};
use http::uri::PathAndQuery;
use prometheus::Registry;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{
    check::Check,
    clock::Clock,
    drain::Drain,
    health::Health,
    merge::{Dropped, ModelPage},
    page::{Page, Up},
    probes::{Asked, Probes},
    python::PythonPages,
    serve::{Turns, serve},
    settings::{Follower, Settings, Validate},
    silence::{self, Silence},
    verdict::Rules,
};

/// At the end `/drained` may still be asked for within this time, in case its request was on its way.
const LINGER: Duration = Duration::from_secs(2);
/// The sockets of the pod's network namespace, which all its containers share.
const TABLES: &str = "/proc/self/net";

/// What this room is told at the start.
pub struct Options {
    /// The port of the metrics page, 9801 in a pod.
    pub metrics: TcpListener,
    /// The port of probes, 9802 in a pod.
    pub probes: TcpListener,
    /// The model's host and port.
    pub model: String,
    /// Where the model says that it is well; without one it is when its port opens.
    pub health_path: Option<PathAndQuery>,
    /// The host and port, and the path, where the model shows metrics of its own.
    pub model_metrics: Option<(String, PathAndQuery)>,
    /// Where `sitecustomize.py` writes.
    pub python_metrics: Option<PathBuf>,
    /// `/proc` when the pod shares one PID namespace.
    pub shared_proc: Option<PathBuf>,
    /// Where settings are mounted.
    pub settings: PathBuf,
    pub rules: Rules,
    /// How long the start-up probe waits for the model: less than the probe's own timeout.
    pub startup_patience: Duration,
    /// How long the end may take from SIGTERM on, whatever is still under way: the server's timeout and 10 s.
    pub longest_end: Duration,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All requests were answered.
    Drained,
    /// It took too long.
    OutOfTime,
    /// A second signal said so.
    AtOnce,
}

/// Settings, probes, the end of the pod, and the metrics page.
pub struct Life {
    health: Health,
    drain: Drain,
    settings: Follower,
    check: Check,
    rules: Rules,
    longest_end: Duration,
    asked: Asked,
    servers: Servers,
}

struct Servers {
    metrics: (TcpListener, Page),
    probes: (TcpListener, Probes),
}

impl Life {
    /// Reads the settings for the first time and registers the series of this room. Needs no runtime.
    ///
    /// # Errors
    /// When a name is taken on this registry.
    pub fn new(options: Options, validate: Validate, registry: &Registry) -> Result<Self, prometheus::Error> {
        let Options { metrics, probes, model, health_path, model_metrics, python_metrics, shared_proc, .. } = options;
        let (rules, longest_end) = (options.rules, options.longest_end);
        let (health, drain, asked) = (Health::new(Clock::new()), Drain::new(), Asked::default());
        Up::register(registry, &health, &drain, &rules)?;
        let settings = Follower::new(&options.settings, validate, registry)?;
        let dropped = Dropped::new(registry)?;
        let bound = [&metrics, &probes].into_iter().filter_map(|listener| Some(listener.local_addr().ok()?.port()));
        let shown = model_metrics.iter().filter_map(|(at, _)| at.rsplit_once(':')?.1.parse().ok());
        let shown = shown.filter(|port| !model.ends_with(&format!(":{port}")));
        let served = model.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let silence = Silence::new(Path::new(TABLES), bound.chain(shown), served);
        silence::Told::register(registry, &silence)?;
        let check = Check { model: model.clone(), path: health_path, health: health.clone(), silence };
        let page = Page {
            registry: registry.clone(),
            model: model_metrics.map(|(at, path)| ModelPage::new(&at, path, dropped.clone())),
            python: python_metrics.map(|at| Mutex::new(PythonPages::new(&at, shared_proc.as_deref()))),
            turns: Turns::default(),
            dropped,
        };
        let answers = Probes {
            health: health.clone(),
            drain: drain.clone(),
            check: check.clone(),
            rules: rules.clone(),
            patience: options.startup_patience,
            asked: asked.clone(),
        };
        let servers = Servers { metrics: (metrics, page), probes: (probes, answers) };
        Ok(Self { health, drain, settings, check, rules, longest_end, asked, servers })
    }

    /// For the proxy: it tells what the model answers.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// For the proxy: it learns of the end, and calls [`Drain::finish`] when it has ended.
    pub fn drain(&self) -> Drain {
        self.drain.clone()
    }

    /// For the proxy and the reading room.
    pub fn settings(&self) -> watch::Receiver<Arc<Settings>> {
        self.settings.receiver()
    }

    /// Serves until the end of the pod: from the first of `signals` on it drains, a second one ends it at once. Needs a
    /// tokio runtime with time and I/O. The process should end when this returns.
    ///
    /// # Errors
    /// When a listener cannot be used.
    pub async fn run(self, signals: impl Stream<Item = ()>) -> io::Result<End> {
        let Self { drain, settings, check, rules, longest_end, asked, servers, .. } = self;
        let listen = |listener: TcpListener| {
            listener.set_nonblocking(true)?;
            tokio::net::TcpListener::from_std(listener)
        };
        let stop = watch::Sender::new(false);
        let metrics = serve(listen(servers.metrics.0)?, servers.metrics.1, stop.subscribe());
        let probes = serve(listen(servers.probes.0)?, servers.probes.1, stop.subscribe());
        let work = async {
            let mut served = std::pin::pin!(async { tokio::join!(metrics, probes) });
            let end = tokio::select! {
                end = wait_for_end(signals, &drain, &asked, longest_end) => end,
                _ = &mut served => End::Drained,
            };
            if end != End::AtOnce {
                // Whoever waits gets an answer.
                drain.finish();
                stop.send_replace(true);
                served.await;
            }
            end
        };
        let end = tokio::select! {
            end = work => end,
            never = settings.follow() => match never {},
            never = check.repeat(rules.period, rules.timeout, drain.clone()) => match never {},
        };
        tracing::info!(?end, "the exporter ends");
        Ok(end)
    }
}

async fn wait_for_end(signals: impl Stream<Item = ()>, drain: &Drain, asked: &Asked, longest: Duration) -> End {
    let mut signals = std::pin::pin!(signals);
    tokio::select! {
        Some(()) = signals.next() => {}
        // Nobody signals: the proxy has ended by itself.
        () = drain.begun() => {}
    }
    tracing::info!("the pod ends: requests are served until the last one is answered");
    drain.begin();
    let drained = async {
        drain.finished().await;
        // Whoever waits for /drained gets the answer; nobody may, where no preStop hook is.
        drop(tokio::time::timeout(LINGER, asked.wait()).await);
    };
    tokio::select! {
        () = drained => End::Drained,
        () = tokio::time::sleep(longest) => End::OutOfTime,
        Some(()) = signals.next() => End::AtOnce,
    }
}

/// SIGTERM and SIGINT, as they come.
///
/// # Errors
/// When they cannot be listened to. Needs a tokio runtime.
pub fn signals() -> io::Result<impl Stream<Item = ()>> {
    let [term, int] = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let received = |signal| {
        futures::stream::unfold(signal, async |mut signal: tokio::signal::unix::Signal| {
            signal.recv().await.map(|()| ((), signal))
        })
        .boxed()
    };
    Ok(futures::stream::select(received(term?), received(int?)))
}

#[cfg(test)]
#[path = "tests/run.rs"]
mod tests;

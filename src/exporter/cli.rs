//! `modelship-exporter`: the sidecar in front of a model.

use std::{
    net::{Ipv6Addr, SocketAddr, TcpListener},
    num::NonZeroU16,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use http::uri::PathAndQuery;
use prometheus::Registry;
use serde_json::{Map, Value};
use tokio::{runtime, sync::watch};

use crate::{
    blame::Errors,
    life::{self, Life, Rules, Settings, serve::listen},
    log::{LogFormat, log},
    names, process,
    proxy::{self, Proxy, Rooms},
    reading::{self, Intake, PROFILE_VARIABLE, Reading},
    units,
};

/// The model's own limit is to answer first: its words say what took so long.
const GRACE: Duration = Duration::from_secs(5);
/// The kubelet kills the pod 15 s after the longest request could have ended.
const LONGEST_END: Duration = Duration::from_secs(10);
/// A little shorter than the start-up probe's period, which must not count fewer of them than there is time for.
const STARTUP_PATIENCE: Duration = Duration::from_millis(2500);
const HEALTH_PERIOD: Duration = Duration::from_secs(5);
const SILENT_PERIODS: u32 = 6;

/// Stands in front of a model server: forwards requests, and measures them and their predictions.
#[derive(Debug, clap::Parser)]
#[command(name = "modelship-exporter", version, about)]
pub struct Arguments {
    /// host:port of the model server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    upstream: String,
    /// The path that the model answers once it is loaded. Default: its port is probed.
    #[arg(long, value_name = "PATH")]
    health_path: Option<PathAndQuery>,
    /// The longest that the model may take for one request.
    #[arg(long, value_parser = units::duration, default_value = "60s")]
    timeout: Duration,
    /// A directory with settings.json: aliases of paths, and what predictions mean. It may come later, and change.
    #[arg(long, value_name = "DIRECTORY", default_value = "/etc/modelship/exporter")]
    settings: PathBuf,
    /// What the model's image says of its predictions, as settings.json would; what that says counts more.
    #[arg(long, value_name = "JSON", env = PROFILE_VARIABLE, default_value = "{}")]
    profile: String,
    /// A metrics page of the model's own, shown along with the exporter's.
    #[arg(long, value_name = "PATH")]
    model_metrics_path: Option<PathAndQuery>,
    /// The port of that page. Default: the model server's.
    #[arg(long, value_name = "PORT", requires = "model_metrics_path")]
    model_metrics_port: Option<NonZeroU16>,
    /// A directory in which the model's Python processes leave their metrics.
    #[arg(long, value_name = "DIRECTORY")]
    python_metrics: Option<PathBuf>,
    /// Where requests are taken.
    #[arg(long, default_value_t = everywhere(names::EXPORTER_HTTP))]
    listen: SocketAddr,
    /// Where /metrics is shown.
    #[arg(long, default_value_t = everywhere(names::EXPORTER_METRICS))]
    metrics_listen: SocketAddr,
    /// Where the kubelet asks.
    #[arg(long, default_value_t = everywhere(names::EXPORTER_PROBES))]
    probes_listen: SocketAddr,
    /// off: requests are forwarded and counted, predictions are not read.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "true|false")]
    read_predictions: bool,
    #[arg(long, value_enum, default_value = "json")]
    log_format: LogFormat,
    /// Which log lines are shown, such as info,modelship=debug.
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    log_filter: String,
}

/// What the version says itself of its predictions.
#[derive(Clone)]
struct Profile(Arc<Map<String, Value>>);

impl Profile {
    /// Whatever is in it, requests are forwarded: who pushed the image may not even know of this.
    fn of(text: &str) -> Self {
        let fields = serde_json::from_str(text).unwrap_or_else(|error| {
            tracing::warn!(%error, "{PROFILE_VARIABLE} is no JSON object and is ignored");
            Map::new()
        });
        Self(Arc::new(fields))
    }

    /// How predictions are to be read by these settings.
    fn reading(&self, settings: &Settings) -> Result<Reading, String> {
        reading::check(&reading::merged(&settings.predictions, &self.0))
    }

    /// Logs why the version's own word does not count, once for each reason.
    fn tell(&self, settings: &Settings, told: &mut Option<String>) {
        let why = reading::merged_and_told(&settings.predictions, &self.0).1;
        if let Some(why) = why.as_ref().filter(|_| why != *told) {
            tracing::warn!(why, "{PROFILE_VARIABLE}, the profile in the image's label, cannot be used as it is");
        }
        *told = why;
    }
}

/// All addresses, of both families where there are both.
fn everywhere(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
}

/// The three threads: requests, reading, and the rest of life. Returns when the pod's end is over.
pub fn run(arguments: Arguments) -> Result<(), String> {
    log(arguments.log_format, &arguments.log_filter)?;
    let files = raise_file_limit();
    let registry = Registry::new();
    let told = |error: prometheus::Error| error.to_string();
    let errors = Errors::new(&registry).map_err(told)?;
    process::Metrics::register(&registry, &process::Options::container(names::MODEL_CONTAINER)).map_err(told)?;
    let metrics = proxy::Metrics::new(&registry).map_err(told)?;
    let listener = bind("--listen", arguments.listen)?;
    let options = proxy::Options {
        timeout: arguments.timeout + GRACE,
        body_timeout: arguments.timeout + GRACE,
        drain_most: arguments.timeout + LONGEST_END,
        max_connections: proxy::Options::MOST_CONNECTIONS.min(connections(files)),
        ..proxy::Options::to(&arguments.upstream)
    };
    let (read, profile) = (arguments.read_predictions, Profile::of(&arguments.profile));
    let life = life(arguments, profile.clone(), &registry)?;
    let intake = match read {
        true => Some(start_reading(&registry, &life, profile, errors.clone())?),
        false => None,
    };
    let rooms = Rooms {
        errors,
        health: life.health(),
        drain: life.drain(),
        settings: life.settings(),
        taker: intake.map(|intake| Arc::new(intake) as Arc<dyn proxy::Taker>),
    };
    let drain = life.drain();
    let proxy = Proxy::new(listener, options, metrics, rooms).map_err(|error| error.to_string())?;
    let requests = std::thread::Builder::new().name("proxy".into());
    let requests = requests.spawn(move || {
        let served = current_thread()?.block_on(proxy.serve()).map_err(|error| format!("requests: {error}"));
        // Whatever ended it: nobody must wait for it any longer.
        drain.begin();
        drain.finish();
        served
    });
    let requests = requests.map_err(|error| format!("no thread for requests: {error}"))?;
    let end = current_thread()?.block_on(async { life.run(life::signals()?).await });
    match end.map_err(|error| error.to_string())? {
        life::End::Drained => requests.join().unwrap_or_else(|_| Err("the proxy broke off".into())),
        life::End::OutOfTime | life::End::AtOnce => Ok(()),
    }
}

fn life(arguments: Arguments, profile: Profile, registry: &Registry) -> Result<Life, String> {
    let options = life::Options {
        metrics: bind("--metrics-listen", arguments.metrics_listen)?,
        probes: bind("--probes-listen", arguments.probes_listen)?,
        model_metrics: arguments
            .model_metrics_path
            .map(|path| (at_port(&arguments.upstream, arguments.model_metrics_port), path)),
        model: arguments.upstream,
        health_path: arguments.health_path,
        python_metrics: arguments.python_metrics,
        shared_proc: Some(PathBuf::from("/proc")).filter(|_| std::process::id() != 1),
        settings: arguments.settings,
        rules: Rules { period: HEALTH_PERIOD, silent_periods: SILENT_PERIODS, timeout: arguments.timeout },
        startup_patience: STARTUP_PATIENCE,
        longest_end: arguments.timeout + LONGEST_END,
    };
    let validate = move |settings: &Settings| profile.reading(settings).map(drop);
    Life::new(options, Arc::new(validate), registry).map_err(|error| error.to_string())
}

/// The same host with another port, if there is one.
fn at_port(authority: &str, port: Option<NonZeroU16>) -> String {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    port.map_or_else(|| authority.to_owned(), |port| format!("{host}:{port}"))
}

/// Reads by the settings of the start; a thread of its own hands later ones on.
fn start_reading(registry: &Registry, life: &Life, profile: Profile, errors: Errors) -> Result<Intake, String> {
    let settings = life.settings();
    let mut told = None;
    profile.tell(&settings.borrow(), &mut told);
    let first = profile.reading(&settings.borrow()).unwrap_or_default();
    let intake = Intake::start(registry, first, errors).map_err(|error| error.to_string())?;
    let (follower, runtime) = (intake.clone(), current_thread()?);
    let thread = std::thread::Builder::new().name("settings".into());
    thread
        .spawn(move || runtime.block_on(hand_on(settings, profile, told, follower)))
        .map_err(|error| format!("no thread for settings: {error}"))?;
    Ok(intake)
}

async fn hand_on(
    mut settings: watch::Receiver<Arc<Settings>>,
    profile: Profile,
    mut told: Option<String>,
    intake: Intake,
) {
    while settings.changed().await.is_ok() {
        let newest = settings.borrow_and_update().clone();
        profile.tell(&newest, &mut told);
        // What cannot be read was refused before it came here.
        let taken = profile.reading(&newest).and_then(|reading| intake.set(reading));
        if let Err(message) = taken {
            tracing::warn!(message, "settings of predictions");
        }
    }
}

fn bind(argument: &str, address: SocketAddr) -> Result<TcpListener, String> {
    listen(address).map_err(|error| format!("{argument} {address}: {error}"))
}

/// Runtimes give containers a soft limit of 1,024 open files at times, for programs that cannot use more, and a far higher hard
/// one. What is open at the limit is shared with the probes. Returns the limit that holds now.
fn raise_file_limit() -> u64 {
    rlimit::increase_nofile_limit(u64::MAX).unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit of open files cannot be raised");
        rlimit::Resource::NOFILE.get_soft().unwrap_or(1024)
    })
}

/// Each client needs a connection to the model, too; scrapes, probes and logs keep some files.
fn connections(files: u64) -> usize {
    const KEPT: u64 = 128;
    usize::try_from(files.saturating_sub(KEPT) / 2).unwrap_or(usize::MAX).max(16)
}

fn current_thread() -> Result<runtime::Runtime, String> {
    runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn a_page_on_another_port_is_on_the_models_host() {
        let port = std::num::NonZeroU16::new(8002);
        assert_eq!(super::at_port("127.0.0.1:8080", port), "127.0.0.1:8002");
        assert_eq!(super::at_port("[::1]:8080", port), "[::1]:8002");
        assert_eq!(super::at_port("127.0.0.1:8080", None), "127.0.0.1:8080");
    }

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        super::Arguments::command().debug_assert();
    }
}

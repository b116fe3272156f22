//! The real controller, in the test's own process: it can be started, cut off and started again in milliseconds.

use std::time::Duration;

use kube::client::ClientBuilder;
use modelship::{
    controller::{
        self, Error, Settings,
        decide::{Release, Render},
        lease::LeaseSettings,
        own_monitor::OwnService,
    },
    images::{self, Mirrors},
    monitoring::MailDefaults,
    resources::{exporter::Sidecar, template},
    telemetry::Metrics,
};
use tokio::{sync::watch, task::JoinHandle};

use super::{
    Tap, World, at_rest,
    world::{DEADLINE, setting},
};

/// What may differ from one operator to the next.
pub struct Options {
    pub tap: Tap,
    pub render: Render,
    /// Where Docker Hub is; the test registry unless a test needs another.
    pub docker_hub: String,
    /// Whose rights it has; an administrator's unless a test needs fewer.
    pub group: String,
    /// What stands in front of its own metrics.
    pub own_service: Option<OwnService>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tap: Tap::default(),
            render: template::render,
            docker_hub: setting("MODELSHIP_TEST_REGISTRY"),
            group: "system:masters".into(),
            own_service: None,
        }
    }
}

/// A running controller that watches the world's namespace alone.
pub struct Operator {
    pub tap: Tap,
    pub metrics: Metrics,
    task: JoinHandle<Result<(), Error>>,
    stop: watch::Sender<bool>,
}

impl Operator {
    pub fn start(world: &World) -> Self {
        Self::start_with(world, Options::default())
    }

    pub fn start_with(world: &World, options: Options) -> Self {
        let Options { tap, render, docker_hub, group, own_service } = options;
        let mut config = world.config.clone();
        // A user of its own in the audit log.
        config.auth_info.impersonate = Some(format!("operator-{}", world.namespace));
        config.auth_info.impersonate_groups = Some(vec![group]);
        let client = ClientBuilder::try_from(config).expect("a client").with_layer(&tap).build();
        let mut mirrors = Mirrors::none();
        // Never the real one: what the stand-in does not have does not exist.
        mirrors.add(&format!("docker.io={docker_hub}?upstream=never")).expect("a mirror");
        let metrics = Metrics::new().expect("metrics");
        let settings = Settings {
            client,
            namespace: Some(world.namespace.clone()),
            lease: LeaseSettings {
                namespace: world.namespace.clone(),
                name: "modelship-controller".into(),
                // The same after a crash: the lease counts as expired at once.
                identity: "operator".into(),
            },
            images: images::Config {
                mirrors,
                jitter: 0.0,
                shortest_interval: Duration::from_millis(100),
                first_back_off: Duration::from_millis(200),
                ..images::Config::default()
            },
            // No pod runs here: any name will do.
            release: Release {
                render,
                sidecar: Sidecar {
                    image: format!("docker.io/modelship/modelship@sha256:{}", "5".repeat(64)),
                    pull_secrets: Vec::new(),
                },
                mail: MailDefaults::default(),
                renderer: Default::default(),
            },
            own_service,
            metrics: metrics.clone(),
        };
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(controller::run(settings, stopped));
        Self { tap, metrics, task, stop }
    }

    /// Its page of metrics.
    pub fn page(&self) -> String {
        String::from_utf8(self.metrics.page().expect("a page")).expect("text")
    }

    /// As [`at_rest`]: nothing is left to be done.
    pub async fn at_rest(&self, heard: impl Fn() -> bool) {
        at_rest(DEADLINE, async || self.page(), heard).await;
    }

    /// Ends it as SIGKILL would: nothing is given back, nothing is finished.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Ends it as SIGTERM does.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.expect("the controller does not panic").expect("the controller ends well");
    }
}

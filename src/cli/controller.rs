//! `modelship controller`

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc};

use kube::Client;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use url::Url;

use crate::{
    controller::{self, Settings, decide::Release, lease::LeaseSettings, own_monitor::OwnService},
    images::{self, Mirrors},
    monitoring::MailDefaults,
    outside::TrustedCa,
    resources::{exporter::Sidecar, template},
    telemetry::{self, LogFormat, Metrics},
};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Watch the ModelDeployments of this namespace alone. Default: all.
    #[arg(long)]
    namespace: Option<String>,
    /// Namespace of the Lease that keeps two controllers from working at once.
    #[arg(long, env = "POD_NAMESPACE", default_value = "modelship-system")]
    lease_namespace: String,
    /// Name of the Lease.
    #[arg(long, default_value = "modelship-controller")]
    lease_name: String,
    /// This controller's name in the Lease and in events.
    #[arg(long, env = "POD_NAME", default_value_t = default_identity())]
    identity: String,
    /// A registry's stand-in, as in containerd's hosts.toml: docker.io=https://mirror.example.org (repeatable; tried in order, then the registry itself).
    #[arg(long = "registry-mirror", value_name = "HOST=URL")]
    registry_mirrors: Vec<String>,
    /// A file in PEM with the authorities of registries and tracking servers that the public ones have not signed. Read once, at the start.
    #[arg(long, value_name = "FILE")]
    trusted_ca: Option<PathBuf>,
    /// Image of the exporter in models' pods, best by digest. Default: the image that this controller itself runs from.
    #[arg(long)]
    exporter_image: Option<String>,
    /// A Secret of the models' namespaces to pull the exporter's image with (repeatable).
    #[arg(long = "exporter-pull-secret", value_name = "NAME")]
    exporter_pull_secrets: Vec<String>,
    /// The Service, in the Lease's namespace, in front of this controller's metrics: Prometheus is told to scrape it.
    #[arg(long, value_name = "NAME")]
    metrics_service: Option<String>,
    #[command(flatten)]
    mail: Mail,
    /// Where /metrics, /healthz and /readyz are served; [::] is IPv4, too.
    #[arg(long, default_value = "[::]:8080")]
    listen: SocketAddr,
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Which log lines are shown, such as info,modelship=debug.
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    log_filter: String,
}

/// What models need not say of their e-mail.
#[derive(Debug, clap::Args)]
struct Mail {
    /// The sender of models' alerts, where a model names none.
    #[arg(long, value_name = "ADDRESS")]
    email_from: Option<String>,
    /// The mail server for models' alerts, where a model names none: smtp.example.org:587.
    #[arg(long, value_name = "HOST:PORT")]
    email_smarthost: Option<String>,
    /// The Secret of the models' namespaces with the keys username and password, where a model names none.
    #[arg(long, value_name = "NAME")]
    email_secret: Option<String>,
    /// false: e-mail is sent without TLS, where a model does not say.
    #[arg(long, value_name = "BOOL")]
    email_require_tls: Option<bool>,
    /// Grafana's address, for the links to dashboards in e-mails: https://grafana.example.org.
    #[arg(long, value_name = "URL", value_parser = web_address)]
    grafana_url: Option<Url>,
}

fn web_address(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("{error}; write it as https://grafana.example.org"))?;
    match url.scheme() {
        "http" | "https" if url.query().is_none() && url.fragment().is_none() => Ok(url),
        "http" | "https" => Err("leave out what follows '?' or '#'".into()),
        _ => Err("write it as https://grafana.example.org".into()),
    }
}

impl From<Mail> for MailDefaults {
    fn from(mail: Mail) -> Self {
        Self {
            from: mail.email_from,
            smarthost: mail.email_smarthost,
            secret: mail.email_secret,
            require_tls: mail.email_require_tls,
            grafana: mail.grafana_url,
        }
    }
}

fn default_identity() -> String {
    format!("modelship-{}", std::process::id())
}

pub fn run(arguments: Arguments) -> Result<(), String> {
    telemetry::log(arguments.log_format, &arguments.log_filter)?;
    let mut mirrors = Mirrors::none();
    for mirror in &arguments.registry_mirrors {
        mirrors.add(mirror).map_err(|error| format!("--registry-mirror: {error}"))?;
    }
    let trusted = arguments.trusted_ca.as_ref().map(trusted_ca).transpose()?.unwrap_or_default();
    let metrics = Metrics::new().map_err(|error| error.to_string())?;
    telemetry::serve(arguments.listen, metrics.clone())
        .map_err(|error| format!("--listen {}: {error}", arguments.listen))?;
    // One thread is enough, and the cheaper for it: the loop waits for the network, and telemetry has a thread of its own.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let client = Client::try_default()
            .await
            .map_err(|error| format!("no cluster to work for: {error}; run in a pod, or set KUBECONFIG"))?;
        let image = match arguments.exporter_image {
            Some(image) => image,
            None => own_image(&client, &arguments.lease_namespace, &arguments.identity).await,
        };
        let settings = Settings {
            client,
            namespace: arguments.namespace,
            own_service: arguments
                .metrics_service
                .map(|name| OwnService { namespace: arguments.lease_namespace.clone(), name }),
            lease: LeaseSettings {
                namespace: arguments.lease_namespace,
                name: arguments.lease_name,
                identity: arguments.identity,
            },
            images: images::Config { mirrors, trusted, ..images::Config::default() },
            release: Release {
                render: template::render,
                sidecar: Sidecar { image, pull_secrets: arguments.exporter_pull_secrets },
                mail: arguments.mail.into(),
                renderer: Arc::default(),
            },
            metrics,
        };
        controller::run(settings, stop_signal()?).await.map_err(|error| error.to_string())
    })
}

fn trusted_ca(file: &PathBuf) -> Result<TrustedCa, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("--trusted-ca: {} {error}", file.display());
    let pem = fs::read(file).map_err(|error| wrong(&format!("cannot be read ({error})")))?;
    TrustedCa::read(&pem).map_err(|error| wrong(&error))
}

/// The exporter's image when nobody names one.
async fn own_image(client: &Client, namespace: &str, pod: &str) -> String {
    match controller::own_image::find(client, namespace, pod).await {
        Ok(Some(image)) => return image,
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "cannot ask for this controller's own image"),
    }
    let image = super::EXPORTER_IMAGE;
    tracing::warn!(image, "this controller's own image has no digest to be found; --exporter-image names another");
    image.to_owned()
}

/// Turns true on SIGTERM or SIGINT.
fn stop_signal() -> Result<watch::Receiver<bool>, String> {
    let (stop, stopped) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.send_replace(true);
    });
    Ok(stopped)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        controller: Arguments,
    }

    const CHART: &str = include_str!("../../charts/modelship/templates/deployment.yaml");

    #[test]
    fn the_chart_passes_what_the_operator_takes() {
        use clap::CommandFactory as _;
        let command = Line::command();
        let known: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        let passed = CHART.split("--").skip(1).filter_map(|rest| rest.split_once('=')).map(|(name, _)| name);
        let passed: Vec<&str> =
            passed.filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-')).collect();
        for name in &passed {
            assert!(known.contains(name), "--{name}");
        }
        for name in ["trusted-ca", "registry-mirror", "metrics-service", "email-secret"] {
            assert!(passed.contains(&name), "--{name}");
        }
        assert!(CHART.contains("mountPath: /etc/modelship/trusted-ca"), "the authorities are where it looks for them");
    }

    /// On nodes with IPv6 alone the kubelet's probes come by it.
    #[test]
    fn probes_are_answered_by_ipv6_as_well_by_default_and_in_the_chart() {
        let said = CHART.lines().filter_map(|line| line.trim().strip_prefix("- \"--listen=")?.strip_suffix('"'));
        let said: Vec<String> = said.map(|address| format!("--listen={address}")).collect();
        assert_eq!(said.len(), 1, "{said:?}");
        for arguments in [&[][..], &said] {
            let line = [&["controller".to_owned()], arguments].concat();
            let listen = Line::try_parse_from(line).unwrap().controller.listen;
            assert_eq!((listen.ip(), listen.port()), (Ipv6Addr::UNSPECIFIED.into(), 8080));
        }
    }
}

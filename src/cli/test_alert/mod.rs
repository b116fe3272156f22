//! `modelship test-alert`: one real e-mail by the way that a model's alerts take, and how far it gets.

mod alertmanager;
mod cluster;
mod counts;
mod door;
mod log;
mod prometheus;
mod report;
mod send;
mod settings;

use std::{io::Write, process::ExitCode, time::Duration};

use kube::Client;

use self::{
    cluster::{Cluster, Pods},
    prometheus::Answer,
    report::{Finding, Report, Trouble},
    send::Sending,
    settings::Settings,
};
use super::{target, traffic::duration};
use crate::{
    monitoring::{OptionalKind, surroundings::Collector},
    resources::Owner,
};

const HELP: &str = "\
Every hop is told on a line of its own; the first one that fails ends it, with what to do about it. The alert is called
ModelshipTest, ends by itself, and is mailed as over when it does (unless sendResolved is false).

Exit codes: 0 when the mail server took the e-mail, 1 when it did not get so far, 2 when there was no cluster to ask.";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// The ModelDeployment whose e-mail is tested.
    #[arg(value_name = "NAME")]
    name: String,
    /// Its namespace. Default: the one of the kubeconfig's context, or of this pod.
    #[arg(short, long)]
    namespace: Option<String>,
    /// Context of the kubeconfig. Default: the current one.
    #[arg(long)]
    context: Option<String>,
    /// How long to wait for Alertmanager to load the receiver, and then to send. Default: 2m, and longer while other alerts of
    /// the model fire, since Alertmanager lets time pass between two of its mails.
    #[arg(long, value_parser = duration)]
    timeout: Option<Duration>,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let outcome = super::blocking(perform(arguments));
    ExitCode::from(match outcome {
        Ok(arrived) => u8::from(!arrived),
        Err(message) => super::impossible(&message, &mut std::io::stderr().lock()),
    })
}

/// Whether the mail server took the e-mail.
async fn perform(arguments: &Arguments) -> Result<bool, String> {
    let config = target::Cluster::find(arguments.context.as_deref()).await?.config;
    let namespace = arguments.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).map_err(|error| format!("no client for the cluster: {error}"))?;
    let owner = Owner { namespace, name: arguments.name.clone(), uid: String::new() };
    let mut report = Report::new(std::io::stdout());
    let outcome = walk(&Cluster { client, owner }, arguments.timeout, &mut report).await;
    if let Err(trouble) = &outcome {
        report.failed(trouble);
    }
    Ok(outcome.is_ok())
}

/// The way of an alert, hop by hop.
async fn walk(cluster: &Cluster, timeout: Option<Duration>, report: &mut Report<impl Write>) -> Result<(), Trouble> {
    let Owner { namespace, name, .. } = &cluster.owner;
    let model = cluster.model().await?;
    let to = settings::recipients(&model)?;
    report.good(&format!("ModelDeployment {namespace}/{name} has its alerts mailed to {to}"));
    report.found(&settings::condition(&model)?);
    let settings = cluster.settings().await?;
    report.good(&settings.words);
    report.found(&secrets(cluster, &settings).await?);
    let board = model.spec.value()["monitoring"]["dashboard"]["enabled"] != false;
    for alertmanager in cluster.alertmanagers(&settings.labels).await? {
        report.good(&format!("Alertmanager {alertmanager} selects it"));
        let pods = pods(cluster, &alertmanager).await?;
        let sending =
            Sending { cluster, settings: &settings, alertmanager: &alertmanager, pods: &pods, timeout, board };
        report.good(&sending.loaded().await?);
        report.found(&heard(cluster, &alertmanager, &pods).await?);
        sending.send(report).await?;
    }
    report.closing(&format!(
        "Now look into the mailbox of {to} (and its folder of spam) for \"{namespace}/{name}: This is a test …\"."
    ));
    Ok(())
}

async fn secrets(cluster: &Cluster, settings: &Settings) -> Result<Finding, Trouble> {
    let keys: Vec<String> =
        settings.secrets.iter().map(|key| format!("{} of Secret {}", key.key, key.secret)).collect();
    if keys.is_empty() {
        return Ok(Finding::Good("it needs no Secret".to_owned()));
    }
    let keys = keys.join(" and ");
    Ok(match cluster.secrets(&settings.secrets).await? {
        Some(()) => Finding::Good(format!("it finds the key {keys}")),
        None => Finding::Doubtful(format!("this user may not see whether there is the key {keys}")),
    })
}

async fn pods(cluster: &Cluster, alertmanager: &Collector) -> Result<Pods, Trouble> {
    let pods = cluster.alertmanager_pods(alertmanager).await?;
    match pods.doors.is_empty() {
        false => Ok(pods),
        true => Err(Trouble::new(
            format!("no pod of Alertmanager {alertmanager} is ready ({} are not)", pods.absent),
            format!("kubectl -n {} describe alertmanager,pods", alertmanager.namespace),
        )),
    }
}

/// Whether who evaluates the model's rules sends its alerts there.
async fn heard(cluster: &Cluster, alertmanager: &Collector, pods: &Pods) -> Result<Finding, Trouble> {
    let evaluators = match cluster.evaluators().await {
        Ok(evaluators) => evaluators,
        Err(trouble) => {
            return Ok(Finding::Doubtful(format!(
                "Prometheus cannot be asked where it sends alerts: {}",
                trouble.words
            )));
        }
    };
    let mut answers = Vec::new();
    for evaluator in evaluators {
        let urls = match evaluator.kind {
            OptionalKind::Prometheus => urls(cluster, &evaluator).await,
            _ => Err("only a Prometheus has a page that says so".to_owned()),
        };
        answers.push(Answer { evaluator: format!("{} {evaluator}", evaluator.kind.as_str()), urls });
    }
    prometheus::judge(&alertmanager.to_string(), &pods.addresses, &answers)
}

/// Where a Prometheus sends its alerts, or why it does not say.
async fn urls(cluster: &Cluster, prometheus: &Collector) -> Result<Vec<String>, String> {
    let Pods { doors, .. } = cluster.prometheus_pods(prometheus).await.map_err(|trouble| trouble.words)?;
    let pod = doors.first().ok_or("none of its pods is ready")?;
    pod.json("/api/v1/alertmanagers").await.map(|page| prometheus::urls(&page))
}

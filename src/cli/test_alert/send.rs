//! The last hops: an Alertmanager that has loaded the receiver gets an alert, and hands an e-mail to the mail server.

use std::{io::Write, time::Duration};

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::{
    alertmanager::{self, ALERT},
    cluster::{Cluster, Pods},
    counts::{Counts, Delivery},
    report::{Report, Trouble},
    settings::Settings,
};
use crate::monitoring::surroundings::Collector;

const TIMEOUT: Duration = Duration::from_secs(120);
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two lines that say what is awaited.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// The alert outlives the wait for its mail: one that is over before is never mailed.
const SPARE: Duration = Duration::from_secs(120);

pub struct Sending<'a> {
    pub cluster: &'a Cluster,
    pub settings: &'a Settings,
    pub alertmanager: &'a Collector,
    pub pods: &'a Pods,
    pub timeout: Option<Duration>,
    /// Whether the model has a dashboard.
    pub board: bool,
}

/// A wait that tells now and then, on standard error, what for.
struct Wait {
    what: String,
    began: Instant,
    patience: Duration,
    told: Instant,
}

impl Wait {
    fn new(what: String, patience: Duration) -> Self {
        Self { what, began: Instant::now(), patience, told: Instant::now() }
    }

    /// Lets some time pass; `false` when it has all passed.
    async fn goes_on(&mut self) -> bool {
        if self.began.elapsed() >= self.patience {
            return false;
        }
        if self.told.elapsed() >= TOLD_EVERY {
            self.told = Instant::now();
            eprintln!(
                "      {}: {} s of at most {} s",
                self.what,
                self.began.elapsed().as_secs(),
                self.patience.as_secs()
            );
        }
        sleep(PAUSE).await;
        true
    }
}

impl Sending<'_> {
    /// Waits until every pod knows the receiver. Its configuration is a mounted Secret, which takes a kubelet a minute.
    ///
    /// # Errors
    /// When one cannot be reached, or does not come to know it.
    pub async fn loaded(&self) -> Result<String, Trouble> {
        let receiver = &self.settings.receiver;
        let patience = self.timeout.unwrap_or(TIMEOUT);
        for pod in &self.pods.doors {
            let mut wait = Wait::new(format!("waiting for {} to load the receiver {receiver}", pod.name), patience);
            loop {
                let knows = alertmanager::knows_receiver(pod, receiver).await;
                if knows.map_err(|words| unreachable(&pod.name, &words))? {
                    break;
                }
                if !wait.goes_on().await {
                    return Err(self.not_loaded(&pod.name));
                }
            }
        }
        let names: Vec<&str> = self.pods.doors.iter().map(|pod| pod.name.as_str()).collect();
        let missing = match self.pods.absent {
            0 => String::new(),
            absent => format!(" ({absent} more not ready)"),
        };
        Ok(format!("its pod {} has loaded the receiver {receiver}{missing}", names.join(" and ")))
    }

    fn not_loaded(&self, pod: &str) -> Trouble {
        let Collector { namespace, .. } = self.alertmanager;
        Trouble::new(
            format!("{pod} has not loaded the receiver {}", self.settings.receiver),
            format!(
                "prometheus-operator refuses the AlertmanagerConfig, or Alertmanager its configuration; see the log of the operator, and: kubectl -n {namespace} logs {pod} -c config-reloader, -c alertmanager"
            ),
        )
    }

    /// # Errors
    /// When the alert is not taken or held back, or the e-mail does not go out.
    pub async fn send(&self, report: &mut Report<impl Write>) -> Result<(), Trouble> {
        let owner = &self.cluster.owner;
        let of_model = [("namespace", owner.namespace.as_str()), ("model", owner.name.as_str())];
        let receiver = &self.settings.receiver;
        // Those that a mail has told of: the next one waits its turn.
        let firing = self.alerts(&of_model).await?;
        let firing = firing.iter().filter(|alert| alert.receivers.contains(receiver)).count();
        let usual = if firing == 0 { TIMEOUT } else { TIMEOUT + self.settings.group_interval };
        let patience = self.timeout.unwrap_or(usual);
        let before = self.counts().await?;

        let began = Instant::now();
        let now = Timestamp::now();
        let id = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let since = alertmanager::since(now, self.settings.group_wait);
        let alert = alertmanager::alert(owner, &id, self.board, since, now + patience + SPARE);
        for pod in &self.pods.doors {
            alertmanager::post(pod, &alert).await.map_err(|words| unreachable(&pod.name, &words))?;
        }
        self.seen(&[("alertname", ALERT), ("test", &id), of_model[0], of_model[1]]).await?;
        report.good(&format!("it took the alert {ALERT}, and sends it to that receiver"));
        if firing > 0 {
            eprintln!(
                "      {firing} other alerts of the model fire: between two mails Alertmanager lets up to {} s pass",
                self.settings.group_interval.as_secs()
            );
        }
        self.delivered(before, began, patience).await?;
        report.good(&format!("the mail server took the e-mail, {} s after the alert", began.elapsed().as_secs()));
        Ok(())
    }

    async fn alerts(&self, labels: &[(&str, &str)]) -> Result<Vec<alertmanager::Seen>, Trouble> {
        let Some(pod) = self.pods.doors.first() else { return Ok(Vec::new()) };
        alertmanager::alerts(pod, labels).await.map_err(|words| unreachable(&pod.name, &words))
    }

    async fn counts(&self) -> Result<Counts, Trouble> {
        let counts = alertmanager::counts(&self.pods.doors, &self.settings.receiver).await;
        counts.map_err(|words| unreachable(&self.alertmanager.to_string(), &words))
    }

    /// Waits until the alert is there and on its way.
    async fn seen(&self, labels: &[(&str, &str)]) -> Result<(), Trouble> {
        let mut wait = Wait::new("waiting for Alertmanager to show the alert".to_owned(), TIMEOUT);
        loop {
            let found = self.alerts(labels).await?;
            if let Some(judged) = found.first().and_then(|alert| alert.judge(&self.settings.receiver)) {
                return judged;
            }
            if !wait.goes_on().await {
                return Err(Trouble::new(
                    "Alertmanager took the alert and does not show it",
                    format!("look at its log: {}", self.log_command()),
                ));
            }
        }
    }

    async fn delivered(&self, before: Counts, began: Instant, patience: Duration) -> Result<(), Trouble> {
        let mut wait = Wait::new("waiting for the e-mail to be sent".to_owned(), patience);
        let mut before = before;
        let mut failing: Option<Instant> = None;
        loop {
            let now = self.counts().await?;
            before = before.at_most(now);
            match now.judge(before, failing.map(|since| since.elapsed())) {
                Delivery::Taken => return Ok(()),
                Delivery::Failed => return Err(self.turned_away(began).await),
                Delivery::Retried if failing.is_none() => {
                    failing = Some(Instant::now());
                    eprintln!("      the first attempt failed; Alertmanager tries again");
                }
                Delivery::Retried | Delivery::Awaited => {}
            }
            if !wait.goes_on().await {
                return Err(match failing {
                    Some(_) => self.turned_away(began).await,
                    None => Trouble::new(
                        format!("Alertmanager has sent no e-mail within {} s", patience.as_secs()),
                        format!(
                            "it may have mailed about this model shortly before: try again with --timeout {}s; or look at its log: {}",
                            (patience + self.settings.group_interval).as_secs(),
                            self.log_command()
                        ),
                    ),
                });
            }
        }
    }

    /// The mail server did not take it.
    async fn turned_away(&self, began: Instant) -> Trouble {
        let seconds = i64::try_from(began.elapsed().as_secs()).unwrap_or(i64::MAX);
        let receiver = &self.settings.receiver;
        let logged = self.cluster.logged(self.alertmanager, &self.pods.doors, receiver, seconds + 1).await;
        let words = match logged {
            Some(words) => format!("Alertmanager could not hand the e-mail over: {words}"),
            None => "Alertmanager could not hand the e-mail over; its log says why".to_owned(),
        };
        Trouble::new(
            words,
            format!(
                "check smarthost, user name, password, from and requireTLS (src/monitoring/EMAIL.md names the usual causes); all of the log: {}",
                self.log_command()
            ),
        )
    }

    fn log_command(&self) -> String {
        let Collector { namespace, name, .. } = self.alertmanager;
        format!(
            "kubectl -n {namespace} logs -c alertmanager -l alertmanager={name} --tail=-1 | grep {}",
            self.settings.receiver
        )
    }
}

fn unreachable(pod: &str, words: &str) -> Trouble {
    Trouble::new(
        format!("{pod} cannot be asked: {words}"),
        "it must be reached by a port-forward (create pods/portforward), and answer without TLS and login",
    )
}

#[cfg(test)]
#[path = "tests/send.rs"]
mod tests;

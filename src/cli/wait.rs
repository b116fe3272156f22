//! `modelship wait`: the cluster's verdict on one version of a model.

mod verdict;

use std::{io::Write, pin::pin, process::ExitCode, time::Duration};

use futures::{Stream, StreamExt as _};
use kube::{
    Api, Client,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::time::Instant;
use verdict::{Verdict, Wanted, judged, overtaken, served};

use super::{
    pushed::{self, Held},
    target::{self, Cluster, forward},
    traffic::duration,
};
use crate::{
    api::{StoredModelDeployment, ValidSpec, names},
    images::Digest,
};

const HELP: &str = "\
What is waited for is told on standard error, a line whenever it changes; the verdict goes to standard output.
The cluster is watched, not asked again and again: reading, listing and watching ModelDeployments is all that it takes.
Without --digest, --commit or --tag the registry is asked what the spec's tag holds, with your own login of Docker or
Podman if there is one: a push of a moment ago the cluster may not have seen. It is asked again when another version comes to
serve meanwhile.

Exit codes: 0 when users get the version, 1 when it is clear that they will not (the message says why), 2 when there is
nothing to wait for (no cluster, no such ModelDeployment), 3 when the time is up.";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// The ModelDeployment.
    name: String,
    /// The version by its digest, sha256:…, as a push prints it. Default: what the spec's tag holds just now, by the registry's
    /// word; where it does not tell, what the cluster knows of it, which may be the version before.
    #[arg(long, value_parser = digest, conflicts_with_all = ["commit", "tag"])]
    digest: Option<Digest>,
    /// The version by the commit that its image's labels name: in full, or its first digits, seven at the least.
    #[arg(long, value_parser = commit, conflicts_with = "tag")]
    commit: Option<String>,
    /// The version by its tag, as the cluster knows it: for tags that do not move, and where the cluster asks a mirror.
    #[arg(long)]
    tag: Option<String>,
    /// How long to wait, such as 90s or 10m. Default: until a push must have been noticed and the roll-out's deadline have
    /// passed, by the model's spec.
    #[arg(long, value_parser = duration)]
    timeout: Option<Duration>,
    /// Namespace of the ModelDeployment. Default: the one of the kubeconfig's context, or of this pod.
    #[arg(short, long)]
    namespace: Option<String>,
    /// Context of the kubeconfig. Default: the current one.
    #[arg(long)]
    context: Option<String>,
}

fn digest(text: &str) -> Result<Digest, String> {
    Digest::parse(text).map_err(|error| error.to_string())
}

fn commit(text: &str) -> Result<String, String> {
    match (7..=64).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        true => Ok(text.to_owned()),
        false => Err("must be a commit's hexadecimal digits, seven at the least, in lower case".to_owned()),
    }
}

impl Arguments {
    fn wanted<'a>(&'a self, held: Option<&'a Held>) -> Wanted<'a> {
        match (&self.digest, &self.commit, &self.tag) {
            (Some(digest), ..) => Wanted::Digest(digest),
            (_, Some(commit), _) => Wanted::Commit(commit),
            (.., Some(tag)) => Wanted::Tag(tag),
            (None, None, None) => held.map_or(Wanted::Current, Wanted::Held),
        }
    }
}

/// How the wait ended.
#[derive(Debug, PartialEq)]
enum End {
    /// With the digest that users get.
    Serving(String),
    Refused(String),
    /// What was missing, and how long it was waited for.
    TimeUp(String, Duration),
}

/// What is to be waited for at the most: `None` where the person does not say, and the model's spec does.
struct Patience {
    begun: Instant,
    asked: Option<Duration>,
}

impl Patience {
    /// Before anything is known of the model: longer than the default deadline.
    const AT_FIRST: Duration = Duration::from_secs(15 * 60);
    /// From the deadline to the status that says that it has passed.
    const SLACK: Duration = Duration::from_secs(2 * 60);

    fn by(&self, model: Option<&StoredModelDeployment>) -> Duration {
        let spec = model.and_then(|model| {
            let name = model.metadata.name.as_deref().unwrap_or_default();
            ValidSpec::parse(name, &model.spec.value()).ok()
        });
        let of_spec = |spec: ValidSpec| spec.image.poll_interval + spec.deadline + Self::SLACK;
        self.asked.unwrap_or_else(|| spec.map_or(Self::AT_FIRST, of_spec))
    }
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let outcome = super::blocking(perform(arguments));
    let (mut out, mut notes) = (std::io::stdout().lock(), std::io::stderr().lock());
    ExitCode::from(match outcome {
        Ok((end, held)) => end.tell(&arguments.name, arguments.wanted(held.as_ref()), &mut out, &mut notes),
        Err(message) => super::impossible(&message, &mut notes),
    })
}

async fn perform(arguments: &Arguments) -> Result<(End, Option<Held>), String> {
    let patience = Patience { begun: Instant::now(), asked: arguments.timeout };
    let Cluster { config, .. } = Cluster::find(arguments.context.as_deref()).await?;
    let namespace = arguments.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).map_err(|error| format!("no client for the cluster: {error}"))?;
    let models: Api<StoredModelDeployment> = Api::namespaced(client, &namespace);
    let say = |words: &str| eprintln!("modelship: {words}");
    loop {
        let held = match arguments.wanted(None) {
            Wanted::Current => ask(&models, &arguments.name, say).await,
            _ => None,
        };
        let seen = watcher::watch_object(models.clone(), &arguments.name).default_backoff();
        let seen = seen.map(|seen| match seen {
            Ok(Some(model)) => Ok(Some(model)),
            Ok(None) => Err(target::no_such_model(&namespace, &arguments.name)),
            Err(error) => lasting(&error, &namespace, &arguments.name).map_or(Ok(None), Err),
        });
        if let Some(end) = wait(seen, &arguments.wanted(held.as_ref()), &patience, say).await? {
            return Ok((end, held));
        }
        say("another version serves meanwhile; the registry is asked once more");
    }
}

/// What the registry says that the model's tag holds; `None`: what the cluster knows of it must do.
async fn ask(models: &Api<StoredModelDeployment>, name: &str, say: impl Fn(&str)) -> Option<Held> {
    // Why it cannot be read the watch tells.
    let model = models.get(name).await.ok()?;
    match pushed::held(&model, &pushed::logins()).await? {
        Ok(held) => {
            say(&format!("waiting for {}", Wanted::Held(&held)));
            Some(held)
        }
        Err(why) => {
            say(&format!("{why}: waiting for what the cluster knows of it, which may be the version before a push"));
            None
        }
    }
}

/// Follows what is seen of the model (`None`: the cluster did not answer for a moment, which says nothing) until there is a
/// verdict or the deadline. `None`: the version that the registry named was overtaken, so it may never serve.
async fn wait(
    seen: impl Stream<Item = Result<Option<StoredModelDeployment>, String>>,
    wanted: &Wanted<'_>,
    patience: &Patience,
    say: impl Fn(&str),
) -> Result<Option<End>, String> {
    const AWAY: &str = "the cluster does not answer";
    let mut seen = pin!(seen);
    let mut last = AWAY.to_owned();
    let mut most = patience.by(None);
    let mut at_first = None;
    loop {
        let words = match tokio::time::timeout_at(patience.begun + most, seen.next()).await {
            Err(_) => return Ok(Some(End::TimeUp(last, most))),
            Ok(None) => return Err("the watch of the cluster has ended".to_owned()),
            Ok(Some(model)) => {
                let model = model?;
                if model.is_some() {
                    most = patience.by(model.as_ref());
                }
                match model.map(|model| (judged(&model, wanted), model)) {
                    Some((Verdict::Serving, model)) => return Ok(Some(End::Serving(served(&model)))),
                    Some((Verdict::Refused(why), _)) => return Ok(Some(End::Refused(why))),
                    Some((Verdict::Waiting(why), model)) => {
                        if *at_first.get_or_insert_with(|| served(&model)) != served(&model)
                            && overtaken(&model, wanted)
                        {
                            return Ok(None);
                        }
                        why
                    }
                    None => AWAY.to_owned(),
                }
            }
        };
        if words != last {
            say(&words);
            last = words;
        }
    }
}

/// What waiting does not mend; `None`: the next try may go better.
fn lasting(error: &watcher::Error, namespace: &str, name: &str) -> Option<String> {
    let cause = match error {
        watcher::Error::InitialListFailed(cause) | watcher::Error::WatchStartFailed(cause) => cause,
        _ => return None,
    };
    let kube::Error::Api(status) = cause else { return None };
    match status.code {
        401 | 403 => {
            let rights = format!("list and watch modeldeployments.{}", names::GROUP);
            Some(forward::refused(cause, &rights, namespace))
        }
        404 => Some(target::missing_model(cause, namespace, name)),
        _ => None,
    }
}

impl End {
    /// Prints it, and gives the exit code.
    fn tell(&self, name: &str, wanted: Wanted<'_>, out: &mut impl Write, notes: &mut impl Write) -> u8 {
        let group = names::GROUP;
        match self {
            Self::Serving(digest) => {
                let _ = match wanted {
                    Wanted::Digest(_) | Wanted::Held(_) => {
                        writeln!(out, "modeldeployment.{group}/{name} serves {wanted}")
                    }
                    wanted => writeln!(out, "modeldeployment.{group}/{name} serves {wanted}: {digest}"),
                };
                if matches!(wanted, Wanted::Current) {
                    let _ = writeln!(
                        notes,
                        "modelship: a push that the cluster has not seen yet is waited for by its --digest"
                    );
                }
                0
            }
            Self::Refused(why) => {
                let _ = writeln!(notes, "modelship: {name} does not get {wanted}: {why}");
                1
            }
            Self::TimeUp(why, most) => {
                let mirror = match wanted {
                    Wanted::Held(_) => {
                        "; where the cluster asks a mirror, which may hold another version, wait by --tag or --digest"
                    }
                    _ => "",
                };
                let _ = writeln!(notes, "modelship: after {most:?}, {name} does not serve {wanted}: {why}{mirror}");
                3
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/wait.rs"]
mod tests;

//! `modelship wait`: the cluster's verdict on one version of a model.

use std::{fmt, io::Write, pin::pin, process::ExitCode, time::Duration};

use futures::{Stream, StreamExt as _};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::time::Instant;

use super::{
    target::{self, Cluster, forward},
    traffic::duration,
};
use crate::{
    api::{ModelDeploymentStatus, StoredModelDeployment, conditions, names, status::Version},
    images::Digest,
};

const HELP: &str = "\
What is waited for is told on standard error, a line whenever it changes; the verdict goes to standard output.
The cluster is watched, not asked again and again: reading, listing and watching ModelDeployments is all that it takes.

Exit codes: 0 when users get the version, 1 when it is clear that they will not (the message says why), 2 when there is
nothing to wait for (no cluster, no such ModelDeployment), 3 when the time is up.";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// The ModelDeployment.
    name: String,
    /// The version by its digest, sha256:…, as a push prints it. Default: whatever the spec asks for.
    #[arg(long, value_parser = digest, conflicts_with_all = ["commit", "tag"])]
    digest: Option<Digest>,
    /// The version by the commit that its image's labels name: in full, or its first digits, seven at the least.
    #[arg(long, value_parser = commit, conflicts_with = "tag")]
    commit: Option<String>,
    /// The version by its tag: for tags that do not move, since of latest nobody can say which push is meant.
    #[arg(long)]
    tag: Option<String>,
    /// How long to wait, such as 90s or 10m.
    #[arg(long, default_value = "10m", value_parser = duration)]
    timeout: Duration,
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

/// Which version is waited for.
enum Wanted<'a> {
    Digest(&'a Digest),
    Commit(&'a str),
    Tag(&'a str),
    /// That of the spec as it is now.
    Current,
}

impl fmt::Display for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(f),
            Self::Commit(commit) => write!(f, "the commit {commit}"),
            Self::Tag(tag) => write!(f, "the tag {tag}"),
            Self::Current => f.write_str("the version of its spec"),
        }
    }
}

impl Arguments {
    fn wanted(&self) -> Wanted<'_> {
        match (&self.digest, &self.commit, &self.tag) {
            (Some(digest), ..) => Wanted::Digest(digest),
            (_, Some(commit), _) => Wanted::Commit(commit),
            (.., Some(tag)) => Wanted::Tag(tag),
            (None, None, None) => Wanted::Current,
        }
    }
}

/// What a ModelDeployment says of a version. `.github/scripts/model/verdict.py` says the same, in the same words, where there
/// is nothing but kubectl: `tests/vectors/verdicts.json` holds the two to it.
#[derive(Debug, PartialEq)]
enum Verdict {
    Serving,
    Refused(String),
    Waiting(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serving => f.write_str("serving"),
            Self::Refused(why) => write!(f, "refused {why}"),
            Self::Waiting(why) => write!(f, "waiting {why}"),
        }
    }
}

/// How the wait ended.
#[derive(Debug, PartialEq)]
enum End {
    Serving,
    Refused(String),
    TimeUp(String),
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let outcome = super::blocking(perform(arguments));
    let (mut out, mut notes) = (std::io::stdout().lock(), std::io::stderr().lock());
    ExitCode::from(match outcome {
        Ok(end) => end.tell(arguments, &mut out, &mut notes),
        Err(message) => super::impossible(&message, &mut notes),
    })
}

async fn perform(arguments: &Arguments) -> Result<End, String> {
    let deadline = Instant::now() + arguments.timeout;
    let Cluster { config, .. } = Cluster::find(arguments.context.as_deref()).await?;
    let namespace = arguments.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).map_err(|error| format!("no client for the cluster: {error}"))?;
    let models: Api<StoredModelDeployment> = Api::namespaced(client, &namespace);
    let seen = watcher::watch_object(models, &arguments.name).default_backoff();
    let seen = seen.map(|seen| match seen {
        Ok(Some(model)) => Ok(Some(model)),
        Ok(None) => Err(target::no_such_model(&namespace, &arguments.name)),
        Err(error) => lasting(&error, &namespace, &arguments.name).map_or(Ok(None), Err),
    });
    let say = |words: &str| eprintln!("modelship: {words}");
    wait(seen, &arguments.wanted(), deadline, say).await
}

/// Follows what is seen of the model (`None`: the cluster did not answer for a moment, which says nothing) until there is a
/// verdict or the deadline.
async fn wait(
    seen: impl Stream<Item = Result<Option<StoredModelDeployment>, String>>,
    wanted: &Wanted<'_>,
    deadline: Instant,
    say: impl Fn(&str),
) -> Result<End, String> {
    const AWAY: &str = "the cluster does not answer";
    let mut seen = pin!(seen);
    let mut last = AWAY.to_owned();
    loop {
        let words = match tokio::time::timeout_at(deadline, seen.next()).await {
            Err(_) => return Ok(End::TimeUp(last)),
            Ok(None) => return Err("the watch of the cluster has ended".to_owned()),
            Ok(Some(model)) => match model?.map(|model| verdict(&model, wanted)) {
                Some(Verdict::Serving) => return Ok(End::Serving),
                Some(Verdict::Refused(why)) => return Ok(End::Refused(why)),
                Some(Verdict::Waiting(why)) => why,
                None => AWAY.to_owned(),
            },
        };
        if words != last {
            say(&words);
            last = words;
        }
    }
}

/// Where the version that is waited for has got to.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Stable,
    Candidate,
    Nowhere,
}

impl Place {
    fn of(wanted: &Wanted, status: &ModelDeploymentStatus, current: bool) -> Self {
        let newest = match (&status.candidate, &status.stable) {
            (Some(_), _) => Self::Candidate,
            (None, Some(_)) => Self::Stable,
            (None, None) => Self::Nowhere,
        };
        let is_it = |version: &Option<Version>| match (wanted, version) {
            (Wanted::Digest(digest), Some(version)) => version.digest == digest.as_str(),
            (Wanted::Commit(commit), Some(version)) => {
                version.origin.revision.as_ref().is_some_and(|revision| revision.starts_with(commit))
            }
            _ => false,
        };
        match wanted {
            _ if is_it(&status.stable) => Self::Stable,
            _ if is_it(&status.candidate) => Self::Candidate,
            Wanted::Tag(tag) if current && status.tag.as_deref() == Some(tag) => newest,
            Wanted::Current if current => newest,
            _ => Self::Nowhere,
        }
    }
}

fn verdict(model: &StoredModelDeployment, wanted: &Wanted) -> Verdict {
    let (status, spec) = (model.known_status(), model.spec.value());
    let current = status.observed_generation.is_some() && status.observed_generation == model.metadata.generation;
    let place = Place::of(wanted, &status, current);
    let said = |kind: &str| conditions::find(&status.conditions, kind);
    let holds = |kind: &str| said(kind).is_some_and(|condition| condition.status == "True");
    let words = |said: &Condition| format!("{}: {}", said.reason, said.message);
    let answered = match wanted {
        // A newer version may be on its way: users get this one all the same.
        Wanted::Digest(_) | Wanted::Commit(_) => holds(conditions::READY) || holds(conditions::AVAILABLE),
        Wanted::Tag(_) | Wanted::Current => holds(conditions::READY),
    };
    if place == Place::Stable && answered {
        return Verdict::Serving;
    }
    // A pin, or autoUpdate, will not change by waiting.
    let image = &spec["image"];
    if let Some(pin) = image["pin"].as_str() {
        let another = match wanted {
            Wanted::Digest(digest) => pin != digest.as_str(),
            // What the pin is called is known once it serves.
            _ => {
                current && place == Place::Nowhere && status.stable.as_ref().is_some_and(|stable| stable.digest == pin)
            }
        };
        if another {
            return Verdict::Refused(format!("it is pinned to {pin}"));
        }
    }
    let what = if place == Place::Nowhere { "the cluster has not seen it yet" } else { "it is being introduced" };
    if !current {
        // What the status says is of the spec before, whose fault may be the very one that was mended.
        let state = said(conditions::READY).map_or("no status", |_| "the changed spec has not been looked at yet");
        return Verdict::Waiting(format!("{what} ({state})"));
    }
    if image["autoUpdate"] == false && place == Place::Nowhere && status.stable.is_some() {
        return Verdict::Refused("autoUpdate is false: it stays on what runs".to_owned());
    }
    let held = said(conditions::VERSION_ACCEPTED).filter(|accepted| accepted.status == "False");
    if let Some(held) = held.filter(|_| place == Place::Candidate) {
        return match held.reason == conditions::AWAITING_METRICS {
            true => Verdict::Waiting(format!("it is held back ({})", words(held))),
            false => Verdict::Refused(words(held)),
        };
    }
    let stalled = said(conditions::STALLED).filter(|stalled| stalled.status == "True");
    match stalled {
        // What else is stuck says nothing of this version: a new one wins over it.
        Some(stalled) if place != Place::Nowhere || stalled.reason == conditions::INVALID_SPEC => {
            Verdict::Refused(words(stalled))
        }
        _ => {
            let state = said(conditions::READY).map_or("no status".to_owned(), words);
            Verdict::Waiting(format!("{what} ({state})"))
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
    fn tell(&self, arguments: &Arguments, out: &mut impl Write, notes: &mut impl Write) -> u8 {
        let Arguments { name, timeout, .. } = arguments;
        match self {
            Self::Serving => {
                let _ = writeln!(out, "modeldeployment.{}/{name} serves {}", names::GROUP, arguments.wanted());
                0
            }
            Self::Refused(why) => {
                let _ = writeln!(notes, "modelship: {name} does not get {}: {why}", arguments.wanted());
                1
            }
            Self::TimeUp(why) => {
                let wanted = arguments.wanted();
                let _ = writeln!(notes, "modelship: after {timeout:?}, {name} does not serve {wanted}: {why}");
                3
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/wait.rs"]
mod tests;

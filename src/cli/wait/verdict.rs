//! What a ModelDeployment says of a version that somebody waits for. Pure.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::super::pushed::Held;
use crate::{
    api::{ModelDeploymentStatus, StoredModelDeployment, conditions, status::Version},
    images::{Digest, problem::reason::NOT_AN_IMAGE},
    rollout::target::{NO_MATCHING_PLATFORM, PENDING},
};

/// Which version is waited for.
#[derive(Clone, Copy)]
pub enum Wanted<'a> {
    Digest(&'a Digest),
    Commit(&'a str),
    Tag(&'a str),
    /// That of the spec as it is now, which the registry names.
    Held(&'a Held),
    /// That of the spec as it is now.
    Current,
}

impl fmt::Display for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(f),
            Self::Commit(commit) => write!(f, "the commit {commit}"),
            Self::Tag(tag) => write!(f, "the tag {tag}"),
            Self::Held(Held { digest, name }) => write!(f, "{digest}, which {name} holds"),
            Self::Current => f.write_str("the version of its spec"),
        }
    }
}

/// What a ModelDeployment says of a version. `.github/scripts/model/verdict.py` says the same, in the same words, where there
/// is nothing but kubectl: `tests/vectors/verdicts.json` holds the two to it.
#[derive(Debug, PartialEq)]
pub enum Verdict {
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
            (Wanted::Tag(tag), Some(version)) => current && version.tag.as_deref() == Some(*tag),
            _ => false,
        };
        match wanted {
            // Of two of one tag the newer is meant.
            Wanted::Tag(_) if is_it(&status.candidate) => Self::Candidate,
            _ if is_it(&status.stable) => Self::Stable,
            _ if is_it(&status.candidate) => Self::Candidate,
            Wanted::Current if current => newest,
            _ => Self::Nowhere,
        }
    }
}

pub fn served(model: &StoredModelDeployment) -> String {
    model.known_status().stable.map(|stable| stable.digest).unwrap_or_default()
}

/// Of what the registry holds the operator has said that it is never taken: waiting does not mend it, the next push may.
const NOT_TAKEN: [&str; 2] = [NO_MATCHING_PLATFORM, NOT_AN_IMAGE];

/// What the wanted version is called where a push of the very same image is waited for.
fn alias(wanted: &Wanted, status: &ModelDeploymentStatus) -> Option<Digest> {
    let Wanted::Digest(digest) = wanted else { return None };
    status.same_image.as_ref().filter(|same| *same == digest.as_str())?;
    let version = status.candidate.as_ref().or(status.stable.as_ref())?;
    Digest::parse(&version.digest).ok()
}

pub fn verdict(model: &StoredModelDeployment, wanted: &Wanted) -> Verdict {
    let (status, spec) = (model.known_status(), model.spec.value());
    let alias = alias(wanted, &status);
    let alias = alias.as_ref().map(Wanted::Digest);
    let wanted = alias.as_ref().unwrap_or(wanted);
    let current = status.observed_generation.is_some() && status.observed_generation == model.metadata.generation;
    let place = Place::of(wanted, &status, current);
    let said = |kind: &str| conditions::find(&status.conditions, kind);
    let holds = |kind: &str| said(kind).is_some_and(|condition| condition.status == "True");
    let words = |said: &Condition| format!("{}: {}", said.reason, said.message);
    let answered = match wanted {
        // A newer version may be on its way: users get this one all the same.
        Wanted::Digest(_) | Wanted::Commit(_) => holds(conditions::READY) || holds(conditions::AVAILABLE),
        _ => holds(conditions::READY),
    };
    let unresolved = said(conditions::IMAGE_RESOLVED)
        .filter(|said| said.status == "False" && !PENDING.contains(&said.reason.as_str()));
    let not_taken = unresolved.filter(|said| NOT_TAKEN.contains(&said.reason.as_str()));
    if let (Wanted::Current, Some(not_taken), true) = (wanted, not_taken, current) {
        return Verdict::Refused(words(not_taken));
    }
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
    let meant = |said: &&Condition| match wanted {
        Wanted::Digest(digest) => said.message.contains(digest.short()),
        _ => false,
    };
    if let Some(not_taken) = not_taken.filter(|_| place == Place::Nowhere).filter(meant) {
        return Verdict::Refused(words(not_taken));
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
            // Of a version that was not seen the registry's answer tells more than what serves meanwhile.
            let state = unresolved.filter(|_| place == Place::Nowhere).or_else(|| said(conditions::READY));
            let state = state.map_or("no status".to_owned(), words);
            Verdict::Waiting(format!("{what} ({state})"))
        }
    }
}

/// The same of what the registry names: that digest is meant, under the spec as it is now, of which only a newer push may be on
/// its way.
pub fn judged(model: &StoredModelDeployment, wanted: &Wanted) -> Verdict {
    let Wanted::Held(held) = wanted else { return verdict(model, wanted) };
    let status = model.known_status();
    let ready = conditions::find(&status.conditions, conditions::READY).is_some_and(|ready| ready.status == "True");
    let current = status.observed_generation == model.metadata.generation;
    match verdict(model, &Wanted::Digest(&held.digest)) {
        Verdict::Serving if !current || !(ready || status.candidate.is_some()) => verdict(model, &Wanted::Current),
        other => other,
    }
}

/// Whether another version than the one that the registry named is the wanted one, and serves: a push came after it, or the
/// registry that the cluster asks holds another.
pub fn overtaken(model: &StoredModelDeployment, wanted: &Wanted) -> bool {
    matches!(wanted, Wanted::Held(_)) && verdict(model, &Wanted::Current) == Verdict::Serving
}

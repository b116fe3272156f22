//! Events: what changed from one status to the next, told once. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    judge::{PINNED, RECREATING, SAME_IMAGE, SERVES, UPDATES_OFF},
    training::ASKING,
    writer::Note,
};
use crate::{
    api::{
        ModelDeploymentStatus,
        conditions::{
            AVAILABLE, AWAITING_METRICS, IMAGE_PULLABLE, IMAGE_RESOLVED, MONITORING_READY, PREDICTIONS_READ,
            PROGRESSING, READY, RUN_RESOLVED, STALLED, VERSION_ACCEPTED, find,
        },
        spec::Strategy,
        status::Version,
    },
    images::problem,
    rollout::target,
};

/// As many digits of a commit as the registry's digests are shown with.
const COMMIT_SHOWN: usize = 12;

/// What a person should be told about the step from one status to the next. `strategy`: how versions replace each other;
/// `None` while the spec is wrong.
pub fn tell(before: &ModelDeploymentStatus, after: &ModelDeploymentStatus, strategy: Option<Strategy>) -> Vec<Note> {
    let mut notes = Vec::new();
    introduction(before, after, strategy, &mut notes);
    resolution(before, after, &mut notes);
    training(before, after, &mut notes);
    pullability(before, after, &mut notes);
    trouble(before, after, &mut notes);
    arrival(before, after, &mut notes);
    monitoring(before, after, &mut notes);
    predictions(before, after, &mut notes);
    notes
}

/// That they cannot be read is told when it begins; its end shows in `status.predictions`. What was decided from few answers may
/// be corrected by later ones: then other series count from there on, and whoever looks at them must know why.
fn predictions(before: &ModelDeploymentStatus, after: &ModelDeploymentStatus, notes: &mut Vec<Note>) {
    if let (Some(then), Some(now)) = (&before.predictions, &after.predictions)
        && then.digest == now.digest
        && (then.kind, &then.path, &then.request_path) != (now.kind, &now.path, &now.request_path)
    {
        let text = format!(
            "predictions are read as {now} by now, after {} rows; they were taken for {then} at first",
            now.rows.unwrap_or(0)
        );
        notes.push(note(false, "PredictionsCorrected", text));
    }
    if let (None, Some(now)) = (find(&before.conditions, PREDICTIONS_READ), find(&after.conditions, PREDICTIONS_READ)) {
        notes.push(note(true, "PredictionsUnread", &now.message));
    }
}

/// From one state into the other. The first judgement is no news: the condition has it, and most clusters without a
/// Prometheus want none.
fn monitoring(before: &ModelDeploymentStatus, after: &ModelDeploymentStatus, notes: &mut Vec<Note>) {
    let (then, now) = (find(&before.conditions, MONITORING_READY), find(&after.conditions, MONITORING_READY));
    let (Some(then), Some(now)) = (then, now) else { return };
    match (then.status.as_str(), now.status.as_str()) {
        ("False" | "Unknown", "True") => notes.push(note(false, "Monitored", &now.message)),
        ("True" | "Unknown", "False") => notes.push(note(true, "NotMonitored", &now.message)),
        _ => {}
    }
}

fn note(warning: bool, reason: &str, text: impl Into<String>) -> Note {
    Note { warning, reason: reason.to_owned(), text: text.into() }
}

fn digest(version: Option<&Version>) -> Option<&str> {
    version.map(|version| version.digest.as_str())
}

fn introduction(
    before: &ModelDeploymentStatus,
    after: &ModelDeploymentStatus,
    strategy: Option<Strategy>,
    notes: &mut Vec<Note>,
) {
    let Some(candidate) = after.candidate.as_ref().filter(|_| !holds_back(after)) else { return };
    if digest(before.candidate.as_ref()) == Some(&candidate.digest) && !holds_back(before) {
        return;
    }
    let commit = candidate.origin.revision.as_ref();
    let commit = commit.map(|commit| format!("commit {}", commit.chars().take(COMMIT_SHOWN).collect::<String>()));
    let mut known: Vec<String> = candidate.tag.iter().cloned().chain(commit).collect();
    notes.push(match &after.stable {
        None => {
            known.push(candidate.repository.clone());
            note(false, "Deploying", format!("deploying {} ({})", candidate.short, known.join(", ")))
        }
        Some(stable) => {
            let (new, old) = (&candidate.short, &stable.short);
            let of = if known.is_empty() { String::new() } else { format!(" ({})", known.join(", ")) };
            let meanwhile = match strategy {
                Some(Strategy::Recreate) => {
                    format!("{old} stops first, as spec.rollout.strategy Recreate asks: nobody is answered until {new} is available")
                }
                _ => format!("users get {old} until it is available"),
            };
            let same = find(&after.conditions, READY).is_some_and(|ready| ready.reason == SAME_IMAGE);
            match same {
                true => note(
                    false,
                    SAME_IMAGE,
                    format!("introducing {new}{of}, the same image as {old}, which can no longer be pulled; {meanwhile}"),
                ),
                false => note(false, "RollingOut", format!("introducing {new}{of}; {meanwhile}")),
            }
        }
    });
}

fn resolution(before: &ModelDeploymentStatus, after: &ModelDeploymentStatus, notes: &mut Vec<Note>) {
    let now = find(&after.conditions, IMAGE_RESOLVED);
    let then = find(&before.conditions, IMAGE_RESOLVED);
    let Some(now) = now else { return };
    let pending = |condition: &Condition| target::PENDING.contains(&condition.reason.as_str());
    match (now.status.as_str(), then) {
        ("True", Some(then)) if then.status == "False" && !pending(then) => {
            let words = match problem::reason::away(&then.reason) {
                true => "the registry answers again",
                false => "the image is found again",
            };
            notes.push(note(false, "ImageResolved", words));
        }
        ("False", then) if !pending(now) && then.is_none_or(|then| changed(then, now)) => {
            notes.push(note(true, &now.reason, &now.message));
        }
        _ => {}
    }
}

/// Whether the newest version is not introduced for what is known of its training.
fn holds_back(status: &ModelDeploymentStatus) -> bool {
    find(&status.conditions, VERSION_ACCEPTED).is_some_and(|accepted| accepted.status == "False")
}

/// What is wrong with a version's run, and that a version is not taken for what it is. That it waits is no news.
fn training(before: &ModelDeploymentStatus, after: &ModelDeploymentStatus, notes: &mut Vec<Note>) {
    let trouble = |kind: &str, usual: &str| {
        let now = find(&after.conditions, kind).filter(|now| now.status == "False" && now.reason != usual)?;
        find(&before.conditions, kind).is_none_or(|then| then.status == "True" || changed(then, now)).then_some(now)
    };
    let (run, refused) = (trouble(RUN_RESOLVED, ASKING), trouble(VERSION_ACCEPTED, AWAITING_METRICS));
    // `DIGEST: WHY`: what a version is refused for says it again.
    let why = |run: &Condition| run.message.split_once(": ").map_or(run.message.clone(), |(_, why)| why.to_owned());
    if let Some(now) = run.filter(|run| refused.is_none_or(|refused| !refused.message.contains(&why(run)))) {
        notes.push(note(true, &now.reason, &now.message));
    }
    if let Some(now) = refused {
        notes.push(note(true, "VersionRefused", &now.message));
    }
}

/// The digest that runs is gone from the registry, or a replica cannot be started for want of it.
fn pullability(before: &ModelDeploymentStatus, after: &ModelDeploymentStatus, notes: &mut Vec<Note>) {
    let (then, now) = (find(&before.conditions, IMAGE_PULLABLE), find(&after.conditions, IMAGE_PULLABLE));
    if let Some(now) = now.filter(|now| then.is_none_or(|then| then.reason != now.reason)) {
        notes.push(note(true, &now.reason, &now.message));
    }
}

/// Trouble on the way, once for each reason: as soon as it is seen, not only when the deadline has passed.
fn trouble(before: &ModelDeploymentStatus, after: &ModelDeploymentStatus, notes: &mut Vec<Note>) {
    // What metrics are awaited for, RunResolved has told.
    const NO_TROUBLE: [&str; 9] = [
        "Resolving",
        "Comparing",
        "Deploying",
        "RollingOut",
        SAME_IMAGE,
        "Unavailable",
        "WaitingForDeletion",
        "HandingOver",
        AWAITING_METRICS,
    ];
    let answered = find(&before.conditions, AVAILABLE).is_some_and(|then| then.status == "True");
    let silent = find(&after.conditions, AVAILABLE)
        .filter(|now| now.status == "False" && !["ScaledToZero", RECREATING].contains(&now.reason.as_str()));
    if let Some(silent) = silent.filter(|_| answered) {
        notes.push(note(true, "Unavailable", &silent.message));
    }
    for kind in [STALLED, PROGRESSING] {
        let Some(now) = find(&after.conditions, kind).filter(|now| now.status == "True") else { continue };
        if NO_TROUBLE.contains(&now.reason.as_str()) {
            continue;
        }
        let known = find(&before.conditions, READY).is_some_and(|then| !changed_but_for_the_pod(then, now));
        let told = notes.iter().any(|note| note.reason == now.reason || note.text == now.message);
        let stalled = kind == STALLED && find(&before.conditions, STALLED).is_none();
        if !told && (!known || stalled) {
            let text = match kind == STALLED && known {
                true => format!("the deadline has passed: {}", now.message),
                false => now.message.clone(),
            };
            notes.push(note(true, &now.reason, text));
        }
    }
}

/// What users get from now on, and what keeps newer versions out. Of one that serves on, only the latter may be news: a pin, or
/// `autoUpdate: false`, begins to, or another push meets it.
fn arrival(before: &ModelDeploymentStatus, after: &ModelDeploymentStatus, notes: &mut Vec<Note>) {
    let [then, now] =
        [before, after].map(|status| find(&status.conditions, READY).filter(|ready| ready.status == "True"));
    let Some(now) = now else { return };
    if let Some(then) = then
        && digest(before.stable.as_ref()) == digest(after.stable.as_ref())
    {
        if [PINNED, UPDATES_OFF].contains(&now.reason.as_str()) && changed(then, now) {
            notes.push(note(false, &now.reason, &now.message));
        }
        return;
    }
    let (Some(stable), Some(url)) = (&after.stable, &after.url) else { return };
    let kept_out = now.message.strip_prefix(SERVES).unwrap_or_default();
    notes.push(note(false, "Serving", format!("users get {} at {url}{kept_out}", stable.short)));
}

/// The same trouble of another pod is no news: pods come and go by themselves.
fn changed_but_for_the_pod(then: &Condition, now: &Condition) -> bool {
    let wordings = [then, now].map(|condition| {
        let mut words: Vec<&str> = condition.message.split(' ').collect();
        // `(pod NAME, …`, and the commands about it.
        let pod = words.iter().position(|word| *word == "(pod").and_then(|at| words.get(at + 1).copied());
        let pod = pod.map(|name| name.trim_end_matches([',', ')'])).unwrap_or_default();
        words.retain(|word| pod.is_empty() || !word.starts_with(pod));
        words.join(" ")
    });
    then.reason != now.reason || wordings[0] != wordings[1]
}

/// Another reason or other words: worth telling.
fn changed(then: &Condition, now: &Condition) -> bool {
    (&then.reason, &then.message) != (&now.reason, &now.message)
}

#[cfg(test)]
#[path = "tests/story.rs"]
mod tests;

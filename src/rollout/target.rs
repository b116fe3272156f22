//! Which digest should run. Missing data never changes what runs: without an answer from the registry, what runs stays.

use std::collections::BTreeSet;

use crate::{
    api::valid,
    images::{Digest, ImageDetails, Observation, Platform, Problem, problem::reason},
};

/// What should run, and what the registry has to say about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// `None`: not known yet, and nothing runs that could be kept.
    pub digest: Option<Digest>,
    /// Why the registry's answer is missing or unusable.
    pub unresolved: Option<Unresolved>,
}

/// Why it is not known which digest is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    pub reason: String,
    pub message: String,
    /// The first answer is still on its way: nothing is wrong yet.
    pub pending: bool,
}

/// Reasons that only mean that an answer is on its way.
pub const PENDING: [&str; 2] = [RESOLVING, COMPARING];
const RESOLVING: &str = "Resolving";
const COMPARING: &str = "Comparing";

/// The image is for other platforms than the nodes'.
pub const NO_MATCHING_PLATFORM: &str = "NoMatchingPlatform";

/// Decides what should run.
///
/// `running` is the digest of the same repository that Modelship last wanted, if any; `nodes` the platforms of the nodes
/// that pods can be scheduled to (empty: not known, nothing is refused for it). `stored`: the template of the pinned version
/// is there already. `deployed`: something runs, be it of this repository or of another.
pub fn decide(
    image: &valid::Image,
    running: Option<&Digest>,
    stored: bool,
    deployed: bool,
    seen: &Observation,
    nodes: &BTreeSet<Platform>,
) -> Target {
    let unresolved = unresolved(image, seen, nodes);
    let keep = |unresolved| Target { digest: running.cloned(), unresolved };
    if let Some(pin) = &image.pin {
        // What its labels say goes into the template for good, so the registry's first answer is awaited; and where something
        // serves that a version which is no longer there would stop. That the registry is away is an answer, too.
        let unanswered = seen.problem.is_none() && (seen.latest.is_none() || seen.unconfirmed);
        if running != Some(pin) && unanswered && (deployed || !stored) {
            return keep(unresolved.or_else(|| Some(resolving(image))));
        }
        // A slip of the pen must not stop what serves, as the strategy Recreate would in the same second.
        if deployed && running != Some(pin) && cannot_run(seen, nodes) {
            let stays = |why: Unresolved| Unresolved { message: format!("{}; what runs stays", why.message), ..why };
            return keep(unresolved.map(stays));
        }
        // A person said exactly this: it is run even when the registry is away. The nodes may hold it.
        return Target { digest: Some(pin.clone()), unresolved };
    }
    if running.is_some() && !image.auto_update {
        return keep(unresolved);
    }
    let Some(latest) = seen.latest.as_ref().filter(|latest| fits(latest, nodes)) else {
        return keep(unresolved);
    };
    match running {
        Some(running) if *running != latest.digest => match same_images(running, latest, seen, nodes) {
            // Only an attestation or a platform nobody has was pushed: not a new model.
            Ok(true) => keep(unresolved),
            Ok(false) => Target { digest: Some(latest.digest.clone()), unresolved },
            Err(unknown) => keep(unresolved.or(Some(unknown))),
        },
        _ => Target { digest: Some(latest.digest.clone()), unresolved },
    }
}

/// Whether two index digests hold the same images for our nodes, or why what runs cannot be compared yet.
fn same_images(
    running: &Digest,
    latest: &ImageDetails,
    seen: &Observation,
    nodes: &BTreeSet<Platform>,
) -> Result<bool, Unresolved> {
    match seen.details.get(running) {
        None => Err(comparing(&latest.digest)),
        Some(Ok(details)) => Ok(latest.same_images_as(details, nodes)),
        // The registry has collected what runs: then the tag holds something else for certain.
        Some(Err(problem)) if problem.reason == reason::DIGEST_NOT_FOUND => Ok(false),
        Some(Err(problem)) => Err(said(problem)),
    }
}

/// Whether the registry has said for certain that what is asked for is not there, is no image, or is for no node.
fn cannot_run(seen: &Observation, nodes: &BTreeSet<Platform>) -> bool {
    match (&seen.problem, &seen.latest) {
        (Some(problem), _) => [reason::DIGEST_NOT_FOUND, reason::NOT_AN_IMAGE].contains(&problem.reason),
        (None, Some(latest)) => !fits(latest, nodes),
        (None, None) => false,
    }
}

/// A cluster whose nodes are not known yet refuses nothing.
fn fits(image: &ImageDetails, nodes: &BTreeSet<Platform>) -> bool {
    nodes.is_empty() || image.fits_any(nodes)
}

fn said(problem: &Problem) -> Unresolved {
    Unresolved { reason: problem.reason.to_owned(), message: problem.message.clone(), pending: false }
}

fn comparing(digest: &Digest) -> Unresolved {
    Unresolved {
        reason: COMPARING.into(),
        message: format!("the tag holds {}; comparing it with what runs", digest.short()),
        pending: true,
    }
}

fn resolving(image: &valid::Image) -> Unresolved {
    Unresolved {
        reason: RESOLVING.into(),
        message: format!("asking the registry for {}", image.repository),
        pending: true,
    }
}

fn unresolved(image: &valid::Image, seen: &Observation, nodes: &BTreeSet<Platform>) -> Option<Unresolved> {
    if let Some(problem) = &seen.problem {
        return Some(said(problem));
    }
    let Some(latest) = &seen.latest else {
        return Some(resolving(image));
    };
    (!fits(latest, nodes)).then(|| Unresolved {
        reason: NO_MATCHING_PLATFORM.into(),
        message: format!(
            "{} at {} is built for {} only, and its pods' nodes are {}; build the image for one of them (docker buildx build --platform)",
            image.repository,
            latest.digest.short(),
            list(latest.platforms.iter().map(|(platform, _)| platform)),
            list(nodes.iter()),
        ),
        pending: false,
    })
}

fn list<'a>(platforms: impl Iterator<Item = &'a Platform>) -> String {
    let names: BTreeSet<String> = platforms.map(ToString::to_string).collect();
    match names.is_empty() {
        true => "no known platform".to_owned(),
        false => names.into_iter().collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
#[path = "tests/target.rs"]
mod tests;

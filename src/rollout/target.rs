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
    /// The digest takes the place of one that is lost, for which models wait their turn: no push asks for it.
    pub replaces: Option<Replaces>,
}

/// What is known of a lost digest beside the one that takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaces {
    /// The nodes run the same image by either.
    SameImage,
    /// The registry has collected it before it was known what it holds.
    Unknown,
}

/// What Modelship last wanted, and how it stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Running<'a> {
    /// Its digest, if it is of the same repository.
    pub digest: Option<&'a Digest>,
    /// The template of the pinned version is there already.
    pub stored: bool,
    /// Something runs, be it of this repository or of another.
    pub deployed: bool,
    /// No node can pull it any more, and users lose nothing while another digest takes its place.
    pub lost: bool,
    /// It is this model's turn to replace what is lost.
    pub in_turn: bool,
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

/// What is asked for is not there for nodes, whosever word it is.
const NOT_THERE: [&str; 3] = [reason::DIGEST_NOT_FOUND, reason::NOT_IN_MIRROR, reason::NOT_AN_IMAGE];

/// The image is for other platforms than the nodes'.
pub const NO_MATCHING_PLATFORM: &str = "NoMatchingPlatform";

/// Decides what should run. `nodes`: the platforms of the nodes that pods can be scheduled to (empty: not known, nothing is
/// refused for it).
pub fn decide(image: &valid::Image, running: Running<'_>, seen: &Observation, nodes: &BTreeSet<Platform>) -> Target {
    let unresolved = unresolved(image, running.digest, seen, nodes);
    let to = |digest: Option<&Digest>, unresolved| Target { digest: digest.cloned(), unresolved, replaces: None };
    let keep = |unresolved| to(running.digest, unresolved);
    if let Some(pin) = &image.pin {
        return pinned(image, pin, running, seen, nodes).unwrap_or_else(|| to(Some(pin), unresolved));
    }
    if running.digest.is_some() && !image.auto_update {
        return keep(unresolved);
    }
    let latest = seen.latest.as_ref().filter(|latest| fits(latest, nodes));
    let Some(latest) = latest.filter(|latest| running.digest == Some(&latest.digest) || is_whole(latest, seen, nodes))
    else {
        return keep(unresolved);
    };
    let replacing = |how| Target { replaces: Some(how), ..to(Some(&latest.digest), unresolved.clone()) };
    match running.digest {
        Some(digest) if *digest != latest.digest => match compared(digest, latest, seen, nodes) {
            Ok(Compared::Same) if running.lost && running.in_turn => replacing(Replaces::SameImage),
            Ok(Compared::Lost) if running.in_turn => replacing(Replaces::Unknown),
            // Only an attestation or a platform nobody has was pushed: not a new model.
            Ok(Compared::Same | Compared::Lost) => keep(unresolved),
            Ok(Compared::Other) => to(Some(&latest.digest), unresolved),
            Err(unknown) => keep(unresolved.or(Some(unknown))),
        },
        _ => to(Some(&latest.digest), unresolved),
    }
}

/// What runs, where a pin may not take its place yet, or not at all.
fn pinned(
    image: &valid::Image,
    pin: &Digest,
    running: Running<'_>,
    seen: &Observation,
    nodes: &BTreeSet<Platform>,
) -> Option<Target> {
    if running.digest == Some(pin) {
        return None;
    }
    let unresolved = unresolved(image, running.digest, seen, nodes);
    let stays = |unresolved| Target { digest: running.digest.cloned(), unresolved, replaces: None };
    // What its labels say goes into the template for good, so the registry's first answer is awaited; and where something
    // serves that a version which is no longer there would stop. That the registry is away is an answer, too.
    let unanswered = seen.problem.is_none() && (seen.latest.is_none() || seen.unconfirmed);
    if unanswered && (running.deployed || !running.stored) {
        return Some(stays(unresolved.or_else(|| Some(resolving(image)))));
    }
    // A slip of the pen must not stop what serves, as the strategy Recreate would in the same second. Nor may what is half there.
    let pending = unresolved.as_ref().is_some_and(|why| why.pending);
    (running.deployed && (pending || cannot_run(seen, nodes))).then(|| {
        stays(unresolved.map(|why| match why.pending {
            true => why,
            false => Unresolved { message: format!("{}; what runs stays", why.message), ..why },
        }))
    })
    // Else a person said exactly this: it is run even when the registry is away. The nodes may hold it.
}

/// What an index holds for our nodes, beside what another does.
enum Compared {
    Same,
    Other,
    /// The registry has collected what runs, and it is not known what it held.
    Lost,
}

/// Compares two index digests, or says why what runs cannot be compared yet.
fn compared(
    running: &Digest,
    latest: &ImageDetails,
    seen: &Observation,
    nodes: &BTreeSet<Platform>,
) -> Result<Compared, Unresolved> {
    match seen.details.get(running) {
        None => Err(comparing(&latest.digest)),
        Some(Ok(details)) if latest.same_images_as(details, nodes) => Ok(Compared::Same),
        Some(Ok(_)) => Ok(Compared::Other),
        // A mirror's word is no proof.
        Some(Err(problem)) if problem.reason == reason::DIGEST_NOT_FOUND => Ok(Compared::Lost),
        Some(Err(problem)) => Err(said(problem)),
    }
}

/// Whether all that nodes would pull of an index is known to be there: a registry may hold it and not them.
fn is_whole(latest: &ImageDetails, seen: &Observation, nodes: &BTreeSet<Platform>) -> bool {
    latest.images_for(nodes).iter().all(|image| matches!(seen.images.get(image), Some(Ok(()))))
}

/// Why what nodes would pull of an index is not known to be there.
fn incomplete(
    image: &valid::Image,
    running: Option<&Digest>,
    latest: &ImageDetails,
    seen: &Observation,
    nodes: &BTreeSet<Platform>,
) -> Option<Unresolved> {
    let images = latest.images_for(nodes);
    let told = images.iter().find_map(|digest| Some((digest, seen.images.get(digest)?.as_ref().err()?)));
    match told {
        // A mirror's word is told as the mirror's: nobody has asked the registry.
        Some((_, problem)) if problem.reason == reason::NOT_IN_MIRROR => Some(said(problem)),
        Some((digest, problem)) if NOT_THERE.contains(&problem.reason) => Some(Unresolved {
            message: format!(
                "the registry holds the index {} at {} but not {} in it, which is the image for the nodes (it was collected, or \
                 the push was cut off): push it again",
                image.repository,
                latest.digest.short(),
                digest.short()
            ),
            ..said(problem)
        }),
        Some((_, problem)) => Some(said(problem)),
        None if is_whole(latest, seen, nodes) => None,
        None => Some(running.map_or_else(|| resolving(image), |_| comparing(&latest.digest))),
    }
}

/// Whether the registry has said for certain that what is asked for is not there, is no image, or is for no node.
fn cannot_run(seen: &Observation, nodes: &BTreeSet<Platform>) -> bool {
    match (&seen.problem, &seen.latest) {
        (Some(problem), _) => NOT_THERE.contains(&problem.reason),
        (None, Some(latest)) => {
            let gone = |image| seen.images.get(image).is_some_and(|there: &Result<(), Problem>| is_absence(there));
            !fits(latest, nodes) || latest.images_for(nodes).iter().any(gone)
        }
        (None, None) => false,
    }
}

fn is_absence(there: &Result<(), Problem>) -> bool {
    there.as_ref().is_err_and(|problem| NOT_THERE.contains(&problem.reason))
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

fn unresolved(
    image: &valid::Image,
    running: Option<&Digest>,
    seen: &Observation,
    nodes: &BTreeSet<Platform>,
) -> Option<Unresolved> {
    if let Some(problem) = &seen.problem {
        return Some(said(problem));
    }
    let Some(latest) = &seen.latest else {
        return Some(resolving(image));
    };
    let new = running != Some(&latest.digest);
    // That the nodes of what runs by its tag are drained refuses no push.
    if fits(latest, nodes) || (!new && image.pin.is_none()) {
        // Of what runs already the daily look tells.
        return new.then(|| incomplete(image, running, latest, seen, nodes)).flatten();
    }
    Some(Unresolved {
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

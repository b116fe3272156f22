//! What a registry's answers, and their absence, mean: each becomes a [`Failure`] whose words tell how to mend it.

use http::StatusCode;

use super::{
    credentials::{Credential, Keychain},
    follow::Want,
    limits::Limit,
    manifest::ManifestError,
    mirrors::Endpoint,
    problem::{Failure, FailureKind, Problem, reason},
    reference::Repository,
};
use crate::outside;

const WITHOUT_TLS: &str =
    "A registry without TLS is reached as a mirror of itself with an http:// URL, by the chart's value registryMirrors";

/// What is asked for, for messages: `docker.io/alice/churn:latest`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub repository: &'a Repository,
    pub want: &'a Want,
}

impl std::fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.repository, self.want)
    }
}

/// A status that is no success.
pub(super) fn status(subject: Subject<'_>, endpoint: &Endpoint, status: StatusCode, who: &Credential) -> Failure {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => refused(subject, endpoint, who),
        StatusCode::NOT_FOUND => absent(subject, endpoint),
        StatusCode::TOO_MANY_REQUESTS => rate_limited(endpoint, who, Limit::Requests),
        other => Failure::unknown(
            reason::REGISTRY_ERROR,
            format!(
                "{endpoint} answers {} when asked for {subject}: what runs stays; if it goes on, ask its operators",
                other.as_u16()
            ),
        ),
    }
}

pub(super) fn refused(subject: Subject<'_>, endpoint: &Endpoint, who: &Credential) -> Failure {
    let message = if who.is_anonymous() {
        format!(
            "{endpoint} does not show {subject} to strangers: it is private or does not exist. Check image.repository; \
             if it is private, name a pull secret for {} under image.pullSecrets",
            subject.repository.registry()
        )
    } else {
        format!(
            "{endpoint} refuses {subject} to the credentials in the Secret {}: check the user and the password or token \
             in it, and that this user may pull from the repository",
            who.secret
        )
    };
    Failure { problem: Problem::new(reason::UNAUTHORIZED, message), retry_after: None, kind: FailureKind::Refused }
}

/// Adds to an anonymous refusal that there were pull secrets, only for other hosts: the most common mistake of all.
pub(super) fn explain_unmatched(failure: &mut Failure, keychain: &Keychain, host: &str) {
    if failure.kind == FailureKind::Refused && !keychain.is_empty() {
        let hosts = keychain.hosts().join(", ");
        failure.problem.message += &format!(" (the pull secrets given are for {hosts}; none is for {host})");
    }
}

fn absent(subject: Subject<'_>, endpoint: &Endpoint) -> Failure {
    let reason = match subject.want {
        Want::Tag(_) => reason::TAG_NOT_FOUND,
        Want::Digest(_) => reason::DIGEST_NOT_FOUND,
    };
    if let Some(registry) = endpoint.mirror_of.as_ref().filter(|_| endpoint.alone) {
        let message = format!(
            "{endpoint} has no {subject}, and {registry} itself is never asked (upstream=never). If the mirror fetches \
             images from there, it says so, too, while it cannot reach {registry}: look into its log. If images are pushed \
             to it, push this one there"
        );
        let reason = match subject.want {
            Want::Tag(_) => reason,
            // Whoever concludes from the absence of a digest must know whose word it is.
            Want::Digest(_) => reason::NOT_IN_MIRROR,
        };
        let kind = FailureKind::NotInMirror;
        return Failure { problem: Problem::new(reason, message), retry_after: None, kind };
    }
    let message = match subject.want {
        Want::Tag(tag) => {
            format!(
                "{endpoint} has no {subject}: push it, or correct image.repository or image.follow.tag (here: {tag})"
            )
        }
        Want::Digest(_) => format!(
            "{endpoint} has no {subject}: registries remove what no tag points to any more. Push it again, or name \
             another digest or tag"
        ),
    };
    Failure { problem: Problem::new(reason, message), retry_after: None, kind: FailureKind::Absent }
}

pub(super) fn rate_limited(endpoint: &Endpoint, who: &Credential, limit: Limit) -> Failure {
    let asker = match who.is_anonymous() {
        true => "whoever asks without an account from the operator's address".to_owned(),
        false => format!("the account in the Secret {}", who.secret),
    };
    let message = match limit {
        Limit::Pulls(budget) => format!(
            "{endpoint} answers 429: {asker} has no pulls left{}, and those of the cluster's nodes count, too. It is asked \
             again when it allows it; a pull secret of an account with a higher limit helps",
            budget.map(|budget| format!(" ({budget})")).unwrap_or_default()
        ),
        Limit::Requests => format!(
            "{endpoint} answers 429, too many requests in a short time by {asker}: it is asked again when it allows it. \
             If it goes on, a longer image.pollInterval helps"
        ),
    };
    Failure::unknown(reason::REGISTRY_RATE_LIMITED, message)
}

pub(super) fn bad(subject: Subject<'_>, endpoint: &Endpoint, why: &str) -> Failure {
    let message = format!("{endpoint} gave a wrong answer for {subject}: {why}. What runs stays until it answers well");
    Failure::unknown(reason::BAD_ANSWER, message)
}

pub(super) fn unreadable(subject: Subject<'_>, endpoint: &Endpoint, error: &ManifestError) -> Failure {
    match error {
        ManifestError::NotAManifest => bad(subject, endpoint, "it is no manifest"),
        _ => unreadable_anywhere(subject, error),
    }
}

/// The same where the place no longer matters: content that matches its digest is the same everywhere.
pub(super) fn unreadable_anywhere(subject: Subject<'_>, error: &ManifestError) -> Failure {
    let reason = match error {
        ManifestError::NotAManifest => reason::BAD_ANSWER,
        _ => reason::NOT_AN_IMAGE,
    };
    Failure::unknown(reason, format!("{subject} {error}"))
}

pub(super) fn no_platform(subject: Subject<'_>) -> Failure {
    let message =
        format!("{subject} does not say for which platform it was built: build it again with docker or buildah");
    Failure::unknown(reason::NOT_AN_IMAGE, message)
}

pub(super) fn incomplete(subject: Subject<'_>) -> Failure {
    let message = format!("the registry holds the manifest of {subject} but not its configuration: push it again");
    Failure::unknown(reason::BAD_ANSWER, message)
}

/// An index, and nothing of what is in it: what is said of the last child that was looked for, in words about the whole.
pub(super) fn hollow(subject: Subject<'_>, child: Failure) -> Failure {
    if !child.kind.is_absence() {
        return child;
    }
    let (reason, holder, why) = match child.kind {
        FailureKind::NotInMirror => (reason::NOT_IN_MIRROR, "mirror", "it cannot reach its registry"),
        _ => (reason::DIGEST_NOT_FOUND, "registry", "the push was cut off"),
    };
    let message = format!(
        "the {holder} holds the index {subject} but not the images in it (it has collected them, or {why}): push it again"
    );
    Failure { problem: Problem::new(reason, message), ..child }
}

/// A host name that makes no URL.
pub(super) fn nowhere(subject: Subject<'_>) -> Failure {
    let registry = subject.repository.registry();
    let message = format!("{registry} is no host that can be asked for {subject}: correct image.repository");
    Failure::unknown(reason::REGISTRY_UNREACHABLE, message)
}

/// A request without an answer, or with half of one.
pub(super) fn unanswered(subject: Subject<'_>, endpoint: &Endpoint, error: &reqwest::Error) -> Failure {
    if error.is_redirect() {
        return bad(subject, endpoint, "it redirects in a circle, or from https to http");
    }
    // A timeout while the body comes is still a registry that is too slow, not one that answers wrongly.
    if (error.is_body() || error.is_decode()) && !error.is_timeout() {
        return bad(subject, endpoint, "the answer broke off");
    }
    unreachable(subject, endpoint, outside::cause(error, WITHOUT_TLS))
}

fn unreachable(subject: Subject<'_>, endpoint: &Endpoint, cause: outside::Cause) -> Failure {
    let way = || format!("Check that {} can be reached from the operator's pod (DNS, egress, proxy)", endpoint.host());
    let remedy = cause.remedy.map_or_else(way, str::to_owned);
    let message = format!("{endpoint} cannot be asked for {subject}: {}. {remedy}", cause.what);
    Failure::unknown(reason::REGISTRY_UNREACHABLE, message)
}

/// One failure out of those of all places asked, the registry itself last.
///
/// Not knowing wins over a refusal, and a refusal over absence: while a mirror is away, "not found" at the registry is
/// no proof that the image is not there.
pub(super) fn merge(mut failures: Vec<Failure>) -> Option<Failure> {
    let rank = |failure: &Failure| match failure.kind {
        FailureKind::Unknown => 2,
        FailureKind::Refused => 1,
        FailureKind::Absent | FailureKind::NotInMirror => 0,
    };
    // Of equals, max_by_key takes the last: the registry itself.
    let (at, _) = failures.iter().enumerate().max_by_key(|(_, failure)| rank(failure))?;
    let mut failure = failures.remove(at);
    // One that may be asked sooner, or is not limited at all, decides when to ask again.
    let others_wait = failures.iter().filter(|other| other.kind == FailureKind::Unknown).map(|other| other.retry_after);
    failure.retry_after = others_wait.fold(failure.retry_after, |least, other| Some(least?.min(other?)));
    for other in failures {
        failure.problem.message += &format!("; also, {}", other.problem.message);
    }
    Some(failure)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn failure(kind: FailureKind, message: &str, retry_after: Option<u64>) -> Failure {
        Failure {
            problem: Problem::new(reason::REGISTRY_ERROR, message),
            retry_after: retry_after.map(Duration::from_secs),
            kind,
        }
    }

    #[test]
    fn a_mirror_that_is_away_makes_not_found_upstream_unknown() {
        let away = failure(FailureKind::Unknown, "mirror away", None);
        let absent = failure(FailureKind::Absent, "not upstream", None);
        let merged = merge(vec![away, absent]).unwrap();
        assert_eq!(merged.kind, FailureKind::Unknown);
        assert_eq!(merged.problem.message, "mirror away; also, not upstream");
    }

    #[test]
    fn absent_everywhere_is_absent_and_the_registry_itself_speaks_first() {
        let merged = merge(vec![
            failure(FailureKind::Absent, "not in the mirror", None),
            failure(FailureKind::Absent, "not upstream", None),
        ]);
        let merged = merged.unwrap();
        assert_eq!(merged.kind, FailureKind::Absent);
        assert_eq!(merged.problem.message, "not upstream; also, not in the mirror");
        assert_eq!(merge(Vec::new()), None);
    }

    #[test]
    fn a_long_hold_of_one_place_does_not_delay_asking_another() {
        let hours = failure(FailureKind::Unknown, "limited", Some(9000));
        let minutes = failure(FailureKind::Unknown, "limited too", Some(60));
        let down = failure(FailureKind::Unknown, "down", None);
        assert_eq!(merge(vec![minutes, hours.clone()]).unwrap().retry_after, Some(Duration::from_secs(60)));
        assert_eq!(merge(vec![down, hours]).unwrap().retry_after, None);
    }
}

//! Why nothing newer is known: [`Problem`], whose words become the text of a condition.

use std::time::Duration;

/// A reason and a sentence for the condition `ImageResolved`.
///
/// Neither ever holds what changes by itself (attempts, times, remaining pulls, request ids), so that a registry that
/// stays down is written to status once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A `CamelCase` word from [`reason`].
    pub reason: &'static str,
    /// What is wrong, where, and how to mend it.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// The reasons a [`Problem`] can have.
pub mod reason {
    /// No connection, no name, no TLS, or no answer in time.
    pub const REGISTRY_UNREACHABLE: &str = "RegistryUnreachable";
    /// The registry answered 429; nothing is asked before it allows it.
    pub const REGISTRY_RATE_LIMITED: &str = "RegistryRateLimited";
    /// The registry failed by itself (5xx) or answered with a status that fits nothing.
    pub const REGISTRY_ERROR: &str = "RegistryError";
    /// An answer broke off, did not match its digest, or is no manifest.
    pub const BAD_ANSWER: &str = "BadAnswer";
    /// 401 or 403: the repository is private or does not exist, or the credentials do not suffice.
    pub const UNAUTHORIZED: &str = "Unauthorized";
    /// No such tag, or no such repository: a registry's answer to HEAD does not tell which.
    pub const TAG_NOT_FOUND: &str = "TagNotFound";
    /// No such digest: registries collect what no tag points to.
    pub const DIGEST_NOT_FOUND: &str = "DigestNotFound";
    /// A mirror that is asked alone has no such digest: it was collected, or the mirror cannot reach its registry.
    pub const NOT_IN_MIRROR: &str = "NotInMirror";
    /// The tag holds something that no node can run: an artifact, an empty index, the outdated schema 1.
    pub const NOT_AN_IMAGE: &str = "NotAnImage";
    /// A pull secret that is named does not exist.
    pub const PULL_SECRET_MISSING: &str = "PullSecretMissing";
    /// A pull secret's content cannot be read.
    pub const PULL_SECRET_MALFORMED: &str = "PullSecretMalformed";
    /// The Kubernetes API did not hand the pull secrets out.
    pub const PULL_SECRET_UNAVAILABLE: &str = "PullSecretUnavailable";

    /// Whether the registry itself gave no usable answer, so that time alone may help.
    pub fn away(reason: &str) -> bool {
        [REGISTRY_UNREACHABLE, REGISTRY_RATE_LIMITED, REGISTRY_ERROR, BAD_ANSWER].contains(&reason)
    }
}

/// Why one question to a registry got no good answer, for the code that decides what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub problem: Problem,
    /// Not before this: the registry's own word.
    pub retry_after: Option<Duration>,
    pub kind: FailureKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// 401, 403: other credentials may help.
    Refused,
    /// 404: there is nothing of that name, or nothing that these credentials may see.
    Absent,
    /// 404 from a mirror where the registry itself is never asked: a cache that is cut off from its registry says so, too.
    NotInMirror,
    /// The question could not be answered now; nothing is known.
    Unknown,
}

impl FailureKind {
    /// Whether there is nothing of that name where it was looked for.
    pub fn is_absence(self) -> bool {
        matches!(self, Self::Absent | Self::NotInMirror)
    }
}

impl Failure {
    pub fn unknown(reason: &'static str, message: impl Into<String>) -> Self {
        Self { problem: Problem::new(reason, message), retry_after: None, kind: FailureKind::Unknown }
    }

    /// Whether other credentials might change the answer.
    pub fn may_be_credentials(&self) -> bool {
        self.kind == FailureKind::Refused || self.kind.is_absence()
    }
}

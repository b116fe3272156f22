//! What an owner wants to know ([`Follow`]) and what it is told ([`Observation`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use super::{
    credentials::CredentialRef,
    labels::Labels,
    manifest::ImageDetails,
    problem::Problem,
    reference::{Digest, Repository, Tag},
};

/// One `ModelDeployment`, told apart from an earlier one of the same name by its UID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// Which version of the repository an owner wants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Want {
    /// Whatever the tag points to.
    Tag(Tag),
    /// Exactly this: a pin.
    Digest(Digest),
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, ":{tag}"),
            Self::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

/// All that an owner wants to know of its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follow {
    /// Where it looks.
    pub repository: Repository,
    /// What it wants from there.
    pub want: Want,
    /// Digests whose platforms it needs for a comparison, for example the running one.
    pub details_of: BTreeSet<Digest>,
    /// What was stored of digests when they were first seen, so that a restart asks no registry for it again. Believed for
    /// these credentials alone: whoever may write what is stored must not tell other namespaces what an image holds.
    pub stored: Vec<Arc<ImageDetails>>,
    /// What pods of the version that users get now pull: looked for once a day, since registries collect what no tag points to.
    pub serving: Option<Digest>,
    /// The images in that digest that nodes run, where it is an index: a registry may hold the index and not them.
    pub serving_images: BTreeSet<Digest>,
    /// The images that nodes would run of a version that may be introduced, where it is an index: looked for before it is.
    pub introducing: BTreeSet<Digest>,
    /// How often a tag is looked at. Of several owners of one tag the most impatient decides.
    pub interval: Duration,
    /// With which pull secrets.
    pub credentials: CredentialRef,
    /// The object's `metadata.generation`. When it changes, Secrets are read anew and the reference is polled at once.
    pub generation: i64,
}

/// What is known right now. Compared as a whole: owners are told when it differs from what they saw last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// The last complete answer for [`Follow::want`]; later failures leave it as it is. `None` until there was one.
    pub latest: Option<ImageDetails>,
    /// `latest` is a digest whose content was [stored](Follow::stored), and whether it is still there has not been said yet.
    pub unconfirmed: bool,
    /// What became of each of [`Follow::details_of`]; those not asked yet are absent.
    pub details: BTreeMap<Digest, Result<ImageDetails, Problem>>,
    /// Whether each of [`Follow::introducing`] is there; those not asked yet are absent.
    pub images: BTreeMap<Digest, Result<(), Problem>>,
    /// Why the newest poll failed; `None` after a success, and before the first poll ended.
    pub problem: Option<Problem>,
    /// Whether a node could pull [`Follow::serving`] now. Only a registry's clear word that it is gone makes it
    /// `Some(false)`; while the registry cannot be asked the last answer stands, `None` before the first.
    pub pullable: Option<bool>,
}

impl Observation {
    /// What this digest holds, as far as it was asked for.
    pub fn details(&self, digest: &Digest) -> Option<&ImageDetails> {
        let latest = self.latest.as_ref().filter(|latest| latest.digest == *digest);
        latest.or_else(|| self.details.get(digest)?.as_ref().ok())
    }

    /// The labels of this digest, as far as it was asked for.
    pub fn labels(&self, digest: &Digest) -> Option<&Labels> {
        self.details(digest).map(|known| &*known.labels)
    }
}

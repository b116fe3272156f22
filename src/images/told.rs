//! What owners were told, and who is to be told next.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    follow::{Observation, OwnerKey},
    manifest::ImageDetails,
    problem::Problem,
    reference::Digest,
};

/// An [`Observation`] that shares its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub latest: Option<Arc<ImageDetails>>,
    pub unconfirmed: bool,
    pub details: BTreeMap<Digest, Result<Arc<ImageDetails>, Problem>>,
    pub images: BTreeMap<Digest, Result<(), Problem>>,
    pub problem: Option<Problem>,
    pub pullable: Option<bool>,
}

impl From<Seen> for Observation {
    fn from(seen: Seen) -> Self {
        let own = |details: Arc<ImageDetails>| (*details).clone();
        Self {
            latest: seen.latest.map(own),
            unconfirmed: seen.unconfirmed,
            details: seen.details.into_iter().map(|(digest, known)| (digest, known.map(own))).collect(),
            images: seen.images,
            problem: seen.problem,
            pullable: seen.pullable,
        }
    }
}

/// Owners to be told, each once, first come first served.
#[derive(Default)]
pub(super) struct Changed {
    order: BTreeMap<u64, OwnerKey>,
    places: HashMap<OwnerKey, u64>,
    count: u64,
}

impl Changed {
    /// Returns whether it was not in line yet.
    pub fn add(&mut self, key: &OwnerKey) -> bool {
        if self.places.contains_key(key) {
            return false;
        }
        self.order.insert(self.count, key.clone());
        self.places.insert(key.clone(), self.count);
        self.count += 1;
        true
    }

    /// Always `false`: nobody is to be told.
    pub fn remove(&mut self, key: &OwnerKey) -> bool {
        if let Some(place) = self.places.remove(key) {
            self.order.remove(&place);
        }
        false
    }

    pub fn next(&mut self) -> Option<OwnerKey> {
        let (_, key) = self.order.pop_first()?;
        self.places.remove(&key);
        Some(key)
    }
}

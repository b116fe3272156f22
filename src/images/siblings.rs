//! Targets that ask the same thing with the same credentials: what one is told the others need not ask.

use std::collections::{BTreeSet, HashMap};

use super::{
    follow::Want,
    index::TargetKey,
    reference::{Digest, Repository},
    target::TargetId,
};

type Family = (Repository, Want, Digest);

/// Who is whose sibling, as of the last poll of each.
#[derive(Default)]
pub(super) struct Siblings {
    families: HashMap<Family, BTreeSet<TargetId>>,
    member_of: HashMap<TargetId, Family>,
}

impl Siblings {
    /// The target has just asked with these credentials; `None`: they are not known.
    pub fn place(&mut self, id: TargetId, key: &TargetKey, identity: Option<Digest>) {
        let family = identity.map(|identity| (key.repository.clone(), key.want.clone(), identity));
        if self.member_of.get(&id) == family.as_ref() {
            return;
        }
        self.remove(id);
        if let Some(family) = family {
            self.families.entry(family.clone()).or_default().insert(id);
            self.member_of.insert(id, family);
        }
    }

    pub fn remove(&mut self, id: TargetId) {
        let Some(family) = self.member_of.remove(&id) else { return };
        if let Some(members) = self.families.get_mut(&family) {
            members.remove(&id);
            if members.is_empty() {
                self.families.remove(&family);
            }
        }
    }

    /// All who asked for this with these credentials.
    pub fn with(&self, key: &TargetKey, identity: &Digest) -> impl Iterator<Item = TargetId> {
        let family = (key.repository.clone(), key.want.clone(), identity.clone());
        self.families.get(&family).into_iter().flatten().copied()
    }

    /// The others.
    pub fn of(&self, id: TargetId) -> Vec<TargetId> {
        let family = self.member_of.get(&id).and_then(|family| self.families.get(family));
        family.into_iter().flatten().copied().filter(|other| *other != id).collect()
    }
}

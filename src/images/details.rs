//! Details already fetched: one GET per digest, however many ask, at the same time or later.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use super::{
    credentials::{CredentialRef, Keychain},
    follow::Want,
    hosts::lock,
    manifest::{ImageDetails, RawManifest},
    problem::Failure,
    reference::{Digest, Repository},
    registry::Ask,
    turns::Turns,
};

type Key = (Repository, Digest);

/// A registry has just named this digest to these very credentials.
pub(super) struct Head {
    /// Its manifest, where only a GET could name it.
    pub manifest: Option<RawManifest>,
}

pub(super) struct Details {
    most: usize,
    known: Mutex<Known>,
    under_way: Turns<Key, ()>,
}

#[derive(Default)]
struct Known {
    entries: HashMap<Key, Entry>,
    clock: u64,
}

struct Entry {
    details: Arc<ImageDetails>,
    /// Who has shown that it may see this. Others have to, before they are told what somebody else was.
    shown_to: BTreeSet<CredentialRef>,
    used: u64,
}

impl Details {
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), known: Mutex::default(), under_way: Turns::default() }
    }

    /// What this digest holds, from memory where possible.
    pub async fn get(
        &self,
        ask: &dyn Ask,
        repository: &Repository,
        digest: &Digest,
        from: &CredentialRef,
        keychain: &Keychain,
        head: Option<Head>,
    ) -> Result<Arc<ImageDetails>, Failure> {
        let key = (repository.clone(), digest.clone());
        let turn = self.under_way.of(&key);
        let _turn = turn.lock().await;
        if let Some((details, shown)) = self.recall(&key, from) {
            if !shown && head.is_none() {
                ask.resolve(repository, &Want::Digest(digest.clone()), keychain).await?;
            }
            self.remember(key, details.clone(), from);
            return Ok(details);
        }
        let manifest = head.and_then(|head| head.manifest);
        let details = Arc::new(ask.details(repository, digest, manifest, keychain).await?);
        self.remember(key, details.clone(), from);
        Ok(details)
    }

    fn recall(&self, key: &Key, from: &CredentialRef) -> Option<(Arc<ImageDetails>, bool)> {
        let known = lock(&self.known);
        let entry = known.entries.get(key)?;
        Some((entry.details.clone(), entry.shown_to.contains(from)))
    }

    fn remember(&self, key: Key, details: Arc<ImageDetails>, from: &CredentialRef) {
        let mut known = lock(&self.known);
        known.clock += 1;
        let used = known.clock;
        if known.entries.len() >= self.most && !known.entries.contains_key(&key) {
            let oldest = known.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            oldest.map(|oldest| known.entries.remove(&oldest));
        }
        let entry = known.entries.entry(key).or_insert_with(|| Entry { details, shown_to: BTreeSet::new(), used });
        entry.used = used;
        entry.shown_to.insert(from.clone());
    }
}

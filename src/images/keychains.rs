//! The keychains in use: read once, and again only when there is a reason.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, timeout};

use super::{
    credentials::{CredentialError, CredentialRef, CredentialSource, Keychain},
    hosts::lock,
};

/// A refusal of something asked with Secrets read this recently is not blamed on their age: many references that use the
/// same Secrets would otherwise each have them read again.
const RECENT: Duration = Duration::from_secs(10);
/// The Kubernetes API is given this long.
const LONGEST_READ: Duration = Duration::from_secs(30);

pub(super) struct Keychains {
    source: Arc<dyn CredentialSource>,
    slots: Mutex<HashMap<CredentialRef, Arc<Slot>>>,
}

#[derive(Default)]
struct Slot {
    outdated: AtomicBool,
    /// Locked while reading, so that all who wait share one reading.
    read: tokio::sync::Mutex<Option<Read>>,
}

#[derive(Clone)]
pub(super) struct Read {
    pub keychain: Arc<Keychain>,
    at: Instant,
}

impl Keychains {
    pub fn new(source: Arc<dyn CredentialSource>) -> Self {
        Self { source, slots: Mutex::default() }
    }

    /// The keychain as last read; reads it at first use and after it was [outdated](Keychains::outdate).
    pub async fn get(&self, from: &CredentialRef) -> Result<Read, CredentialError> {
        let slot = self.slot(from);
        let mut read = slot.read.lock().await;
        match &*read {
            Some(read) if !slot.outdated.swap(false, Ordering::AcqRel) => Ok(read.clone()),
            _ => self.fill(from, &slot, &mut read).await,
        }
    }

    /// A registry refused what was asked with `used`: what the Secrets say now, if that is another thing.
    pub async fn newer(&self, from: &CredentialRef, used: &Read) -> Result<Option<Read>, CredentialError> {
        let slot = self.slot(from);
        let mut read = slot.read.lock().await;
        let current = match &*read {
            // Somebody else has read them since; or they were read for this very question.
            Some(read) if read.at > used.at || read.at.elapsed() < RECENT => read.clone(),
            _ => self.fill(from, &slot, &mut read).await?,
        };
        let differs = current.keychain.fingerprint() != used.keychain.fingerprint();
        Ok(differs.then_some(current))
    }

    /// The Secrets may have changed: they are read anew when next needed.
    pub fn outdate(&self, from: &CredentialRef) {
        if let Some(slot) = lock(&self.slots).get(from) {
            slot.outdated.store(true, Ordering::Release);
        }
    }

    /// Nobody uses it any more.
    pub fn forget(&self, from: &CredentialRef) {
        lock(&self.slots).remove(from);
    }

    fn slot(&self, from: &CredentialRef) -> Arc<Slot> {
        lock(&self.slots).entry(from.clone()).or_default().clone()
    }

    async fn fill(&self, from: &CredentialRef, slot: &Slot, read: &mut Option<Read>) -> Result<Read, CredentialError> {
        // Before the reading: a change in the middle of it calls for another one.
        slot.outdated.store(false, Ordering::Release);
        let late = || CredentialError::Unavailable { why: "the Kubernetes API does not answer in time".to_owned() };
        let answer = timeout(LONGEST_READ, self.source.keychain(from)).await.unwrap_or_else(|_| Err(late()));
        match answer {
            Ok(keychain) => {
                let fresh = Read { keychain: Arc::new(keychain), at: Instant::now() };
                *read = Some(fresh.clone());
                Ok(fresh)
            }
            Err(error) => {
                // What was known is kept for when only the API is away, but not taken for current.
                slot.outdated.store(true, Ordering::Release);
                Err(error)
            }
        }
    }
}

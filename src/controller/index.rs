//! An in-memory view of one kind, fed by a watch and by our own writes, grouped by model.
//!
//! kube's own store has no groups (finding a model's pods would scan all of them) and knows nothing of what was just
//! written: an object that the watch has not brought back yet would look absent, and be written twice.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, RwLock},
};

use kube::runtime::watcher::Event;
use tokio::sync::watch;

/// Namespace and name.
pub type Key = (String, String);

/// What the index needs to know of an entry.
pub trait Indexed: PartialEq {
    fn key(&self) -> Key;
    /// The model that the entry belongs to; without a name all models of that namespace, without a namespace all there are.
    fn group(&self) -> Key;
    fn uid(&self) -> &str;
    /// Resource version; a lower one never replaces a higher one.
    fn version(&self) -> u64;
    /// Whether another state of the same object reads the same, so that nobody need look at it.
    fn reads_as(&self, other: &Self) -> bool {
        self == other
    }
}

struct Inner<T> {
    entries: HashMap<Key, Arc<T>>,
    groups: HashMap<Key, BTreeSet<Key>>,
    /// Keys seen since a relist began.
    listed: HashSet<Key>,
    /// Objects that we deleted and whose deletion the watch has not confirmed yet.
    gone: HashSet<String>,
}

/// See the module's documentation.
pub struct Index<T> {
    inner: RwLock<Inner<T>>,
    ready: watch::Sender<bool>,
}

impl<T: Indexed> Default for Index<T> {
    fn default() -> Self {
        let inner =
            Inner { entries: HashMap::new(), groups: HashMap::new(), listed: HashSet::new(), gone: HashSet::new() };
        Self { inner: RwLock::new(inner), ready: watch::Sender::new(false) }
    }
}

impl<T: Indexed> Index<T> {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner<T>> {
        self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Inner<T>> {
        self.inner.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn get(&self, key: &Key) -> Option<Arc<T>> {
        self.read().entries.get(key).cloned()
    }

    /// Everything that belongs to a model, by name.
    pub fn group(&self, model: &Key) -> Vec<Arc<T>> {
        let inner = self.read();
        let keys = inner.groups.get(model).into_iter().flatten();
        keys.filter_map(|key| inner.entries.get(key).cloned()).collect()
    }

    pub fn all(&self) -> Vec<Arc<T>> {
        self.read().entries.values().cloned().collect()
    }

    /// Waits until the first list is complete.
    pub async fn ready(&self) {
        // The sender lives as long as `self`.
        let _ = self.ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// Nobody need wait any longer: the list cannot be had.
    pub fn give_up(&self) {
        self.ready.send_replace(true);
    }

    /// Whether the first list was complete.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// An object of a list that is there and cannot be read: what was known of it stays.
    pub fn pass_over(&self, key: Key) {
        self.write().listed.insert(key);
    }

    /// An object that cannot be read is gone; returns the groups whose view has changed.
    pub fn lose(&self, key: &Key) -> BTreeSet<Key> {
        let mut changed = BTreeSet::new();
        self.write().remove(key, &mut changed);
        changed
    }

    /// Takes one event of the watch; returns the groups whose view has changed.
    pub fn observe(&self, event: Event<T>) -> BTreeSet<Key> {
        let mut inner = self.write();
        let mut changed = BTreeSet::new();
        match event {
            Event::Init => inner.listed.clear(),
            Event::InitApply(entry) => {
                inner.listed.insert(entry.key());
                inner.insert(entry, &mut changed);
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut inner.listed);
                let lost: Vec<Key> = inner.entries.keys().filter(|key| !listed.contains(*key)).cloned().collect();
                for key in lost {
                    inner.remove(&key, &mut changed);
                }
                // Uids are never used again: what the list did not bring cannot come back.
                inner.gone.clear();
                self.ready.send_replace(true);
            }
            Event::Apply(entry) => inner.insert(entry, &mut changed),
            Event::Delete(entry) => {
                inner.gone.remove(entry.uid());
                let key = entry.key();
                if inner.entries.get(&key).is_some_and(|known| known.uid() == entry.uid()) {
                    inner.remove(&key, &mut changed);
                }
            }
        }
        changed
    }

    /// Takes the answer to one of our own writes, ahead of the watch.
    pub fn wrote(&self, entry: T) {
        self.write().insert(entry, &mut BTreeSet::new());
    }

    /// Forgets an object that we deleted, ahead of the watch.
    pub fn deleted(&self, key: &Key, uid: &str) {
        let mut inner = self.write();
        if inner.entries.get(key).is_some_and(|known| known.uid() == uid) {
            inner.remove(key, &mut BTreeSet::new());
            inner.gone.insert(uid.to_owned());
        }
    }
}

impl<T: Indexed> Inner<T> {
    fn insert(&mut self, entry: T, changed: &mut BTreeSet<Key>) {
        let key = entry.key();
        if self.gone.contains(entry.uid()) {
            return;
        }
        if let Some(known) = self.entries.get(&key) {
            let older = known.uid() == entry.uid() && known.version() > entry.version();
            if older || **known == entry {
                return;
            }
            if known.uid() == entry.uid() && known.reads_as(&entry) {
                self.entries.insert(key, Arc::new(entry));
                return;
            }
            if known.group() != entry.group() {
                self.remove(&key, changed);
            }
        }
        let group = entry.group();
        self.groups.entry(group.clone()).or_default().insert(key.clone());
        changed.insert(group);
        self.entries.insert(key, Arc::new(entry));
    }

    fn remove(&mut self, key: &Key, changed: &mut BTreeSet<Key>) {
        let Some(group) = self.entries.remove(key).map(|entry| entry.group()) else { return };
        if let Some(keys) = self.groups.get_mut(&group) {
            keys.remove(key);
            if keys.is_empty() {
                self.groups.remove(&group);
            }
        }
        changed.insert(group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Entry(&'static str, &'static str, u64);

    impl Indexed for Entry {
        fn key(&self) -> Key {
            ("ns".into(), self.0.into())
        }
        fn group(&self) -> Key {
            ("ns".into(), "churn".into())
        }
        fn uid(&self) -> &str {
            self.1
        }
        fn version(&self) -> u64 {
            self.2
        }
    }

    fn names(index: &Index<Entry>) -> Vec<(&'static str, u64)> {
        index.group(&("ns".into(), "churn".into())).iter().map(|entry| (entry.0, entry.2)).collect()
    }

    #[test]
    fn a_write_is_seen_before_the_watch_brings_it_and_not_undone_by_an_older_event() {
        let index = Index::default();
        index.wrote(Entry("a", "1", 5));
        assert!(index.observe(Event::Apply(Entry("a", "1", 3))).is_empty());
        assert_eq!(names(&index), [("a", 5)]);
        assert!(index.observe(Event::Apply(Entry("a", "1", 5))).is_empty(), "the same object is no news");
        assert_eq!(index.observe(Event::Apply(Entry("a", "1", 6))).len(), 1);
    }

    #[test]
    fn a_deleted_object_does_not_come_back_with_a_late_event() {
        let index = Index::default();
        index.wrote(Entry("a", "1", 5));
        index.deleted(&("ns".into(), "a".into()), "1");
        index.observe(Event::Apply(Entry("a", "1", 6)));
        assert!(names(&index).is_empty());
        index.observe(Event::Apply(Entry("a", "2", 7)));
        assert_eq!(names(&index), [("a", 7)], "a successor of the same name is another object");
        index.observe(Event::Delete(Entry("a", "1", 8)));
        assert_eq!(names(&index), [("a", 7)]);
    }

    #[test]
    fn what_a_relist_does_not_bring_is_gone_and_told() {
        let index = Index::default();
        index.observe(Event::Apply(Entry("a", "1", 1)));
        index.observe(Event::Apply(Entry("b", "2", 1)));
        index.observe(Event::Init);
        index.observe(Event::InitApply(Entry("b", "2", 1)));
        assert_eq!(index.observe(Event::InitDone).len(), 1);
        assert_eq!(names(&index), [("b", 1)]);
    }
}

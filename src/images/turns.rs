//! One at a time for each key: whoever wants the same waits, and finds what was learned meanwhile.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, Weak},
};

use super::hosts::lock;

/// A lock for each key that somebody holds or waits for, and what is left in it for those who wait.
pub(super) struct Turns<K, T>(Mutex<HashMap<K, Weak<tokio::sync::Mutex<T>>>>);

impl<K, T> Default for Turns<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, T: Default> Turns<K, T> {
    pub fn of(&self, key: &K) -> Arc<tokio::sync::Mutex<T>> {
        let mut under_way = lock(&self.0);
        if let Some(turn) = under_way.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        under_way.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        under_way.insert(key.clone(), Arc::downgrade(&turn));
        turn
    }
}

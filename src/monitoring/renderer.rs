//! Dashboards and rules: rendered once to know their hashes, and again only to be sent. A dashboard is 80 KB of JSON, and
//! in most turns of the loop nothing of it changes.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

use super::{
    Subject, dashboard,
    rules::{self, Sources},
};
use crate::resources::{ChildKind, Owner, child::Large};

/// Renders a dashboard. A parameter, so that a test can stand in for a later release of Modelship.
pub type Board = fn(&Subject) -> Value;

/// Renders what is large in the monitoring of models, and remembers what came of it.
pub struct Renderer {
    board: Board,
    known: Mutex<HashMap<Owner, Known>>,
}

/// What came of one model's spec. Only hashes are kept, of the spec as well as of long texts: there may be thousands.
struct Known {
    spec: String,
    parts: Vec<(Slot, Value)>,
}

/// What a part is, and what it is made of beside the spec.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Board,
    Groups(Sources),
}

impl Slot {
    fn kind(self) -> ChildKind {
        match self {
            Self::Board => ChildKind::ConfigMap,
            Self::Groups(_) => ChildKind::PrometheusRule,
        }
    }
}

/// A large part of a child.
pub struct Part {
    /// What stands for it where children are compared.
    pub reduced: Value,
    pub large: Large,
}

impl Default for Renderer {
    fn default() -> Self {
        Self::new(dashboard::board)
    }
}

impl std::fmt::Debug for Renderer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Renderer")
    }
}

impl Renderer {
    pub fn new(board: Board) -> Self {
        Self { board, known: Mutex::default() }
    }

    /// The data of a dashboard's ConfigMap.
    pub fn board(&self, subject: &Subject) -> Part {
        let board = self.board;
        let large =
            Self::large(subject, move |subject| json!({dashboard::key(subject.owner): board(subject).to_string()}));
        Part { reduced: self.reduced(subject, Slot::Board, &large), large }
    }

    /// The groups of a PrometheusRule: Modelship's own, and the user's.
    pub fn groups(&self, subject: &Subject, sources: Sources) -> [Part; 2] {
        let all = Self::large(subject, move |subject| rules::groups(subject, sources).into());
        let reduced = self.reduced(subject, Slot::Groups(sources), &all);
        [false, true].map(|extra| {
            let all = all.clone();
            Part { reduced: only(extra, reduced.clone()), large: Large::new(move || only(extra, all.make())) }
        })
    }

    fn large(subject: &Subject, make: impl Fn(&Subject) -> Value + Send + Sync + 'static) -> Large {
        let (owner, spec) = (subject.owner.clone(), subject.spec.clone());
        Large::new(move || {
            let subject = |monitoring| Subject { owner: &owner, spec: &spec, monitoring };
            spec.monitoring.as_ref().map(|monitoring| make(&subject(monitoring))).unwrap_or_default()
        })
    }

    /// As it was for this very spec before, or as it is now.
    fn reduced(&self, subject: &Subject, slot: Slot, large: &Large) -> Value {
        let hash = &subject.spec.hash;
        let mut all = self.lock();
        let known = all.get(subject.owner).filter(|known| known.spec == *hash);
        if let Some((_, part)) = known.into_iter().flat_map(|known| &known.parts).find(|(known, _)| *known == slot) {
            return part.clone();
        }
        let part = large.reduced(slot.kind());
        let known = all.entry(subject.owner.clone()).or_insert_with(|| Known { spec: hash.clone(), parts: Vec::new() });
        if known.spec != *hash {
            *known = Known { spec: hash.clone(), parts: Vec::new() };
        }
        known.parts.push((slot, part.clone()));
        part
    }

    /// Forgets a model that is gone.
    pub fn forget(&self, owner: &Owner) {
        self.lock().remove(owner);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Owner, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The user's own groups, or all others.
fn only(extra: bool, groups: Value) -> Value {
    match groups {
        Value::Array(groups) => groups.into_iter().filter(|group| rules::is_extra(group) == extra).collect(),
        other => other,
    }
}

#[cfg(test)]
#[path = "tests/renderer.rs"]
mod tests;

//! What this process has tried on a child, so that it is tried once and not for ever, and what the API server has said
//! against it, so that the next try is that child's alone. Losing it in a restart costs one more try.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{apply::Obstacle, backoff, live::Live};
use crate::resources::{Child, ChildKind};

/// A field that was put back this often …
const PATIENCE: u32 = 3;
/// … with no longer pause than this between two times is contested, and left alone for as long.
const MEMORY: Duration = Duration::from_secs(600);

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The object holds the intent.
    Holds,
    /// The object differs although the intent was applied: which field, and who holds it.
    Contested { field: String, manager: String },
}

struct Entry {
    uid: String,
    intent: String,
    version: u64,
    epoch: u64,
    outcome: Outcome,
    put_backs: u32,
    last_put_back: Option<Instant>,
}

type Slot = (String, ChildKind, String);

/// What is asked of the API server: an intent, or an end, for an object in one state, by one generation of the spec. Anything
/// else is another question, which is asked at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    slot: Slot,
    /// `None`: that it be deleted.
    intent: Option<String>,
    /// Uid and epoch; `None`: that we know of no such object.
    on: Option<(String, u64)>,
    generation: i64,
}

impl Asked {
    /// That an object be brought to an intent.
    pub fn to_bring(child: &Child, live: Option<&Live>, generation: i64) -> Self {
        let on = live.map(|live| (live.uid.clone(), live.epoch()));
        Self { slot: slot(child), intent: Some(child.hash.clone()), on, generation }
    }

    /// That an object be deleted.
    pub fn to_remove(live: &Live, generation: i64) -> Self {
        let slot = (live.namespace.clone(), live.kind, live.name.clone());
        Self { slot, intent: None, on: Some((live.uid.clone(), live.epoch())), generation }
    }
}

struct Refused {
    asked: Asked,
    obstacle: Obstacle,
    times: u32,
    until: Instant,
}

/// The last outcome for each child.
#[derive(Default)]
pub struct Ledger {
    tried: Mutex<HashMap<Slot, Entry>>,
    refused: Mutex<HashMap<Slot, Refused>>,
}

impl Ledger {
    /// What is known of this intent on this state of the object, if it was tried.
    pub fn outcome(&self, child: &Child, live: &Live) -> Option<Outcome> {
        let known = self.lock();
        let entry = known.get(&slot(child)).filter(|entry| entry.uid == live.uid && entry.intent == child.hash)?;
        let same = match entry.outcome {
            Outcome::Holds => entry.version == live.version,
            // What others write beside the contested field does not open the contest anew.
            Outcome::Contested { .. } => entry.epoch == live.epoch() || exhausted(entry),
        };
        same.then(|| entry.outcome.clone())
    }

    /// Notes what became of an intent on this state of the object.
    pub fn note(&self, child: &Child, live: &Live, outcome: Outcome) {
        let mut known = self.lock();
        let before = known.remove(&slot(child)).filter(|entry| entry.uid == live.uid && entry.intent == child.hash);
        let entry = Entry {
            uid: live.uid.clone(),
            intent: child.hash.clone(),
            version: live.version,
            epoch: live.epoch(),
            outcome,
            put_backs: before.as_ref().map_or(0, |entry| entry.put_backs),
            last_put_back: before.and_then(|entry| entry.last_put_back),
        };
        known.insert(slot(child), entry);
    }

    /// Whether this process had the object hold that intent before.
    pub fn held(&self, child: &Child, live: &Live) -> bool {
        self.lock().get(&slot(child)).is_some_and(|entry| entry.uid == live.uid && entry.intent == child.hash)
    }

    /// Whether a change may be put back; `false` when that has happened too often to go on.
    pub fn may_put_back(&self, child: &Child, live: &Live) -> bool {
        let mut known = self.lock();
        let Some(entry) =
            known.get_mut(&slot(child)).filter(|entry| entry.uid == live.uid && entry.intent == child.hash)
        else {
            return true;
        };
        if entry.last_put_back.is_none_or(|last| last.elapsed() > MEMORY) {
            entry.put_backs = 0;
        }
        entry.put_backs < PATIENCE
    }

    /// Counts a change that was put back.
    pub fn put_back(&self, child: &Child) {
        if let Some(entry) = self.lock().get_mut(&slot(child)).filter(|entry| entry.intent == child.hash) {
            entry.put_backs += 1;
            entry.last_put_back = Some(Instant::now());
        }
    }

    /// What was said against it, and when it may be asked again, while that is not yet.
    pub fn refused(&self, asked: &Asked) -> Option<(Obstacle, Instant)> {
        let refused = self.refusals();
        let known = refused.get(&asked.slot).filter(|known| known.asked == *asked && known.until > Instant::now())?;
        Some((known.obstacle.clone(), known.until))
    }

    /// Notes what is said against it; returns when it may be asked again. The wait doubles each time.
    pub fn refuse(&self, asked: Asked, obstacle: Obstacle) -> Instant {
        let mut refused = self.refusals();
        let times = refused.get(&asked.slot).filter(|known| known.asked == asked).map_or(0, |known| known.times);
        let until = Instant::now() + backoff::wait(times);
        refused.insert(asked.slot.clone(), Refused { asked, obstacle, times: times + 1, until });
        until
    }

    /// Notes that nothing is said against it any more.
    pub fn taken(&self, asked: &Asked) {
        self.refusals().remove(&asked.slot);
    }

    /// Forgets the children of a model that is gone.
    pub fn forget(&self, namespace: &str, model: &str) {
        let other = |(space, kind, name): &Slot| space != namespace || !kind.is_name(model, name);
        self.lock().retain(|slot, _| other(slot));
        self.refusals().retain(|slot, _| other(slot));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Slot, Entry>> {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusals(&self) -> std::sync::MutexGuard<'_, HashMap<Slot, Refused>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn slot(child: &Child) -> Slot {
    (child.namespace.clone(), child.kind, child.name.clone())
}

fn exhausted(entry: &Entry) -> bool {
    entry.put_backs >= PATIENCE && entry.last_put_back.is_some_and(|last| last.elapsed() <= MEMORY)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn child(image: &str) -> Child {
        Child::seal(
            ChildKind::Deployment,
            json!({"metadata": {"namespace": "tasting-room", "name": "grape"}, "spec": {"image": image}}),
        )
    }

    fn live(uid: &str, version: u64, generation: i64) -> Live {
        let metadata = json!({
            "namespace": "tasting-room", "name": "grape", "uid": uid,
            "resourceVersion": version.to_string(), "generation": generation,
        });
        let object: Value = json!({"metadata": metadata, "spec": {}});
        Live::of(ChildKind::Deployment, serde_json::from_value(object).unwrap())
    }

    fn contested() -> Outcome {
        Outcome::Contested { field: "spec.image".into(), manager: "meddler".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_holds_is_known_until_the_object_the_intent_or_the_version_is_another() {
        let ledger = Ledger::default();
        ledger.note(&child("a"), &live("1", 5, 1), Outcome::Holds);
        assert_eq!(ledger.outcome(&child("a"), &live("1", 5, 1)), Some(Outcome::Holds));
        assert_eq!(ledger.outcome(&child("a"), &live("1", 6, 1)), None);
        assert_eq!(ledger.outcome(&child("b"), &live("1", 5, 1)), None);
        assert_eq!(ledger.outcome(&child("a"), &live("2", 5, 1)), None);
        assert!(ledger.held(&child("a"), &live("1", 9, 3)) && !ledger.held(&child("b"), &live("1", 9, 3)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_contest_outlives_what_others_write_beside_it() {
        let ledger = Ledger::default();
        ledger.note(&child("a"), &live("1", 5, 1), contested());
        assert_eq!(ledger.outcome(&child("a"), &live("1", 8, 1)), Some(contested()), "only its status has changed");
        assert_eq!(ledger.outcome(&child("a"), &live("1", 9, 2)), None, "somebody has changed what it asks for");
    }

    #[tokio::test(start_paused = true)]
    async fn a_field_is_put_back_three_times_and_again_after_a_long_silence() {
        let ledger = Ledger::default();
        ledger.note(&child("a"), &live("1", 5, 1), Outcome::Holds);
        let tries =
            |ledger: &Ledger| (0..5).map(|_| ledger.may_put_back(&child("a"), &live("1", 6, 2))).collect::<Vec<_>>();
        assert_eq!(tries(&ledger), [true; 5], "what is not put back does not count");
        let put_back = || {
            ledger.put_back(&child("a"));
            ledger.may_put_back(&child("a"), &live("1", 6, 2))
        };
        assert_eq!([(); 4].map(|()| put_back()), [true, true, false, false]);
        ledger.note(&child("a"), &live("1", 6, 2), contested());
        assert_eq!(ledger.outcome(&child("a"), &live("1", 7, 3)), Some(contested()), "they go on changing it");
        tokio::time::advance(MEMORY + Duration::from_secs(1)).await;
        assert_eq!(ledger.outcome(&child("a"), &live("1", 8, 4)), None);
        assert!(ledger.may_put_back(&child("a"), &live("1", 8, 4)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_waits_longer_each_time_and_another_question_does_not_wait() {
        let ledger = Ledger::default();
        let obstacle = Obstacle { reason: "Rejected", message: "no".into(), passing: false };
        let now = live("1", 5, 1);
        let asked = Asked::to_bring(&child("a"), Some(&now), 3);
        assert_eq!(ledger.refused(&asked), None);
        let waits: Vec<u64> =
            (0..3).map(|_| (ledger.refuse(asked.clone(), obstacle.clone()) - Instant::now()).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4]);
        assert_eq!(ledger.refused(&asked), Some((obstacle.clone(), Instant::now() + Duration::from_secs(4))));
        for other in [
            Asked::to_bring(&child("b"), Some(&now), 3),
            Asked::to_bring(&child("a"), Some(&live("1", 6, 2)), 3),
            Asked::to_bring(&child("a"), None, 3),
            Asked::to_bring(&child("a"), Some(&now), 4),
            Asked::to_remove(&now, 3),
        ] {
            assert_eq!(ledger.refused(&other), None, "{other:?}");
        }
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(ledger.refused(&asked), None, "it is asked again");
        ledger.taken(&asked);
        assert_eq!((ledger.refuse(asked, obstacle) - Instant::now()).as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_model_that_is_gone_is_forgotten_and_its_namesakes_are_not() {
        let ledger = Ledger::default();
        ledger.note(&child("a"), &live("1", 5, 1), Outcome::Holds);
        ledger.forget("tasting-room", "gra");
        ledger.forget("elsewhere", "grape");
        assert!(ledger.held(&child("a"), &live("1", 5, 1)));
        ledger.forget("tasting-room", "grape");
        assert!(!ledger.held(&child("a"), &live("1", 5, 1)));
    }
}

//! How soon an object may be tried again after an error of the turn itself. What is said against one child waits with that
//! child: see [`super::ledger`].
//!
//! kube's requeue after an error is only a delay: any event of a child re-runs the object at once. So the wait is a floor
//! that is looked at when a reconcile starts. A new generation of the spec is a new object in this respect.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(120);

/// The wait after so many failures before this one.
pub(super) fn wait(times: u32) -> Duration {
    FIRST.saturating_mul(1 << times.min(10)).min(LONGEST)
}

struct Failing {
    generation: i64,
    times: u32,
    not_before: Instant,
}

/// Waits of failing objects, by uid.
#[derive(Default)]
pub struct Backoff(Mutex<HashMap<String, Failing>>);

impl Backoff {
    /// How long this object must still wait, if at all.
    pub fn remaining(&self, uid: &str, generation: i64) -> Option<Duration> {
        let failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = failing.get(uid).filter(|wait| wait.generation == generation)?;
        let left = wait.not_before.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Notes a failure; returns the wait, which doubles each time.
    pub fn failed(&self, uid: &str, generation: i64) -> Duration {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = failing.get(uid).filter(|wait| wait.generation == generation).map_or(0, |wait| wait.times);
        let wait = wait(times);
        let entry = Failing { generation, times: times + 1, not_before: Instant::now() + wait };
        failing.insert(uid.to_owned(), entry);
        wait
    }

    pub fn clear(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_wait_doubles_up_to_its_bound_and_ends() {
        let backoff = Backoff::default();
        let waits: Vec<u64> = (0..9).map(|_| backoff.failed("a", 1).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
        assert_eq!(backoff.remaining("a", 1), Some(LONGEST));
        tokio::time::advance(LONGEST).await;
        assert_eq!(backoff.remaining("a", 1), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_generation_does_not_wait_for_the_old_ones_failures() {
        let backoff = Backoff::default();
        backoff.failed("a", 1);
        assert!(backoff.remaining("a", 1).is_some());
        assert_eq!(backoff.remaining("a", 2), None);
        assert_eq!(backoff.failed("a", 2), FIRST);
        backoff.clear("a");
        assert_eq!(backoff.remaining("a", 2), None);
    }
}

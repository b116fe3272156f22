//! The end of a pod: from the first SIGTERM to the last answer.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::sync::{Notify, watch};

/// Where the process stands on its way to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Serving,
    Draining,
    Finished,
}

/// The way from serving to the end, and the requests that are under way. Cheap to clone.
#[derive(Clone)]
pub struct Drain(Arc<Inner>);

struct Inner {
    stage: watch::Sender<Stage>,
    /// As `stage` says, for the hot path.
    draining: AtomicBool,
    in_flight: AtomicUsize,
    empty: Notify,
}

impl Drain {
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            stage: watch::Sender::new(Stage::Serving),
            draining: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            empty: Notify::new(),
        }))
    }

    /// The end has come: answer what comes, and ask clients to go elsewhere. Saying it again changes nothing.
    pub fn begin(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
        self.advance(Stage::Draining);
    }

    pub fn draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// Returns once [`begin`](Drain::begin) was called.
    pub async fn begun(&self) {
        self.reached(Stage::Draining).await;
    }

    /// The proxy takes no more requests and owes no answer.
    pub fn finish(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
        self.advance(Stage::Finished);
    }

    /// Returns once [`finish`](Drain::finish) was called.
    pub async fn finished(&self) {
        self.reached(Stage::Finished).await;
    }

    /// A request is under way until the guard is dropped.
    #[must_use = "the request counts only as long as this lives"]
    pub fn enter(&self) -> InFlight {
        self.0.in_flight.fetch_add(1, Ordering::SeqCst);
        InFlight(self.clone())
    }

    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::SeqCst)
    }

    /// Returns when no request is under way; one may come right after.
    pub async fn idle(&self) {
        loop {
            let mut empty = std::pin::pin!(self.0.empty.notified());
            // Listens before it looks, or the last guard could be dropped in between.
            empty.as_mut().enable();
            if self.in_flight() == 0 {
                return;
            }
            empty.await;
        }
    }

    fn advance(&self, stage: Stage) {
        self.0.stage.send_if_modified(|now| {
            let later = stage > *now;
            *now = (*now).max(stage);
            later
        });
    }

    async fn reached(&self, stage: Stage) {
        // Fails only without a sender, and this is one.
        drop(self.0.stage.subscribe().wait_for(|now| *now >= stage).await);
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

/// A request that is under way.
pub struct InFlight(Drain);

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.0.in_flight.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.0.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn the_stages_follow_each_other_and_never_go_back() {
        let drain = Drain::new();
        assert!(!drain.draining() && drain.begun().now_or_never().is_none());
        drain.begin();
        assert!(drain.draining() && drain.begun().now_or_never().is_some());
        assert!(drain.finished().now_or_never().is_none());
        drain.finish();
        drain.begin();
        assert!(drain.finished().now_or_never().is_some() && drain.begun().now_or_never().is_some());
    }

    #[tokio::test]
    async fn whoever_waits_on_another_thread_is_woken() {
        let drain = Drain::new();
        let other = drain.clone();
        let waiting = tokio::spawn(async move {
            other.begun().await;
            other.finished().await;
        });
        tokio::task::yield_now().await;
        drain.begin();
        tokio::task::yield_now().await;
        drain.finish();
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn it_is_idle_when_the_last_guard_is_gone() {
        let drain = Drain::new();
        assert!(drain.idle().now_or_never().is_some());
        let (one, two) = (drain.enter(), drain.enter());
        assert_eq!(drain.in_flight(), 2);
        let mut idle = std::pin::pin!(drain.idle());
        drop(one);
        assert!(idle.as_mut().now_or_never().is_none());
        drop(two);
        assert_eq!(drain.in_flight(), 0);
        idle.await;
    }
}

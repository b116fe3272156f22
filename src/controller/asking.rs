//! What is asked off the loop's path, bounded in number: the loop says what it wants to know and goes on; an answer that is
//! news has its model looked at again.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt as _;
use kube::runtime::reflector::ObjectRef;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::index::Key;
use crate::api::StoredModelDeployment;

/// Questions, when each is due, and the way to ask one.
pub(super) trait Asks: Send + Sync + 'static {
    type Job: Send + 'static;
    type Answer: Send + 'static;
    /// Questions under way at the same time.
    const AT_ONCE: usize;

    /// Told when something may have become due.
    fn wake(&self) -> &Notify;
    /// What is due now, and when the next question will be.
    fn take_due(&self, now: Instant, most: usize) -> (Vec<Self::Job>, Option<Instant>);
    fn ask(&self, job: &Self::Job) -> impl Future<Output = Self::Answer> + Send;
    /// The answer to a question that broke off inside the operator.
    fn broken(&self, job: &Self::Job) -> Self::Answer;
    /// Takes an answer. The model to look at, if it is news.
    fn finish(&self, job: &Self::Job, answer: Self::Answer, now: Instant) -> Option<Key>;
}

/// Of what is due the longest waiting: nobody starves behind servers that never answer.
pub(super) fn longest_waiting<T>(
    all: impl Iterator<Item = (Option<Instant>, T)>,
    now: Instant,
    most: usize,
) -> impl Iterator<Item = T> {
    let mut due: Vec<(Instant, T)> =
        all.filter_map(|(due, job)| Some((due?, job))).filter(|(due, _)| *due <= now).collect();
    due.sort_by_key(|(due, _)| *due);
    due.into_iter().take(most).map(|(_, job)| job)
}

/// Asks what is due and tells which model to look at, until nobody listens.
pub(super) async fn run<A: Asks>(asks: Arc<A>, news: mpsc::Sender<ObjectRef<StoredModelDeployment>>) {
    let mut asked = JoinSet::new();
    loop {
        let (jobs, next) = asks.take_due(Instant::now(), A::AT_ONCE - asked.len());
        for job in jobs {
            let asks = asks.clone();
            asked.spawn(async move {
                // Were it to end without a word, it would never be asked again.
                let answer = AssertUnwindSafe(asks.ask(&job)).catch_unwind().await;
                (answer.unwrap_or_else(|_| asks.broken(&job)), job)
            });
        }
        let more = next.filter(|_| asked.len() < A::AT_ONCE);
        tokio::select! {
            () = asks.wake().notified() => {}
            () = sleep_until(more.unwrap_or_else(Instant::now)), if more.is_some() => {}
            Some(done) = asked.join_next(), if !asked.is_empty() => {
                let Ok((answer, job)) = done else { continue };
                if let Some((namespace, name)) = asks.finish(&job, answer, Instant::now())
                    && news.send(ObjectRef::new(&name).within(&namespace)).await.is_err()
                {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/asking.rs"]
mod tests;

//! How long a connection to the model may have been idle and still be used, as learnt from the model.
//!
//! A server closes what was idle for its own time, and a request that is sent in that very moment is lost: nothing proves
//! that it was not read. So only half of that time is used. What a connection tells that is too old to be used is what the
//! limit is learnt from: one such witness is kept until the model closes it or it has been open for long enough.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Half of what the settings of servers can say at the least, 1 s (`uvicorn --timeout-keep-alive`, `gunicorn --keep-alive`).
const AT_FIRST: Duration = Duration::from_millis(500);

/// What is known of one model.
pub struct Trust {
    /// Nanoseconds.
    limit: AtomicU64,
    most: Duration,
}

impl Trust {
    /// No connection is used that was idle for longer than `most`.
    pub fn new(most: Duration) -> Self {
        let trust = Self { limit: AtomicU64::new(0), most };
        trust.set(AT_FIRST.min(most));
        trust
    }

    fn set(&self, limit: Duration) {
        self.limit.store(nanoseconds(limit), Relaxed);
    }

    /// A connection that was idle for this long is not used.
    pub fn limit(&self) -> Duration {
        Duration::from_nanos(self.limit.load(Relaxed))
    }

    /// What a connection must outlive for the most to be right.
    pub fn proof(&self) -> Duration {
        self.most * 2
    }

    /// The model closed a connection that had been idle for so long.
    pub fn closed_after(&self, idle: Duration) {
        self.limit.fetch_min(nanoseconds(idle / 2), Relaxed);
    }

    /// The model left a connection open that was idle for the whole [`proof`](Self::proof). Whatever it closed sooner, it
    /// closed for another reason: it was started anew, say.
    pub fn outlived(&self) {
        self.set(self.most);
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_secs(2);

    #[test]
    fn half_of_the_shortest_age_at_which_the_model_closed_one_is_trusted() {
        let trust = Trust::new(MOST);
        assert_eq!(trust.limit(), AT_FIRST, "nothing is known yet");
        trust.closed_after(Duration::from_secs(5));
        assert_eq!(trust.limit(), AT_FIRST);
        trust.closed_after(Duration::from_millis(300));
        trust.closed_after(Duration::from_millis(700));
        assert_eq!(trust.limit(), Duration::from_millis(150));
    }

    #[test]
    fn one_that_the_model_leaves_open_disproves_what_a_restart_taught() {
        let trust = Trust::new(MOST);
        trust.closed_after(Duration::ZERO);
        assert_eq!(trust.limit(), Duration::ZERO);
        trust.outlived();
        assert_eq!(trust.limit(), MOST);
    }

    #[test]
    fn nothing_is_trusted_for_longer_than_the_most() {
        assert_eq!(Trust::new(Duration::from_millis(100)).limit(), Duration::from_millis(100));
    }
}

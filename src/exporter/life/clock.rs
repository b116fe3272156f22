//! Time as a duration since a start, so that it fits an atomic and a test can set it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

/// Tells the time since some start that never changes. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    /// The time since now.
    pub fn new() -> Self {
        let start = Instant::now();
        Self::by(move || start.elapsed())
    }

    /// A time that somebody else tells.
    pub fn by(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub fn now(&self) -> Duration {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

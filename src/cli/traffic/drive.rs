//! When requests start, and who sends them.
//!
//! With a rate the loop is open: request n is due n / rate seconds after the start, whether or not earlier ones are
//! answered, and its latency counts from then. A client that waits for a slow answer before it asks again leaves out
//! the requests that would have suffered most (Gil Tene's "coordinated omission", in "How NOT to Measure Latency").

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// A request that starts at most this much after it was due was on time: the timer's own grain of 1 ms is not the
/// server's latency.
const TIMER_SLACK: Duration = Duration::from_millis(2);

/// How long after the end the backlog may still be sent: a request that was due in the last moment is no error yet when
/// it has to wait for a client.
const GRACE: Duration = Duration::from_secs(1);

/// When requests are due, and when there are enough.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Requests per second; without it, each client sends as soon as it has its answer.
    pub rate: Option<f64>,
    pub until: Until,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    Elapsed(Duration),
    Sent(u64),
}

impl Plan {
    /// Time from the start until that request is due; the first has number 0.
    fn due(&self, number: u64) -> Duration {
        self.rate
            .map_or(Duration::ZERO, |rate| Duration::try_from_secs_f64(number as f64 / rate).unwrap_or(Duration::MAX))
    }

    /// Whether that request is one of the plan, if it is due, or in a closed loop begun, that long after the start.
    fn holds(&self, number: u64, elapsed: Duration) -> bool {
        match self.until {
            Until::Elapsed(end) => elapsed < end,
            Until::Sent(count) => number < count,
        }
    }

    /// Whether it is too late for a request that had to wait.
    fn over(&self, elapsed: Duration) -> bool {
        matches!(self.until, Until::Elapsed(end) if elapsed >= end + GRACE)
    }

    /// How many requests are due within that time; 0 in a closed loop, where none ever is.
    fn due_by(&self, elapsed: Duration) -> u64 {
        let Some(rate) = self.rate else { return 0 };
        let (elapsed, most) = match self.until {
            Until::Elapsed(end) => (elapsed.min(end), u64::MAX),
            Until::Sent(count) => (elapsed, count),
        };
        // The cast saturates.
        ((elapsed.as_secs_f64() * rate).ceil() as u64).min(most)
    }
}

/// Sends requests, one at a time.
pub trait Caller: Send + 'static {
    /// Sends the request of that number.
    fn call(&mut self, number: u64, watch: Watch) -> impl Future<Output = Result<(), Nobody>> + Send;
}

/// The very first request found nobody, so that a run would be pointless; in a sentence.
#[derive(Debug)]
pub struct Nobody(pub String);

/// Measures one request, the time included that it waited for its turn.
#[derive(Clone, Copy, Debug)]
pub struct Watch(Instant);

impl Watch {
    fn new(due: Instant, begun: Instant) -> Self {
        Self(if begun.saturating_duration_since(due) <= TIMER_SLACK { begun } else { due })
    }

    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// How a run ended.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    pub elapsed: Duration,
    pub interrupted: bool,
    /// What was due and never sent, since all callers were busy.
    pub unsent: Unsent,
}

/// A backlog; one figure would not do, since the requests in it became due one after another.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Unsent {
    pub requests: u64,
    /// Of the one that waited longest; the others are spread evenly below it.
    pub longest: Duration,
}

struct Shared {
    plan: Plan,
    start: Instant,
    next: AtomicU64,
    begun: AtomicU64,
}

/// Runs the plan with that many callers at once, until it is fulfilled or `stop` is. What is under way at the plan's end
/// is waited for; what is under way at a `stop` is given up, and not counted.
///
/// # Errors
/// That the first request found nobody.
pub async fn drive<C: Caller>(plan: Plan, callers: Vec<C>, stop: impl Future<Output = ()>) -> Result<Ended, Nobody> {
    let start = Instant::now();
    let shared = Arc::new(Shared { plan, start, next: AtomicU64::new(0), begun: AtomicU64::new(0) });
    let mut tasks: JoinSet<Result<(), Nobody>> =
        callers.into_iter().map(|caller| work(caller, Arc::clone(&shared))).collect();
    let finished = async {
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap_or(Ok(()))?;
        }
        Ok(())
    };
    let interrupted = tokio::select! {
        finished = finished => finished.map(|()| false)?,
        () = stop => true,
    };
    let elapsed = start.elapsed();
    Ok(Ended { elapsed, interrupted, unsent: shared.unsent(elapsed) })
}

impl Shared {
    fn unsent(&self, elapsed: Duration) -> Unsent {
        let begun = self.begun.load(Ordering::Relaxed);
        match self.plan.due_by(elapsed).saturating_sub(begun) {
            0 => Unsent::default(),
            requests => Unsent { requests, longest: elapsed.saturating_sub(self.plan.due(begun)) },
        }
    }
}

async fn work<C: Caller>(mut caller: C, shared: Arc<Shared>) -> Result<(), Nobody> {
    let Shared { plan, start, .. } = *shared;
    loop {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        // In a closed loop a request is due when somebody is free for it.
        let wait = if plan.rate.is_some() { plan.due(number) } else { start.elapsed() };
        if !plan.holds(number, wait) || plan.over(start.elapsed()) {
            return Ok(());
        }
        let Some(due) = start.checked_add(wait) else { return Ok(()) };
        if plan.rate.is_some() {
            sleep_until(due).await;
        }
        shared.begun.fetch_add(1, Ordering::Relaxed);
        caller.call(number, Watch::new(due, Instant::now())).await?;
    }
}

#[cfg(test)]
#[path = "tests/drive.rs"]
mod tests;

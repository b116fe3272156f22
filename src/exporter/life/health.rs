//! What is known of the model's health, shared between the proxy and the probes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    clock::Clock,
    verdict::{Evidence, Rules, Why},
};

/// What is known of the model's health. Cheap to clone, and to tell: the proxy does so for each answer.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    clock: Clock,
    healthy: Moment,
    unhealthy: Moment,
    answered: Moment,
    refused: Moment,
    busy: Moment,
}

impl Health {
    pub fn new(clock: Clock) -> Self {
        let [healthy, unhealthy, answered, refused, busy] = Default::default();
        Self(Arc::new(Inner { clock, healthy, unhealthy, answered, refused, busy }))
    }

    /// The model answered a request, whatever it said, or sent another piece of a long answer.
    pub fn answered(&self) {
        self.0.answered.set(self.0.clock.now());
    }

    /// The model refused a connection.
    pub fn refused(&self) {
        self.0.refused.set(self.0.clock.now());
    }

    /// The health path answered with success or a redirection, or the port opened when there is no such path.
    pub fn healthy(&self) {
        self.0.healthy.set(self.0.clock.now());
    }

    /// The health path answered with an error.
    pub fn unhealthy(&self) {
        self.0.unhealthy.set(self.0.clock.now());
    }

    /// What is known now. `in_flight`: whether the model owes an answer.
    pub(crate) fn evidence(&self, in_flight: bool) -> Evidence {
        let Inner { clock, healthy, unhealthy, answered, refused, busy } = &*self.0;
        let now = clock.now();
        if in_flight {
            busy.set(now);
        }
        Evidence {
            now,
            in_flight,
            healthy: healthy.get(),
            unhealthy: unhealthy.get(),
            answered: answered.get(),
            refused: refused.get(),
            busy: busy.get(),
        }
    }

    /// Whether the model can take requests.
    pub(super) fn ready(&self, in_flight: bool, rules: &Rules) -> Result<(), Why> {
        self.evidence(in_flight).ready(rules)
    }
}

/// Milliseconds since the clock's start plus one; 0 is never.
#[derive(Default)]
struct Moment(AtomicU64);

impl Moment {
    fn set(&self, now: Duration) {
        self.0.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX - 1).saturating_add(1), Ordering::Relaxed);
    }

    fn get(&self) -> Option<Duration> {
        self.0.load(Ordering::Relaxed).checked_sub(1).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_evidence_and_the_rest_is_unknown() {
        let health = Health::new(Clock::by(|| Duration::from_millis(1500)));
        let nothing = Evidence { now: Duration::from_millis(1500), ..Evidence::default() };
        assert_eq!(health.evidence(false), nothing);
        health.answered();
        health.refused();
        let moment = Some(Duration::from_millis(1500));
        assert_eq!(health.evidence(false), Evidence { answered: moment, refused: moment, ..nothing.clone() });
        health.healthy();
        health.unhealthy();
        let all = Evidence { healthy: moment, unhealthy: moment, answered: moment, refused: moment, ..nothing };
        assert_eq!(health.evidence(true), Evidence { in_flight: true, busy: moment, ..all.clone() });
        assert_eq!(health.evidence(false), Evidence { busy: moment, ..all });
    }

    #[test]
    fn the_very_first_moment_is_not_never() {
        let health = Health::new(Clock::by(|| Duration::ZERO));
        health.answered();
        assert_eq!(health.evidence(false).answered, Some(Duration::ZERO));
    }
}

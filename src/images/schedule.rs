//! When to poll next: pure arithmetic on durations, the dice passed in.

use std::time::Duration;

/// Errors are tried again at least this often, however long the interval: recovery is what people wait for.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5 * 60);
/// And a dead registry is asked no more often than this once it is known to be dead, however short the interval.
const SHORTEST_CEILING: Duration = Duration::from_secs(60);
/// A digest that nothing waits for is looked for this often while it cannot be found.
const IDLE_CEILING: Duration = Duration::from_secs(60 * 60);

/// What the schedule is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    pub jitter: f64,
    pub shortest_interval: Duration,
    pub first_back_off: Duration,
    pub serving_interval: Duration,
    pub hint_floor: Duration,
}

impl Schedule {
    /// The wait after a success. `dice` is in 0..1; `first` polls are spread wider, so that references that were all
    /// polled at the start do not stay in step.
    pub fn after_success(&self, interval: Duration, pace: u32, first: bool, dice: f64) -> Duration {
        let interval = interval.max(self.shortest_interval).saturating_mul(pace);
        if first && self.jitter > 0.0 {
            return interval.mul_f64(0.5 + dice / 2.0);
        }
        interval.mul_f64(1.0 + self.jitter * (2.0 * dice - 1.0))
    }

    /// The wait after the n-th failure in a row (n from 1). `interval` is `None` where nobody waits for the answer.
    pub fn after_failure(
        &self,
        failures: u32,
        interval: Option<Duration>,
        retry_after: Option<Duration>,
        dice: f64,
    ) -> Duration {
        let ceiling = interval.map_or(IDLE_CEILING, |interval| interval.clamp(SHORTEST_CEILING, LONGEST_BACK_OFF));
        let doubled = self.first_back_off.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let back_off = doubled.min(ceiling).mul_f64(1.0 + self.jitter * (2.0 * dice - 1.0));
        // Never sooner than the registry allows; spread after it, or all come back at the same moment.
        let told = retry_after.unwrap_or_default().mul_f64(1.0 + self.jitter * dice);
        back_off.max(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: Schedule = Schedule {
        jitter: 0.1,
        shortest_interval: Duration::from_secs(1),
        first_back_off: Duration::from_secs(5),
        serving_interval: Duration::from_secs(86_400),
        hint_floor: Duration::from_secs(5),
    };
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn intervals_are_spread_by_a_tenth_and_stretched_by_the_pace() {
        let waits = |pace, first| [0.0, 0.5, 1.0].map(|d| SCHEDULE.after_success(MINUTE, pace, first, d).as_secs());
        assert_eq!(waits(1, false), [54, 60, 66]);
        assert_eq!(waits(4, false), [216, 240, 264]);
        assert_eq!(waits(1, true), [30, 45, 60], "the first wait desynchronises");
        assert_eq!(SCHEDULE.after_success(Duration::ZERO, 1, false, 0.5), Duration::from_secs(1), "the floor");
    }

    #[test]
    fn back_off_doubles_up_to_the_interval_between_one_and_five_minutes() {
        let waits = |interval: Option<u64>| -> Vec<u64> {
            let interval = interval.map(Duration::from_secs);
            (1..=8).map(|n| SCHEDULE.after_failure(n, interval, None, 0.5).as_secs()).collect()
        };
        assert_eq!(waits(Some(60)), [5, 10, 20, 40, 60, 60, 60, 60]);
        assert_eq!(waits(Some(2)), [5, 10, 20, 40, 60, 60, 60, 60]);
        assert_eq!(waits(Some(3600)), [5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(waits(None), [5, 10, 20, 40, 80, 160, 320, 640]);
        assert_eq!(SCHEDULE.after_failure(u32::MAX, None, None, 0.5), IDLE_CEILING);
    }

    #[test]
    fn nothing_is_asked_before_the_registry_allows_it() {
        for dice in [0.0, 0.3, 1.0] {
            let wait = SCHEDULE.after_failure(1, Some(MINUTE), Some(Duration::from_secs(900)), dice);
            assert!(wait >= Duration::from_secs(900) && wait <= Duration::from_secs(990), "{wait:?}");
        }
    }
}

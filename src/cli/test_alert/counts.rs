//! How many e-mails Alertmanager has sent, by its own count. Pure.

use std::{ops::Add, time::Duration};

/// A mail server may turn the first attempt away on purpose (greylisting): Alertmanager tries again within seconds.
const SECOND_CHANCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Attempts to hand an e-mail to a server.
    pub attempts: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// E-mails that will not be tried again.
    pub given_up: u64,
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            attempts: self.attempts + other.attempts,
            failures: self.failures + other.failures,
            given_up: self.given_up + other.given_up,
        }
    }
}

/// How the e-mail stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Awaited,
    /// It failed, and is tried again.
    Retried,
    Taken,
    Failed,
}

impl Counts {
    /// From a page of metrics. Only where Alertmanager was told to (`receiver-name-in-metrics`) does it count receivers
    /// apart; else all e-mail is counted together.
    pub fn of(page: &str, receiver: &str) -> Self {
        let sum = |name: &str| page.lines().filter_map(|line| of_email(line, name, receiver)).sum();
        Self {
            attempts: sum("alertmanager_notification_requests_total"),
            failures: sum("alertmanager_notification_requests_failed_total"),
            given_up: sum("alertmanager_notifications_failed_total"),
        }
    }

    /// The counts before, as far as they still mean something: a process that starts anew counts anew.
    pub fn at_most(self, now: Self) -> Self {
        if self.attempts > now.attempts { Self::default() } else { self }
    }

    /// Compared with those before, so long after the first failure.
    pub fn judge(self, before: Self, failing_for: Option<Duration>) -> Delivery {
        let (attempts, failures) =
            (self.attempts.saturating_sub(before.attempts), self.failures.saturating_sub(before.failures));
        if attempts > failures {
            return Delivery::Taken;
        }
        match (self.given_up > before.given_up, failures > 0) {
            (true, _) => Delivery::Failed,
            (false, true) if failing_for.is_some_and(|time| time >= SECOND_CHANCE) => Delivery::Failed,
            (false, true) => Delivery::Retried,
            (false, false) => Delivery::Awaited,
        }
    }
}

/// The value of that counter of e-mails, if the line is one.
fn of_email(line: &str, name: &str, receiver: &str) -> Option<u64> {
    let (labels, value) = line.strip_prefix(name)?.strip_prefix('{')?.split_once("} ")?;
    let label = |name: &str| {
        let pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(known, _)| *known == name).map(|(_, value)| value.trim_matches('"')).next()
    };
    let ours = label("integration") == Some("email") && label("receiver_name").is_none_or(|name| name == receiver);
    // Written as 1e+06 from a million on.
    ours.then(|| value.trim().parse::<f64>().ok().map(|value| value as u64)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVER: &str = "cellar/grape-scorer/email";

    fn counts(attempts: u64, failures: u64, given_up: u64) -> Counts {
        Counts { attempts, failures, given_up }
    }

    #[test]
    fn only_email_is_counted_whatever_the_reason_of_a_failure() {
        let page = "\
# TYPE alertmanager_notification_requests_total counter
alertmanager_notification_requests_total{integration=\"email\"} 7
alertmanager_notification_requests_total{integration=\"slack\"} 100
alertmanager_notification_requests_failed_total{integration=\"email\"} 3
alertmanager_notifications_failed_total{integration=\"email\",reason=\"clientError\"} 1
alertmanager_notifications_failed_total{integration=\"email\",reason=\"other\"} 1
alertmanager_notifications_failed_total{integration=\"slack\",reason=\"other\"} 100
alertmanager_notifications_total{integration=\"email\"} 1e+06
";
        assert_eq!(Counts::of(page, RECEIVER), counts(7, 3, 2));
        assert_eq!(Counts::of("", RECEIVER), Counts::default());
    }

    #[test]
    fn where_receivers_are_counted_apart_the_others_are_left_out() {
        let page = "\
alertmanager_notification_requests_total{integration=\"email\",receiver_name=\"cellar/grape-scorer/email\"} 2
alertmanager_notification_requests_total{integration=\"email\",receiver_name=\"kitchen/grape-scorer/email\"} 5
";
        assert_eq!(Counts::of(page, RECEIVER).attempts, 2);
    }

    #[test]
    fn a_mail_counts_as_taken_when_an_attempt_did_not_fail() {
        let before = counts(5, 2, 1);
        let long = Some(SECOND_CHANCE);
        for (now, failing_for, delivery) in [
            (before, None, Delivery::Awaited),
            (counts(6, 2, 1), None, Delivery::Taken),
            (counts(6, 3, 1), Some(Duration::ZERO), Delivery::Retried),
            (counts(8, 4, 1), long, Delivery::Taken),
            (counts(7, 4, 1), long, Delivery::Failed),
            (counts(6, 3, 2), None, Delivery::Failed),
            // Alertmanager has started anew in between.
            (counts(0, 0, 0), None, Delivery::Awaited),
            (counts(1, 0, 0), None, Delivery::Taken),
        ] {
            assert_eq!(now.judge(before.at_most(now), failing_for), delivery, "{now:?}");
        }
    }
}

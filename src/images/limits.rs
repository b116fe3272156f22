//! What registries say of their limits, and what follows for whoever asked: a hold, and how often to ask at all.
//!
//! There are two kinds of 429. Docker Hub counts an account's pulls over six hours; others do so too, and their headers or
//! words tell. Everything else is a limit of requests in a short time, which no better account mends.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use http::HeaderMap;
use tokio::time::Instant;

/// The wait after a 429 that does not say how long, doubled with each further one.
const FIRST_HOLD: Duration = Duration::from_secs(60);
/// Docker Hub counts pulls over six hours: a longer wait is a mistake.
const LONGEST_HOLD: Duration = Duration::from_secs(6 * 60 * 60);
/// The longest of our own choosing.
const LONGEST_GUESS: Duration = Duration::from_secs(15 * 60);

/// What ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Pulls: so many in such a time, where it says so.
    Pulls(Option<Budget>),
    /// Requests in a short time.
    Requests,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    pulls: u64,
    window: Duration,
}

impl Limit {
    /// Which of the two a 429 means.
    pub fn of(headers: &HeaderMap, body: &[u8]) -> Self {
        // Docker Hub's words, and those of Amazon's public registry.
        const WORDS: [&str; 2] = ["pull rate limit", "data limit exceeded"];
        let words = String::from_utf8_lossy(body).to_lowercase();
        let used_up = number(headers, "ratelimit-remaining") == Some(0);
        match used_up || WORDS.iter().any(|word| words.contains(word)) {
            true => Self::Pulls(Budget::read(headers)),
            false => Self::Requests,
        }
    }
}

impl Budget {
    /// `100;w=21600`
    fn read(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get("ratelimit-limit")?.to_str().ok()?;
        let window = text.split(';').find_map(|part| part.trim().strip_prefix("w="))?.parse().ok()?;
        Some(Self { pulls: number(headers, "ratelimit-limit")?, window: Duration::from_secs(window) })
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.window.as_secs();
        match (seconds % 3600, seconds % 60) {
            (0, _) => write!(f, "{} in {} h", self.pulls, seconds / 3600),
            (_, 0) => write!(f, "{} in {} min", self.pulls, seconds / 60),
            _ => write!(f, "{} in {seconds} s", self.pulls),
        }
    }
}

/// Why, and how long, a host is not to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub limit: Limit,
    pub wait: Duration,
}

/// What one host has said of its limits to one account, or to strangers.
pub(super) struct Account {
    held: Option<(Instant, Limit)>,
    holds_in_a_row: u32,
    /// By how much to stretch intervals: 1, 2 or 4.
    pub pace: u32,
}

impl Default for Account {
    fn default() -> Self {
        Self { held: None, holds_in_a_row: 0, pace: 1 }
    }
}

impl Account {
    pub fn hold(&self, now: Instant) -> Option<Hold> {
        let (until, limit) = self.held.filter(|(until, _)| *until > now)?;
        Some(Hold { limit, wait: until - now })
    }

    /// Takes in what an answer says of limits; `limit` is what a 429 means. Returns the hold that begins with it.
    pub fn answered(&mut self, headers: &HeaderMap, limit: Option<Limit>, good: bool, now: Instant) -> Option<Hold> {
        if let Some(remaining) = remaining(headers) {
            self.pace = pace(remaining, number(headers, "ratelimit-limit"));
        }
        if good {
            self.holds_in_a_row = 0;
        }
        let limit = limit?;
        let guess = FIRST_HOLD.saturating_mul(1 << self.holds_in_a_row.min(10)).min(LONGEST_GUESS);
        self.holds_in_a_row = self.holds_in_a_row.saturating_add(1);
        let told = retry_after(headers, SystemTime::now());
        let wait = told.unwrap_or(guess).clamp(Duration::from_secs(1), LONGEST_HOLD);
        // Answers to requests that were under way come later and may say less: the longest hold counts.
        if self.held.is_none_or(|(until, _)| until < now + wait) {
            self.held = Some((now + wait, limit));
        }
        Some(Hold { limit, wait })
    }
}

/// How many pulls remain, where it says so.
pub(super) fn remaining(headers: &HeaderMap) -> Option<u64> {
    number(headers, "ratelimit-remaining")
}

/// Nodes pull from the same budget, so polling steps back long before nothing remains. A HEAD costs nothing on Docker
/// Hub; on registries that count every request it does.
fn pace(remaining: u64, limit: Option<u64>) -> u32 {
    let limit = limit.unwrap_or(100).max(1);
    match remaining.saturating_mul(100) / limit {
        0..5 => 4,
        5..20 => 2,
        _ => 1,
    }
}

/// The number at the beginning of `100;w=21600`.
fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    let text = headers.get(name)?.to_str().ok()?.trim_start();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().ok()
}

/// `Retry-After`, as seconds or as an HTTP date; no longer than anything sensible.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().map_or(LONGEST_HOLD, Duration::from_secs)
    } else {
        // The weekday says nothing that the date does not, so a wrong one does no harm.
        let parser = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true);
        let at = SystemTime::from(parser.parse_timestamp(text).ok()?);
        at.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(LONGEST_HOLD))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
        let read = |text| retry_after(&headers(&[("retry-after", text)]), now);
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO), "in the past");
        assert_eq!(read("Fri, 06 Nov 2094 08:00:00 GMT"), Some(LONGEST_HOLD), "absurd");
        assert_eq!(read("99999999999999999999999"), Some(LONGEST_HOLD), "absurd");
        for wrong in ["", "-1", "soon", "1.5"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_pace_slows_as_the_remaining_pulls_run_out() {
        assert_eq!(pace(98, Some(100)), 1);
        assert_eq!(pace(15, Some(100)), 2);
        assert_eq!(pace(15, None), 2);
        assert_eq!(pace(0, Some(100)), 4);
        assert_eq!(pace(0, Some(0)), 4);
        assert_eq!(pace(u64::MAX, Some(100)), 1);
    }

    #[test]
    fn pulls_that_are_used_up_are_told_from_requests_that_come_too_fast() {
        let hub = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your unauthenticated pull rate limit."}]}"#;
        let budget = |pulls, hours: u64| Budget { pulls, window: Duration::from_secs(hours * 3600) };
        let empty = [("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "0;w=21600")];
        let full = [("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "97;w=21600")];
        for (headers, body, expected) in [
            (headers(&empty), "", Limit::Pulls(Some(budget(100, 6)))),
            (headers(&empty[..1]), hub, Limit::Pulls(Some(budget(100, 6)))),
            (HeaderMap::new(), hub, Limit::Pulls(None)),
            (HeaderMap::new(), "toomanyrequests: Data limit exceeded", Limit::Pulls(None)),
            (headers(&full), "Too Many Requests", Limit::Requests),
            (headers(&[("retry-after", "60")]), r#"{"errors":[{"code":"TOOMANYREQUESTS"}]}"#, Limit::Requests),
        ] {
            assert_eq!(Limit::of(&headers, body.as_bytes()), expected, "{headers:?} {body}");
        }
        assert_eq!(budget(100, 6).to_string(), "100 in 6 h");
        assert_eq!(Budget { pulls: 40, window: Duration::from_secs(90 * 60) }.to_string(), "40 in 90 min");
    }

    #[tokio::test(start_paused = true)]
    async fn holds_of_our_own_choosing_double_up_to_a_bound_and_start_over_after_a_success() {
        let (mut account, now) = (Account::default(), Instant::now());
        let mut limited = || {
            let hold = account.answered(&HeaderMap::new(), Some(Limit::Requests), false, now);
            hold.unwrap().wait.as_secs()
        };
        assert_eq!([(); 6].map(|()| limited()), [60, 120, 240, 480, 900, 900]);
        assert_eq!(account.answered(&HeaderMap::new(), None, true, now), None);
        let hold = account.answered(&HeaderMap::new(), Some(Limit::Requests), false, now);
        assert_eq!(hold.unwrap().wait, FIRST_HOLD);
    }
}

//! Busy models are judged by the last minutes, those with few requests by the last hour.

use std::time::Duration;

use super::promql::{Scope, duration, increase};

/// The number of requests that ended. It is one series for each pod, there from the start; http_requests_total is one for
/// each method and status code, the rarer of which first appear at 1 and so have no increase.
pub(super) const REQUESTS: &str = "http_request_duration_seconds_count";

const SLOW: Duration = Duration::from_secs(3600);
/// What happened longer ago is over, however few requests came since.
const RECENT: Duration = Duration::from_secs(900);

/// What to judge, each over a window.
pub(super) struct Judgement<'a> {
    /// The comparison itself.
    pub beyond: &'a dyn Fn(Duration) -> String,
    /// What must have happened lately for the last hour to count.
    pub seen: &'a dyn Fn(Duration) -> String,
    /// Fewer requests say nothing.
    pub minimum: u32,
}

/// An expression that judges by the usual window where it holds enough requests, else by the last hour.
pub(super) fn judged(scope: &Scope, judgement: &Judgement) -> String {
    let enough =
        |window: Duration| format!("{} >= {}", increase(&scope.served(REQUESTS, ""), window), judgement.minimum);
    let verdict = |window: Duration| format!("{} and {}", (judgement.beyond)(window), enough(window));
    format!(
        "({fast}) or (({slow} and {seen}) unless {busy})",
        fast = verdict(scope.window),
        slow = verdict(SLOW),
        seen = (judgement.seen)(RECENT.max(scope.window)),
        busy = enough(scope.window),
    )
}

/// For descriptions: over which times was judged.
pub(super) fn spans(scope: &Scope) -> String {
    format!("the last {} (or hour, with little traffic)", duration(scope.window))
}

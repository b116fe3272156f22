//! When an operator that has just begun has done all that there is to do: what it did not write until then it does not write.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use super::eventually_within;

/// What has been heard leads to a turn at once: after so long without one there is none to come.
const REST: Duration = Duration::from_secs(2);

/// Waits until an operator has heard the registry and whatever else `heard` tells of, has taken a turn since, and takes no
/// more. The number of turns alone would not say so: any news of another object is a reason for a turn, too.
pub async fn at_rest(deadline: Duration, page: impl AsyncFn() -> String, heard: impl Fn() -> bool) {
    let last = Cell::new((0, Instant::now()));
    eventually_within(deadline, "the operator to have heard all and to be at rest", || async {
        let page = page().await;
        let turns = turns(&page);
        // The first turn is what asks the registry, and the next one comes with its answer.
        let may_rest = turns >= 2 && answered(&page) && heard();
        if !may_rest || turns != last.get().0 {
            last.set((turns, Instant::now()));
        }
        if may_rest && last.get().1.elapsed() >= REST { Ok(()) } else { Err(page) }
    })
    .await;
}

fn turns(page: &str) -> u64 {
    let turns = page.lines().find_map(|line| line.strip_prefix("modelship_reconcile_duration_seconds_count "));
    turns.and_then(|turns| turns.parse().ok()).unwrap_or(0)
}

fn answered(page: &str) -> bool {
    page.lines().any(|line| line.contains(r#"method="HEAD""#) && line.contains(r#"code="200""#))
}

//! CPU time that never falls, though processes come and go.

use std::collections::HashMap;

/// A process for ever: its id is used again, but not with the same start.
pub(super) type Key = (u32, u64);

/// CPU time of a process, in clock ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticks {
    /// Its own.
    pub own: u64,
    /// Of its children that ended and were waited for, with theirs.
    pub children: u64,
}

/// Remembers what was seen of each living process.
#[derive(Debug, Default)]
pub(super) struct Ledger(HashMap<Key, Ticks>);

impl Ledger {
    /// The CPU time used since the last look, in clock ticks. A process seen for the first time counts whole: it
    /// started after the last look, or this is the first.
    ///
    /// The time of a process that ended moves to the parent that waited for it. What had been counted already is
    /// taken off there, so nothing counts twice; what it used between the last look and its end, and children too
    /// short-lived to be seen, do count. Where nobody in the container waited (the orphans of a shared PID namespace
    /// go to process 1), that last bit is lost, never more.
    pub fn grown(&mut self, now: impl IntoIterator<Item = (Key, Ticks)>) -> u64 {
        let (mut own, mut children) = (0_u64, 0_u64);
        let mut living = HashMap::new();
        for (key, ticks) in now {
            let before = self.0.remove(&key).unwrap_or_default();
            own = own.saturating_add(ticks.own.saturating_sub(before.own));
            children = children.saturating_add(ticks.children.saturating_sub(before.children));
            living.insert(key, ticks);
        }
        let ended = std::mem::replace(&mut self.0, living);
        let counted =
            ended.values().fold(0_u64, |sum, ticks| sum.saturating_add(ticks.own).saturating_add(ticks.children));
        own.saturating_add(children.saturating_sub(counted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(own: u64, children: u64) -> Ticks {
        Ticks { own, children }
    }

    #[test]
    fn the_first_look_counts_everything_and_the_next_only_what_was_added() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.grown([((7, 1), ticks(100, 50)), ((8, 1), ticks(10, 0))]), 160);
        assert_eq!(ledger.grown([((7, 1), ticks(103, 50)), ((8, 1), ticks(10, 0))]), 3);
    }

    #[test]
    fn a_worker_that_was_waited_for_counts_once() {
        let mut ledger = Ledger::default();
        ledger.grown([((7, 1), ticks(100, 0)), ((8, 1), ticks(40, 2))]);
        // It used 5 ticks more before it ended, and all 47 moved to its parent.
        assert_eq!(ledger.grown([((7, 1), ticks(101, 47))]), 1 + 5);
        assert_eq!(ledger.grown([((7, 1), ticks(101, 47))]), 0);
    }

    #[test]
    fn a_worker_that_nobody_waited_for_takes_nothing_away() {
        let mut ledger = Ledger::default();
        ledger.grown([((7, 1), ticks(100, 0)), ((8, 1), ticks(400, 0))]);
        assert_eq!(ledger.grown([((7, 1), ticks(110, 0))]), 10);
    }

    #[test]
    fn children_too_short_lived_to_be_seen_count_through_their_parent() {
        let mut ledger = Ledger::default();
        ledger.grown([((7, 1), ticks(100, 0))]);
        assert_eq!(ledger.grown([((7, 1), ticks(100, 33))]), 33);
    }

    #[test]
    fn a_process_id_that_is_used_again_is_another_process() {
        let mut ledger = Ledger::default();
        ledger.grown([((7, 1), ticks(100, 0))]);
        assert_eq!(ledger.grown([((7, 2), ticks(4, 0))]), 4);
    }

    #[test]
    fn a_restarted_container_goes_on_from_where_the_old_one_ended() {
        let mut ledger = Ledger::default();
        let mut total = ledger.grown([((7, 1), ticks(100, 20)), ((8, 1), ticks(40, 0))]);
        total += ledger.grown([]);
        assert_eq!(total, 160);
        total += ledger.grown([((70, 9), ticks(5, 0)), ((80, 9), ticks(6, 0))]);
        assert_eq!(total, 171);
    }
}

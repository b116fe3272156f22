//! Whose turn it is to replace a digest that nodes cannot pull any more. A clean-up of a registry strikes all models at once,
//! and a restart of the operator may be when it is noticed; they are rolled out one after another all the same.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::rollout::Progress;

/// Those who wait ask again after this. It costs the API server nothing.
pub const AGAIN: Duration = Duration::from_secs(30);
/// One that has not arrived by then keeps the others waiting no longer: the default deadline of a roll-out.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// The model whose turn it is, by uid, and since when.
#[derive(Default)]
pub struct Replacing(Mutex<Option<(String, Instant)>>);

impl Replacing {
    /// Whether it is this model's turn, which then lasts until [`done`](Self::done).
    pub fn may(&self, uid: &str, now: Instant) -> bool {
        let mut turn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = turn.as_ref().filter(|(holder, since)| holder == uid || now < *since + LONGEST);
        let mine = taken.is_none_or(|(holder, _)| holder == uid);
        if taken.is_none() {
            *turn = Some((uid.to_owned(), now));
        }
        mine
    }

    /// The model has replaced what it lost, or is gone.
    pub fn done(&self, uid: &str) {
        let mut turn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if turn.as_ref().is_some_and(|(holder, _)| holder == uid) {
            *turn = None;
        }
    }
}

/// Whether a model's turn is over: it has arrived; or its move is held back or refused (`moves` is false), and nobody need wait
/// for that. It takes another turn then.
pub fn is_over(replaces: bool, moves: bool, progress: &Progress) -> bool {
    match replaces {
        true => !moves,
        false => !matches!(progress, Progress::NotStarted | Progress::Rolling { .. }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_lasts_while_the_model_moves_and_rolls_out_and_no_longer() {
        let rolling = Progress::Rolling { why: None };
        assert!(!is_over(true, true, &Progress::Complete), "what serves makes room");
        assert!(!is_over(false, true, &rolling));
        assert!(is_over(false, true, &Progress::Complete));
        assert!(is_over(true, false, &Progress::Complete), "held back, or refused by the API server");
    }

    #[test]
    fn models_replace_what_they_lost_one_after_another_and_none_for_ever() {
        let (replacing, start) = (Replacing::default(), Instant::now());
        assert!(replacing.may("a", start) && replacing.may("a", start));
        assert!(!replacing.may("b", start));
        replacing.done("b");
        assert!(!replacing.may("b", start), "only the one whose turn it is can end it");
        replacing.done("a");
        assert!(replacing.may("b", start) && !replacing.may("a", start));
        assert!(replacing.may("a", start + LONGEST), "one that is stuck holds up nobody for ever");
        assert!(!replacing.may("b", start + LONGEST));
    }
}

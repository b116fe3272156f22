//! One reference that is polled: who follows it and why, what is known, when it is asked again.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    follow::OwnerKey,
    manifest::ImageDetails,
    problem::{Failure, FailureKind, Problem},
    reference::Digest,
    schedule::Schedule,
};

pub(super) type TargetId = u64;

pub(super) struct Target {
    pub id: TargetId,
    pub is_tag: bool,
    pub followers: HashMap<OwnerKey, Interest>,
    pub good: Option<Arc<ImageDetails>>,
    pub problem: Option<Problem>,
    /// Digests only: whether the registry holds it.
    pub there: Option<bool>,
    pub due: Option<Instant>,
    pub polling: bool,
    /// Something changed while a poll was under way, whose answer may be older than that: when to ask again.
    pub again: Option<Instant>,
    pub failures: u32,
    /// The registry that failed last allows no question before.
    pub not_before: Option<Instant>,
    pub successes: u32,
    pub pace: u32,
    pub last_poll: Option<Instant>,
}

/// Why an owner follows a target; one owner may have several reasons for one digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Interest {
    /// It wants this version, and asks so often.
    pub wants: Option<Duration>,
    pub details: bool,
    pub serving: bool,
}

impl Target {
    pub fn new(id: TargetId, is_tag: bool, owner: &OwnerKey, interest: Interest) -> Self {
        Self {
            id,
            is_tag,
            followers: HashMap::from([(owner.clone(), interest)]),
            good: None,
            problem: None,
            there: None,
            due: None,
            polling: false,
            again: None,
            failures: 0,
            not_before: None,
            successes: 0,
            pace: 1,
            last_poll: None,
        }
    }

    /// What it is known to be.
    pub fn digest(&self) -> Option<Digest> {
        self.good.as_ref().map(|good| good.digest.clone())
    }

    pub fn needs_details(&self) -> bool {
        self.followers.values().any(|interest| interest.details)
    }

    pub fn lacks_details(&self) -> bool {
        self.good.is_none() && self.needs_details()
    }

    /// What it holds is known, but not from an answer: whether it is still there nobody has said.
    pub fn is_unconfirmed(&self) -> bool {
        !self.is_tag && self.good.is_some() && self.there.is_none() && self.problem.is_none()
    }

    /// Of all who want this version the most impatient; `None` when nobody waits.
    pub fn interval(&self) -> Option<Duration> {
        self.followers.values().filter_map(|interest| interest.wants).min()
    }

    /// The wait after a success; `None` when there is nothing more to learn.
    pub fn after_success(&self, schedule: &Schedule, dice: f64) -> Option<Duration> {
        if self.is_tag {
            let first = self.successes == 0;
            return self.interval().map(|interval| schedule.after_success(interval, self.pace, first, dice));
        }
        // A digest cannot change; it can only go away.
        let watched = self.followers.values().any(|interest| interest.serving || interest.wants.is_some());
        watched.then(|| schedule.after_success(schedule.serving_interval, 1, false, dice))
    }

    /// Returns whether what followers see is another thing now.
    pub fn take_in(&mut self, answer: Result<&Option<Arc<ImageDetails>>, &Failure>) -> bool {
        let before = (self.good.clone(), self.problem.clone(), self.there);
        match answer {
            Ok(details) => {
                if let Some(details) = details {
                    self.good = Some(details.clone());
                }
                self.there = (!self.is_tag).then_some(true);
                self.problem = None;
            }
            Err(failure) => {
                if !self.is_tag && failure.kind == FailureKind::Absent {
                    self.there = Some(false);
                }
                self.problem = Some(failure.problem.clone());
            }
        }
        before != (self.good.clone(), self.problem.clone(), self.there)
    }
}

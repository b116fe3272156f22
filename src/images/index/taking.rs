//! How the index takes in what a poll brought: for the target that was polled, and for those that need not ask now.

use std::{collections::HashSet, sync::Arc};

use tokio::time::Instant;

use super::{Index, Outcome, OwnerKey, TargetKey};
use crate::images::{
    follow::Want,
    manifest::ImageDetails,
    reference::Digest,
    target::{Target, TargetId},
};

impl Index {
    /// Takes in what a poll brought and notes whom it concerns. Returns whether somebody is to be told.
    pub fn finish(&mut self, id: TargetId, outcome: Outcome, now: Instant) -> bool {
        let Some(key) = self.ids.get(&id).cloned() else { return false };
        self.siblings.place(id, &key, outcome.identity.clone());
        let before = self.targets.get(&key).and_then(Target::digest);
        let mut followers: HashSet<OwnerKey> = self.take_answer(&key, &outcome, now);
        if outcome.answer.is_ok() {
            followers.extend(self.hand_on(id, &key, before, now));
        }
        let mut news = false;
        for owner in followers {
            news |= self.tell(&owner);
        }
        news
    }

    /// Returns whom it concerns.
    fn take_answer(&mut self, key: &TargetKey, outcome: &Outcome, now: Instant) -> HashSet<OwnerKey> {
        let dice = (self.dice)();
        let Some(target) = self.targets.get_mut(key) else { return HashSet::new() };
        target.polling = false;
        let changed = target.take_in(outcome.answer.as_ref());
        let wait = match &outcome.answer {
            Ok(_) => {
                target.pace = outcome.pace.max(1);
                let wait = target.after_success(&self.schedule, dice);
                target.failures = 0;
                target.successes = target.successes.saturating_add(1);
                wait
            }
            Err(failure) => {
                target.failures = target.failures.saturating_add(1);
                target.not_before = failure.retry_after.map(|wait| now + wait);
                let interval = target.interval();
                Some(self.schedule.after_failure(target.failures, interval, failure.retry_after, dice))
            }
        };
        let mut due = wait.map(|wait| now + wait);
        if let Some(again) = target.again.take() {
            due = Some(due.map_or(again, |due| due.min(again)).max(now));
        }
        if outcome.answer.is_ok() && target.lacks_details() {
            // Somebody began to need them while only a HEAD was under way.
            due = Some(now);
        }
        let followers = if changed { target.followers.keys().cloned().collect() } else { HashSet::new() };
        self.set_due(key, due);
        followers
    }

    /// Whoever asks the same with the same credentials need not ask now, nor whoever follows the digest that a tag was just
    /// seen to point to. `before`: the digest that was known when the question was asked.
    fn hand_on(&mut self, id: TargetId, key: &TargetKey, before: Option<Digest>, now: Instant) -> HashSet<OwnerKey> {
        let Some(target) = self.targets.get(key) else { return HashSet::new() };
        let (digest, asked, pace) = (target.digest(), target.last_poll, target.pace);
        let mut followers = self.spread(key, now);
        let siblings: Vec<TargetKey> =
            self.siblings.of(id).iter().filter_map(|sibling| self.ids.get(sibling)).cloned().collect();
        for sibling in siblings {
            let Some(target) = self.targets.get_mut(&sibling) else { continue };
            // One that is about to ask has a reason of its own.
            if target.polling || target.last_poll >= asked || target.due.is_none_or(|due| due <= now) {
                continue;
            }
            // Digests ask for the same by their name: what they know of it differs only by who needs to know.
            if target.is_tag && target.digest() != digest {
                // The details that were told may have been stored in another namespace, whose word does not count here. Only
                // news hurries: two who are told different things would ask in turns without end.
                if before != digest {
                    self.set_due(&sibling, Some(now));
                }
                continue;
            }
            // It could not learn what the digest holds, which is not what was told: it tries again at its own pace.
            if target.failures > 0 && target.lacks_details() {
                continue;
            }
            target.pace = pace;
            target.successes = target.successes.saturating_add(1);
            // Last in line, so that one of them goes on asking for all.
            followers.extend(self.believe(&sibling, &None, 1.0, asked, now));
            followers.extend(self.spread(&sibling, now));
        }
        followers
    }

    /// A tag points to this digest: whoever follows the digest by itself need not ask.
    fn spread(&mut self, tag: &TargetKey, now: Instant) -> HashSet<OwnerKey> {
        let Some(target) = self.targets.get(tag).filter(|target| target.is_tag) else { return HashSet::new() };
        let (Some(good), asked) = (target.good.clone(), target.last_poll) else { return HashSet::new() };
        let key = TargetKey { want: Want::Digest(good.digest.clone()), ..tag.clone() };
        let dice = (self.dice)();
        self.believe(&key, &Some(good), dice, asked, now)
    }

    /// Takes what was said to another target for an answer to this one, if there is such a target. `asked`: when the other one
    /// asked. Returns whom it concerns.
    fn believe(
        &mut self,
        key: &TargetKey,
        good: &Option<Arc<ImageDetails>>,
        dice: f64,
        asked: Option<Instant>,
        now: Instant,
    ) -> HashSet<OwnerKey> {
        let Some(target) = self.targets.get_mut(key).filter(|target| !target.polling) else { return HashSet::new() };
        let changed = target.take_in(Ok(good));
        target.failures = 0;
        target.last_poll = target.last_poll.max(asked);
        let due = if target.lacks_details() {
            Some(now)
        } else {
            target.after_success(&self.schedule, dice).map(|wait| now + wait)
        };
        let followers = if changed { target.followers.keys().cloned().collect() } else { HashSet::new() };
        self.set_due(key, due);
        followers
    }
}

//! The poller's memory: who follows what, what is known, what is due. Plain and synchronous; the clock is passed in.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

mod taking;

use super::{
    credentials::CredentialRef,
    follow::{Follow, Observation, OwnerKey, Want},
    manifest::ImageDetails,
    problem::Failure,
    reference::{Digest, Repository},
    schedule::Schedule,
    siblings::Siblings,
    target::{Interest, Target, TargetId},
    told::{Changed, Seen},
};

/// What is polled once for all who follow it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TargetKey {
    pub repository: Repository,
    pub want: Want,
    pub credentials: CredentialRef,
}

impl TargetKey {
    fn of(follow: &Follow, want: Want) -> Self {
        Self { repository: follow.repository.clone(), want, credentials: follow.credentials.clone() }
    }
}

/// One poll to be made.
#[derive(Debug)]
pub(super) struct Job {
    pub id: TargetId,
    pub key: TargetKey,
    /// Known completely: for a tag, an answer that names this again needs no GET; for a digest, only that it is there.
    pub known: Option<Arc<ImageDetails>>,
    /// Whether anybody needs to know what a digest holds.
    pub needs_details: bool,
    /// When it was due.
    pub since: Instant,
}

/// What a poll brought. `None`: the digest is there, and what it holds nobody needs or everybody knows.
pub(super) struct Outcome {
    pub answer: Result<Option<Arc<ImageDetails>>, Failure>,
    pub pace: u32,
    /// With which credentials it was asked; `None` where there were none to be had.
    pub identity: Option<Digest>,
}

impl Outcome {
    pub fn failed(failure: Failure, identity: Option<Digest>) -> Self {
        Self { answer: Err(failure), pace: 1, identity }
    }
}

struct Owner {
    follow: Follow,
    /// What it was told last.
    told: Seen,
}

/// What a change in the index asks of the poller around it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Effects {
    /// Something became due earlier than before.
    pub wake: bool,
    /// Secrets to read anew before they are used again.
    pub reread: Option<CredentialRef>,
    /// Credentials that nobody uses any more.
    pub unused: Vec<CredentialRef>,
}

pub(super) struct Index {
    schedule: Schedule,
    dice: fn() -> f64,
    targets: HashMap<TargetKey, Target>,
    ids: HashMap<TargetId, TargetKey>,
    next_id: TargetId,
    due: BTreeSet<(Instant, TargetId)>,
    owners: HashMap<OwnerKey, Owner>,
    credentials: HashMap<CredentialRef, usize>,
    siblings: Siblings,
    changed: Changed,
}

impl Index {
    pub fn new(schedule: Schedule, dice: fn() -> f64) -> Self {
        Self {
            schedule,
            dice,
            targets: HashMap::new(),
            ids: HashMap::new(),
            next_id: 0,
            due: BTreeSet::new(),
            owners: HashMap::new(),
            credentials: HashMap::new(),
            siblings: Siblings::default(),
            changed: Changed::default(),
        }
    }

    /// Takes in what an owner wants; returns what is known.
    pub fn follow(&mut self, key: &OwnerKey, follow: Follow, now: Instant) -> (Observation, Effects) {
        let mut effects = Effects::default();
        let old = self.owners.get(key).map(|owner| owner.follow.clone());
        if old.as_ref() != Some(&follow) {
            self.change(key, old, &follow, now, &mut effects);
            let told = Seen::default();
            self.owners.insert(key.clone(), Owner { follow, told });
        }
        let seen = self.see(key);
        if let Some(owner) = self.owners.get_mut(key) {
            owner.told = seen.clone();
        }
        // It knows now.
        self.changed.remove(key);
        (seen.into(), effects)
    }

    fn change(&mut self, key: &OwnerKey, old: Option<Follow>, new: &Follow, now: Instant, effects: &mut Effects) {
        let interests = interests(new);
        let wanted = TargetKey::of(new, new.want.clone());
        let renewed = old.as_ref().is_some_and(|old| old.generation != new.generation);
        for (target, interest) in &interests {
            let stored = new.stored.iter().find(|stored| target.want == Want::Digest(stored.digest.clone()));
            effects.wake |= self.subscribe(target, key, *interest, stored, &wanted, now);
            if renewed {
                effects.wake |= self.renew(target, now);
            }
        }
        if renewed {
            effects.reread = Some(new.credentials.clone());
        }
        // Only after the new ones: a credential that both use must not be dropped in between.
        for (target, _) in old.iter().flat_map(self::interests) {
            if !interests.contains_key(&target) {
                effects.unused.extend(self.unsubscribe(&target, key));
            }
        }
    }

    fn subscribe(
        &mut self,
        key: &TargetKey,
        owner: &OwnerKey,
        interest: Interest,
        stored: Option<&Arc<ImageDetails>>,
        wanted: &TargetKey,
        now: Instant,
    ) -> bool {
        if let Some(target) = self.targets.get_mut(key) {
            let before = target.interval();
            target.followers.insert(owner.clone(), interest);
            if target.good.is_none() {
                target.good = stored.cloned();
            }
            let sooner = target.interval().is_some_and(|interval| before.is_none_or(|before| interval < before));
            return self.hurry(key, sooner, now);
        }
        let id = self.next_id;
        self.next_id += 1;
        let mut target = Target::new(id, matches!(key.want, Want::Tag(_)), owner, interest);
        let first = match self.said_by_tag(key, wanted) {
            Some((details, at)) => {
                target.good = Some(details);
                target.there = Some(true);
                target.last_poll = Some(at);
                target.after_success(&self.schedule, (self.dice)()).map(|wait| now + wait)
            }
            None => {
                target.good = stored.cloned();
                // What it holds is known, and nobody cares whether it is there.
                let done = target.good.is_some() && target.after_success(&self.schedule, 0.0).is_none();
                (!done).then_some(now)
            }
        };
        self.ids.insert(id, key.clone());
        *self.credentials.entry(key.credentials.clone()).or_default() += 1;
        self.targets.insert(key.clone(), target);
        self.set_due(key, first);
        true
    }

    /// The tag that the owner follows was just seen to point to this very digest: there is nothing to ask.
    fn said_by_tag(&self, key: &TargetKey, wanted: &TargetKey) -> Option<(Arc<ImageDetails>, Instant)> {
        let target = self.targets.get(wanted).filter(|target| target.is_tag && target.problem.is_none())?;
        let good = target.good.as_ref().filter(|good| key.want == Want::Digest(good.digest.clone()))?;
        Some((good.clone(), target.last_poll?))
    }

    /// A new follower may be more impatient, or need what nobody needed before.
    fn hurry(&mut self, key: &TargetKey, sooner: bool, now: Instant) -> bool {
        let Some(target) = self.targets.get(key) else { return false };
        if target.polling {
            return false;
        }
        let wanted = if target.failures > 0 {
            // What nobody waited for is looked for ever more seldom: whoever begins to wait does not wait that long.
            let wait = self.schedule.after_failure(target.failures, target.interval(), None, (self.dice)());
            let soon = target.last_poll.map_or(now, |last| last + wait).max(now);
            sooner.then(|| target.not_before.map_or(soon, |allowed| soon.max(allowed)))
        } else if target.lacks_details() {
            Some(now)
        } else if sooner || target.due.is_none() {
            let wait = target.after_success(&self.schedule, (self.dice)());
            wait.map(|wait| target.last_poll.map_or(now, |last| last + wait).max(now))
        } else {
            None
        };
        match (wanted, target.due) {
            (None, _) => false,
            (Some(wanted), Some(due)) if wanted >= due => false,
            (Some(wanted), _) => {
                self.set_due(key, Some(wanted));
                true
            }
        }
    }

    /// An owner's spec changed: what it wants is looked at right now. What is known and complete needs no second look.
    fn renew(&mut self, key: &TargetKey, now: Instant) -> bool {
        let Some(target) = self.targets.get_mut(key) else { return false };
        if matches!(key.want, Want::Digest(_)) && target.problem.is_none() && !target.lacks_details() {
            return false;
        }
        target.failures = 0;
        if target.polling {
            target.again = Some(now);
            return false;
        }
        self.set_due(key, Some(now));
        true
    }

    fn unsubscribe(&mut self, key: &TargetKey, owner: &OwnerKey) -> Option<CredentialRef> {
        let target = self.targets.get_mut(key)?;
        target.followers.remove(owner);
        if !target.followers.is_empty() {
            return None;
        }
        self.set_due(key, None);
        let target = self.targets.remove(key)?;
        self.ids.remove(&target.id);
        self.siblings.remove(target.id);
        let users = self.credentials.get_mut(&key.credentials)?;
        *users -= 1;
        if *users > 0 {
            return None;
        }
        self.credentials.remove(&key.credentials);
        Some(key.credentials.clone())
    }

    /// The owner is gone.
    pub fn forget(&mut self, key: &OwnerKey) -> Effects {
        self.changed.remove(key);
        let Some(owner) = self.owners.remove(key) else { return Effects::default() };
        let targets = interests(&owner.follow);
        let unused = targets.keys().filter_map(|target| self.unsubscribe(target, key)).collect();
        Effects { unused, ..Effects::default() }
    }

    /// The owners that are not among the living.
    pub fn owners_besides(&self, live: &HashSet<OwnerKey>) -> Vec<OwnerKey> {
        self.owners.keys().filter(|key| !live.contains(*key)).cloned().collect()
    }

    /// Something outside says that the repository changed.
    pub fn hint(&mut self, repository: &Repository, now: Instant) -> bool {
        let (floor, spread) = (self.schedule.hint_floor, Duration::from_secs(1).mul_f64(self.schedule.jitter));
        let keys: Vec<TargetKey> = self
            .targets
            .keys()
            .filter(|key| key.repository == *repository && matches!(key.want, Want::Tag(_)))
            .cloned()
            .collect();
        let mut wake = false;
        for key in keys {
            let soon = now + spread.mul_f64((self.dice)());
            let Some(target) = self.targets.get_mut(&key) else { continue };
            let soon = target.last_poll.map_or(soon, |last| soon.max(last + floor));
            if target.polling {
                target.again.get_or_insert(soon);
                continue;
            }
            if target.due.is_none_or(|due| soon < due) {
                self.set_due(&key, Some(soon));
                wake = true;
            }
        }
        wake
    }

    /// What a digest holds, if whoever asks for this target follows the digest, too.
    pub fn known(&self, key: &TargetKey, digest: &Digest) -> Option<Arc<ImageDetails>> {
        let key = TargetKey { want: Want::Digest(digest.clone()), ..key.clone() };
        self.targets.get(&key)?.good.clone()
    }

    /// What a sibling was told since then: the digest, and by how much to stretch the interval.
    pub fn said_since(&self, key: &TargetKey, identity: &Digest, since: Instant) -> Option<(Digest, u32)> {
        let siblings = self.siblings.with(key, identity).filter_map(|id| self.targets.get(self.ids.get(&id)?));
        let mut told = siblings.filter(|sibling| {
            !sibling.polling && sibling.problem.is_none() && sibling.last_poll.is_some_and(|last| last >= since)
        });
        let sibling = told.next()?;
        let digest = match &key.want {
            Want::Tag(_) => sibling.digest()?,
            Want::Digest(digest) => digest.clone(),
        };
        Some((digest, sibling.pace))
    }

    /// All that is due. Nothing is handed out twice before it was [finished](Index::finish).
    pub fn take_due(&mut self, now: Instant) -> Vec<Job> {
        let mut jobs = Vec::new();
        while let Some((at, id)) = self.due.first().copied()
            && at <= now
        {
            let Some(key) = self.ids.get(&id).cloned() else {
                self.due.pop_first();
                continue;
            };
            self.set_due(&key, None);
            let Some(target) = self.targets.get_mut(&key) else { continue };
            target.polling = true;
            target.last_poll = Some(now);
            let needs_details = target.needs_details() || matches!(key.want, Want::Tag(_));
            jobs.push(Job { id, key, known: target.good.clone(), needs_details, since: now });
        }
        jobs
    }

    pub fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    fn tell(&mut self, key: &OwnerKey) -> bool {
        let seen = self.see(key);
        match self.owners.get(key) {
            Some(owner) if owner.told != seen => self.changed.add(key),
            // It changed and changed back before anybody looked.
            _ => self.changed.remove(key),
        }
    }

    /// What the owner's version was seen to be last.
    pub fn latest(&self, key: &OwnerKey) -> Option<Arc<ImageDetails>> {
        let Owner { follow, .. } = self.owners.get(key)?;
        self.targets.get(&TargetKey::of(follow, follow.want.clone()))?.good.clone()
    }

    /// The next owner whose observation is not what it was told last.
    pub fn next_changed(&mut self) -> Option<OwnerKey> {
        self.changed.next()
    }

    fn see(&self, key: &OwnerKey) -> Seen {
        let Some(Owner { follow, .. }) = self.owners.get(key) else { return Seen::default() };
        let target = |want: Want| self.targets.get(&TargetKey::of(follow, want));
        let wanted = target(follow.want.clone());
        let details = follow.details_of.iter().filter_map(|digest| {
            let target = target(Want::Digest(digest.clone()))?;
            // What a digest holds never changes: once known, no failure takes it back.
            let known = target.good.clone().map(Ok).or_else(|| target.problem.clone().map(Err))?;
            Some((digest.clone(), known))
        });
        let there = |image: &Digest| {
            let target = target(Want::Digest(image.clone()))?;
            match (target.there, &target.problem) {
                (Some(true), _) => Some(Ok(())),
                (_, problem) => problem.clone().map(Err),
            }
        };
        Seen {
            latest: wanted.and_then(|target| target.good.clone()),
            unconfirmed: wanted.is_some_and(Target::is_unconfirmed),
            details: details.collect(),
            images: follow.introducing.iter().filter_map(|image| Some((image.clone(), there(image)?))).collect(),
            problem: wanted.and_then(|target| target.problem.clone()),
            pullable: follow.serving.clone().and_then(|digest| {
                let there = |digest: Digest| target(Want::Digest(digest)).and_then(|target| target.there);
                let hollow = follow.serving_images.iter().any(|image| there(image.clone()) == Some(false));
                if hollow { Some(false) } else { there(digest) }
            }),
        }
    }

    fn set_due(&mut self, key: &TargetKey, due: Option<Instant>) {
        let Some(target) = self.targets.get_mut(key) else { return };
        if let Some(old) = target.due.take() {
            self.due.remove(&(old, target.id));
        }
        if let Some(due) = due {
            target.due = Some(due);
            self.due.insert((due, target.id));
        }
    }

    /// How many references are polled.
    pub fn len(&self) -> usize {
        self.targets.len()
    }
}

/// The targets of one owner. The same digest may be the pin, the running one and the one that users get.
fn interests(follow: &Follow) -> HashMap<TargetKey, Interest> {
    let mut interests = HashMap::<TargetKey, Interest>::new();
    let key = |want: Want| TargetKey::of(follow, want);
    let wanted = interests.entry(key(follow.want.clone())).or_default();
    wanted.wants = Some(follow.interval);
    wanted.details = true;
    for digest in &follow.details_of {
        interests.entry(key(Want::Digest(digest.clone()))).or_default().details = true;
    }
    for digest in follow.serving.iter().chain(&follow.serving_images).chain(&follow.introducing) {
        interests.entry(key(Want::Digest(digest.clone()))).or_default().serving = true;
    }
    // Until they are there a version waits for them.
    for digest in &follow.introducing {
        interests.entry(key(Want::Digest(digest.clone()))).or_default().wants = Some(follow.interval);
    }
    interests
}

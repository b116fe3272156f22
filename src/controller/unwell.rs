//! Why a model does not get ready, as the exporter beside it knows within seconds: nothing listens on its port, or its health
//! path is answered with an error. The kubelet's own words hold nothing of that, so the page is asked, while there is a pod
//! that is not ready. No step here talks to the API server.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    asking::{Asks, longest_waiting},
    decide::Plan,
    index::Key,
    observe::Observed,
    pages::{Exporters, label},
};
use crate::{
    api::valid::ValidSpec,
    resources::Owner,
    rollout::{PodFacts, Unwell},
};

/// Between two looks at the beginning: two alike are believed, since servers open one port after the other.
const OFTEN: Duration = Duration::from_secs(5);
const OFTEN_AT_FIRST: u32 = 6;
const SELDOM: Duration = Duration::from_secs(300);
/// The exporter's own series come first.
const LARGEST_PAGE: usize = 256 << 10;

/// Whom to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pod: String,
    address: IpAddr,
}

/// The pod to be asked about: of those of the wanted version that run and are not ready the first by name.
pub fn question(spec: &ValidSpec, plan: &Plan, observed: &Observed) -> Option<Question> {
    spec.exporter.as_ref()?;
    let image = &plan.workload.as_ref()?.image;
    let asked = observed.pods.iter().filter(|pod| pod.image == *image && pod.may_be_unwell());
    let pod = asked.min_by_key(|pod| &pod.name)?;
    Some(Question { pod: pod.name.clone(), address: pod.address? })
}

#[derive(Default)]
struct Book {
    /// By uid.
    entries: HashMap<String, Entry>,
    /// Numbers of questions given so far.
    numbers: u64,
}

struct Entry {
    model: Key,
    question: Question,
    /// Tells an answer to this question from one to an earlier one.
    number: u64,
    tries: u32,
    /// `None` while the exporter is asked.
    due: Option<Instant>,
    heard: Option<Unwell>,
    /// Heard twice in a row. It stands while the container is started anew, when for a while nothing listens at all.
    believed: Option<Unwell>,
}

/// One exporter to be asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Job {
    uid: String,
    number: u64,
    address: IpAddr,
}

impl Book {
    /// Whether something new may be due.
    fn follow(&mut self, uid: &str, model: Key, question: Option<Question>, now: Instant) -> bool {
        let Some(question) = question else {
            self.entries.remove(uid);
            return false;
        };
        if self.entries.get(uid).is_some_and(|entry| entry.question == question) {
            return false;
        }
        self.numbers += 1;
        let (number, due) = (self.numbers, Some(now + OFTEN));
        let entry = Entry { model, question, number, tries: 0, due, heard: None, believed: None };
        self.entries.insert(uid.to_owned(), entry);
        true
    }

    fn take_due(&mut self, now: Instant, most: usize) -> Vec<Job> {
        let all = self.entries.iter_mut().map(|(uid, entry)| (entry.due, (uid, entry)));
        let due = longest_waiting(all, now, most);
        due.map(|(uid, entry)| {
            entry.due = None;
            Job { uid: uid.clone(), number: entry.number, address: entry.question.address }
        })
        .collect()
    }

    fn next_due(&self) -> Option<Instant> {
        self.entries.values().filter_map(|entry| entry.due).min()
    }

    /// Takes an answer; `None`: there was none. The model to look at, if it is news.
    fn finish(&mut self, job: &Job, page: Option<&str>, now: Instant) -> Option<Key> {
        let entry = self.entries.get_mut(&job.uid).filter(|entry| entry.number == job.number)?;
        let pause = if entry.tries < OFTEN_AT_FIRST { OFTEN } else { SELDOM };
        entry.tries = entry.tries.saturating_add(1);
        entry.due = Some(now + pause);
        let heard = on_page(page?);
        let again = heard == entry.heard;
        entry.heard = heard;
        let heard = entry.heard.clone().filter(|heard| again && (heard.tells() || entry.believed.is_none()))?;
        let news = entry.believed.replace(heard) != entry.heard;
        news.then(|| entry.model.clone())
    }
}

/// What a page says of the model; `None` while it is well, silent, or the exporter is of a release that does not tell.
fn on_page(page: &str) -> Option<Unwell> {
    let labels = page.lines().find_map(|line| line.strip_prefix("modelship_exporter_model_unwell_info{"))?;
    let (status, listening) = (label(labels, "status")?, label(labels, "listening")?);
    let listening = listening.split(',').filter_map(|port| port.parse().ok()).collect();
    Some(Unwell { status: status.parse().ok(), listening })
}

/// Asks exporters, bounded in number, time and size.
pub struct UnwellModels {
    book: Mutex<Book>,
    wake: Notify,
    exporters: Exporters,
}

impl UnwellModels {
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new() -> Result<Arc<Self>, reqwest::Error> {
        Ok(Self::of(Exporters::new()?))
    }

    fn of(exporters: Exporters) -> Arc<Self> {
        Arc::new(Self { book: Mutex::default(), wake: Notify::new(), exporters })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says who is to be asked about a model. Never waits.
    pub fn follow(&self, owner: &Owner, question: Option<Question>) {
        let model = (owner.namespace.clone(), owner.name.clone());
        if self.book().follow(&owner.uid, model, question, Instant::now()) {
            self.wake.notify_one();
        }
    }

    /// Adds what was heard to the pod that it is about.
    pub fn tell(&self, uid: &str, pods: &mut [PodFacts]) {
        let book = self.book();
        let Some(entry) = book.entries.get(uid) else { return };
        let about = pods.iter_mut().find(|pod| pod.name == entry.question.pod && pod.may_be_unwell());
        about.into_iter().for_each(|pod| pod.unwell.clone_from(&entry.believed));
    }

    pub fn forget(&self, uid: &str) {
        self.book().entries.remove(uid);
    }
}

impl Asks for UnwellModels {
    type Job = Job;
    type Answer = Option<String>;
    const AT_ONCE: usize = 4;

    fn wake(&self) -> &Notify {
        &self.wake
    }

    fn take_due(&self, now: Instant, most: usize) -> (Vec<Job>, Option<Instant>) {
        let mut book = self.book();
        (book.take_due(now, most), book.next_due())
    }

    async fn ask(&self, job: &Job) -> Option<String> {
        self.exporters.page(job.address, LARGEST_PAGE).await
    }

    fn broken(&self, _: &Job) -> Option<String> {
        None
    }

    fn finish(&self, job: &Job, page: Option<String>, now: Instant) -> Option<Key> {
        self.book().finish(job, page.as_deref(), now)
    }
}

#[cfg(test)]
#[path = "tests/unwell.rs"]
mod tests;

//! How predictions are read when the spec does not say: exporters find it from answers, each for itself, and have no way
//! to tell the API server. So one of them is asked, until one has found it; status shows it, and the settings hand it to
//! the pods to come, which would else begin anew. No step here talks to the API server.

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
    unread::Answers,
};
use crate::{
    api::{status::FoundReading, valid::ValidSpec},
    exporter::reading::{self, Decided, Reading},
    images::Digest,
    resources::Owner,
    rollout::Progress,
};

/// The first question comes soon after a version serves, each further one after twice the time.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(300);
/// The exporter's own series come first, before the model's.
const LARGEST_PAGE: usize = 1 << 20;

/// The settings of a reading that the spec leaves open; `None` when there is nothing to be found.
fn open(spec: &ValidSpec) -> Option<Reading> {
    spec.exporter.as_ref()?;
    reading::check(&spec.predictions).ok().filter(Reading::is_open)
}

/// What was found before, unless the spec says otherwise by now.
pub fn shown(spec: &ValidSpec, found: Option<&FoundReading>) -> Option<FoundReading> {
    let reading = open(spec)?;
    found.filter(|found| found.decided().is_some_and(|decided| reading.agrees(&decided))).cloned()
}

/// Whether it is still to be found how the predictions of this version are read.
pub fn awaited(spec: &ValidSpec, found: Option<&FoundReading>, digest: Option<&Digest>) -> bool {
    open(spec).is_some() && handed_on(spec, found, digest).is_none()
}

/// What the pods of this version are told to begin with. What was found of another version is no news to them.
pub fn handed_on(spec: &ValidSpec, found: Option<&FoundReading>, digest: Option<&Digest>) -> Option<Decided> {
    let shown = shown(spec, found)?;
    (shown.digest == digest?.to_string()).then(|| shown.decided()).flatten()
}

/// What to ask, and whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    digest: String,
    reading: Reading,
    /// Ready pods of that version, one of which is asked.
    addresses: Vec<IpAddr>,
    /// What is found so far, and may still be corrected.
    known: Option<Decided>,
}

/// What is to be asked for a model: nothing but what the spec leaves open, and only of a version that serves.
pub fn question(spec: &ValidSpec, plan: &Plan, observed: &Observed) -> Option<Question> {
    let reading = open(spec)?;
    let (image, digest) = (&plan.workload.as_ref()?.image, plan.target.digest.as_ref());
    let known = handed_on(spec, observed.found.as_ref(), digest);
    if plan.progress != Progress::Complete || known.as_ref().is_some_and(|known| known.settled) {
        return None;
    }
    let serving = observed.pods.iter().filter(|pod| pod.ready && !pod.leaving && pod.image == *image);
    let addresses: Vec<IpAddr> = serving.filter_map(|pod| pod.address).collect();
    let digest = digest?.to_string();
    (!addresses.is_empty()).then_some(Question { digest, reading, addresses, known })
}

/// What is asked for all models, and what was heard.
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
    /// `None` while an exporter is asked, and once it is found.
    due: Option<Instant>,
    found: Option<FoundReading>,
    answers: Answers,
}

/// What an exporter's page says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Page {
    /// `None` while that is not settled.
    decided: Option<Decided>,
    answers: Answers,
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
        let known = self.entries.get_mut(uid);
        match (known, question) {
            (None, None) => false,
            // What was found stays until status holds it.
            (Some(entry), None) => {
                if entry.found.is_none() {
                    self.entries.remove(uid);
                }
                false
            }
            (Some(entry), Some(question))
                if (&entry.question.digest, &entry.question.reading) == (&question.digest, &question.reading) =>
            {
                entry.question = question;
                false
            }
            (_, Some(question)) => {
                self.numbers += 1;
                let (number, due) = (self.numbers, Some(now + FIRST));
                let answers = Answers::Unknown;
                let entry = Entry { model, question, number, tries: 0, due, found: None, answers };
                self.entries.insert(uid.to_owned(), entry);
                true
            }
        }
    }

    /// What is known of a model whose status says this.
    fn newest(&mut self, uid: &str, stored: Option<&FoundReading>) -> Option<FoundReading> {
        let found = self.entries.get(uid).and_then(|entry| entry.found.clone());
        if let (Some(entry), true) = (self.entries.get_mut(uid), found.is_some() && found.as_ref() == stored) {
            // What is not final is asked for on.
            entry.found = None;
            if found.as_ref().is_some_and(|found| found.settled == Some(true)) {
                self.entries.remove(uid);
            }
        }
        found.or_else(|| stored.cloned())
    }

    fn take_due(&mut self, now: Instant, most: usize) -> Vec<Job> {
        let all = self.entries.iter_mut().map(|(uid, entry)| (entry.due, (uid, entry)));
        let due = longest_waiting(all, now, most);
        due.filter_map(|(uid, entry)| {
            entry.due = None;
            let addresses = &entry.question.addresses;
            let turn = usize::try_from(entry.tries).unwrap_or(0) % addresses.len().max(1);
            Some(Job { uid: uid.clone(), number: entry.number, address: *addresses.get(turn)? })
        })
        .collect()
    }

    fn next_due(&self) -> Option<Instant> {
        self.entries.values().filter_map(|entry| entry.due).min()
    }

    /// Takes an answer. The model to look at, if it is news.
    fn finish(&mut self, job: &Job, page: Option<Page>, now: Instant) -> Option<Key> {
        let entry = self.entries.get_mut(&job.uid).filter(|entry| entry.number == job.number)?;
        let Question { digest, reading, known, .. } = &entry.question;
        // An exporter that has not got the newest settings yet may still read by older ones.
        let (decided, answers) = page.map_or((None, None), |page| (page.decided, Some(page.answers)));
        // Rows alone are no news: status would never be at rest.
        let news = |decided: &Decided| {
            known.as_ref().is_none_or(|known| decided.settled || !decided.reads_as(known)) && reading.agrees(decided)
        };
        let decided = decided.filter(news);
        if let Some(decided) = &decided {
            entry.found = Some(FoundReading::new(digest, decided));
        }
        if decided.as_ref().is_some_and(|decided| decided.settled) {
            return Some(entry.model.clone());
        }
        entry.due = Some(now + FIRST.saturating_mul(1 << entry.tries.min(16)).saturating_mul(2).min(LONGEST));
        entry.tries += 1;
        if decided.is_some() {
            return Some(entry.model.clone());
        }
        let news = answers.filter(|answers| *answers != entry.answers)?;
        entry.answers = news;
        Some(entry.model.clone())
    }
}

/// Asks exporters, bounded in number, time and size.
pub struct Readings {
    book: Mutex<Book>,
    wake: Notify,
    exporters: Exporters,
}

impl Readings {
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

    /// What was found for a model, be it in its status already or not.
    pub fn newest(&self, uid: &str, stored: Option<&FoundReading>) -> Option<FoundReading> {
        self.book().newest(uid, stored)
    }

    /// Whether the answers of a model are read, as far as exporters were heard.
    pub fn answers(&self, uid: &str) -> Answers {
        self.book().entries.get(uid).map(|entry| entry.answers.clone()).unwrap_or_default()
    }

    /// Says what is to be asked for a model. Never waits.
    pub fn follow(&self, owner: &Owner, question: Option<Question>) {
        let model = (owner.namespace.clone(), owner.name.clone());
        if self.book().follow(&owner.uid, model, question, Instant::now()) {
            self.wake.notify_one();
        }
    }

    pub fn forget(&self, uid: &str) {
        self.book().entries.remove(uid);
    }
}

impl Asks for Readings {
    type Job = Job;
    type Answer = Option<Page>;
    const AT_ONCE: usize = 4;

    fn wake(&self) -> &Notify {
        &self.wake
    }

    fn take_due(&self, now: Instant, most: usize) -> (Vec<Job>, Option<Instant>) {
        let mut book = self.book();
        (book.take_due(now, most), book.next_due())
    }

    async fn ask(&self, job: &Job) -> Option<Page> {
        let page = self.exporters.page(job.address, LARGEST_PAGE).await?;
        Some(Page { decided: found_on(&page), answers: Answers::on(&page) })
    }

    fn broken(&self, _: &Job) -> Option<Page> {
        None
    }

    fn finish(&self, job: &Job, page: Option<Page>, now: Instant) -> Option<Key> {
        self.book().finish(job, page, now)
    }
}

/// How predictions are read by what an exporter's page says; `None` while it does not know. One that says nothing of how
/// sure it is has decided at the first row.
fn found_on(page: &str) -> Option<Decided> {
    let labels = page.lines().find_map(|line| line.strip_prefix("modelship_exporter_reading_info{"))?;
    let gauge = |name: &str| -> f64 {
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.trim().parse().ok()).filter(|value| (0.0..1e15).contains(value)).unwrap_or(0.0)
    };
    let (kind, path) = (label(labels, "kind")?, label(labels, "path")?);
    serde_json::from_value(serde_json::json!({
        "kind": kind,
        "path": path,
        "requestPath": label(labels, "request_path").filter(|path| !path.is_empty()),
        "rows": gauge("modelship_exporter_reading_rows") as u64,
        "certainty": (gauge("modelship_exporter_reading_certainty_ratio") * 100.0).round() as u8,
        "settled": gauge("modelship_exporter_reading_settled") == 1.0,
    }))
    .ok()
}

#[cfg(test)]
#[path = "tests/readings.rs"]
mod tests;

//! What MLflow says of the runs that versions come from: asked once for each new version, again and again while something
//! is wrong, and never when it is known. No turn of the loop waits for it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::Client as Cluster;
use tokio::{sync::Notify, time::Instant};

use super::{asking::Asks, credentials, index::Key};
use crate::{
    images::CredentialError,
    mlflow::{
        Client, Login, Problem, Run, Server, TrackingUri, Which,
        problem::reason::{RUN_FAILED, UNAUTHORIZED},
    },
    resources::Owner,
};

/// After something went wrong it is asked again soon, then after twice the time.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(300);
const PATIENCE: Duration = Duration::from_secs(20);

/// What was heard of a model's versions, by digest. What is asked for and not here is on its way.
pub type Heard = BTreeMap<String, Result<Run, Problem>>;

/// The Secret in `spec.mlflow.credentialsSecret` is not there.
pub const SECRET_MISSING: &str = "CredentialsMissing";
/// It lacks a key.
const SECRET_MALFORMED: &str = "CredentialsMalformed";
/// The API server did not hand it out.
const SECRET_UNAVAILABLE: &str = "CredentialsUnavailable";
/// The image says that it comes from another run than the alias or version does.
pub const RUN_MISMATCH: &str = "RunMismatch";

/// What is to be asked for a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub uri: TrackingUri,
    pub secret: Option<String>,
    /// When it changes, what went wrong is asked again at once: something may have been mended.
    pub generation: i64,
    /// By digest.
    pub versions: BTreeMap<String, Asked>,
}

/// One version.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub which: Which,
    /// The run that the image itself names.
    pub expected: Option<String>,
    /// What is known from before: status outlives a controller.
    pub known: Option<Run>,
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
    uri: TrackingUri,
    secret: Option<String>,
    generation: i64,
    /// As it was read last, until the server refuses it, the spec changes, or nothing is left to be asked.
    login: Option<Login>,
    versions: BTreeMap<String, Version>,
}

struct Version {
    which: Which,
    expected: Option<String>,
    /// Tells an answer to this question from one to an earlier one.
    number: u64,
    answer: Option<Result<Run, Problem>>,
    tries: u32,
    /// `None` while it is asked, and once it is known.
    due: Option<Instant>,
}

/// One question to be put.
#[derive(Clone, Debug)]
pub(super) struct Job {
    uid: String,
    digest: String,
    number: u64,
    namespace: String,
    server: TrackingUri,
    secret: Option<String>,
    login: Option<Login>,
    which: Which,
    expected: Option<String>,
}

/// What a question came to.
pub(super) struct Outcome {
    answer: Result<Run, Problem>,
    /// `None` when it could not be read.
    login: Option<Login>,
}

impl Version {
    /// Whether it is what is asked now, too. A run that was found by an alias is later asked for by its id.
    fn answers(&self, asked: &Asked) -> bool {
        let found = self.answer.as_ref().and_then(|answer| answer.as_ref().ok());
        (self.which == asked.which && self.expected == asked.expected)
            || found.is_some_and(|run| asked.which == Which::Run(run.id.clone()))
    }
}

impl Book {
    /// What was heard, and whether something new may be due.
    fn follow(&mut self, owner: &Owner, question: Option<Question>, now: Instant) -> (Heard, bool) {
        let Some(question) = question else {
            self.entries.remove(&owner.uid);
            return (Heard::new(), false);
        };
        let Question { uri, secret, generation, versions } = question;
        let model = (owner.namespace.clone(), owner.name.clone());
        let new = || {
            let (uri, secret) = (uri.clone(), secret.clone());
            Entry { model, uri, secret, generation, login: None, versions: BTreeMap::new() }
        };
        let entry = self.entries.entry(owner.uid.clone()).or_insert_with(new);
        if (&entry.uri, &entry.secret) != (&uri, &secret) {
            (entry.uri, entry.secret, entry.login) = (uri, secret, None);
            entry.versions.clear();
        }
        let mut due = false;
        if entry.generation != generation {
            (entry.generation, entry.login) = (generation, None);
            for version in entry.versions.values_mut().filter(|version| version.due.is_some()) {
                (version.due, version.tries) = (Some(now), 0);
                due = true;
            }
        }
        entry.versions.retain(|digest, version| versions.get(digest).is_some_and(|asked| version.answers(asked)));
        for (digest, Asked { which, expected, known }) in versions {
            entry.versions.entry(digest).or_insert_with(|| {
                self.numbers += 1;
                let (answer, next) = (known.map(Ok), Some(now));
                let next = next.filter(|_| answer.is_none());
                due |= next.is_some();
                Version { which, expected, number: self.numbers, answer, tries: 0, due: next }
            });
        }
        (entry.heard(), due)
    }

    fn take_due(&mut self, now: Instant, most: usize) -> Vec<Job> {
        let mut jobs = Vec::new();
        for (uid, entry) in &mut self.entries {
            let due = entry.versions.iter_mut().filter(|(_, version)| version.due.is_some_and(|due| due <= now));
            for (digest, version) in due.take(most - jobs.len()) {
                version.due = None;
                jobs.push(Job {
                    uid: uid.clone(),
                    digest: digest.clone(),
                    number: version.number,
                    namespace: entry.model.0.clone(),
                    server: entry.uri.clone(),
                    secret: entry.secret.clone(),
                    login: entry.login.clone(),
                    which: version.which.clone(),
                    expected: version.expected.clone(),
                });
            }
        }
        jobs
    }

    fn next_due(&self) -> Option<Instant> {
        self.entries.values().flat_map(|entry| entry.versions.values()).filter_map(|version| version.due).min()
    }

    /// Takes an answer. The model to look at, if it is news.
    fn finish(&mut self, job: &Job, outcome: Outcome, now: Instant) -> Option<Key> {
        let Outcome { answer, login } = outcome;
        let entry = self.entries.get_mut(&job.uid)?;
        let version = entry.versions.get_mut(&job.digest).filter(|version| version.number == job.number)?;
        entry.login = login.filter(|_| !answer.as_ref().is_err_and(|problem| problem.reason == UNAUTHORIZED));
        // A run that has failed does not get better.
        if answer.as_ref().is_err_and(|problem| problem.reason != RUN_FAILED) {
            version.due = Some(now + FIRST.saturating_mul(1 << version.tries.min(16)).min(LONGEST));
            version.tries += 1;
        }
        let answer = Some(answer);
        let news = version.answer != answer;
        version.answer = answer;
        if entry.versions.values().all(|version| version.due.is_none() && version.answer.is_some()) {
            entry.login = None;
        }
        news.then(|| entry.model.clone())
    }
}

impl Entry {
    fn heard(&self) -> Heard {
        let known =
            self.versions.iter().filter_map(|(digest, version)| Some((digest.clone(), version.answer.clone()?)));
        known.collect()
    }
}

/// Asks tracking servers, bounded in number, time and size.
pub struct Runs {
    book: Mutex<Book>,
    wake: Notify,
    client: Client,
    cluster: Cluster,
}

impl Runs {
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(cluster: Cluster) -> Result<Arc<Self>, reqwest::Error> {
        let client = Client::new(PATIENCE, true)?;
        Ok(Arc::new(Self { book: Mutex::default(), wake: Notify::new(), client, cluster }))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what is to be asked for a model, and tells what was heard so far. Never waits.
    pub fn follow(&self, owner: &Owner, question: Option<Question>) -> Heard {
        let (heard, due) = self.book().follow(owner, question, Instant::now());
        if due {
            self.wake.notify_one();
        }
        heard
    }

    pub fn forget(&self, uid: &str) {
        self.book().entries.remove(uid);
    }

    async fn login(&self, job: &Job) -> Result<Login, Problem> {
        let Some(name) = &job.secret else { return Ok(Login::Nobody) };
        let secret = credentials::secret(&self.cluster, &job.namespace, name).await.map_err(|error| {
            let why = match error {
                CredentialError::Unavailable { why } => why,
                other => other.to_string(),
            };
            Problem::new(SECRET_UNAVAILABLE, format!("the Secret {name} cannot be read: {why}"))
        })?;
        let secret = secret.ok_or_else(|| {
            let message = format!(
                "there is no Secret {name} in this namespace; make it (kubectl create secret generic {name} \
                 --from-literal username=… --from-literal password=…), or correct spec.mlflow.credentialsSecret"
            );
            Problem::new(SECRET_MISSING, message)
        })?;
        Login::read(|key| credentials::text(&secret, key))
            .map_err(|why| Problem::new(SECRET_MALFORMED, format!("the Secret {name} of spec.mlflow {why}")))
    }
}

impl Asks for Runs {
    type Job = Job;
    type Answer = Outcome;
    const AT_ONCE: usize = 4;

    fn wake(&self) -> &Notify {
        &self.wake
    }

    fn take_due(&self, now: Instant, most: usize) -> (Vec<Job>, Option<Instant>) {
        let mut book = self.book();
        (book.take_due(now, most), book.next_due())
    }

    async fn ask(&self, job: &Job) -> Outcome {
        let login = match &job.login {
            Some(login) => Ok(login.clone()),
            None => self.login(job).await,
        };
        match login {
            Err(problem) => Outcome { answer: Err(problem), login: None },
            Ok(login) => {
                let server = Server { uri: job.server.clone(), login: login.clone(), secret: job.secret.clone() };
                let answer = self.client.run(&server, &job.which).await.and_then(|run| agreed(run, job));
                Outcome { answer, login: Some(login) }
            }
        }
    }

    fn finish(&self, job: &Job, answer: Outcome, now: Instant) -> Option<Key> {
        self.book().finish(job, answer, now)
    }
}

/// An image that names another run than its alias or version would be judged by a stranger's figures.
fn agreed(run: Run, job: &Job) -> Result<Run, Problem> {
    let (Some(expected), Which::Alias { .. } | Which::Version { .. }) = (&job.expected, &job.which) else {
        return Ok(run);
    };
    if *expected == run.id {
        return Ok(run);
    }
    let (model, of) = match &job.which {
        Which::Alias { model, alias } => (model, format!("its alias {alias}")),
        Which::Version { model, version } => (model, format!("its version {version}")),
        Which::Run(_) => return Ok(run),
    };
    let message = format!(
        "the image comes from run {expected} by its label, but {of} of the registered model {model} is of run {}; register \
         the image's run and move the alias there, or push the image of that run",
        run.id
    );
    Err(Problem::new(RUN_MISMATCH, message))
}

#[cfg(test)]
#[path = "tests/runs.rs"]
mod tests;

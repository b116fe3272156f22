//! What MLflow says of the runs that versions come from: asked once for each new version, again and again while something
//! is wrong, and never when it is known. No turn of the loop waits for it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::Secret;
use kube::Client as Cluster;
use tokio::{sync::Notify, time::Instant};

use super::{
    asking::{Asks, longest_waiting},
    credentials,
    index::Key,
};
use crate::{
    images::{CredentialError, labels::RUN_ID},
    mlflow::{
        Client, Login, Problem, Run, Server, TrackingUri, Which,
        problem::reason::{
            RUN_FAILED, RUN_MISMATCH, RUN_TAKEN, SECRET_MALFORMED, SECRET_MISSING, SECRET_UNAVAILABLE, SERVER_ERROR,
            UNAUTHORIZED,
        },
    },
    outside::TrustedCa,
    resources::Owner,
};

/// After something went wrong it is asked again soon, then after twice the time.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(300);
const PATIENCE: Duration = Duration::from_secs(20);

/// What was heard of a model's versions, by digest. What is asked for and not here is on its way.
pub type Heard = BTreeMap<String, Result<Run, Problem>>;

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
    /// The runs of other images, which this one cannot come from unless it says so itself.
    pub taken: BTreeSet<String>,
    /// What is known from before: status outlives a controller. It has the metrics that are required now, and not all.
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
    taken: BTreeSet<String>,
    /// Tells an answer to this question from one to an earlier one.
    number: u64,
    answer: Option<Result<Run, Problem>>,
    /// The answer is what status remembered.
    remembered: bool,
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
    taken: BTreeSet<String>,
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
            // Other metrics may be required by now.
            entry.versions.retain(|_, version| !version.remembered);
            for version in entry.versions.values_mut().filter(|version| version.due.is_some()) {
                (version.due, version.tries) = (Some(now), 0);
                due = true;
            }
        }
        entry.versions.retain(|digest, version| versions.get(digest).is_some_and(|asked| version.answers(asked)));
        for (digest, Asked { which, expected, taken, known }) in versions {
            let version = entry.versions.entry(digest).or_insert_with(|| {
                self.numbers += 1;
                let (number, remembered, answer) = (self.numbers, known.is_some(), known.map(Ok));
                let next = (!remembered).then_some(now);
                due |= next.is_some();
                Version { which, expected, taken: BTreeSet::new(), number, answer, remembered, tries: 0, due: next }
            });
            version.taken = taken;
        }
        (entry.heard(), due)
    }

    fn take_due(&mut self, now: Instant, most: usize) -> Vec<Job> {
        let all = self.entries.iter_mut().flat_map(|(uid, entry)| {
            let Entry { model, uri, secret, login, versions, .. } = entry;
            let of = (uid, &*model, &*uri, &*secret, &*login);
            versions.iter_mut().map(move |(digest, version)| (version.due, (of, digest, version)))
        });
        let due = longest_waiting(all, now, most);
        due.map(|((uid, model, uri, secret, login), digest, version)| {
            version.due = None;
            Job {
                uid: uid.clone(),
                digest: digest.clone(),
                number: version.number,
                namespace: model.0.clone(),
                server: uri.clone(),
                secret: secret.clone(),
                login: login.clone(),
                which: version.which.clone(),
                expected: version.expected.clone(),
                taken: version.taken.clone(),
            }
        })
        .collect()
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
    pub fn new(cluster: Cluster, trusted: &TrustedCa) -> Result<Arc<Self>, reqwest::Error> {
        let client = Client::new(PATIENCE, true, trusted)?;
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
        read_login(name, &secret)
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

    fn broken(&self, job: &Job) -> Outcome {
        let message = format!("asking {} failed inside the operator: see its log", job.server);
        Outcome { answer: Err(Problem::new(SERVER_ERROR, message)), login: None }
    }

    fn finish(&self, job: &Job, answer: Outcome, now: Instant) -> Option<Key> {
        self.book().finish(job, answer, now)
    }
}

/// What a Secret holds for the tracking server. One that Kubernetes made for another end is no choice: who may write a
/// model, and no Secret, could have its token sent to a server of his own.
fn read_login(name: &str, secret: &Secret) -> Result<Login, Problem> {
    const TYPES: [&str; 2] = ["Opaque", "kubernetes.io/basic-auth"];
    let malformed = |why: &str| Problem::new(SECRET_MALFORMED, format!("the Secret {name} of spec.mlflow {why}"));
    if let Some(other) = secret.type_.as_deref().filter(|kind| !TYPES.contains(kind)) {
        return Err(malformed(&format!(
            "is of type {other}; only {} are sent to a tracking server",
            TYPES.join(" and ")
        )));
    }
    Login::read(|key| credentials::text(secret, key)).map_err(malformed)
}

/// By an alias or version that is not of the image's own run it would be judged by a stranger's figures.
fn agreed(run: Run, job: &Job) -> Result<Run, Problem> {
    let (model, of, remedy) = match &job.which {
        Which::Run(_) => return Ok(run),
        Which::Alias { model, alias } => (model, format!("alias {alias}"), "move the alias"),
        Which::Version { model, version } => (model, format!("version {version}"), "name its version in the spec"),
    };
    let id = &run.id;
    match &job.expected {
        Some(expected) if expected == id => Ok(run),
        Some(expected) => Err(Problem::new(
            RUN_MISMATCH,
            format!(
                "the image comes from run {expected} by its label, but the {of} of the registered model {model} is of run \
                 {id}; register the image's run and {remedy}, or push the image of that run"
            ),
        )),
        None if job.taken.contains(id) => Err(Problem::new(
            RUN_TAKEN,
            format!(
                "the {of} of the registered model {model} is of run {id}, as another image was, and this one does not say \
                 from which run it comes; register its run and {remedy}, or give images the label {RUN_ID}"
            ),
        )),
        None => Ok(run),
    }
}

#[cfg(test)]
#[path = "tests/runs.rs"]
mod tests;

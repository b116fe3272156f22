//! Whether Prometheus really scrapes a model and evaluates its rules. Selectors only promise it: networks, quotas, a rule
//! that is refused or a configuration that is not reloaded stand between. So each Prometheus is asked, three questions for
//! all models together, and its word counts when it has stood for a while. No step here talks to the API server.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, timeout_at},
};

use super::{index::Key, observe::Caches, pages, streams::Hint};
use crate::{
    monitoring::{
        bundle::Expectation,
        surroundings::{Collector, Proof},
    },
    resources::Owner,
};

/// While something is awaited.
const OFTEN: Duration = Duration::from_secs(20);
/// When all is as it should be.
const SELDOM: Duration = Duration::from_secs(300);
/// So many looks in a row must miss something before it counts as missing: a configuration takes a while to be loaded, and
/// a Prometheus that has just started has seen nothing yet.
const MISSES: u32 = 6;
/// Some 100 bytes for each model.
const LARGEST_ANSWER: usize = 8 << 20;

/// 1 for models one of whose pods was scraped, 0 for those whose scrapes all fail.
const SCRAPED: &str = r#"max by (namespace, model) (up{model!=""})"#;
/// Any rule of a model will do: Prometheus takes or refuses them together.
const EVALUATED: &str = "count by (namespace, model) (model:http_requests:rate5m)";
/// What the operator tells of a model comes all together as well.
const TOLD: &str = r#"count by (model_namespace, model) (modelship_model_condition{type="Ready"})"#;
const CONTAINERS: &str = r#"count(container_memory_working_set_bytes{container!=""})"#;

/// What one Prometheus said.
#[derive(Debug, Default, PartialEq)]
struct Answer {
    /// Whether the last scrape of at least one pod went well.
    scraped: HashMap<Key, bool>,
    evaluated: HashSet<Key>,
    /// It has what the operator tells of them.
    told: HashSet<Key>,
    containers: bool,
}

impl Answer {
    /// Adds what another shard of the same Prometheus said.
    fn add(&mut self, shard: Self) {
        for (model, up) in shard.scraped {
            *self.scraped.entry(model).or_default() |= up;
        }
        self.evaluated.extend(shard.evaluated);
        self.told.extend(shard.told);
        self.containers |= shard.containers;
    }
}

struct Entry {
    model: Key,
    expectation: Expectation,
    misses: u32,
    proof: Proof,
}

#[derive(Default)]
struct Book {
    /// By uid.
    entries: HashMap<String, Entry>,
    /// For each Prometheus, how many looks in a row have found no metrics of containers.
    without_containers: BTreeMap<Key, u32>,
}

impl Book {
    /// Whether something new is awaited.
    fn follow(&mut self, uid: &str, model: Key, expectation: Option<Expectation>) -> bool {
        // Without the exporter nobody scrapes it, and no rule of it is asked for.
        let Some(expectation) = expectation.filter(|expectation| *expectation != Expectation::default()) else {
            self.entries.remove(uid);
            return false;
        };
        match self.entries.get_mut(uid) {
            Some(entry) if entry.expectation == expectation => false,
            _ => {
                let entry = Entry { model, expectation, misses: 0, proof: Proof::Awaited };
                self.entries.insert(uid.to_owned(), entry);
                true
            }
        }
    }

    fn lacks_containers(&self, prometheus: &Key, remembered: bool) -> bool {
        match self.without_containers.get(prometheus) {
            Some(0) => false,
            Some(misses) => remembered || *misses >= MISSES,
            None => remembered,
        }
    }

    /// Nobody may be meant to scrape the operator, and that would be asked for ever.
    fn awaits(&self) -> bool {
        self.entries.values().any(|entry| !matches!(entry.proof, Proof::Seen | Proof::OperatorNotScraped))
    }

    /// Who is to be asked at all.
    fn asked(&self) -> HashSet<Key> {
        let expected = self.entries.values().map(|entry| &entry.expectation);
        expected
            .flat_map(|expectation| expectation.scraped_by.iter().chain(&expectation.evaluated_by))
            .cloned()
            .collect()
    }

    /// Takes one round of answers; returns what has to be looked at.
    fn take(&mut self, answers: &BTreeMap<Key, Answer>) -> Vec<Hint> {
        let mut hints = Vec::new();
        for (prometheus, answer) in answers {
            let misses = self.without_containers.entry(prometheus.clone()).or_default();
            let before = *misses >= MISSES;
            *misses = if answer.containers { 0 } else { misses.saturating_add(1) };
            if before != (*misses >= MISSES) {
                hints.push(Hint::All);
            }
        }
        for entry in self.entries.values_mut() {
            let Some(proof) = entry.judge(answers) else { continue };
            if proof != entry.proof {
                entry.proof = proof;
                hints.push(Hint::Model(entry.model.clone()));
            }
        }
        hints
    }
}

impl Entry {
    /// `None` without evidence: nobody answered who should know.
    fn judge(&mut self, answers: &BTreeMap<Key, Answer>) -> Option<Proof> {
        let of = |names: &[Key]| names.iter().filter_map(|name| answers.get(name)).collect::<Vec<_>>();
        let (scrapers, evaluators) = (of(&self.expectation.scraped_by), of(&self.expectation.evaluated_by));
        let silent = |expected: &[Key], heard: &[&Answer]| !expected.is_empty() && heard.is_empty();
        if silent(&self.expectation.scraped_by, &scrapers) || silent(&self.expectation.evaluated_by, &evaluators) {
            return None;
        }
        let ups: Vec<bool> = scrapers.iter().filter_map(|answer| answer.scraped.get(&self.model)).copied().collect();
        let scraped = scrapers.is_empty() || ups.contains(&true);
        let evaluated = evaluators.is_empty() || evaluators.iter().any(|answer| answer.evaluated.contains(&self.model));
        let told = !self.expectation.told || evaluators.iter().any(|answer| answer.told.contains(&self.model));
        if scraped && evaluated && told {
            self.misses = 0;
            return Some(Proof::Seen);
        }
        self.misses = self.misses.saturating_add(1);
        let missing = match (scraped, ups.is_empty(), evaluated) {
            (false, true, _) => Proof::NotScraped,
            (false, false, _) => Proof::ScrapeFails,
            (true, _, false) => Proof::NotEvaluated,
            (true, _, true) => Proof::OperatorNotScraped,
        };
        Some(if self.misses >= MISSES { missing } else { self.proof })
    }
}

/// Asks every Prometheus that should know a model.
pub struct Sights {
    book: Mutex<Book>,
    wake: Notify,
    http: reqwest::Client,
}

impl Sights {
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new() -> Result<Arc<Self>, reqwest::Error> {
        let http = pages::client()?;
        Ok(Arc::new(Self { book: Mutex::default(), wake: Notify::new(), http }))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what is to be seen of a model; `None`: nothing, since nothing of it runs. Never waits.
    pub fn follow(&self, owner: &Owner, expectation: Option<Expectation>) {
        let model = (owner.namespace.clone(), owner.name.clone());
        if self.book().follow(&owner.uid, model, expectation) {
            self.wake.notify_one();
        }
    }

    pub fn forget(&self, uid: &str) {
        self.book().entries.remove(uid);
    }

    /// What has been seen of a model.
    pub fn proof(&self, uid: &str) -> Proof {
        self.book().entries.get(uid).map_or(Proof::Awaited, |entry| entry.proof)
    }

    /// Which of them have no metrics of containers. `remembered`: they had none when that was told last, which stands until
    /// one shows some.
    pub fn without_containers<'a>(
        &self,
        prometheuses: impl Iterator<Item = &'a Arc<Collector>>,
        remembered: bool,
    ) -> Vec<Key> {
        let book = self.book();
        let keys = prometheuses.map(|prometheus| (prometheus.namespace.clone(), prometheus.name.clone()));
        keys.filter(|key| book.lacks_containers(key, remembered)).collect()
    }

    /// Looks again and again, until nobody listens.
    pub async fn run(self: Arc<Self>, caches: Arc<Caches>, hints: mpsc::Sender<Hint>) {
        loop {
            let round = Instant::now();
            let asked = self.book().asked();
            let answers = self.ask_all(&caches, &asked).await;
            let hints_of_round = self.book().take(&answers);
            for hint in hints_of_round {
                if hints.send(hint).await.is_err() {
                    return;
                }
            }
            let pause = if self.book().awaits() { OFTEN } else { SELDOM };
            // A new model shortens a long pause, and does not make a short one shorter: that would be a look for each.
            if timeout_at(round + pause, self.wake.notified()).await.is_ok() {
                tokio::time::sleep_until(round + OFTEN).await;
            }
        }
    }

    async fn ask_all(&self, caches: &Caches, asked: &HashSet<Key>) -> BTreeMap<Key, Answer> {
        let mut answers = BTreeMap::new();
        for prometheus in caches.ecosystem.prometheuses() {
            let name = (prometheus.namespace.clone(), prometheus.name.clone());
            if !asked.contains(&name) {
                continue;
            }
            let Some(shards) = caches.ecosystem.addresses_of(&name) else { continue };
            match self.ask_shards(&shards, &prometheus.prefix).await {
                Ok(answer) => drop(answers.insert(name, answer)),
                Err(error) => tracing::debug!(%prometheus, %error, "it cannot be asked what it scrapes"),
            }
        }
        answers
    }

    /// What all shards know together: none of them knows all.
    async fn ask_shards(&self, shards: &[IpAddr], prefix: &str) -> Result<Answer, String> {
        let mut whole = Answer::default();
        for address in shards {
            whole.add(self.ask(*address, prefix).await?);
        }
        Ok(whole)
    }

    async fn ask(&self, address: IpAddr, prefix: &str) -> Result<Answer, String> {
        // The port of prometheus-operator's pods.
        let url = format!("http://{}{}/api/v1/query", SocketAddr::new(address, 9090), prefix.trim_end_matches('/'));
        let scraped = models(&self.query(&url, SCRAPED).await?, "namespace");
        let evaluated = models(&self.query(&url, EVALUATED).await?, "namespace").into_keys().collect();
        let told = models(&self.query(&url, TOLD).await?, "model_namespace").into_keys().collect();
        let containers = self.query(&url, CONTAINERS).await?;
        Ok(Answer {
            scraped,
            evaluated,
            told,
            containers: containers.as_array().is_some_and(|found| !found.is_empty()),
        })
    }

    async fn query(&self, url: &str, query: &str) -> Result<Value, String> {
        let request = self.http.get(url).query(&[("query", query)]);
        let body = pages::get(request, LARGEST_ANSWER).await.map_err(|error| error.to_string())?;
        let mut answer: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        Ok(answer["data"]["result"].take())
    }
}

/// Series by namespace, under that label, and model, and whether their value is above 0.
fn models(result: &Value, namespace: &str) -> HashMap<Key, bool> {
    let entry = |series: &Value| {
        let label = |name: &str| series["metric"][name].as_str().map(str::to_owned);
        let value: f64 = series["value"][1].as_str()?.parse().ok()?;
        Some(((label(namespace)?, label("model")?), value > 0.0))
    };
    result.as_array().into_iter().flatten().filter_map(entry).collect()
}

#[cfg(test)]
#[path = "tests/sights.rs"]
mod tests;

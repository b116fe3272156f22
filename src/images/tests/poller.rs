//! The poller with time standing still: no sockets, a registry in memory that counts, and not one real second.

mod polling;
mod secrets;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::atomic::AtomicUsize,
};

use async_trait::async_trait;
use futures::StreamExt as _;

use super::super::{
    credentials::{CredentialRef, Keychain},
    manifest::{ImageDetails, RawManifest},
    reference::{Digest, Tag},
};
use super::*;

/// A registry in memory.
#[derive(Default)]
struct Memory {
    tags: Mutex<BTreeMap<String, Digest>>,
    gone: Mutex<BTreeSet<Digest>>,
    failing: Mutex<Option<Failure>>,
    details_failing: Mutex<Option<Failure>>,
    /// Only this password gets in, when there is one.
    password: Mutex<Option<String>>,
    heads: Mutex<Vec<(String, Instant)>>,
    gets: AtomicUsize,
    pace: AtomicUsize,
    /// Polls stop here while it is taken.
    gate: tokio::sync::Mutex<()>,
}

impl Memory {
    fn push(&self, tag: &str, digest: &Digest) {
        lock(&self.tags).insert(tag.to_owned(), digest.clone());
    }

    fn fail(&self, failure: impl Into<Option<Failure>>) {
        *lock(&self.failing) = failure.into();
    }

    fn heads(&self, of: &str) -> Vec<Instant> {
        lock(&self.heads).iter().filter(|(what, _)| what.ends_with(of)).map(|(_, at)| *at).collect()
    }

    fn gets(&self) -> usize {
        self.gets.load(Ordering::SeqCst)
    }

    async fn check(&self, keychain: &Keychain) -> Result<(), Failure> {
        drop(self.gate.lock().await);
        if let Some(failure) = lock(&self.failing).clone() {
            return Err(failure);
        }
        let wanted = lock(&self.password).clone();
        if wanted.is_some_and(|wanted| keychain.fingerprint() != with_password(&wanted).fingerprint()) {
            return Err(failure(reason::UNAUTHORIZED, FailureKind::Refused));
        }
        Ok(())
    }
}

#[async_trait]
impl Ask for Memory {
    fn identity(&self, _: &Repository, keychain: &Keychain) -> Digest {
        keychain.fingerprint()
    }

    async fn resolve(&self, repository: &Repository, want: &Want, keychain: &Keychain) -> Result<Resolved, Failure> {
        lock(&self.heads).push((format!("{repository}{want}"), Instant::now()));
        // As on a network, others come meanwhile.
        tokio::task::yield_now().await;
        self.check(keychain).await?;
        let digest = match want {
            Want::Tag(tag) => lock(&self.tags).get(tag.as_str()).cloned(),
            Want::Digest(digest) => (!lock(&self.gone).contains(digest)).then(|| digest.clone()),
        };
        let pace = u32::try_from(self.pace.load(Ordering::SeqCst)).unwrap().max(1);
        let digest = digest.ok_or_else(|| failure(reason::TAG_NOT_FOUND, FailureKind::Absent))?;
        Ok(Resolved { digest, manifest: None, pace })
    }

    async fn details(
        &self,
        _: &Repository,
        digest: &Digest,
        _: Option<RawManifest>,
        keychain: &Keychain,
    ) -> Result<ImageDetails, Failure> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        // Long enough for others to come and ask the same.
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.check(keychain).await?;
        if let Some(failure) = lock(&self.details_failing).clone() {
            return Err(failure);
        }
        if lock(&self.gone).contains(digest) {
            return Err(failure(reason::DIGEST_NOT_FOUND, FailureKind::Absent));
        }
        Ok(image(digest))
    }
}

/// Secrets in memory.
#[derive(Default)]
struct Secrets {
    answers: Mutex<HashMap<String, Result<Keychain, CredentialError>>>,
    reads: AtomicUsize,
}

impl Secrets {
    fn say(&self, service_account: &str, answer: Result<Keychain, CredentialError>) {
        lock(&self.answers).insert(service_account.to_owned(), answer);
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl CredentialSource for Secrets {
    async fn keychain(&self, from: &CredentialRef) -> Result<Keychain, CredentialError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        lock(&self.answers).get(&from.service_account).cloned().unwrap_or_else(|| Ok(Keychain::empty()))
    }
}

fn with_password(password: &str) -> Keychain {
    let mut keychain = Keychain::empty();
    let config = serde_json::json!({"auths": {"docker.io": {"username": "alice", "password": password}}});
    keychain.add_docker_config_json("hub-login", config.to_string().as_bytes()).unwrap();
    keychain
}

fn failure(reason: &'static str, kind: FailureKind) -> Failure {
    Failure { problem: Problem::new(reason, "words"), retry_after: None, kind }
}

fn down() -> Failure {
    failure(reason::REGISTRY_UNREACHABLE, FailureKind::Unknown)
}

fn image(digest: &Digest) -> ImageDetails {
    let platforms = vec![("linux/amd64".parse().unwrap(), digest.clone())];
    ImageDetails { digest: digest.clone(), platforms, labels: Arc::default() }
}

fn digest(n: u8) -> Digest {
    Digest::of([n])
}

fn owner(name: &str) -> OwnerKey {
    OwnerKey { namespace: "shop".to_owned(), name: name.to_owned(), uid: format!("uid-{name}") }
}

fn latest() -> Follow {
    Follow {
        repository: Repository::parse("alice/churn").unwrap(),
        want: Want::Tag(Tag::parse("latest").unwrap()),
        details_of: BTreeSet::new(),
        stored: Vec::new(),
        serving: None,
        serving_images: BTreeSet::new(),
        introducing: BTreeSet::new(),
        interval: secs(60),
        credentials: credentials("default"),
        generation: 1,
    }
}

fn credentials(service_account: &str) -> CredentialRef {
    CredentialRef { namespace: "shop".to_owned(), service_account: service_account.to_owned(), secrets: Vec::new() }
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

struct Rig {
    images: Images,
    changed: std::pin::Pin<Box<dyn Stream<Item = OwnerKey> + Send>>,
    registry: Arc<Memory>,
    secrets: Arc<Secrets>,
}

fn rig() -> Rig {
    rig_with(Config { jitter: 0.0, ..Config::default() })
}

fn rig_with(config: Config) -> Rig {
    let (registry, secrets) = (Arc::new(Memory::default()), Arc::new(Secrets::default()));
    registry.push("latest", &digest(1));
    let metrics = prometheus::Registry::new();
    let (images, changed) = Images::start(&config, registry.clone(), secrets.clone(), &metrics).unwrap();
    Rig { images, changed: Box::pin(changed), registry, secrets }
}

impl Rig {
    /// Lets everything happen that happens within this time.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn settle(&self) {
        self.pass(Duration::from_millis(50)).await;
    }

    /// Who is to be told, all that there are.
    async fn told(&mut self) -> Vec<String> {
        self.settle().await;
        let mut told = Vec::new();
        while let Some(Some(key)) = self.changed.next().now_or_never() {
            told.push(key.name);
        }
        told.sort();
        told
    }

    fn look(&self, name: &str) -> Observation {
        self.images.follow(&owner(name), latest())
    }
}

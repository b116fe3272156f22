//! The client of the registry API: mirrors and credentials in turn, nothing believed unverified.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use url::Url;

pub(super) use super::transport::Client;
use super::{
    answer::{self, Subject},
    credentials::{Credential, Keychain},
    follow::Want,
    manifest::{self, ImageDetails, Manifest, RawManifest},
    mirrors::{Endpoint, normal_host},
    problem::{Failure, FailureKind},
    reference::{Digest, Repository},
    transport::Attempt,
};

/// What the registry specification demands clients to accept for manifests, and plenty for configurations.
const LARGEST_BODY: usize = 4 << 20;

/// Asks registries. A trait so that the poller can be tested with time standing still, where sockets cannot be used.
#[async_trait]
pub(super) trait Ask: Send + Sync + 'static {
    /// What of a keychain counts for this repository: with the same, everybody is told the same. Holds no secret.
    fn identity(&self, repository: &Repository, keychain: &Keychain) -> Digest;

    /// Which digest this is, by HEAD.
    async fn resolve(&self, repository: &Repository, want: &Want, keychain: &Keychain) -> Result<Resolved, Failure>;

    /// What this digest holds, by GET. `manifest` spares it where resolving already needed it.
    async fn details(
        &self,
        repository: &Repository,
        digest: &Digest,
        manifest: Option<RawManifest>,
        keychain: &Keychain,
    ) -> Result<ImageDetails, Failure>;
}

/// The answer to a HEAD.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    pub digest: Digest,
    /// There when only a GET could tell the digest.
    pub manifest: Option<RawManifest>,
    /// By how much to stretch the interval, since few pulls remain.
    pub pace: u32,
}

/// One thing to fetch.
#[derive(Clone, Copy)]
pub(super) enum What<'a> {
    Digest,
    Manifest,
    Blob(&'a Digest),
}

/// What was fetched.
#[derive(Clone)]
pub(super) struct Got {
    digest: Digest,
    bytes: Option<Bytes>,
    media_type: Option<String>,
    pace: u32,
}

impl Got {
    pub fn bytes(self) -> Bytes {
        self.bytes.unwrap_or_default()
    }

    pub fn manifest(self) -> RawManifest {
        RawManifest { digest: self.digest, media_type: self.media_type, bytes: self.bytes.unwrap_or_default() }
    }
}

impl Client {
    /// Asks each place in turn.
    pub(super) async fn ask(&self, subject: Subject<'_>, what: What<'_>, keychain: &Keychain) -> Result<Got, Failure> {
        let mut failures = Vec::new();
        for endpoint in self.mirrors.endpoints(subject.repository) {
            match self.ask_at(subject, &endpoint, what, keychain).await {
                Ok(got) => return Ok(got),
                Err(failure) => failures.push(failure),
            }
        }
        Err(answer::merge(failures).unwrap_or_else(|| answer::nowhere(subject)))
    }

    /// Tries each credential in turn; anonymously only where none matches, as the kubelet does it: what this operator
    /// can see and nodes cannot would be rolled out in vain.
    async fn ask_at(
        &self,
        subject: Subject<'_>,
        endpoint: &Endpoint,
        what: What<'_>,
        keychain: &Keychain,
    ) -> Result<Got, Failure> {
        let credentials = credentials_at(subject.repository, endpoint, keychain);
        if credentials.is_empty() {
            let anonymous = Credential::anonymous();
            let attempt = Attempt { subject, endpoint, credential: &anonymous };
            let mut result = self.attempt(&attempt, what).await;
            if let Err(failure) = &mut result {
                answer::explain_unmatched(failure, keychain, &normal_host(&endpoint.host()));
            }
            return result;
        }
        let mut failures = Vec::new();
        for credential in &credentials {
            match self.attempt(&Attempt { subject, endpoint, credential }, what).await {
                // Not knowing is not about who asks: the next one would only cost time, or the limit of another account.
                Err(failure) if failure.kind != FailureKind::Unknown => failures.push(failure),
                other => return other,
            }
        }
        // Of equals the first: the most specific one. Absence is the word of a registry that let somebody in.
        let found = failures.iter().position(|failure| failure.kind.is_absence()).unwrap_or(0);
        Err(failures.swap_remove(found))
    }

    async fn attempt(&self, at: &Attempt<'_>, what: What<'_>) -> Result<Got, Failure> {
        match what {
            What::Digest => match self.head(at).await? {
                Some(got) => Ok(got),
                None => self.get_manifest(at).await,
            },
            What::Manifest => self.get_manifest(at).await,
            What::Blob(digest) => {
                let url = at.endpoint.url(at.subject.repository, &format!("blobs/{digest}"));
                let response = self.exchange(at, &Method::GET, url).await?;
                let response = at.succeeded(response)?;
                let bytes = at.body(response, LARGEST_BODY).await?;
                at.verify(&bytes, digest)?;
                Ok(Got { digest: digest.clone(), bytes: Some(bytes), media_type: None, pace: 1 })
            }
        }
    }

    /// `None` when this registry does not tell the digest that way.
    async fn head(&self, at: &Attempt<'_>) -> Result<Option<Got>, Failure> {
        let response = self.exchange(at, &Method::HEAD, at.manifest_url()).await?;
        if matches!(response.status(), StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED) {
            return Ok(None);
        }
        let response = at.succeeded(response)?;
        let told = content_digest(response.headers());
        let digest = match (at.subject.want, told) {
            (Want::Digest(wanted), Some(told)) if *wanted != told => {
                return Err(answer::bad(at.subject, at.endpoint, "the digest it names is another one"));
            }
            (_, Some(told)) => told,
            // That there is a manifest under this digest is all that was asked.
            (Want::Digest(wanted), None) if is_manifest(response.headers()) => wanted.clone(),
            (_, None) => return Ok(None),
        };
        let pace = self.pace(at);
        Ok(Some(Got { digest, bytes: None, media_type: None, pace }))
    }

    async fn get_manifest(&self, at: &Attempt<'_>) -> Result<Got, Failure> {
        let response = self.exchange(at, &Method::GET, at.manifest_url()).await?;
        let response = at.succeeded(response)?;
        let told = content_digest(response.headers());
        let media_type = content_type(response.headers());
        let bytes = at.body(response, LARGEST_BODY).await?;
        let digest = match at.subject.want {
            Want::Digest(digest) => {
                at.verify(&bytes, digest)?;
                digest.clone()
            }
            Want::Tag(_) => {
                if let Some(told) = told {
                    at.verify(&bytes, &told)?;
                }
                // Anything can be hashed, a login page too: only a manifest may become a digest.
                let raw =
                    RawManifest { digest: Digest::of(&bytes), media_type: media_type.clone(), bytes: bytes.clone() };
                Manifest::read(&raw).map_err(|error| answer::unreadable(at.subject, at.endpoint, &error))?;
                raw.digest
            }
        };
        let pace = self.pace(at);
        Ok(Got { digest, bytes: Some(bytes), media_type, pace })
    }
}

/// Those for a mirror's own host first; the registry's only where the mirror may have them.
fn credentials_at(repository: &Repository, endpoint: &Endpoint, keychain: &Keychain) -> Vec<Arc<Credential>> {
    let of_registry = || keychain.matching(repository.registry(), repository.path());
    if endpoint.mirror_of.is_none() {
        return of_registry();
    }
    let mut credentials = keychain.matching(&endpoint.host(), &endpoint.path(repository));
    if endpoint.forward_credentials {
        credentials.extend(of_registry());
    }
    credentials
}

fn content_digest(headers: &HeaderMap) -> Option<Digest> {
    Digest::parse(headers.get("docker-content-digest")?.to_str().ok()?.trim()).ok()
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn is_manifest(headers: &HeaderMap) -> bool {
    let known = [manifest::OCI_INDEX, manifest::OCI_MANIFEST, manifest::DOCKER_LIST, manifest::DOCKER_MANIFEST];
    content_type(headers).is_some_and(|kind| known.contains(&kind.as_str()))
}

impl Attempt<'_> {
    fn manifest_url(&self) -> Url {
        let reference = match self.subject.want {
            Want::Tag(tag) => tag.as_str(),
            Want::Digest(digest) => digest.as_str(),
        };
        self.endpoint.url(self.subject.repository, &format!("manifests/{reference}"))
    }

    fn verify(&self, bytes: &[u8], digest: &Digest) -> Result<(), Failure> {
        if Digest::of(bytes) == *digest {
            return Ok(());
        }
        Err(answer::bad(self.subject, self.endpoint, "its content does not match its digest"))
    }
}

#[async_trait]
impl Ask for Client {
    fn identity(&self, repository: &Repository, keychain: &Keychain) -> Digest {
        let places = self.mirrors.endpoints(repository);
        let who = places.iter().map(|endpoint| {
            let credentials = credentials_at(repository, endpoint, keychain);
            credentials.iter().map(|credential| credential.fingerprint().to_string()).collect::<Vec<_>>().join(" ")
        });
        Digest::of(who.collect::<Vec<_>>().join("\n"))
    }

    async fn resolve(&self, repository: &Repository, want: &Want, keychain: &Keychain) -> Result<Resolved, Failure> {
        let got = self.ask(Subject { repository, want }, What::Digest, keychain).await?;
        let manifest = got.bytes.is_some().then(|| got.clone().manifest());
        Ok(Resolved { digest: got.digest, manifest, pace: got.pace })
    }

    async fn details(
        &self,
        repository: &Repository,
        digest: &Digest,
        manifest: Option<RawManifest>,
        keychain: &Keychain,
    ) -> Result<ImageDetails, Failure> {
        let want = Want::Digest(digest.clone());
        self.contents(Subject { repository, want: &want }, digest, manifest, keychain).await
    }
}

#[cfg(test)]
#[path = "tests/registry.rs"]
mod tests;

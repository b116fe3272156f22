//! The client of the registry API: mirrors and credentials in turn, nothing believed unverified.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use url::Url;

use super::{
    answer::{self, Subject},
    auth::{self, Challenge, Token, TokenKey, Tokens},
    credentials::{Credential, Keychain, Login},
    follow::Want,
    hosts::{Hosts, retry_after},
    manifest::{self, ImageDetails, Manifest, RawManifest},
    mirrors::{Endpoint, Mirrors, normal_host},
    platform::Platform,
    problem::{Failure, FailureKind},
    reference::{Digest, Repository},
};

/// What the registry specification demands clients to accept for manifests, and plenty for configurations.
const LARGEST_BODY: usize = 4 << 20;
/// Tokens carry lists of rights; some kilobytes are usual.
const LARGEST_TOKEN: usize = 256 << 10;
/// An index whose children do not say their platform costs two requests for each.
const MOST_UNNAMED_CHILDREN: usize = 8;

/// Asks registries. A trait so that the poller can be tested with time standing still, where sockets cannot be used.
#[async_trait]
pub(super) trait Ask: Send + Sync + 'static {
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
#[derive(Debug)]
pub(super) struct Resolved {
    pub digest: Digest,
    /// There when only a GET could tell the digest.
    pub manifest: Option<RawManifest>,
    /// By how much to stretch the interval, since few pulls remain.
    pub pace: u32,
}

/// The client of all registries.
pub(super) struct Client {
    http: reqwest::Client,
    mirrors: Mirrors,
    hosts: Hosts,
    tokens: Tokens,
}

/// One thing to fetch.
#[derive(Clone, Copy)]
enum What<'a> {
    Digest,
    Manifest,
    Blob(&'a Digest),
}

/// One place, one identity, one question.
struct Attempt<'a> {
    subject: Subject<'a>,
    endpoint: &'a Endpoint,
    credential: &'a Credential,
}

struct Got {
    digest: Digest,
    bytes: Option<Bytes>,
    media_type: Option<String>,
    pace: u32,
}

impl Client {
    pub fn new(mirrors: Mirrors, hosts: Hosts, timeout: Duration, system_proxy: bool) -> Result<Self, reqwest::Error> {
        let builder = || {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("modelship/", env!("CARGO_PKG_VERSION")))
                .timeout(timeout)
                .connect_timeout(timeout.min(Duration::from_secs(10)))
                .referer(false)
                .redirect(reqwest::redirect::Policy::custom(redirect));
            if system_proxy { builder } else { builder.no_proxy() }
        };
        let http = builder().build().or_else(|error| {
            // A machine without a certificate store can still use mirrors without TLS; with TLS each says what is wrong.
            tracing::warn!(%error, "no trusted certificates found: registries with TLS cannot be asked");
            builder().tls_certs_only([]).build()
        })?;
        Ok(Self { http, mirrors, hosts, tokens: Tokens::default() })
    }

    /// Asks each place in turn.
    async fn ask(&self, subject: Subject<'_>, what: What<'_>, keychain: &Keychain) -> Result<Got, Failure> {
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
        let found = failures.iter().position(|failure| failure.kind == FailureKind::Absent).unwrap_or(0);
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
        let pace = self.hosts.pace(&at.endpoint.host());
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
        let pace = self.hosts.pace(&at.endpoint.host());
        Ok(Got { digest, bytes: Some(bytes), media_type, pace })
    }

    /// One request, with the token dance around it: at most one more request after a refusal.
    async fn exchange(&self, at: &Attempt<'_>, method: &Method, url: Url) -> Result<reqwest::Response, Failure> {
        let (base, path) = (&at.endpoint.base, at.subject.repository.path());
        if let Login::RegistryToken(token) = &at.credential.login {
            return self.send(at, method, url, auth::bearer(token)).await;
        }
        let known = self.tokens.challenge_of(base, path);
        let (mut authorization, mut fresh) = (None, false);
        if let Some(challenge) = &known {
            (authorization, fresh) = self.authorize(at, challenge, false).await?;
        }
        let response = self.send(at, method, url.clone(), authorization).await?;
        let refused = match response.status() {
            StatusCode::UNAUTHORIZED => true,
            // A token may have been taken from the cache since before the rights changed.
            StatusCode::FORBIDDEN => known.is_some(),
            _ => false,
        };
        if !refused {
            return Ok(response);
        }
        let told = auth::challenge(response.headers());
        let again = match (told.or_else(|| known.clone()), &known) {
            (None, _) => return Ok(response),
            // The very question that was just answered with a new token: asking once more changes nothing.
            (Some(told), Some(known)) if told == *known && fresh => return Ok(response),
            (Some(told), _) => told,
        };
        self.tokens.remember_challenge(base, path, &again);
        let (authorization, _) = self.authorize(at, &again, true).await?;
        if authorization.is_none() {
            return Ok(response);
        }
        self.send(at, method, url, authorization).await
    }

    /// The header that answers a challenge, and whether it is as new as can be.
    async fn authorize(
        &self,
        at: &Attempt<'_>,
        challenge: &Challenge,
        renew: bool,
    ) -> Result<(Option<HeaderValue>, bool), Failure> {
        match challenge {
            Challenge::Basic => Ok(match &at.credential.login {
                Login::Password { username, password } => (auth::basic(username, password), true),
                _ => (None, true),
            }),
            Challenge::Bearer { realm, service, scope } => {
                let path = at.subject.repository.path();
                let key = TokenKey::new(realm, service.as_deref(), scope.as_deref(), path, at.credential);
                if renew {
                    self.tokens.drop(&key);
                } else if let Some(header) = self.tokens.get(&key) {
                    return Ok((Some(header), false));
                }
                let token = self.fetch_token(at, &key).await?;
                let header = token.header.clone();
                self.tokens.put(key, token);
                Ok((Some(header), true))
            }
        }
    }

    async fn fetch_token(&self, at: &Attempt<'_>, key: &TokenKey) -> Result<Token, Failure> {
        let bad = |why: &str| answer::bad(at.subject, at.endpoint, why);
        let request = key.request(&at.endpoint.base, at.credential).map_err(|error| bad(&format!("it {error}")))?;
        // Messages name the token service, which may be the one that is away.
        let service = Endpoint { base: request.url.clone(), mirror_of: None, forward_credentials: false };
        let mut builder = match request.form {
            Some(form) => {
                self.http.post(request.url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form)
            }
            None => self.http.get(request.url),
        };
        if let Some(authorization) = request.authorization {
            builder = builder.header(header::AUTHORIZATION, authorization);
        }
        let response = self.transmit(at.subject, &service, "token", builder).await?;
        let at_service = Attempt { subject: at.subject, endpoint: &service, credential: at.credential };
        let response = match response.status() {
            // Some services say 400 to a refresh token they do not know, and 404 to a user.
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => {
                return Err(answer::refused(at.subject, at.endpoint, at.credential));
            }
            _ => at_service.succeeded(response)?,
        };
        let body = at_service.body(response, LARGEST_TOKEN).await?;
        Token::read(&body, tokio::time::Instant::now())
            .ok_or_else(|| answer::bad(at.subject, &service, "there is no token in the token service's answer"))
    }

    async fn send(
        &self,
        at: &Attempt<'_>,
        method: &Method,
        url: Url,
        authorization: Option<HeaderValue>,
    ) -> Result<reqwest::Response, Failure> {
        let mut builder = self.http.request(method.clone(), url);
        for accept in [manifest::OCI_INDEX, manifest::OCI_MANIFEST, manifest::DOCKER_LIST, manifest::DOCKER_MANIFEST] {
            builder = builder.header(header::ACCEPT, accept);
        }
        // Configurations are served under many names.
        builder = builder.header(header::ACCEPT, "*/*;q=0.1");
        if let Some(authorization) = authorization {
            builder = builder.header(header::AUTHORIZATION, authorization);
        }
        self.transmit(at.subject, at.endpoint, method.as_str(), builder).await
    }

    /// The only place from which a request leaves.
    async fn transmit(
        &self,
        subject: Subject<'_>,
        endpoint: &Endpoint,
        method: &str,
        builder: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, Failure> {
        let host = endpoint.host();
        let held = |wait| Failure { retry_after: Some(wait), ..answer::rate_limited(endpoint) };
        if let Some(wait) = self.hosts.hold(&host) {
            return Err(held(wait));
        }
        let _place = self.hosts.enter(&host).await;
        // The hold may have begun while we stood in line.
        if let Some(wait) = self.hosts.hold(&host) {
            return Err(held(wait));
        }
        let response = builder.send().await.map_err(|error| {
            self.hosts.unanswered(&host, method);
            answer::unanswered(subject, endpoint, &error)
        })?;
        match self.hosts.answered(&host, method, response.status(), response.headers()) {
            Some(wait) => Err(held(wait)),
            None => Ok(response),
        }
    }
}

/// Those for a mirror's own host first; the registry's only where the mirror may have them.
fn credentials_at(repository: &Repository, endpoint: &Endpoint, keychain: &Keychain) -> Vec<Arc<Credential>> {
    let of_registry = || keychain.matching(repository.registry(), repository.path());
    if endpoint.mirror_of.is_none() {
        return of_registry();
    }
    let mut credentials = keychain.matching(&endpoint.host(), repository.path());
    if endpoint.forward_credentials {
        credentials.extend(of_registry());
    }
    credentials
}

/// reqwest takes `Authorization` off when the host or the port changes; what is left to forbid is the way out of TLS.
fn redirect(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let leaves_tls = attempt.url().scheme() != "https" && attempt.previous().iter().any(|url| url.scheme() == "https");
    if attempt.previous().len() > 5 || leaves_tls {
        return attempt.error("a redirect that is not followed");
    }
    attempt.follow()
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

    fn succeeded(&self, response: reqwest::Response) -> Result<reqwest::Response, Failure> {
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        let mut failure = answer::status(self.subject, self.endpoint, status, self.credential);
        if failure.kind == FailureKind::Unknown {
            failure.retry_after = retry_after(response.headers(), std::time::SystemTime::now());
        }
        Err(failure)
    }

    async fn body(&self, mut response: reqwest::Response, most: usize) -> Result<Bytes, Failure> {
        let too_long = || answer::bad(self.subject, self.endpoint, "the answer is far too long");
        if response.content_length().is_some_and(|length| length > most as u64) {
            return Err(too_long());
        }
        let mut body = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > most => return Err(too_long()),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body.freeze()),
                Err(error) => return Err(answer::unanswered(self.subject, self.endpoint, &error)),
            }
        }
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
    async fn resolve(&self, repository: &Repository, want: &Want, keychain: &Keychain) -> Result<Resolved, Failure> {
        let got = self.ask(Subject { repository, want }, What::Digest, keychain).await?;
        let manifest =
            got.bytes.map(|bytes| RawManifest { digest: got.digest.clone(), media_type: got.media_type, bytes });
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
        let subject = Subject { repository, want: &want };
        let platforms = match self.manifest(subject, manifest, keychain).await? {
            Manifest::Image { config } => vec![(self.platform(subject, &config, keychain).await?, digest.clone())],
            Manifest::Index(children) => self.platforms(subject, children, keychain).await?,
        };
        Ok(ImageDetails { digest: digest.clone(), platforms })
    }
}

impl Client {
    async fn manifest(
        &self,
        subject: Subject<'_>,
        known: Option<RawManifest>,
        keychain: &Keychain,
    ) -> Result<Manifest, Failure> {
        let raw = match known {
            Some(raw) => raw,
            None => {
                let got = self.ask(subject, What::Manifest, keychain).await?;
                RawManifest { digest: got.digest, media_type: got.media_type, bytes: got.bytes.unwrap_or_default() }
            }
        };
        Manifest::read(&raw).map_err(|error| answer::unreadable_anywhere(subject, &error))
    }

    async fn platforms(
        &self,
        subject: Subject<'_>,
        children: Vec<(Option<Platform>, Digest)>,
        keychain: &Keychain,
    ) -> Result<Vec<(Platform, Digest)>, Failure> {
        let unnamed = children.iter().filter(|(platform, _)| platform.is_none()).count();
        if unnamed > MOST_UNNAMED_CHILDREN {
            return Err(answer::no_platform(subject));
        }
        let mut platforms = Vec::with_capacity(children.len());
        for (platform, digest) in children {
            let platform = match platform {
                Some(platform) => platform,
                None => {
                    let want = Want::Digest(digest.clone());
                    let child = Subject { repository: subject.repository, want: &want };
                    match self.manifest(child, None, keychain).await? {
                        Manifest::Image { config } => self.platform(child, &config, keychain).await?,
                        Manifest::Index(_) => return Err(answer::no_platform(subject)),
                    }
                }
            };
            platforms.push((platform, digest));
        }
        Ok(platforms)
    }

    async fn platform(&self, subject: Subject<'_>, config: &Digest, keychain: &Keychain) -> Result<Platform, Failure> {
        let got = self.ask(subject, What::Blob(config), keychain).await.map_err(|failure| match failure.kind {
            // The manifest is there: what lacks is a part of it.
            FailureKind::Absent => answer::incomplete(subject),
            _ => failure,
        })?;
        manifest::platform_in_config(&got.bytes.unwrap_or_default()).ok_or_else(|| answer::no_platform(subject))
    }
}

#[cfg(test)]
#[path = "tests/registry.rs"]
mod tests;

//! The token dance: a registry's challenge, the token service it names, and a cache of tokens.
//!
//! <https://distribution.github.io/distribution/spec/auth/token/> and `…/oauth/` describe it.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use base64::Engine as _;
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::{
    credentials::{Credential, Login},
    hosts::lock,
    reference::Digest,
};

/// What the documentation of the token service gives a token that does not say how long it lives.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// However long a service says: a revoked credential is noticed in time.
const LONGEST_LIFE: Duration = Duration::from_secs(60 * 60);
/// Tokens, and challenges, kept.
const MOST_REMEMBERED: usize = 10_000;

/// What a registry wants to see before it answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

/// Reads all `WWW-Authenticate` headers; Bearer is preferred, since it is what pulls need where both are offered.
pub(super) fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let mut basic = false;
    for value in headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()) {
        // One that cannot be read, of a proxy on the way for example, takes nothing from the others.
        for challenge in http_auth::parse_challenges(value).unwrap_or_default() {
            if challenge.scheme.eq_ignore_ascii_case("bearer") {
                let param = |name: &str| {
                    let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped()).filter(|value| !value.is_empty())
                };
                if let Some(realm) = param("realm") {
                    return Some(Challenge::Bearer { realm, service: param("service"), scope: param("scope") });
                }
            }
            basic |= challenge.scheme.eq_ignore_ascii_case("basic");
        }
    }
    basic.then_some(Challenge::Basic)
}

/// A request to the token service.
#[derive(Debug)]
pub(super) struct TokenRequest {
    pub url: Url,
    pub authorization: Option<HeaderValue>,
    /// The OAuth 2 form of the request: a body to POST instead of a GET.
    pub form: Option<String>,
}

/// Why no token can be asked for. The texts continue "the registry …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ChallengeError {
    #[error("names a token service that is no https URL")]
    Realm,
}

/// What tells tokens apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TokenKey {
    realm: String,
    service: Option<String>,
    scope: String,
    credential: Digest,
}

impl TokenKey {
    /// A challenge may leave the scope out: then the least that is needed is asked for.
    pub fn new(realm: &str, service: Option<&str>, scope: Option<&str>, path: &str, credential: &Credential) -> Self {
        Self {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map_or_else(|| format!("repository:{path}:pull"), str::to_owned),
            credential: credential.fingerprint(),
        }
    }

    /// How to ask for it. A registry that is reached over TLS must not send credentials to a plain realm.
    pub fn request(&self, registry: &Url, credential: &Credential) -> Result<TokenRequest, ChallengeError> {
        let mut url = Url::parse(&self.realm).map_err(|_| ChallengeError::Realm)?;
        let plain_too = registry.scheme() == "http";
        if !(url.scheme() == "https" || plain_too && url.scheme() == "http") || url.host_str().is_none() {
            return Err(ChallengeError::Realm);
        }
        if let Login::IdentityToken(refresh_token) = &credential.login {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "refresh_token");
            form.append_pair("refresh_token", refresh_token);
            form.append_pair("client_id", "modelship");
            form.append_pair("scope", &self.scope);
            if let Some(service) = &self.service {
                form.append_pair("service", service);
            }
            return Ok(TokenRequest { url, authorization: None, form: Some(form.finish()) });
        }
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = &self.service {
                query.append_pair("service", service);
            }
            // Several scopes come separated by blanks and go out one by one.
            for scope in self.scope.split_ascii_whitespace() {
                query.append_pair("scope", scope);
            }
        }
        let authorization = match &credential.login {
            Login::Password { username, password } => basic(username, password),
            _ => None,
        };
        Ok(TokenRequest { url, authorization, form: None })
    }
}

/// `Authorization: Basic …`, marked as sensitive so that no log prints it.
pub(super) fn basic(username: &str, password: &str) -> Option<HeaderValue> {
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    sensitive(&format!("Basic {encoded}"))
}

/// `Authorization: Bearer …`; `None` for a token that no header can hold.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    sensitive(&format!("Bearer {token}"))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<f64>,
}

/// A token as it goes into a header, and when to stop using it.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub header: HeaderValue,
    good_until: Instant,
}

impl Token {
    /// Reads the token service's answer; `None` when it holds no token.
    pub fn read(body: &[u8], now: Instant) -> Option<Self> {
        let answer: TokenAnswer = serde_json::from_slice(body).ok()?;
        let token = [answer.token, answer.access_token].into_iter().flatten().find(|token| !token.is_empty())?;
        let told = answer.expires_in.filter(|seconds| *seconds > 0.0);
        let life =
            told.map_or(DEFAULT_LIFE, |seconds| Duration::from_secs_f64(seconds.min(LONGEST_LIFE.as_secs_f64())));
        // The clock starts when the service signs, not when we read; a request needs time to arrive, too.
        let margin = (life / 4).min(Duration::from_secs(10));
        Some(Self { header: bearer(&token)?, good_until: now + life - margin })
    }
}

/// Tokens still good, and what each repository asked for last time, which spares the refused first request.
#[derive(Default)]
pub(super) struct Tokens {
    inner: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    tokens: HashMap<TokenKey, Token>,
    challenges: HashMap<(String, String), Challenge>,
}

impl Tokens {
    pub fn get(&self, key: &TokenKey) -> Option<HeaderValue> {
        let now = Instant::now();
        lock(&self.inner).tokens.get(key).filter(|token| token.good_until > now).map(|token| token.header.clone())
    }

    pub fn put(&self, key: TokenKey, token: Token) {
        let mut inner = lock(&self.inner);
        if inner.tokens.len() >= MOST_REMEMBERED {
            let now = Instant::now();
            inner.tokens.retain(|_, token| token.good_until > now);
            if inner.tokens.len() >= MOST_REMEMBERED {
                inner.tokens.clear();
            }
        }
        inner.tokens.insert(key, token);
    }

    /// A token that was refused is not good, whatever it said.
    pub fn drop(&self, key: &TokenKey) {
        lock(&self.inner).tokens.remove(key);
    }

    /// The same where only the header is at hand. Refusals are rare, so looking through all is fine.
    pub fn forget(&self, header: &HeaderValue) {
        lock(&self.inner).tokens.retain(|_, token| token.header != *header);
    }

    pub fn challenge_of(&self, endpoint: &Url, path: &str) -> Option<Challenge> {
        lock(&self.inner).challenges.get(&(endpoint.to_string(), path.to_owned())).cloned()
    }

    pub fn remember_challenge(&self, endpoint: &Url, path: &str, challenge: &Challenge) {
        let mut inner = lock(&self.inner);
        if inner.challenges.len() >= MOST_REMEMBERED {
            inner.challenges.clear();
        }
        inner.challenges.insert((endpoint.to_string(), path.to_owned()), challenge.clone());
    }
}

#[cfg(test)]
#[path = "tests/auth.rs"]
mod tests;

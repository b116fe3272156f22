//! How a request leaves and an answer comes in: the token dance, holds, redirects, sizes.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use url::Url;

use super::{
    answer::{self, Subject},
    auth::{self, Challenge, Token, TokenKey, Tokens},
    credentials::{Credential, Login},
    hosts::Hosts,
    limits::{Hold, Limit, retry_after},
    manifest,
    mirrors::{Endpoint, Mirrors},
    poller::Config,
    problem::{Failure, FailureKind},
};
use crate::outside::{self, Spoilt};

/// Tokens carry lists of rights; some kilobytes are usual.
const LARGEST_TOKEN: usize = 256 << 10;
/// What a registry says with a 429 is a sentence.
const LARGEST_REFUSAL: usize = 8 << 10;

/// The client of all registries.
pub(super) struct Client {
    http: reqwest::Client,
    /// Follows no redirect.
    in_place: reqwest::Client,
    pub(super) mirrors: Mirrors,
    pub(super) hosts: Hosts,
    tokens: Tokens,
}

/// One place, one identity, one question.
pub(super) struct Attempt<'a> {
    pub subject: Subject<'a>,
    pub endpoint: &'a Endpoint,
    pub credential: &'a Credential,
}

impl Client {
    pub fn new(config: &Config, hosts: Hosts) -> Result<Self, reqwest::Error> {
        let Config { request_timeout: timeout, system_proxy, trusted, .. } = config;
        let client =
            |redirects: fn() -> reqwest::redirect::Policy| outside::client(*timeout, *system_proxy, trusted, redirects);
        Ok(Self {
            http: client(|| reqwest::redirect::Policy::custom(redirect))?,
            in_place: client(reqwest::redirect::Policy::none)?,
            mirrors: config.mirrors.clone(),
            hosts,
            tokens: Tokens::default(),
        })
    }

    /// One request, with the token dance around it: at most one more request after a refusal.
    pub(super) async fn exchange(
        &self,
        at: &Attempt<'_>,
        method: &Method,
        url: Url,
    ) -> Result<reqwest::Response, Failure> {
        let (base, path) = (&at.endpoint.base, &*at.endpoint.path(at.subject.repository));
        if let Login::RegistryToken(token) = &at.credential.login {
            return self.send(at, method, url, auth::bearer(token)).await;
        }
        let known = self.tokens.challenge_of(base, path);
        let (mut authorization, mut fresh) = (None, false);
        if let Some(challenge) = &known {
            (authorization, fresh) = self.authorize(at, challenge, false).await?;
        }
        let response = self.send(at, method, url.clone(), authorization.clone()).await?;
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
            (Some(told), Some(known)) if told == *known && fresh => {
                authorization.iter().for_each(|header| self.tokens.forget(header));
                return Ok(response);
            }
            (Some(told), _) => told,
        };
        self.tokens.remember_challenge(base, path, &again);
        let (Some(authorization), _) = self.authorize(at, &again, true).await? else { return Ok(response) };
        let response = self.send(at, method, url, Some(authorization.clone())).await?;
        if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            self.tokens.forget(&authorization);
        }
        Ok(response)
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
                let path = &at.endpoint.path(at.subject.repository);
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
        let service = Endpoint::of(request.url.clone());
        let mut builder = match request.form {
            // A redirect may repeat the body, and with it the refresh token, anywhere: this follows none.
            Some(form) => {
                let request = self.in_place.post(request.url).body(form);
                request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            }
            None => self.http.get(request.url),
        };
        if let Some(authorization) = request.authorization {
            builder = builder.header(header::AUTHORIZATION, authorization);
        }
        let at_service = Attempt { subject: at.subject, endpoint: &service, credential: at.credential };
        let response = self.transmit(&at_service, "token", builder).await?;
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
        self.transmit(at, method.as_str(), builder).await
    }

    /// The only place from which a request leaves.
    async fn transmit(
        &self,
        at: &Attempt<'_>,
        method: &str,
        builder: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, Failure> {
        let (host, who) = (at.endpoint.host(), at.credential.fingerprint());
        let held = |hold: Hold| Failure {
            retry_after: Some(hold.wait),
            ..answer::rate_limited(at.endpoint, at.credential, hold.limit)
        };
        let _place = self.hosts.enter(&host).await;
        // Asked only now: a hold may have begun while we stood in line.
        if let Some(hold) = self.hosts.hold(&host, &who) {
            return Err(held(hold));
        }
        let response = builder.send().await.map_err(|error| {
            self.hosts.unanswered(&host, method);
            answer::unanswered(at.subject, at.endpoint, &error)
        })?;
        let status = response.status();
        if status != StatusCode::TOO_MANY_REQUESTS {
            self.hosts.answered(&host, &who, method, status, response.headers(), None);
            return Ok(response);
        }
        let headers = response.headers().clone();
        let body = outside::body(response, LARGEST_REFUSAL).await.unwrap_or_default();
        let limit = Limit::of(&headers, &body);
        let hold = self.hosts.answered(&host, &who, method, status, &headers, Some(limit));
        Err(hold.map_or_else(|| answer::rate_limited(at.endpoint, at.credential, limit), held))
    }

    /// By how much to stretch intervals, by what was last said of the limits of whoever asks.
    pub(super) fn pace(&self, at: &Attempt<'_>) -> u32 {
        self.hosts.pace(&at.endpoint.host(), &at.credential.fingerprint())
    }
}

/// For requests without a body. reqwest takes `Authorization` off when the host or the port changes; what is left to forbid
/// is the way out of TLS.
fn redirect(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let leaves_tls = attempt.url().scheme() != "https" && attempt.previous().iter().any(|url| url.scheme() == "https");
    if attempt.previous().len() > 5 || leaves_tls {
        return attempt.error("a redirect that is not followed");
    }
    attempt.follow()
}

impl Attempt<'_> {
    pub fn succeeded(&self, response: reqwest::Response) -> Result<reqwest::Response, Failure> {
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

    pub async fn body(&self, response: reqwest::Response, most: usize) -> Result<Bytes, Failure> {
        outside::body(response, most).await.map_err(|spoilt| match spoilt {
            Spoilt::TooLong => answer::bad(self.subject, self.endpoint, "the answer is far too long"),
            Spoilt::Broken(error) => answer::unanswered(self.subject, self.endpoint, &error),
        })
    }
}

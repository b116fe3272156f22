//! Who asks: the pull secrets' content as a [`Keychain`], and where it comes from: [`CredentialSource`].

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use base64::Engine as _;
use serde::Deserialize;

use super::{
    mirrors::normal_host,
    problem::{Problem, reason},
    reference::Digest,
};

/// Which pull secrets an object may use: its own and those of its ServiceAccount.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialRef {
    /// The namespace of all that is named here.
    pub namespace: String,
    /// The ServiceAccount of the model's pods; empty when none is to be looked at.
    pub service_account: String,
    /// The pull secrets of the object itself, in the order written.
    pub secrets: Vec<String>,
}

/// Reads pull secrets. The controller implements it over the Kubernetes API; this room never talks to that API.
///
/// It is called once per [`CredentialRef`] at first use, again when an object's generation changed, and again when a
/// registry refuses: never at rest.
#[async_trait]
pub trait CredentialSource: Send + Sync + 'static {
    /// The content of these secrets, merged in this order: the object's own, then its ServiceAccount's.
    ///
    /// A secret that the object itself names must be there. One that only the ServiceAccount names may be missing, as
    /// for the kubelet.
    async fn keychain(&self, from: &CredentialRef) -> Result<Keychain, CredentialError>;
}

/// Why there is no keychain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// There is no such Secret.
    #[error(
        "there is no Secret {secret} in this namespace: create it (kubectl create secret docker-registry {secret} …) \
         or take it out of image.pullSecrets"
    )]
    NotFound {
        /// Its name.
        secret: String,
    },
    /// The Secret's content is no docker configuration.
    #[error(
        "the Secret {secret} {why}: create it anew with kubectl create secret docker-registry {secret} \
         --docker-server=… --docker-username=… --docker-password=…"
    )]
    Malformed {
        /// Its name.
        secret: String,
        /// What is wrong with it, without its content; continues "the Secret x".
        why: String,
    },
    /// The Kubernetes API did not answer.
    #[error("the pull secrets cannot be read ({why}): the operator's ServiceAccount needs get on secrets here")]
    Unavailable {
        /// What the API said; nothing that changes from try to try.
        why: String,
    },
}

impl CredentialError {
    pub(crate) fn problem(&self) -> Problem {
        let reason = match self {
            Self::NotFound { .. } => reason::PULL_SECRET_MISSING,
            Self::Malformed { .. } => reason::PULL_SECRET_MALFORMED,
            Self::Unavailable { .. } => reason::PULL_SECRET_UNAVAILABLE,
        };
        Problem::new(reason, self.to_string())
    }
}

/// The entries of several docker configurations, looked up by repository as the kubelet does it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keychain {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    key: Key,
    credential: Arc<Credential>,
}

/// How one proves who one is. `Debug` never prints a secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Login {
    Anonymous,
    Password {
        username: String,
        password: String,
    },
    /// An OAuth 2 refresh token, exchanged at the token service.
    IdentityToken(String),
    /// A token that goes to the registry as it is.
    RegistryToken(String),
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    pub login: Login,
    /// The Secret it came from, for messages.
    pub secret: String,
}

impl Credential {
    pub fn anonymous() -> Self {
        Self { login: Login::Anonymous, secret: String::new() }
    }

    pub fn is_anonymous(&self) -> bool {
        matches!(self.login, Login::Anonymous)
    }

    /// Tells credentials apart in caches, without being one.
    pub fn fingerprint(&self) -> Digest {
        let parts: [&str; 3] = match &self.login {
            Login::Anonymous => ["anonymous", "", ""],
            Login::Password { username, password } => ["password", username, password],
            Login::IdentityToken(token) => ["identity", token, ""],
            Login::RegistryToken(token) => ["registry", token, ""],
        };
        Digest::of(parts.map(|part| format!("{}:{part}", part.len())).concat())
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Password { .. } => "Password(…)",
            Self::IdentityToken(_) => "IdentityToken(…)",
            Self::RegistryToken(_) => "RegistryToken(…)",
        })
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} from {:?}", self.login, self.secret)
    }
}

#[derive(Deserialize)]
struct DockerConfig {
    auths: Option<BTreeMap<String, AuthEntry>>,
}

#[derive(Deserialize)]
struct AuthEntry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default, alias = "identityToken")]
    identitytoken: String,
    #[serde(default, alias = "registryToken")]
    registrytoken: String,
}

impl Keychain {
    /// No credentials: every registry is asked anonymously.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Adds the content of a `kubernetes.io/dockerconfigjson` Secret (its key `.dockerconfigjson`).
    pub fn add_docker_config_json(&mut self, secret: &str, content: &[u8]) -> Result<(), CredentialError> {
        let config: DockerConfig = serde_json::from_slice(content)
            .map_err(|error| malformed(secret, &format!("holds no docker configuration ({})", place(&error))))?;
        let auths = config.auths.ok_or_else(|| malformed(secret, "holds a docker configuration without \"auths\""))?;
        self.add(secret, auths)
    }

    /// Adds the content of a legacy `kubernetes.io/dockercfg` Secret (its key `.dockercfg`).
    pub fn add_legacy_dockercfg(&mut self, secret: &str, content: &[u8]) -> Result<(), CredentialError> {
        let auths = serde_json::from_slice(content)
            .map_err(|error| malformed(secret, &format!("holds no legacy docker configuration ({})", place(&error))))?;
        self.add(secret, auths)
    }

    fn add(&mut self, secret: &str, auths: BTreeMap<String, AuthEntry>) -> Result<(), CredentialError> {
        let mut added = Vec::with_capacity(auths.len());
        for (key, entry) in auths {
            let Some(login) = entry.login().map_err(|why| malformed(secret, &why))? else { continue };
            let credential = Arc::new(Credential { login, secret: secret.to_owned() });
            added.push(Entry { key: Key::parse(&key), credential });
        }
        self.entries.extend(added);
        Ok(())
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Changes when any entry changes, and only then; holds no secret.
    pub fn fingerprint(&self) -> Digest {
        let lines = self.entries.iter().map(|entry| format!("{:?} {}\n", entry.key, entry.credential.fingerprint()));
        Digest::of(lines.collect::<String>())
    }

    /// All that match `host/path`, the most specific first, each login once.
    pub(crate) fn matching(&self, host: &str, path: &str) -> Vec<Arc<Credential>> {
        let host = normal_host(host);
        let mut matches: Vec<&Entry> = self.entries.iter().filter(|entry| entry.key.matches(&host, path)).collect();
        // A stable sort: entries that are equally specific keep the order in which the secrets were named.
        matches.sort_by_key(|entry| std::cmp::Reverse(entry.key.specificity()));
        let mut found: Vec<Arc<Credential>> = Vec::with_capacity(matches.len());
        for entry in matches {
            if !found.iter().any(|known| known.login == entry.credential.login) {
                found.push(entry.credential.clone());
            }
        }
        found
    }

    /// The hosts it has entries for, for a message.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let mut hosts: Vec<String> = self.entries.iter().map(|entry| entry.key.host_and_port()).collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }
}

fn malformed(secret: &str, why: &str) -> CredentialError {
    CredentialError::Malformed { secret: secret.to_owned(), why: why.to_owned() }
}

/// serde's own words may quote the content, so only the place is told.
fn place(error: &serde_json::Error) -> String {
    format!("not the expected JSON at line {} column {}", error.line(), error.column())
}

impl AuthEntry {
    fn login(&self) -> Result<Option<Login>, String> {
        if !self.registrytoken.is_empty() {
            return Ok(Some(Login::RegistryToken(self.registrytoken.clone())));
        }
        if !self.identitytoken.is_empty() {
            return Ok(Some(Login::IdentityToken(self.identitytoken.clone())));
        }
        let (username, password) =
            if self.auth.is_empty() { (self.username.clone(), self.password.clone()) } else { decode(&self.auth)? };
        match username.as_str() {
            "" => Ok(None),
            // Docker's way to store a refresh token where only a user and a password fit.
            "<token>" => Ok(Some(Login::IdentityToken(password))),
            _ => Ok(Some(Login::Password { username, password })),
        }
    }
}

fn decode(auth: &str) -> Result<(String, String), String> {
    let standard = base64::engine::general_purpose::STANDARD;
    let unpadded = base64::engine::general_purpose::STANDARD_NO_PAD;
    let trimmed = auth.trim();
    let bytes = standard
        .decode(trimmed)
        .or_else(|_| unpadded.decode(trimmed.trim_end_matches('=')))
        .map_err(|_| "has an \"auth\" that is not base64".to_owned())?;
    let text = String::from_utf8(bytes).map_err(|_| "has an \"auth\" that is not text".to_owned())?;
    let (username, password) =
        text.split_once(':').ok_or_else(|| "has an \"auth\" that is not user:password".to_owned())?;
    // Docker pads short ones with NUL.
    Ok((username.to_owned(), password.trim_end_matches('\0').to_owned()))
}

/// What a docker configuration files an entry under: `[scheme://]host[:port][/v1|/v2][/path]`, with globs in the host.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    host: String,
    port: Option<String>,
    path: String,
}

impl Key {
    fn parse(text: &str) -> Self {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.trim_end_matches('/');
        let path = match path {
            "v1" | "v2" => "",
            other => other.strip_prefix("v1/").or_else(|| other.strip_prefix("v2/")).unwrap_or(other),
        };
        let (host, port) = split_port(authority);
        Self { host: normal_host(host), port: port.map(str::to_owned), path: path.to_owned() }
    }

    fn matches(&self, host: &str, path: &str) -> bool {
        let (host, port) = split_port(host);
        self.port.as_deref() == port && host_matches(&self.host, host) && path.starts_with(&self.path)
    }

    /// A name before a glob, a longer path before a shorter one.
    fn specificity(&self) -> (bool, usize, usize) {
        let plain = !self.host.contains(['*', '?', '[']);
        let letters = self.host.chars().filter(|c| !matches!(c, '*' | '?')).count();
        (plain, self.path.len(), letters)
    }

    fn host_and_port(&self) -> String {
        match &self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Part by part between the dots, so that `*.io` matches `quay.io` and not `eu.quay.io`.
fn host_matches(pattern: &str, host: &str) -> bool {
    let (patterns, parts): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), host.split('.').collect());
    patterns.len() == parts.len()
        && patterns.iter().zip(parts).all(|(pattern, part)| glob(pattern.as_bytes(), part.as_bytes()))
}

/// `*` for any run and `?` for one character. Remembers only the last star, so it is never worse than quadratic.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
#[path = "tests/credentials.rs"]
mod tests;

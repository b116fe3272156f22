//! Where a registry's API is served: [`Mirrors`] first, then the registry itself.

use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

use url::Url;

use super::reference::{DOCKER_HUB, Repository};

/// Which mirrors stand in for which registry, as containerd's `hosts.toml` says it for the nodes.
///
/// Written `host=url`, several separated by commas or blanks; several for one host are tried in the order written:
///
/// ```
/// # use modelship::images::Mirrors;
/// let mirrors: Mirrors = "docker.io=http://10.245.0.1:5000, ghcr.io=https://cache.example.org/ghcr".parse()?;
/// # Ok::<(), modelship::images::MirrorError>(())
/// ```
///
/// A mirror that cannot be reached, refuses, fails, or does not hold the image is passed over for the next, and at last
/// for the registry itself, exactly as nodes do it. Credentials for the registry are **not** sent to a mirror, since a
/// mirror is another party; credentials for the mirror's own host in a pull secret are. Three options in the URL's query:
///
/// * `credentials=forward` sends the registry's credentials to this mirror too (a cache that asks on the caller's
///   behalf; nodes that run containerd do this);
/// * `upstream=never` asks the registry itself never (an air-gapped cluster, or a mirror that is pushed to: while it is
///   away, an older image of the same tag upstream must not be taken for a new push);
/// * `override_path=true` takes the URL's path for where the API begins, without `/v2` behind it, as the option of that name
///   does for containerd: registries that keep each cache in a project of its own need it. A path that begins with `/v2/`
///   means the same without being told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirrors(BTreeMap<String, Vec<Mirror>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mirror {
    base: Url,
    forward_credentials: bool,
    upstream_too: bool,
}

/// A mirror that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// There is no `=`, or nothing before it.
    #[error(
        "the mirror {0:?} does not say for which registry: write host=url, for example docker.io=https://mirror:5000"
    )]
    NoHost(String),
    /// The part after `=` is no http or https URL.
    #[error("the mirror of {host} is not an http:// or https:// URL with a host ({url:?})")]
    Url {
        /// The registry.
        host: String,
        /// What was written.
        url: String,
    },
    /// User and password stand in the URL.
    #[error("the mirror of {0} has a user or a password in its URL: put them into a pull secret for the mirror's host")]
    UserInfo(String),
    /// An option that does not exist.
    #[error(
        "the mirror of {host} has the unknown option {option:?}: only credentials=forward, upstream=never and \
         override_path=true exist"
    )]
    Option {
        /// The registry.
        host: String,
        /// What was written.
        option: String,
    },
}

impl Mirrors {
    /// No mirrors: every registry is asked itself.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds one `host=url`, after those already there for that host.
    pub fn add(&mut self, text: &str) -> Result<(), MirrorError> {
        let (host, url) = text.split_once('=').ok_or_else(|| MirrorError::NoHost(text.to_owned()))?;
        let host = normal_host(host.trim());
        if host.is_empty() || host.contains('/') {
            return Err(MirrorError::NoHost(text.to_owned()));
        }
        let mirror = Mirror::parse(&host, url.trim())?;
        self.0.entry(host).or_default().push(mirror);
        Ok(())
    }

    /// Where to ask for this repository, in order.
    pub(crate) fn endpoints(&self, repository: &Repository) -> Vec<Endpoint> {
        let mirrors = self.0.get(repository.registry()).map_or(&[][..], Vec::as_slice);
        let alone = !mirrors.iter().all(|mirror| mirror.upstream_too);
        let mut endpoints: Vec<_> = mirrors
            .iter()
            .map(|mirror| Endpoint {
                base: mirror.base.clone(),
                mirror_of: Some(repository.registry().to_owned()),
                forward_credentials: mirror.forward_credentials,
                alone,
            })
            .collect();
        if !alone {
            endpoints.extend(upstream(repository.registry()));
        }
        endpoints
    }
}

impl FromStr for Mirrors {
    type Err = MirrorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut mirrors = Self::none();
        for one in text.split([',', ' ', '\n']).filter(|one| !one.trim().is_empty()) {
            mirrors.add(one.trim())?;
        }
        Ok(mirrors)
    }
}

impl Mirror {
    fn parse(host: &str, text: &str) -> Result<Self, MirrorError> {
        let wrong = || MirrorError::Url { host: host.to_owned(), url: text.to_owned() };
        let mut base = Url::parse(text).map_err(|_| wrong())?;
        if !base.username().is_empty() || base.password().is_some() {
            return Err(MirrorError::UserInfo(host.to_owned()));
        }
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none_or(str::is_empty) {
            return Err(wrong());
        }
        let (mut forward_credentials, mut upstream_too, mut override_path) = (false, true, false);
        for (key, value) in base.query_pairs() {
            match (key.as_ref(), value.as_ref()) {
                ("credentials", "forward") => forward_credentials = true,
                ("upstream", "never") => upstream_too = false,
                ("override_path", "true") => override_path = true,
                _ => {
                    return Err(MirrorError::Option { host: host.to_owned(), option: format!("{key}={value}") });
                }
            }
        }
        base.set_query(None);
        base.set_fragment(None);
        let path = base.path().trim_end_matches('/').to_owned();
        // Nobody serves one registry's API below another's.
        let is_root = override_path || path.ends_with("/v2") || path.starts_with("/v2/");
        base.set_path(&if is_root { path } else { format!("{path}/v2") });
        Ok(Self { base, forward_credentials, upstream_too })
    }
}

/// One place that serves the API for a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Where its API begins: with a registry `/v2`.
    pub base: Url,
    /// The registry this stands in for; `None` for the registry itself.
    pub mirror_of: Option<String>,
    pub forward_credentials: bool,
    /// A mirror, and the registry that it stands in for is not asked.
    pub alone: bool,
}

impl Endpoint {
    /// A server that stands in for none.
    pub fn of(base: Url) -> Self {
        Self { base, mirror_of: None, forward_credentials: true, alone: false }
    }

    /// `host` or `host:port`: what credentials are looked up by, and what metrics and messages say.
    pub fn host(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        match self.base.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// The repository's path as this host calls it: a mirror may keep it in a project.
    pub fn path<'a>(&self, repository: &'a Repository) -> Cow<'a, str> {
        match self.base.path().strip_prefix("/v2/") {
            Some(project) if !project.is_empty() => format!("{project}/{}", repository.path()).into(),
            _ => repository.path().into(),
        }
    }

    /// The URL of something in a repository, for example `manifests/latest`.
    pub fn url(&self, repository: &Repository, what: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{}/{what}", self.base.path().trim_end_matches('/'), repository.path()));
        if let Some(registry) = &self.mirror_of {
            // One mirror may serve several registries: this is how containerd tells it which is meant.
            url.query_pairs_mut().append_pair("ns", registry);
        }
        url
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.mirror_of {
            Some(registry) => write!(f, "the mirror {} of {registry}", self.host()),
            None => f.write_str(&self.host()),
        }
    }
}

fn upstream(registry: &str) -> Option<Endpoint> {
    let host = if registry == DOCKER_HUB { "registry-1.docker.io" } else { registry };
    let scheme = if is_loopback(registry) { "http" } else { "https" };
    Url::parse(&format!("{scheme}://{host}/v2")).ok().map(Endpoint::of)
}

/// Registries on the machine itself speak plain HTTP by default, as container runtimes assume too.
fn is_loopback(registry: &str) -> bool {
    let host = registry
        .rsplit_once(':')
        .map_or(registry, |(host, port)| if port.bytes().all(|b| b.is_ascii_digit()) { host } else { registry });
    host == "localhost" || host.starts_with("127.") && host.parse::<std::net::Ipv4Addr>().is_ok() || host == "[::1]"
}

/// Docker Hub has several names; `docker.io` stands for all.
pub(crate) fn normal_host(host: &str) -> String {
    match host.to_ascii_lowercase().as_str() {
        "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => DOCKER_HUB.to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
#[path = "tests/mirrors.rs"]
mod tests;

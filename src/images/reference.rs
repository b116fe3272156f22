//! What an image is called: [`Repository`], [`Tag`], [`Digest`].
//!
//! Each type is made once, at the edge, and cannot hold a wrong value afterwards. Names are normalised as Docker does
//! it, so that `alice/churn`, `docker.io/alice/churn` and `index.docker.io/alice/churn` are one repository: they share
//! one poll, and a pod template never changes because somebody wrote the same name differently.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::Digest as _;

use super::pages;

/// The host of Docker Hub as it stands in image names. Its API is served elsewhere: see [`super::Mirrors`].
pub(crate) const DOCKER_HUB: &str = "docker.io";
/// What Docker Hub was once called in image names.
const DOCKER_HUB_LEGACY: &str = "index.docker.io";

/// Why a name is refused. Every text says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing was written.
    #[error("the image repository is empty: write it as in `docker pull`, for example alice/credit-scoring-model")]
    Empty,
    /// Blanks inside or around the name.
    #[error("the image repository {0:?} holds blanks or control characters: remove them")]
    Blank(String),
    /// A URL was pasted.
    #[error("{0:?} is a URL: write the repository without the scheme, as {1}")]
    Scheme(String, String),
    /// The address of a page about an image was pasted.
    #[error("{0:?} is a web page, and no registry answers there: write the repository as in `docker pull`, here {1}")]
    Page(String, String),
    /// Registries know lower-case names only.
    #[error("the image repository {0:?} has upper-case letters, which no registry accepts: write {1}")]
    UpperCase(String, String),
    /// A tag belongs into a field of its own.
    #[error("the image repository {0:?} carries a tag: put the tag under image.follow.tag (here: {1}) and leave {2}")]
    HasTag(String, String, String),
    /// A digest belongs into a field of its own.
    #[error("the image repository {0:?} carries a digest: put the digest under image.pin (here: {1}) and leave {2}")]
    HasDigest(String, String, String),
    /// Longer than any registry accepts.
    #[error("the image repository is longer than 255 characters, which no registry accepts: shorten it")]
    TooLong,
    /// Everything else.
    #[error(
        "{0:?} is not an image repository: write [host[:port]/]path in lower-case letters, digits and single . _ - \
         between them, for example alice/credit-scoring-model or ghcr.io/alice/churn"
    )]
    Malformed(String),
    /// Not a tag.
    #[error(
        "{0:?} is not a tag: a tag is 1 to 128 letters, digits, `_`, `.` or `-`, and begins with none of the last two"
    )]
    Tag(String),
    /// Not a digest.
    #[error("{0:?} is not a digest: write sha256: and 64 lower-case hexadecimal digits, as `docker pull` prints it")]
    Digest(String),
}

/// A repository in a registry, without tag or digest.
///
/// ```
/// # use modelship::images::Repository;
/// let churn = Repository::parse("alice/churn")?;
/// assert_eq!(churn.to_string(), "docker.io/alice/churn");
/// assert_eq!(churn.familiar(), "alice/churn");
/// # Ok::<(), modelship::images::ReferenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    registry: String,
    path: String,
}

impl Repository {
    /// Parses and normalises a name; refuses a tag, a digest, a scheme and upper case with the remedy in the text.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        check_spelling(text)?;
        let malformed = || ReferenceError::Malformed(shown(text));
        // The length is checked by us on the text: the parser measures the path alone, and after adding `library/`.
        if text.len() > 255 {
            return Err(ReferenceError::TooLong);
        }
        // An upper-case tag is legal, so letters are judged only after the tag and the digest were split off.
        let (name, tag, digest) = split(text);
        if name.is_empty() {
            return Err(malformed());
        }
        if let Some(digest) = digest {
            return Err(ReferenceError::HasDigest(shown(text), shown(digest), shown(name)));
        }
        if let Some(tag) = tag {
            return Err(ReferenceError::HasTag(shown(text), shown(tag), shown(name)));
        }
        if name.chars().any(|c| c.is_ascii_uppercase()) {
            return Err(ReferenceError::UpperCase(shown(text), shown(&name.to_ascii_lowercase())));
        }
        if !name.is_ascii() {
            return Err(malformed());
        }
        let repository = Self::normalised(name).ok_or_else(malformed)?;
        // The registry's own name for it (with `library/` added) may have grown past the limit.
        if repository.to_string().len() > 255 {
            return Err(ReferenceError::TooLong);
        }
        Ok(repository)
    }

    /// Docker's grammar of names, and its defaults (distribution/reference). By hand: the regular expression that crates
    /// have for it takes 12 MiB and tens of milliseconds to compile.
    fn normalised(name: &str) -> Option<Self> {
        let (registry, path) = match name.split_once('/') {
            // The first part is a host only when it cannot be a user of Docker Hub.
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
            _ => (DOCKER_HUB, name),
        };
        if !is_host(registry) || !path.split('/').all(is_path_part) {
            return None;
        }
        let registry = if registry == DOCKER_HUB_LEGACY { DOCKER_HUB } else { registry };
        let official = registry == DOCKER_HUB && !path.contains('/');
        let path = if official { format!("library/{path}") } else { path.to_owned() };
        Some(Self { registry: registry.to_owned(), path })
    }

    /// The host as in image names, with the port when there is one: `docker.io`, `localhost:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path in that registry: `alice/churn`, `library/busybox`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The name as people write it: `alice/churn`, `busybox`, `ghcr.io/alice/churn`.
    pub fn familiar(&self) -> String {
        let short = match self.path.strip_prefix("library/") {
            Some(official) if !official.contains('/') => official,
            _ => &self.path,
        };
        // `docker.io/foo.bar/x` has no short form: `foo.bar/x` is another repository.
        let names_self = self.registry == DOCKER_HUB && Self::parse(short).is_ok_and(|parsed| parsed == *self);
        if names_self { short.to_owned() } else { self.to_string() }
    }

    /// The image reference as it stands in pod templates: `docker.io/alice/churn@sha256:…`.
    pub fn at(&self, digest: &Digest) -> String {
        format!("{self}@{digest}")
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// `host[:port]`: labels of letters, digits and inner hyphens, between dots.
fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.split('.').all(is_label)
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Runs of lower-case letters and digits, with one `.`, one or two `_`, or any number of `-` between two of them.
fn is_path_part(text: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_separator = |run: &str| matches!(run, "" | "." | "_" | "__") || run.bytes().all(|byte| byte == b'-');
    text.starts_with(is_alphanumeric)
        && text.ends_with(is_alphanumeric)
        && text.split(is_alphanumeric).all(is_separator)
}

fn check_spelling(text: &str) -> Result<(), ReferenceError> {
    if text.trim().is_empty() {
        return Err(ReferenceError::Empty);
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(ReferenceError::Blank(shown(text)));
    }
    if let Some(repository) = pages::repository(text) {
        return Err(ReferenceError::Page(shown(text), offered(&repository)));
    }
    if let Some((_, rest)) = text.split_once("://") {
        return Err(ReferenceError::Scheme(shown(text), offered(rest)));
    }
    Ok(())
}

/// What to write instead, such that it is not refused in turn.
fn offered(text: &str) -> String {
    let (name, ..) = split(text.trim_end_matches('/'));
    let name = name.to_ascii_lowercase();
    match Repository::parse(&name) {
        Ok(_) => shown(&name),
        Err(_) => "something like alice/credit-scoring-model or ghcr.io/alice/churn".to_owned(),
    }
}

/// Splits `name[:tag][@digest]`. A colon before the last slash is a port and stays in the name.
fn split(text: &str) -> (&str, Option<&str>, Option<&str>) {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    let path_at = rest.rfind('/').map_or(0, |at| at + 1);
    match rest[path_at..].split_once(':') {
        Some((last, tag)) => (&rest[..path_at + last.len()], Some(tag), digest),
        None => (rest, None, digest),
    }
}

/// Keeps a refusal's text short, whatever was pasted into the field.
fn shown(text: &str) -> String {
    const MOST: usize = 120;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST).chain(['…']).collect()
}

/// A tag, as in `image.follow.tag`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

impl Tag {
    /// Parses a tag.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let begins_well = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let all_well = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
        if begins_well && all_well && text.len() <= 128 {
            Ok(Self(text.to_owned()))
        } else {
            Err(ReferenceError::Tag(shown(text)))
        }
    }

    /// The tag's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A sha256 digest of an image's index or manifest.
///
/// Registries may answer with other algorithms; those are not taken over as they are: the content is hashed with sha256
/// instead, so that one image never has two names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    const PREFIX: &str = "sha256:";

    /// Parses `sha256:` and 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        match text.strip_prefix(Self::PREFIX) {
            Some(hex) if hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(ReferenceError::Digest(shown(text))),
        }
    }

    /// The digest of these bytes.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(format!("{}{}", Self::PREFIX, hex(&sha2::Sha256::digest(bytes))))
    }

    /// The digest's text, `sha256:…`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 hexadecimal digits, as people and `docker images` show them.
    pub fn short(&self) -> &str {
        &self.0[Self::PREFIX.len()..][..12]
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The digest in what a kubelet reports as `image` or `imageID`: `docker-pullable://repo@sha256:…`, `repo@sha256:…`,
/// `docker://sha256:…` or the bare digest. `None` when it names none (a tag, or a runtime's own id).
pub fn digest_in_image(text: &str) -> Option<Digest> {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let text = text.rsplit_once('@').map_or(text, |(_, digest)| digest);
    Digest::parse(text).ok()
}

macro_rules! as_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = ReferenceError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        as_text!(serde $name);
    };
    (serde $name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(de::Error::custom)
            }
        }
    };
}

as_text!(Tag);
as_text!(Digest);
as_text!(serde Repository);

#[cfg(test)]
#[path = "tests/reference.rs"]
mod tests;

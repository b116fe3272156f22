//! For which machines an image was built: [`Platform`].

use std::{collections::BTreeSet, fmt, str::FromStr};

/// An operating system and a processor, written `linux/amd64` or `linux/arm/v7`.
///
/// Always normalised: `aarch64` is `arm64`, `x86_64` is `amd64`, and `arm64/v8` is plain `arm64`, because images and
/// nodes spell these differently and mean the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Platform {
    /// A platform from its parts; an empty variant is none.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (architecture, implied) = match architecture.to_ascii_lowercase().as_str() {
            "aarch64" => ("arm64".to_owned(), None),
            "x86_64" | "x86-64" => ("amd64".to_owned(), None),
            "i386" => ("386".to_owned(), None),
            "armhf" => ("arm".to_owned(), Some("v7")),
            "armel" => ("arm".to_owned(), Some("v6")),
            other => (other.to_owned(), None),
        };
        let variant = variant.filter(|v| !v.is_empty()).or(implied).map(str::to_ascii_lowercase);
        let variant = match (architecture.as_str(), variant.as_deref()) {
            ("arm64", Some("8" | "v8")) | ("amd64", Some("v1")) => None,
            ("arm", Some(digit @ ("5" | "6" | "7" | "8"))) => Some(format!("v{digit}")),
            _ => variant,
        };
        Self { os: os.to_ascii_lowercase(), architecture, variant }
    }

    /// `linux`, `windows`.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// `amd64`, `arm64`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// `v7`; none where the architecture has only one.
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// Whether an image built for `self` can run on `node`. Kubernetes does not report a node's variant, so variants
    /// count only when both sides name one.
    pub fn fits(&self, node: &Platform) -> bool {
        self.os == node.os
            && self.architecture == node.architecture
            && match (&self.variant, &node.variant) {
                (Some(image), Some(node)) => image == node,
                _ => true,
            }
    }

    /// Whether any of the nodes can run it.
    pub fn fits_any(&self, nodes: &BTreeSet<Platform>) -> bool {
        nodes.iter().any(|node| self.fits(node))
    }

    /// Buildkit files attestations as children of this platform.
    pub(crate) fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown" || self.os.is_empty() || self.architecture.is_empty()
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

/// The text is not `os/architecture[/variant]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a platform: write os/architecture or os/architecture/variant, for example linux/amd64")]
pub struct PlatformError(String);

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            [os, architecture] if !os.is_empty() && !architecture.is_empty() => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] if parts.iter().all(|part| !part.is_empty()) => {
                Ok(Self::new(os, architecture, Some(variant)))
            }
            _ => Err(PlatformError(text.chars().take(80).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn spellings_of_one_platform_are_equal() {
        for (a, b) in [
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("Linux/X86_64", "linux/amd64"),
            ("linux/arm/7", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
        ] {
            assert_eq!(platform(a), platform(b), "{a} and {b}");
        }
        assert_eq!(platform("linux/arm/v7").to_string(), "linux/arm/v7");
        assert_eq!(platform("linux/amd64").to_string(), "linux/amd64");
    }

    #[test]
    fn variants_count_only_when_both_name_one() {
        assert!(platform("linux/arm/v7").fits(&platform("linux/arm")));
        assert!(platform("linux/arm").fits(&platform("linux/arm/v6")));
        assert!(!platform("linux/arm/v7").fits(&platform("linux/arm/v6")));
        assert!(!platform("linux/amd64").fits(&platform("linux/arm64")));
        assert!(!platform("windows/amd64").fits(&platform("linux/amd64")));
        assert!(!platform("linux/amd64").fits_any(&BTreeSet::new()));
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in ["", "linux", "linux/", "/amd64", "linux/arm/", "linux/arm/v7/x"] {
            assert!(text.parse::<Platform>().is_err(), "{text:?}");
        }
    }
}

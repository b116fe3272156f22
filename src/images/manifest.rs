//! What a manifest says: [`ImageDetails`], and the reading of the four kinds of manifest. No I/O.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::Deserialize;
use serde_json::Value;

use super::{labels::Labels, platform::Platform, reference::Digest};

pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// The media types of images' configurations.
const CONFIGURATIONS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// An index of more children than this is taken for a mistake: real ones have about twenty.
pub(super) const MOST_CHILDREN: usize = 500;
/// Each index within an index costs a request; those seen hold one for each platform.
pub(super) const MOST_INDEXES: usize = 16;

/// One image as a registry holds it: the digest that gets pinned, and what it holds per platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageDetails {
    /// The digest of the index, or of the manifest where there is no index: this is what is pinned.
    pub digest: Digest,
    /// One manifest per platform, without attestations. An image without an index has one entry, whose platform comes
    /// from its configuration.
    pub platforms: Vec<(Platform, Digest)>,
    /// Those of its configuration; of an index, those of one of its images.
    pub labels: Arc<Labels>,
}

impl ImageDetails {
    /// Whether the nodes would run the very same content, so that moving from one to the other changes nothing.
    ///
    /// Only the children of the nodes' platforms count: a new attestation or another platform is not a new model. When
    /// neither image has anything for them, all children count. With no nodes known, as while the last one is drained, one
    /// child in common is enough: which of them counts is known again once there is a node.
    pub fn same_images_as(&self, other: &ImageDetails, nodes: &BTreeSet<Platform>) -> bool {
        if self.digest == other.digest {
            return true;
        }
        if nodes.is_empty() {
            return self.platforms.iter().any(|child| other.platforms.contains(child));
        }
        let (mine, theirs) = (self.children_for(nodes), other.children_for(nodes));
        if mine.is_empty() && theirs.is_empty() {
            let (mine, theirs) = (self.children(|_| true), other.children(|_| true));
            return !mine.is_empty() && mine == theirs;
        }
        mine == theirs
    }

    /// Whether there is a child for at least one of the nodes. With no nodes known nothing fits: ask again later.
    pub fn fits_any(&self, nodes: &BTreeSet<Platform>) -> bool {
        self.platforms.iter().any(|(platform, _)| platform.fits_any(nodes))
    }

    /// Whether `digest` is this image or one of its children: which of the two a pod's `imageID` names depends on the
    /// container runtime.
    pub fn holds(&self, digest: &Digest) -> bool {
        self.digest == *digest || self.platforms.iter().any(|(_, child)| child == digest)
    }

    /// The images in this index that these nodes run; none where it is an image itself.
    pub fn images_for(&self, nodes: &BTreeSet<Platform>) -> BTreeSet<Digest> {
        let images = self.children_for(nodes).into_values().flatten().cloned();
        images.filter(|image| *image != self.digest).collect()
    }

    fn children_for(&self, nodes: &BTreeSet<Platform>) -> BTreeMap<&Platform, BTreeSet<&Digest>> {
        self.children(|platform| platform.fits_any(nodes))
    }

    fn children(&self, counts: impl Fn(&Platform) -> bool) -> BTreeMap<&Platform, BTreeSet<&Digest>> {
        let mut children = BTreeMap::<_, BTreeSet<_>>::new();
        for (platform, digest) in self.platforms.iter().filter(|(platform, _)| counts(platform)) {
            children.entry(platform).or_default().insert(digest);
        }
        children
    }
}

/// A manifest's bytes, whose digest was checked or computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawManifest {
    pub digest: Digest,
    pub media_type: Option<String>,
    pub bytes: bytes::Bytes,
}

/// What a manifest turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Manifest {
    /// An index, and its children.
    Index(Vec<Child>),
    /// A single image: the digest of its configuration, which names the platform.
    Image { config: Digest },
}

/// What an index names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    pub digest: Digest,
    /// Some builders leave it out.
    pub platform: Option<Platform>,
    /// Another index: what joins the tags of several builds makes these.
    pub is_index: bool,
}

/// Why bytes are no manifest of an image. The text continues a sentence that begins with the image's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ManifestError {
    #[error("is answered with something that is no manifest (not JSON, or of another shape)")]
    NotAManifest,
    #[error(
        "is stored in the outdated manifest format (schema 1): push it again with a current docker, buildah or podman"
    )]
    Schema1,
    #[error(
        "is no container image but another kind of artifact ({0}): name the repository of the image that serves the model"
    )]
    Artifact(String),
    #[error("is an index with no image in it: push it again")]
    EmptyIndex,
    #[error("is an index of more than {MOST_CHILDREN} manifests: push one with fewer")]
    TooMany,
    #[error("is an index of more than {MOST_INDEXES} indexes: push one that names its images itself")]
    TooManyIndexes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyManifest {
    schema_version: Option<u8>,
    media_type: Option<String>,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: Option<String>,
    digest: Option<String>,
    platform: Option<RawPlatform>,
    artifact_type: Option<String>,
    annotations: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct RawPlatform {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
}

impl RawPlatform {
    fn normal(&self) -> Platform {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Platform::new(&text(&self.os), &text(&self.architecture), self.variant.as_deref())
    }
}

impl Manifest {
    /// Reads a manifest by its shape; the declared type only breaks ties, since registries mislabel more often than
    /// builders miswrite.
    pub fn read(raw: &RawManifest) -> Result<Self, ManifestError> {
        let any: AnyManifest = serde_json::from_slice(&raw.bytes).map_err(|_| ManifestError::NotAManifest)?;
        if any.schema_version == Some(1) {
            return Err(ManifestError::Schema1);
        }
        let declared = any.media_type.as_deref().or(raw.media_type.as_deref());
        let index = matches!(declared, Some(OCI_INDEX | DOCKER_LIST));
        match (any.manifests, any.config) {
            (Some(children), config) if index || config.is_none() => read_index(&children),
            (_, Some(config)) => read_image(&config),
            (None, None) if index => Err(ManifestError::EmptyIndex),
            _ => Err(ManifestError::NotAManifest),
        }
    }
}

fn read_index(children: &[Descriptor]) -> Result<Manifest, ManifestError> {
    if children.len() > MOST_CHILDREN {
        return Err(ManifestError::TooMany);
    }
    let mut images = Vec::with_capacity(children.len());
    for child in children {
        let is_index = matches!(child.media_type.as_deref(), Some(OCI_INDEX | DOCKER_LIST));
        let may_be_image = matches!(child.media_type.as_deref(), None | Some(OCI_MANIFEST | DOCKER_MANIFEST));
        if !(is_index || may_be_image) || child.is_attestation() || child.is_artifact() {
            continue;
        }
        let platform = child.platform.as_ref().map(RawPlatform::normal);
        if platform.as_ref().is_some_and(Platform::is_unknown) {
            continue;
        }
        let digest = child.digest.as_deref().and_then(|digest| Digest::parse(digest).ok());
        let digest = digest.ok_or(ManifestError::NotAManifest)?;
        images.push(Child { digest, platform, is_index });
    }
    if images.is_empty() { Err(ManifestError::EmptyIndex) } else { Ok(Manifest::Index(images)) }
}

fn read_image(config: &Descriptor) -> Result<Manifest, ManifestError> {
    match config.media_type.as_deref() {
        None => {}
        Some(kind) if CONFIGURATIONS.contains(&kind) => {}
        Some(other) => {
            let other = other.chars().filter(|c| c.is_ascii_graphic()).take(80).collect();
            return Err(ManifestError::Artifact(other));
        }
    }
    let config = config.digest.as_deref().and_then(|digest| Digest::parse(digest).ok());
    Ok(Manifest::Image { config: config.ok_or(ManifestError::NotAManifest)? })
}

impl Descriptor {
    /// A signature or a list of parts beside the images. Some tools give an image the type of its configuration here.
    fn is_artifact(&self) -> bool {
        self.artifact_type.as_deref().is_some_and(|kind| !kind.is_empty() && !CONFIGURATIONS.contains(&kind))
    }

    fn is_attestation(&self) -> bool {
        let annotations = self.annotations.as_ref();
        annotations
            .is_some_and(|all| all.get("vnd.docker.reference.type").is_some_and(|kind| kind == "attestation-manifest"))
    }
}

/// An image's configuration, as far as it is read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Configuration {
    /// `None` when it names none.
    pub platform: Option<Platform>,
    pub labels: Labels,
}

impl Configuration {
    pub fn read(bytes: &[u8]) -> Self {
        let platform = serde_json::from_slice::<RawPlatform>(bytes).ok().map(|platform| platform.normal());
        Self { platform: platform.filter(|platform| !platform.is_unknown()), labels: Labels::in_config(bytes) }
    }
}

#[cfg(test)]
#[path = "tests/manifest.rs"]
mod tests;

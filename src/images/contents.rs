//! What a digest holds: the platforms that it was built for, and its labels.

use std::{collections::HashMap, sync::Arc};

use super::{
    answer::{self, Subject},
    credentials::Keychain,
    follow::Want,
    labels::Labels,
    manifest::{Configuration, ImageDetails, Manifest, RawManifest},
    platform::Platform,
    problem::{Failure, FailureKind},
    reference::Digest,
    registry::{Client, What},
};

/// An index whose children do not say their platform costs two requests for each.
const MOST_UNNAMED_CHILDREN: usize = 8;
/// Children that are looked for until the labels are found: a registry may hold an index and few of its children.
const MOST_LABELLED_CHILDREN: usize = 8;

/// Children of an index: platform, where the index names it, and digest.
type Children = Vec<(Option<Platform>, Digest)>;

impl Client {
    pub(super) async fn contents(
        &self,
        subject: Subject<'_>,
        digest: &Digest,
        known: Option<RawManifest>,
        keychain: &Keychain,
    ) -> Result<ImageDetails, Failure> {
        let (platforms, labels) = match self.manifest(subject, known, keychain).await? {
            Manifest::Image { config } => {
                let config = self.described(subject, &config, keychain).await?;
                (vec![(config.platform.ok_or_else(|| answer::no_platform(subject))?, digest.clone())], config.labels)
            }
            Manifest::Index(children) => {
                let mut read = HashMap::new();
                let platforms = self.platforms(subject, children, &mut read, keychain).await?;
                let labels = self.labels(subject, &platforms, read, keychain).await?;
                (platforms, labels)
            }
        };
        Ok(ImageDetails { digest: digest.clone(), platforms, labels: Arc::new(labels) })
    }

    async fn manifest(
        &self,
        subject: Subject<'_>,
        known: Option<RawManifest>,
        keychain: &Keychain,
    ) -> Result<Manifest, Failure> {
        let raw = match known {
            Some(raw) => raw,
            None => self.ask(subject, What::Manifest, keychain).await?.manifest(),
        };
        Manifest::read(&raw).map_err(|error| answer::unreadable_anywhere(subject, &error))
    }

    /// The platforms of an index. What had to be fetched for them is left in `read`.
    async fn platforms(
        &self,
        subject: Subject<'_>,
        children: Children,
        read: &mut HashMap<Digest, Labels>,
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
                    let Manifest::Image { config } = self.manifest(child, None, keychain).await? else {
                        return Err(answer::no_platform(subject));
                    };
                    let config = self.described(child, &config, keychain).await?;
                    read.insert(digest.clone(), config.labels);
                    config.platform.ok_or_else(|| answer::no_platform(child))?
                }
            };
            platforms.push((platform, digest));
        }
        Ok(platforms)
    }

    /// The labels of an index are those of one of its children: builders give all of them the same.
    async fn labels(
        &self,
        subject: Subject<'_>,
        platforms: &[(Platform, Digest)],
        mut read: HashMap<Digest, Labels>,
        keychain: &Keychain,
    ) -> Result<Labels, Failure> {
        let mut children: Vec<_> = platforms.iter().filter(|(platform, _)| platform.os() == "linux").collect();
        children.sort_by_key(|(platform, digest)| {
            (!read.contains_key(digest), platform.architecture() != "amd64" || platform.variant().is_some())
        });
        for (_, digest) in children.into_iter().take(MOST_LABELLED_CHILDREN) {
            if let Some(labels) = read.remove(digest) {
                return Ok(labels);
            }
            let want = Want::Digest(digest.clone());
            let child = Subject { repository: subject.repository, want: &want };
            if let Some(labels) = self.labels_of_child(child, keychain).await? {
                return Ok(labels);
            }
        }
        Ok(Labels::default())
    }

    /// `None` when the registry does not hold this child, or when it is nothing that could have labels.
    async fn labels_of_child(&self, child: Subject<'_>, keychain: &Keychain) -> Result<Option<Labels>, Failure> {
        let there = |failure: Failure| if failure.kind == FailureKind::Absent { Ok(None) } else { Err(failure) };
        let raw = match self.ask(child, What::Manifest, keychain).await {
            Ok(got) => got.manifest(),
            Err(failure) => return there(failure),
        };
        // Its bytes are those of its digest: asked again it would be no other.
        let Ok(Manifest::Image { config }) = Manifest::read(&raw) else { return Ok(None) };
        match self.ask(child, What::Blob(&config), keychain).await {
            Ok(got) => Ok(Some(Configuration::read(&got.bytes()).labels)),
            Err(failure) => there(failure),
        }
    }

    async fn described(
        &self,
        subject: Subject<'_>,
        config: &Digest,
        keychain: &Keychain,
    ) -> Result<Configuration, Failure> {
        let got = self.ask(subject, What::Blob(config), keychain).await.map_err(|failure| match failure.kind {
            // The manifest is there: what lacks is a part of it.
            FailureKind::Absent => answer::incomplete(subject),
            _ => failure,
        })?;
        Ok(Configuration::read(&got.bytes()))
    }
}

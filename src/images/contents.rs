//! What a digest holds: the platforms that it was built for, and its labels.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::{
    answer::{self, Subject},
    credentials::Keychain,
    follow::Want,
    labels::Labels,
    manifest::{Child, Configuration, ImageDetails, MOST_CHILDREN, MOST_INDEXES, Manifest, ManifestError, RawManifest},
    platform::Platform,
    problem::Failure,
    reference::Digest,
    registry::{Client, What},
};

/// An index whose children do not say their platform costs two requests for each.
const MOST_UNNAMED_CHILDREN: usize = 8;
/// Children that are looked for until the labels are found: a registry may hold an index and few of its children.
const MOST_LABELLED_CHILDREN: usize = 8;

/// A child of an index, as far as it had to be looked at.
enum Seen {
    Image(Configuration),
    /// Why it is no image that a node could run.
    Other(Failure),
}

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
                let images = self.images_within(subject, children, keychain).await?;
                let mut read = HashMap::new();
                let platforms = self.platforms(subject, images, &mut read, keychain).await?;
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

    /// The images of an index, and of the indexes in it: container runtimes look into them, too.
    async fn images_within(
        &self,
        subject: Subject<'_>,
        children: Vec<Child>,
        keychain: &Keychain,
    ) -> Result<Vec<Child>, Failure> {
        let wrong = |error| Err(answer::unreadable_anywhere(subject, &error));
        let (mut images, mut looked_into, mut why) = (Vec::new(), 0, None);
        let mut waiting = VecDeque::from(children);
        while let Some(child) = waiting.pop_front() {
            if !child.is_index {
                images.push(child);
                continue;
            }
            looked_into += 1;
            if looked_into > MOST_INDEXES {
                return wrong(ManifestError::TooManyIndexes);
            }
            let want = Want::Digest(child.digest);
            let inner = Subject { repository: subject.repository, want: &want };
            match self.child(inner, keychain).await? {
                Ok(Manifest::Index(children)) => waiting.extend(children),
                Ok(Manifest::Image { .. }) => {}
                Err(failure) => why = Some(failure),
            }
            if images.len() + waiting.len() > MOST_CHILDREN {
                return wrong(ManifestError::TooMany);
            }
        }
        match why {
            Some(why) if images.is_empty() => Err(answer::hollow(subject, why)),
            _ if images.is_empty() => wrong(ManifestError::EmptyIndex),
            _ => Ok(images),
        }
    }

    /// The platforms of an index. What had to be fetched for them is left in `read`.
    async fn platforms(
        &self,
        subject: Subject<'_>,
        children: Vec<Child>,
        read: &mut HashMap<Digest, Labels>,
        keychain: &Keychain,
    ) -> Result<Vec<(Platform, Digest)>, Failure> {
        let all_unnamed = children.iter().all(|child| child.platform.is_none());
        if all_unnamed && children.len() > MOST_UNNAMED_CHILDREN {
            return Err(answer::no_platform(subject));
        }
        let mut platforms = Vec::with_capacity(children.len());
        let (mut looked_at, mut why) = (0, None);
        for Child { digest, platform, .. } in children {
            if let Some(platform) = platform {
                platforms.push((platform, digest));
                continue;
            }
            looked_at += 1;
            if looked_at > MOST_UNNAMED_CHILDREN {
                continue;
            }
            let want = Want::Digest(digest.clone());
            let child = Subject { repository: subject.repository, want: &want };
            match self.seen(child, keychain).await? {
                Seen::Image(Configuration { platform: Some(platform), labels }) => {
                    read.insert(digest.clone(), labels);
                    platforms.push((platform, digest));
                }
                Seen::Image(_) => why = Some(answer::no_platform(child)),
                Seen::Other(failure) => why = Some(failure),
            }
        }
        match why {
            // Signatures, lists of parts and what the registry has dropped stand beside images, and spoil none.
            Some(why) if platforms.is_empty() => Err(answer::hollow(subject, why)),
            _ => Ok(platforms),
        }
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
        children.truncate(MOST_LABELLED_CHILDREN);
        let mut gone = Vec::new();
        for (_, digest) in &children {
            if let Some(labels) = read.remove(digest) {
                return Ok(labels);
            }
            let want = Want::Digest(digest.clone());
            match self.seen(Subject { repository: subject.repository, want: &want }, keychain).await? {
                Seen::Image(configuration) => return Ok(configuration.labels),
                Seen::Other(failure) if failure.kind.is_absence() => gone.push(failure),
                Seen::Other(_) => {}
            }
        }
        match gone.pop() {
            Some(last) if gone.len() + 1 == children.len() => Err(answer::hollow(subject, last)),
            _ => Ok(Labels::default()),
        }
    }

    /// A child's manifest, or why it is none for certain: its bytes are those of its digest, and would be no others if it were
    /// asked for again.
    async fn child(&self, child: Subject<'_>, keychain: &Keychain) -> Result<Result<Manifest, Failure>, Failure> {
        match self.ask(child, What::Manifest, keychain).await {
            Ok(got) => Ok(Manifest::read(&got.manifest()).map_err(|error| answer::unreadable_anywhere(child, &error))),
            Err(failure) if failure.kind.is_absence() => Ok(Err(failure)),
            Err(failure) => Err(failure),
        }
    }

    /// Looks at a child of an index.
    async fn seen(&self, child: Subject<'_>, keychain: &Keychain) -> Result<Seen, Failure> {
        let config = match self.child(child, keychain).await? {
            Ok(Manifest::Image { config }) => config,
            Ok(Manifest::Index(_)) => return Ok(Seen::Other(answer::no_platform(child))),
            Err(failure) => return Ok(Seen::Other(failure)),
        };
        match self.ask(child, What::Blob(&config), keychain).await {
            Ok(got) => Ok(Seen::Image(Configuration::read(&got.bytes()))),
            // Without its configuration no node can run it.
            Err(failure) if failure.kind.is_absence() => Ok(Seen::Other(failure)),
            Err(failure) => Err(failure),
        }
    }

    async fn described(
        &self,
        subject: Subject<'_>,
        config: &Digest,
        keychain: &Keychain,
    ) -> Result<Configuration, Failure> {
        let got = self.ask(subject, What::Blob(config), keychain).await.map_err(|failure| {
            match failure.kind.is_absence() {
                // The manifest is there: what lacks is a part of it.
                true => answer::incomplete(subject),
                false => failure,
            }
        })?;
        Ok(Configuration::read(&got.bytes()))
    }
}

//! One question to a registry, for programs that follow nothing.

use super::{
    credentials::Keychain,
    follow::Want,
    hosts::Hosts,
    poller::{Config, SetupError},
    problem::Problem,
    reference::{Digest, Repository, Tag},
    registry::{Ask as _, Client},
};

/// Why it is not known what a tag holds.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// It could not be asked.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// What the registry says, or that it says nothing.
    #[error("{}", .0.message)]
    Problem(Problem),
}

/// What a tag holds just now. Asked by HEAD, which is no pull.
///
/// # Errors
/// When the registry does not tell.
pub async fn holds(
    config: &Config,
    repository: &Repository,
    tag: &Tag,
    keychain: &Keychain,
) -> Result<Digest, Unknown> {
    let hosts = Hosts::new(1, &prometheus::Registry::new()).map_err(SetupError::from)?;
    let client = Client::new(config, hosts).map_err(SetupError::from)?;
    let resolved = client.resolve(repository, &Want::Tag(tag.clone()), keychain).await;
    resolved.map(|resolved| resolved.digest).map_err(|failure| Unknown::Problem(failure.problem))
}

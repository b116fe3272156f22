//! Secrets by name. Pull secrets are read when the registry poller asks for them, and never kept here.

use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::{Api, Client};

use super::Error;
use crate::images::{CredentialError, CredentialRef, CredentialSource, Keychain};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the Secrets that a model and its ServiceAccount name.
pub struct ClusterCredentials(pub Client);

#[async_trait]
impl CredentialSource for ClusterCredentials {
    async fn keychain(&self, from: &CredentialRef) -> Result<Keychain, CredentialError> {
        let mut keychain = Keychain::empty();
        for name in &from.secrets {
            let secret = secret(&self.0, &from.namespace, name).await?;
            let secret = secret.ok_or_else(|| CredentialError::NotFound { secret: name.clone() })?;
            add(&mut keychain, name, &secret)?;
        }
        for name in self.of_service_account(from).await? {
            // The kubelet, too, goes on without a Secret that only the ServiceAccount names.
            if let Some(secret) = secret(&self.0, &from.namespace, &name).await? {
                add(&mut keychain, &name, &secret)?;
            }
        }
        Ok(keychain)
    }
}

impl ClusterCredentials {
    async fn of_service_account(&self, from: &CredentialRef) -> Result<Vec<String>, CredentialError> {
        if from.service_account.is_empty() {
            return Ok(Vec::new());
        }
        let api: Api<ServiceAccount> = Api::namespaced(self.0.clone(), &from.namespace);
        let account = bounded(api.get_opt(&from.service_account)).await?;
        let secrets = account.and_then(|account| account.image_pull_secrets).unwrap_or_default();
        Ok(secrets.into_iter().map(|secret| secret.name).filter(|name| !from.secrets.contains(name)).collect())
    }
}

/// A Secret by its name, bounded in time.
pub(super) async fn secret(client: &Client, namespace: &str, name: &str) -> Result<Option<Secret>, CredentialError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    bounded(api.get_opt(name)).await
}

/// What a Secret holds under a key, if it is a text that is not empty.
pub(super) fn text(secret: &Secret, key: &str) -> Option<String> {
    let text = std::str::from_utf8(secret.data.as_ref()?.get(key)?.0.as_slice()).ok()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

pub(super) async fn bounded<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, CredentialError> {
    let why = match tokio::time::timeout(TIMEOUT, request).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => match Error::of("the API server", error) {
            Error::Refused { message, .. } => message,
            _ => "the API server cannot be reached".into(),
        },
        Err(_) => "the API server does not answer in time".into(),
    };
    Err(CredentialError::Unavailable { why })
}

fn add(keychain: &mut Keychain, name: &str, secret: &Secret) -> Result<(), CredentialError> {
    let content = |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).map(|bytes| bytes.0.as_slice());
    if let Some(content) = content(".dockerconfigjson") {
        return keychain.add_docker_config_json(name, content);
    }
    if let Some(content) = content(".dockercfg") {
        return keychain.add_legacy_dockercfg(name, content);
    }
    Err(CredentialError::Malformed {
        secret: name.to_owned(),
        why: "has neither the key .dockerconfigjson nor .dockercfg".into(),
    })
}

//! What the Secrets of models' mail say. They are read by name, once for each generation of a spec, and again now and
//! then while something is missing: listing or watching Secrets would be a right too many.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use tokio::time::Instant;

use super::credentials;
use crate::{
    api::ValidSpec,
    monitoring::{
        MailDefaults, MailSecret,
        mail::{CA, PASSWORD},
    },
    resources::Owner,
};

/// How soon a Secret that is missing, or lacks a key, is looked at again.
const AGAIN: Duration = Duration::from_secs(60);

/// What one look found, and when to look again.
#[derive(Default)]
pub struct Look {
    pub secret: MailSecret,
    pub again: Option<Duration>,
}

struct Known {
    generation: i64,
    name: String,
    secret: MailSecret,
    at: Instant,
}

/// What has been read, by the model's uid. Passwords are not among it.
pub struct MailSecrets {
    client: Client,
    known: Mutex<HashMap<String, Known>>,
}

impl MailSecrets {
    pub fn new(client: Client) -> Self {
        Self { client, known: Mutex::default() }
    }

    /// What the Secret of this model's mail says, from memory where that is good enough.
    pub async fn look(&self, owner: &Owner, generation: i64, spec: &ValidSpec, defaults: &MailDefaults) -> Look {
        let email = spec.monitoring.as_ref().and_then(|monitoring| monitoring.email.as_ref());
        let Some(name) = email.and_then(|email| defaults.secret_of(email)) else { return Look::default() };
        if let Some(look) = self.remembered(owner, generation, name) {
            return look;
        }
        let secret = self.read(&owner.namespace, name).await;
        let again = (!complete(&secret)).then_some(AGAIN);
        let known = Known { generation, name: name.to_owned(), secret: secret.clone(), at: Instant::now() };
        self.lock().insert(owner.uid.clone(), known);
        Look { secret, again }
    }

    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn remembered(&self, owner: &Owner, generation: i64, name: &str) -> Option<Look> {
        let known = self.lock();
        let known = known.get(&owner.uid).filter(|known| known.generation == generation && known.name == name)?;
        let again = (!complete(&known.secret)).then(|| AGAIN.saturating_sub(known.at.elapsed()));
        (again != Some(Duration::ZERO)).then(|| Look { secret: known.secret.clone(), again })
    }

    async fn read(&self, namespace: &str, name: &str) -> MailSecret {
        match credentials::secret(&self.client, namespace, name).await {
            Ok(Some(secret)) => found(&secret),
            Ok(None) => MailSecret::Missing,
            Err(error) => MailSecret::Unreadable(error.to_string()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn complete(secret: &MailSecret) -> bool {
    matches!(secret, MailSecret::None | MailSecret::Found { has_password: true, username: Some(_), .. })
}

fn found(secret: &Secret) -> MailSecret {
    let bytes = |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).map(|bytes| bytes.0.as_slice());
    let text = |key: &str| credentials::text(secret, key);
    MailSecret::Found {
        username: text("username"),
        smarthost: text("smarthost"),
        from: text("from"),
        has_password: bytes(PASSWORD).is_some_and(|password| !password.is_empty()),
        has_ca: text(CA).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_reduced_to_what_mail_needs_and_never_holds_the_password() {
        let secret: Secret = serde_json::from_value(json!({"data": {
            "username": "YWxpY2VAZXhhbXBsZS5vcmcK", "password": "b3Blbi1zZXNhbWU=", "smarthost": "",
        }}))
        .unwrap();
        let found = found(&secret);
        assert!(!format!("{found:?}").contains("open-sesame"));
        let username = Some("alice@example.org".to_owned());
        let expected = MailSecret::Found { username, smarthost: None, from: None, has_password: true, has_ca: false };
        assert_eq!(found, expected);
        assert!(complete(&found));
    }

    #[test]
    fn a_certification_authority_counts_unless_its_key_is_empty() {
        for (data, known) in [(json!({"ca.crt": "LS0tLS0K"}), true), (json!({"ca.crt": ""}), false), (json!({}), false)]
        {
            let secret: Secret = serde_json::from_value(json!({"data": data})).unwrap();
            assert!(matches!(found(&secret), MailSecret::Found { has_ca, .. } if has_ca == known), "{secret:?}");
        }
    }

    #[test]
    fn what_lacks_a_key_is_looked_at_again() {
        let lacking = |has_password, username: Option<&str>| MailSecret::Found {
            username: username.map(str::to_owned),
            smarthost: None,
            from: None,
            has_password,
            has_ca: false,
        };
        assert!(!complete(&lacking(false, Some("alice"))) && !complete(&lacking(true, None)));
        assert!(!complete(&MailSecret::Missing) && !complete(&MailSecret::Unreadable("x".into())));
    }
}

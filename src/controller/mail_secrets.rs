//! What the Secrets of models' mail say. They are read by name, for each generation of a spec and again now and then:
//! listing or watching Secrets would be a right too many.

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
        MailDefaults, MailSecret, Subject,
        mail::{self, CA, PASSWORD},
        surroundings::Labels,
    },
    resources::Owner,
};

/// How soon a Secret is looked at again while mail lacks something that it may say, or it cannot be read.
const AGAIN: Duration = Duration::from_secs(60);
/// How soon one that lacks nothing is: it may be changed, or deleted.
const SELDOM: Duration = Duration::from_secs(600);

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
    /// How long after that it is read again.
    again: Duration,
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
        let Some(monitoring) = &spec.monitoring else { return Look::default() };
        let Some(email) = &monitoring.email else { return Look::default() };
        let Some(name) = defaults.secret_of(email) else { return Look::default() };
        if let Some(look) = self.remembered(owner, generation, name) {
            return look;
        }
        let mut secret = self.read(&owner.namespace, name).await;
        let readable = !matches!(secret, MailSecret::Unreadable(_));
        if !readable && let Some(before) = self.found_before(owner, name) {
            secret = before;
        }
        let subject = Subject { owner, spec, monitoring };
        let complete = mail::config(&subject, email, defaults, &secret, &Labels::new()).is_ok();
        let again = if complete && readable { SELDOM } else { AGAIN };
        let known = Known { generation, name: name.to_owned(), secret: secret.clone(), at: Instant::now(), again };
        self.lock().insert(owner.uid.clone(), known);
        Look { secret, again: Some(again) }
    }

    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn remembered(&self, owner: &Owner, generation: i64, name: &str) -> Option<Look> {
        let known = self.lock();
        let known = known.get(&owner.uid).filter(|known| known.generation == generation && known.name == name)?;
        let left = known.again.saturating_sub(known.at.elapsed());
        (!left.is_zero()).then(|| Look { secret: known.secret.clone(), again: Some(left) })
    }

    /// What the Secret said last, if it was there.
    fn found_before(&self, owner: &Owner, name: &str) -> Option<MailSecret> {
        let known = self.lock();
        let known = known.get(&owner.uid).filter(|known| known.name == name)?;
        matches!(known.secret, MailSecret::Found { .. }).then(|| known.secret.clone())
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
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use axum::http::{Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;
    use crate::rollout::fixtures::{NAME, NAMESPACE, spec};

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
    }

    #[test]
    fn a_certification_authority_counts_unless_its_key_is_empty() {
        for (data, known) in [(json!({"ca.crt": "LS0tLS0K"}), true), (json!({"ca.crt": ""}), false), (json!({}), false)]
        {
            let secret: Secret = serde_json::from_value(json!({"data": data})).unwrap();
            assert!(matches!(found(&secret), MailSecret::Found { has_ca, .. } if has_ca == known), "{secret:?}");
        }
    }

    /// A cluster whose only Secret is this one; `None`: there is none.
    struct Cluster {
        secrets: MailSecrets,
        data: Arc<Mutex<Result<Option<Value>, u16>>>,
        reads: Arc<AtomicUsize>,
    }

    impl Cluster {
        fn with(data: Value) -> Self {
            let data = Arc::new(Mutex::new(Ok(Some(data))));
            let reads = Arc::new(AtomicUsize::new(0));
            let (held, counted) = (data.clone(), reads.clone());
            let answer = move |request: Request<Body>| {
                assert_eq!(request.uri().path(), "/api/v1/namespaces/tasting-room/secrets/smtp");
                counted.fetch_add(1, Ordering::Relaxed);
                let (code, body) = match &*held.lock().unwrap() {
                    Ok(Some(data)) => (200, json!({"metadata": {"name": "smtp"}, "data": data})),
                    Ok(None) => {
                        (404, json!({"status": "Failure", "reason": "NotFound", "code": 404, "message": "none"}))
                    }
                    Err(code) => (*code, json!({"status": "Failure", "code": code, "message": "not now"})),
                };
                let response =
                    Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap();
                std::future::ready(Ok::<_, Infallible>(response))
            };
            Self { secrets: MailSecrets::new(Client::new(tower::service_fn(answer), "default")), data, reads }
        }

        fn becomes(&self, answer: Result<Option<Value>, u16>) {
            *self.data.lock().unwrap() = answer;
        }

        async fn look(&self) -> Look {
            let owner = Owner { namespace: NAMESPACE.into(), name: NAME.into(), uid: "1".into() };
            let spec = spec(json!({"monitoring": {"email": {"to": ["team@example.org"], "secret": "smtp"}}}));
            self.secrets.look(&owner, 1, &spec, &MailDefaults::default()).await
        }

        /// What is found once that much time has gone by.
        async fn after(&self, time: Duration) -> Look {
            tokio::time::advance(time).await;
            self.look().await
        }

        fn reads(&self) -> usize {
            self.reads.load(Ordering::Relaxed)
        }
    }

    fn login() -> Value {
        json!({"username": "YWxpY2U=", "password": "b3Blbi1zZXNhbWU="})
    }

    fn whole() -> Value {
        let server = json!({"smarthost": "c210cC5leGFtcGxlLm9yZzo1ODc=", "from": "bUBleGFtcGxlLm9yZw=="});
        let mut whole = login();
        whole.as_object_mut().unwrap().extend(server.as_object().unwrap().clone());
        whole
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_is_looked_at_again_soon_while_the_mail_lacks_something() {
        for lacking in [Ok(None), Err(403), Ok(Some(json!({"username": "YWxpY2U="}))), Ok(Some(login()))] {
            let cluster = Cluster::with(login());
            cluster.becomes(lacking.clone());
            assert_eq!(cluster.look().await.again, Some(AGAIN), "{lacking:?}");
            assert_eq!(cluster.after(AGAIN / 2).await.again, Some(AGAIN / 2), "{lacking:?}");
            cluster.becomes(Ok(Some(whole())));
            let found = cluster.after(AGAIN / 2).await;
            assert!(matches!(found.secret, MailSecret::Found { smarthost: Some(_), from: Some(_), .. }), "{lacking:?}");
            assert_eq!((found.again, cluster.reads()), (Some(SELDOM), 2), "{lacking:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_lacks_nothing_is_read_now_and_then_for_it_may_change() {
        let cluster = Cluster::with(whole());
        cluster.look().await;
        let mut with_ca = whole();
        with_ca["ca.crt"] = json!("LS0tLS0K");
        cluster.becomes(Ok(Some(with_ca)));
        assert!(matches!(cluster.after(SELDOM / 2).await.secret, MailSecret::Found { has_ca: false, .. }));
        assert!(matches!(cluster.after(SELDOM / 2).await.secret, MailSecret::Found { has_ca: true, .. }));
        cluster.becomes(Ok(None));
        assert_eq!(cluster.after(SELDOM).await.secret, MailSecret::Missing);
        assert_eq!(cluster.reads(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_found_stands_while_the_secret_cannot_be_read() {
        let cluster = Cluster::with(whole());
        let found = cluster.look().await.secret;
        cluster.becomes(Err(500));
        let look = cluster.after(SELDOM).await;
        assert_eq!((look.secret, look.again), (found, Some(AGAIN)));
        cluster.becomes(Ok(None));
        assert_eq!(cluster.after(AGAIN).await.secret, MailSecret::Missing);
    }
}

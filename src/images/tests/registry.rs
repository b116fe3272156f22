mod contents;

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::HeaderValue;
use serde_json::json;

use super::super::{
    fake::{Came, Fake, ok, status, with_header},
    hosts::Hosts,
    poller::Config,
    problem::reason,
    reference::Tag,
};
use super::*;
use crate::outside::{
    TrustedCa,
    tests::{Fault, Server},
};

fn client_with(mirrors: &str) -> Client {
    client_that_trusts(mirrors, TrustedCa::default())
}

fn client_that_trusts(mirrors: &str, trusted: TrustedCa) -> Client {
    // The first of several tests in one process wins; all want the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let hosts = Hosts::new(4, &prometheus::Registry::new()).unwrap();
    let config = Config {
        mirrors: mirrors.parse().unwrap(),
        request_timeout: Duration::from_secs(5),
        system_proxy: false,
        trusted,
        ..Config::default()
    };
    Client::new(&config, hosts).unwrap()
}

fn client() -> Client {
    client_with("")
}

fn latest() -> Want {
    Want::Tag(Tag::parse("latest").unwrap())
}

fn churn(fake: &Fake) -> Repository {
    Repository::parse(&format!("{}/alice/churn", fake.host)).unwrap()
}

fn hub() -> Repository {
    Repository::parse("alice/churn").unwrap()
}

fn login(host: &str, user: &str, password: &str) -> serde_json::Value {
    json!({host: {"auth": BASE64_STANDARD.encode(format!("{user}:{password}"))}})
}

fn keychain(secrets: &[(&str, serde_json::Value)]) -> Keychain {
    let mut keychain = Keychain::empty();
    for (secret, auths) in secrets {
        keychain.add_docker_config_json(secret, json!({"auths": auths}).to_string().as_bytes()).unwrap();
    }
    keychain
}

async fn resolve(client: &Client, repository: &Repository) -> Result<Digest, Failure> {
    client.resolve(repository, &latest(), &Keychain::empty()).await.map(|resolved| resolved.digest)
}

async fn details(client: &Client, repository: &Repository, digest: &Digest) -> Result<ImageDetails, Failure> {
    client.details(repository, digest, None, &Keychain::empty()).await
}

fn assert_failure(failure: &Failure, reason: &str, words: &[&str]) {
    assert_eq!(failure.problem.reason, reason, "{failure:?}");
    for word in words {
        assert!(failure.problem.message.contains(word), "{word:?} is not in {:?}", failure.problem.message);
    }
}

#[tokio::test]
async fn a_tag_is_resolved_by_a_single_head_that_accepts_all_four_kinds() {
    let fake = Fake::start().await;
    let digest = fake.push("latest", "amd64", "1");
    assert_eq!(resolve(&client(), &churn(&fake)).await.unwrap(), digest);
    let came = fake.came();
    assert_eq!(came.len(), 1);
    assert!(came[0].is(Method::HEAD, "/v2/alice/churn/manifests/latest"));
    let accepted: Vec<_> = came[0].headers.get_all(header::ACCEPT).iter().map(|a| a.to_str().unwrap()).collect();
    for kind in [manifest::OCI_INDEX, manifest::OCI_MANIFEST, manifest::DOCKER_LIST, manifest::DOCKER_MANIFEST] {
        assert!(accepted.join(",").contains(kind), "{accepted:?}");
    }
}

#[tokio::test]
async fn without_a_digest_in_the_answer_the_content_is_fetched_and_hashed() {
    let fake = Fake::with(|came| match came.method {
        Method::HEAD => Some(status(StatusCode::OK)),
        _ => None,
    })
    .await;
    let digest = fake.push("latest", "amd64", "1");
    let resolved = client().resolve(&churn(&fake), &latest(), &Keychain::empty()).await.unwrap();
    assert_eq!(resolved.digest, digest);
    let before = fake.count(Method::GET, "manifests");
    client().details(&churn(&fake), &digest, resolved.manifest, &Keychain::empty()).await.unwrap();
    assert_eq!(fake.count(Method::GET, "manifests"), before, "what was fetched is not fetched again");
}

#[tokio::test]
async fn where_head_is_not_allowed_get_answers() {
    for code in [StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_IMPLEMENTED] {
        let fake = Fake::with(move |came| (came.method == Method::HEAD).then(|| status(code))).await;
        let digest = fake.push("latest", "amd64", "1");
        assert_eq!(resolve(&client(), &churn(&fake)).await.unwrap(), digest);
    }
}

#[tokio::test]
async fn an_error_or_a_login_page_is_never_hashed() {
    for (body, words) in
        [("<html>please log in</html>", "it is no manifest"), (r#"{"errors":[]}"#, "it is no manifest")]
    {
        let fake = Fake::with(move |came| Some(if came.method == Method::HEAD { ok("") } else { ok(body) })).await;
        assert_failure(&resolve(&client(), &churn(&fake)).await.unwrap_err(), reason::BAD_ANSWER, &[words]);
    }
    let fake = Fake::with(|_| Some(with_header(StatusCode::BAD_GATEWAY, "docker-content-digest", "sha256:00"))).await;
    let failure = resolve(&client(), &churn(&fake)).await.unwrap_err();
    assert_failure(&failure, reason::REGISTRY_ERROR, &["answers 502", "/alice/churn:latest"]);
    let teapot = Fake::with(|_| Some(status(StatusCode::IM_A_TEAPOT))).await;
    assert_failure(&resolve(&client(), &churn(&teapot)).await.unwrap_err(), reason::REGISTRY_ERROR, &["418"]);
}

#[tokio::test]
async fn content_that_does_not_match_its_digest_is_refused() {
    let fake = Fake::start().await;
    let digest = fake.push("latest", "amd64", "1");
    let other = Digest::of("another");
    let liar = Fake::with(move |came| {
        let value = other.to_string();
        Some(match came.method {
            Method::HEAD => with_header(StatusCode::OK, "docker-content-digest", &value),
            _ => ok(r#"{"schemaVersion":2,"config":{}}"#),
        })
    })
    .await;
    let failure = details(&client(), &churn(&liar), &digest).await.unwrap_err();
    assert_failure(&failure, reason::BAD_ANSWER, &["does not match its digest"]);
    let failure = client().resolve(&churn(&liar), &Want::Digest(digest), &Keychain::empty()).await.unwrap_err();
    assert_failure(&failure, reason::BAD_ANSWER, &["the digest it names is another one"]);
}

#[tokio::test]
async fn half_an_answer_is_no_answer() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    // By hand, since a proper server refuses to announce more than it sends.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let repository = Repository::parse(&format!("{}/alice/churn", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await;
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{\"schemaVersion\":").await;
    });
    let failure = details(&client(), &repository, &Digest::of("x")).await.unwrap_err();
    assert_failure(&failure, reason::BAD_ANSWER, &["the answer broke off"]);
    assert_eq!(failure.kind, FailureKind::Unknown);
}

#[tokio::test]
async fn an_answer_of_any_length_is_not_swallowed() {
    for declared in [true, false] {
        let fake = Fake::with(move |came| {
            (came.method == Method::GET).then(|| {
                let chunk = Bytes::from(vec![b' '; 64 << 10]);
                let endless = futures::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
                match declared {
                    true => ok(vec![b' '; LARGEST_BODY + 1]),
                    false => ok(axum::body::Body::from_stream(endless)),
                }
            })
        })
        .await;
        let failure = details(&client(), &churn(&fake), &Digest::of("x")).await.unwrap_err();
        assert_failure(&failure, reason::BAD_ANSWER, &["far too long"]);
    }
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let fake = Fake::start().await;
    let failure = resolve(&client(), &churn(&fake)).await.unwrap_err();
    assert_failure(&failure, reason::TAG_NOT_FOUND, &["has no", "/alice/churn:latest", "image.follow.tag"]);
    assert_eq!(failure.kind, FailureKind::Absent);
    let failure = details(&client(), &churn(&fake), &Digest::of("gone")).await.unwrap_err();
    assert_failure(&failure, reason::DIGEST_NOT_FOUND, &["@sha256:", "registries remove what no tag points to"]);
}

#[tokio::test]
async fn a_manifest_without_its_configuration_is_an_incomplete_push_not_an_absent_image() {
    let fake = Fake::start().await;
    let digest = fake.push("latest", "amd64", "1");
    fake.remove(&Digest::of(json!({"os": "linux", "architecture": "amd64", "salt": "1"}).to_string()));
    let failure = details(&client(), &churn(&fake), &digest).await.unwrap_err();
    assert_failure(&failure, reason::BAD_ANSWER, &["not its configuration"]);
    assert_eq!(failure.kind, FailureKind::Unknown);
}

#[tokio::test]
async fn a_registry_that_is_away_is_described_in_words_that_do_not_change() {
    let gone = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let repository = Repository::parse(&format!("{gone}/alice/churn")).unwrap();
    let client = client();
    let first = resolve(&client, &repository).await.unwrap_err();
    assert_failure(&first, reason::REGISTRY_UNREACHABLE, &["the connection is refused", &gone]);
    assert_eq!(resolve(&client, &repository).await.unwrap_err(), first);
    let nowhere = Repository::parse("registry.invalid/alice/churn").unwrap();
    assert_failure(&resolve(&client, &nowhere).await.unwrap_err(), reason::REGISTRY_UNREACHABLE, &["registry.invalid"]);
}

#[tokio::test]
async fn a_429_is_obeyed_without_asking_again() {
    let fake = Fake::with(|_| Some(with_header(StatusCode::TOO_MANY_REQUESTS, "retry-after", "600"))).await;
    let client = client();
    for _ in 0..3 {
        let failure = resolve(&client, &churn(&fake)).await.unwrap_err();
        assert_failure(&failure, reason::REGISTRY_RATE_LIMITED, &["429"]);
        let wait = failure.retry_after.unwrap().as_secs();
        assert!((590..=600).contains(&wait), "{wait}");
        assert!(!failure.problem.message.contains("600"), "no times in texts");
    }
    assert_eq!(fake.came().len(), 1);
}

#[tokio::test]
async fn one_account_at_its_limit_holds_up_no_other() {
    let alice = BASE64_STANDARD.encode("alice:pw");
    let fake = Fake::with(move |came| {
        let is_alice = came.authorization().is_some_and(|value| value.contains(&alice));
        let challenge = r#"Basic realm="Registry""#;
        match came.authorization() {
            None => Some(with_header(StatusCode::UNAUTHORIZED, "www-authenticate", challenge)),
            Some(_) => is_alice.then(|| with_header(StatusCode::TOO_MANY_REQUESTS, "ratelimit-remaining", "0;w=21600")),
        }
    })
    .await;
    let digest = fake.push("latest", "amd64", "1");
    let of = |user| keychain(&[("login", login(&fake.host, user, "pw"))]);
    let (client, mut bob_asked) = (client(), 0);
    for _ in 0..2 {
        let failure = client.resolve(&churn(&fake), &latest(), &of("alice")).await.unwrap_err();
        assert_failure(&failure, reason::REGISTRY_RATE_LIMITED, &["429", "the Secret login has no pulls left"]);
        assert_eq!(client.resolve(&churn(&fake), &latest(), &of("bob")).await.unwrap().digest, digest);
        bob_asked += 1;
    }
    assert_eq!(fake.came().len(), 2 + bob_asked, "of alice only the first question, and its repetition");
}

#[tokio::test]
async fn what_a_429_means_is_told_with_what_helps() {
    let hub = || {
        let mut answer = ok(
            r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your unauthenticated pull rate limit."}]}"#,
        );
        *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        answer.headers_mut().insert("ratelimit-limit", HeaderValue::from_static("100;w=21600"));
        answer
    };
    let pulls = Fake::with(move |_| Some(hub())).await;
    let failure = details(&client(), &churn(&pulls), &Digest::of("x")).await.unwrap_err();
    assert_failure(&failure, reason::REGISTRY_RATE_LIMITED, &["429", "no pulls left (100 in 6 h)", "a higher limit"]);
    let requests = Fake::with(|_| Some(status(StatusCode::TOO_MANY_REQUESTS))).await;
    let failure = resolve(&client(), &churn(&requests)).await.unwrap_err();
    assert_failure(&failure, reason::REGISTRY_RATE_LIMITED, &["too many requests in a short time", "pollInterval"]);
    assert!(!failure.problem.message.contains("higher limit"), "an account does not help");
}

#[tokio::test]
async fn a_503_that_says_when_is_waited_for_by_this_reference_alone() {
    let fake = Fake::with(|_| Some(with_header(StatusCode::SERVICE_UNAVAILABLE, "retry-after", "30"))).await;
    let client = client();
    let failure = resolve(&client, &churn(&fake)).await.unwrap_err();
    assert_eq!(failure.retry_after, Some(Duration::from_secs(30)));
    assert_failure(&failure, reason::REGISTRY_ERROR, &["503"]);
    assert!(resolve(&client, &churn(&fake)).await.is_err());
    assert_eq!(fake.came().len(), 2);
}

#[tokio::test]
async fn few_remaining_pulls_slow_polling_down() {
    let fake = Fake::with(|came| {
        let value = Digest::of("x").to_string();
        came.is(Method::HEAD, "manifests").then(|| {
            let mut answer = with_header(StatusCode::OK, "docker-content-digest", &value);
            answer.headers_mut().insert("ratelimit-limit", HeaderValue::from_static("100;w=21600"));
            answer.headers_mut().insert("ratelimit-remaining", HeaderValue::from_static("3;w=21600"));
            answer
        })
    })
    .await;
    let resolved = client().resolve(&churn(&fake), &latest(), &Keychain::empty()).await.unwrap();
    assert_eq!(resolved.pace, 4);
}

/// A registry that wants a token, and the service that gives it out; `good` decides who gets in.
async fn with_tokens(life: u64, good: impl Fn(&str) -> bool + Send + Sync + 'static) -> (Fake, Fake) {
    let served = Arc::new(AtomicUsize::new(0));
    let service = Fake::with(move |came| {
        let who = came.authorization().unwrap_or("nobody").replace("Basic ", "");
        let number = served.fetch_add(1, Ordering::SeqCst);
        Some(ok(json!({"access_token": format!("{who}.{number}"), "expires_in": life}).to_string()))
    })
    .await;
    let realm = format!("http://{}/token", service.host);
    let registry = Fake::with(move |came| {
        let token = came.authorization().and_then(|value| value.strip_prefix("Bearer "));
        if token.is_some_and(&good) {
            return None;
        }
        let challenge = format!(r#"Bearer realm="{realm}",service="fake",scope="repository:alice/churn:pull,push""#);
        Some(with_header(StatusCode::UNAUTHORIZED, "www-authenticate", &challenge))
    })
    .await;
    (registry, service)
}

#[tokio::test]
async fn the_token_dance_is_danced_once_per_life_of_a_token() {
    let (registry, service) = with_tokens(300, |token| token.starts_with("nobody")).await;
    let digest = registry.push("latest", "amd64", "1");
    let client = client();
    for _ in 0..3 {
        assert_eq!(resolve(&client, &churn(&registry)).await.unwrap(), digest);
    }
    details(&client, &churn(&registry), &digest).await.unwrap();
    assert_eq!(service.came().len(), 1);
    assert!(service.came()[0].path.ends_with("?service=fake&scope=repository%3Aalice%2Fchurn%3Apull%2Cpush"));
    assert_eq!(registry.count(Method::HEAD, "manifests"), 4, "one of them refused");
}

#[tokio::test]
async fn a_token_that_was_revoked_is_replaced_once() {
    let revoked = Arc::new(AtomicBool::new(false));
    let is_revoked = revoked.clone();
    let good = move |token: &str| !(is_revoked.load(Ordering::SeqCst) && token.ends_with(".0"));
    let (registry, service) = with_tokens(300, good).await;
    let digest = registry.push("latest", "amd64", "1");
    let client = client();
    assert_eq!(resolve(&client, &churn(&registry)).await.unwrap(), digest);
    revoked.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(resolve(&client, &churn(&registry)).await.unwrap(), digest);
    }
    assert_eq!(service.came().len(), 2);
}

#[tokio::test]
async fn a_new_token_that_is_refused_is_the_end_of_it() {
    let (registry, service) = with_tokens(300, |_| false).await;
    let client = client();
    for round in 1..=3 {
        let failure = resolve(&client, &churn(&registry)).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused);
        assert_eq!(service.came().len(), round, "one token each time");
        assert_eq!(registry.came().len(), 1 + round, "a second request only to learn what is wanted");
    }
}

#[tokio::test]
async fn a_scope_that_was_reduced_shows_as_403_with_who_asked() {
    let (inner, service) = with_tokens(300, |_| true).await;
    drop(inner);
    let realm = format!("http://{}/token", service.host);
    let registry = Fake::with(move |came| {
        Some(match came.authorization() {
            Some(_) => status(StatusCode::FORBIDDEN),
            None => {
                let challenge = format!(r#"Bearer realm="{realm}""#);
                with_header(StatusCode::UNAUTHORIZED, "www-authenticate", &challenge)
            }
        })
    })
    .await;
    let keychain = keychain(&[("hub-login", login(&registry.host, "alice", "pw"))]);
    let failure = client().resolve(&churn(&registry), &latest(), &keychain).await.unwrap_err();
    assert_failure(&failure, reason::UNAUTHORIZED, &["the credentials in the Secret hub-login", "may pull"]);
    assert!(service.came()[0].path.ends_with("scope=repository%3Aalice%2Fchurn%3Apull"), "the scope is made up");
}

#[tokio::test]
async fn several_credentials_are_tried_in_turn_and_strangers_only_where_none_matches() {
    let good = BASE64_STANDARD.encode("bob:right");
    let (registry, service) = with_tokens(300, move |token| token.starts_with(&good)).await;
    let digest = registry.push("latest", "amd64", "1");
    let keychain =
        keychain(&[("old", login(&registry.host, "alice", "wrong")), ("new", login(&registry.host, "bob", "right"))]);
    let resolved = client().resolve(&churn(&registry), &latest(), &keychain).await.unwrap();
    assert_eq!(resolved.digest, digest);
    assert!(service.came().iter().all(|came| came.authorization().is_some()), "never anonymously");
}

#[tokio::test]
async fn pull_secrets_for_another_host_are_named_in_the_refusal() {
    let (registry, _service) = with_tokens(300, |_| false).await;
    let keychain = keychain(&[("hub-login", login("ghcr.io", "alice", "pw"))]);
    let failure = client().resolve(&churn(&registry), &latest(), &keychain).await.unwrap_err();
    assert_failure(&failure, reason::UNAUTHORIZED, &["the pull secrets given are for ghcr.io; none is for 127.0.0.1:"]);
}

fn basic_only(came: &Came) -> Option<Response> {
    let expected = format!("Basic {}", BASE64_STANDARD.encode("alice:pw"));
    (came.authorization() != Some(expected.as_str()))
        .then(|| with_header(StatusCode::UNAUTHORIZED, "www-authenticate", r#"Basic realm="Registry""#))
}

type Response = axum::response::Response;

#[tokio::test]
async fn plain_user_and_password_work_where_the_registry_wants_them() {
    let registry = Fake::with(basic_only).await;
    let digest = registry.push("latest", "amd64", "1");
    let good = keychain(&[("hub-login", login(&registry.host, "alice", "pw"))]);
    let client = client();
    for _ in 0..2 {
        assert_eq!(client.resolve(&churn(&registry), &latest(), &good).await.unwrap().digest, digest);
    }
    assert_eq!(registry.came().len(), 3, "the second time without being asked");
    let failure = resolve(&client, &churn(&registry)).await.unwrap_err();
    assert_failure(&failure, reason::UNAUTHORIZED, &["does not show"]);
}

#[tokio::test]
async fn the_token_service_failing_is_not_a_refusal() {
    for (code, expected) in [
        (StatusCode::BAD_GATEWAY, reason::REGISTRY_ERROR),
        (StatusCode::TOO_MANY_REQUESTS, reason::REGISTRY_RATE_LIMITED),
        (StatusCode::UNAUTHORIZED, reason::UNAUTHORIZED),
        (StatusCode::OK, reason::BAD_ANSWER),
    ] {
        let service = Fake::with(move |_| Some(status(code))).await;
        let realm = format!("http://{}/token", service.host);
        let registry = Fake::with(move |_| {
            Some(with_header(StatusCode::UNAUTHORIZED, "www-authenticate", &format!(r#"Bearer realm="{realm}""#)))
        })
        .await;
        let failure = resolve(&client(), &churn(&registry)).await.unwrap_err();
        assert_failure(&failure, expected, &[]);
    }
}

#[tokio::test]
async fn no_credential_follows_a_redirect_to_another_host() {
    let elsewhere = Fake::start().await;
    let config = json!({"os": "linux", "architecture": "amd64", "salt": "1"}).to_string();
    elsewhere.store("blobs", "application/octet-stream", config);
    let target = elsewhere.host.clone();
    let registry = Fake::with(move |came| {
        basic_only(came).or_else(|| {
            let location = format!("http://{target}{}", came.path);
            came.path.contains("/blobs/").then(|| with_header(StatusCode::TEMPORARY_REDIRECT, "location", &location))
        })
    })
    .await;
    let digest = registry.push("latest", "amd64", "1");
    let keychain = keychain(&[("hub-login", login(&registry.host, "alice", "pw"))]);
    let details = client().details(&churn(&registry), &digest, None, &keychain).await.unwrap();
    assert_eq!(details.platforms.len(), 1);
    assert_eq!(elsewhere.came().len(), 1);
    assert_eq!(elsewhere.came()[0].authorization(), None);
    assert_eq!(elsewhere.came()[0].headers.get(header::REFERER), None);
}

#[tokio::test]
async fn a_refresh_token_follows_no_redirect() {
    let elsewhere = Fake::start().await;
    let location = format!("http://{}/token", elsewhere.host);
    let service = Fake::with(move |_| Some(with_header(StatusCode::TEMPORARY_REDIRECT, "location", &location))).await;
    let realm = format!("http://{}/token", service.host);
    let registry = Fake::with(move |_| {
        Some(with_header(StatusCode::UNAUTHORIZED, "www-authenticate", &format!(r#"Bearer realm="{realm}""#)))
    })
    .await;
    let secret = json!({&registry.host: {"identitytoken": "refresh"}});
    let failure =
        client().resolve(&churn(&registry), &latest(), &keychain(&[("hub-login", secret)])).await.unwrap_err();
    assert_failure(&failure, reason::REGISTRY_ERROR, &[&service.host, "answers 307"]);
    assert_eq!((service.came().len(), elsewhere.came().len()), (1, 0));
}

#[tokio::test]
async fn a_circle_of_redirects_ends() {
    let fake = Fake::with(|came| Some(with_header(StatusCode::TEMPORARY_REDIRECT, "location", &came.path))).await;
    let failure = resolve(&client(), &churn(&fake)).await.unwrap_err();
    assert_failure(&failure, reason::BAD_ANSWER, &["redirects in a circle"]);
    assert!(fake.came().len() < 10);
}

#[tokio::test]
async fn mirrors_that_fail_or_lack_the_image_are_passed_over() {
    let down = Fake::with(|_| Some(status(StatusCode::INTERNAL_SERVER_ERROR))).await;
    let empty = Fake::start().await;
    let full = Fake::start().await;
    let digest = full.push("latest", "amd64", "1");
    let mirrors = format!(
        "docker.io=http://{} docker.io=http://{} docker.io=http://{}?upstream=never",
        down.host, empty.host, full.host
    );
    assert_eq!(resolve(&client_with(&mirrors), &hub()).await.unwrap(), digest);
    assert!(full.came()[0].path.ends_with("/v2/alice/churn/manifests/latest?ns=docker.io"));
    assert_eq!((down.came().len(), empty.came().len()), (1, 1));
}

#[tokio::test]
async fn what_a_mirror_lacks_that_is_asked_alone_may_only_be_out_of_its_reach() {
    let empty = Fake::start().await;
    let client = client_with(&format!("docker.io=http://{}?upstream=never", empty.host));
    let failure = resolve(&client, &hub()).await.unwrap_err();
    let words = ["docker.io itself is never asked", "while it cannot reach docker.io", "If images are pushed to it"];
    assert_failure(&failure, reason::TAG_NOT_FOUND, &words);
    assert_eq!(failure.kind, FailureKind::NotInMirror);
    let failure = details(&client, &hub(), &Digest::of("x")).await.unwrap_err();
    assert_failure(&failure, reason::NOT_IN_MIRROR, &words);
    assert!(!failure.problem.message.contains("registries remove"), "{failure:?}");
}

#[tokio::test]
async fn while_a_mirror_is_away_nothing_is_called_absent() {
    let down = Fake::with(|_| Some(status(StatusCode::INTERNAL_SERVER_ERROR))).await;
    let empty = Fake::start().await;
    let mirrors = format!("docker.io=http://{},docker.io=http://{}?upstream=never", down.host, empty.host);
    let failure = resolve(&client_with(&mirrors), &hub()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unknown);
    let (down, empty) =
        (format!("the mirror {} of docker.io answers 500", down.host), format!("{} of docker.io has no", empty.host));
    assert_failure(&failure, reason::REGISTRY_ERROR, &[&down, &empty]);
}

#[tokio::test]
async fn a_mirror_gets_its_own_credentials_and_others_only_when_told() {
    for (option, of, gets_in) in
        [("", "docker.io", false), ("", "mirror", true), ("&credentials=forward", "docker.io", true)]
    {
        let mirror = Fake::with(basic_only).await;
        mirror.push("latest", "amd64", "1");
        let client = client_with(&format!("docker.io=http://{}?upstream=never{option}", mirror.host));
        let host = if of == "mirror" { mirror.host.as_str() } else { "https://index.docker.io/v1/" };
        let keychain = keychain(&[("hub-login", login(host, "alice", "pw"))]);
        let result = client.resolve(&hub(), &latest(), &keychain).await;
        assert_eq!(result.is_ok(), gets_in, "{option} {of} {result:?}");
        let sent = mirror.came().iter().any(|came| came.authorization().is_some());
        assert_eq!(sent, gets_in, "{option} {of}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_registrys_tls_is_told_with_what_mends_it() {
    for (fault, words) in [
        (Fault::None, ["an authority that Modelship does not know", "trustedCA.configMap"]),
        (Fault::OtherName, ["for another name", "subjectAltName"]),
        (Fault::NoTls, ["does not speak TLS", "registryMirrors"]),
    ] {
        let server = Server::start(fault).await;
        let [public, named] = server.bundles();
        let mirrors = format!("docker.io=https://{}?upstream=never", server.host);
        let trusted = if fault == Fault::None { public } else { named.clone() };
        let failure = resolve(&client_that_trusts(&mirrors, trusted), &hub()).await.unwrap_err();
        assert_failure(&failure, reason::REGISTRY_UNREACHABLE, &words);
        assert!(!failure.problem.message.contains("DNS"), "the network is well: {failure:?}");
        if fault == Fault::None {
            let failure = resolve(&client_that_trusts(&mirrors, named), &hub()).await.unwrap_err();
            assert_failure(&failure, reason::BAD_ANSWER, &["it is no manifest"]);
        }
    }
}

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::json;

use super::*;

fn auth(user: &str, password: &str) -> serde_json::Value {
    json!({"auth": BASE64_STANDARD.encode(format!("{user}:{password}"))})
}

fn keychain(auths: serde_json::Value) -> Keychain {
    let mut keychain = Keychain::empty();
    keychain.add_docker_config_json("hub-login", json!({"auths": auths}).to_string().as_bytes()).unwrap();
    keychain
}

fn users(keychain: &Keychain, host: &str, path: &str) -> Vec<String> {
    keychain.matching(host, path).iter().map(|credential| name(&credential.login)).collect()
}

fn name(login: &Login) -> String {
    match login {
        Login::Anonymous => "anonymous".to_owned(),
        Login::Password { username, password } => format!("{username}/{password}"),
        Login::IdentityToken(token) => format!("identity {token}"),
        Login::RegistryToken(token) => format!("registry {token}"),
    }
}

#[test]
fn every_way_to_write_a_login_is_read() {
    for (entry, expected) in [
        (auth("alice", "s3:cret"), vec!["alice/s3:cret"]),
        (json!({"username": "alice", "password": "pw"}), vec!["alice/pw"]),
        (json!({"username": "x", "password": "y", "auth": BASE64_STANDARD.encode("alice:pw")}), vec!["alice/pw"]),
        (json!({"auth": BASE64_STANDARD.encode("alice:pw").trim_end_matches('=')}), vec!["alice/pw"]),
        (json!({"auth": BASE64_STANDARD.encode("alice:pw\0\0")}), vec!["alice/pw"]),
        (json!({"auth": BASE64_STANDARD.encode("<token>:refresh")}), vec!["identity refresh"]),
        (json!({"auth": BASE64_STANDARD.encode("0000:"), "identitytoken": "refresh"}), vec!["identity refresh"]),
        (json!({"registrytoken": "opaque"}), vec!["registry opaque"]),
        (json!({"email": "alice@example.org"}), vec![]),
        (json!({}), vec![]),
    ] {
        let keychain = keychain(json!({"ghcr.io": entry}));
        assert_eq!(users(&keychain, "ghcr.io", "alice/churn"), expected, "{entry}");
    }
}

#[test]
fn keys_match_as_the_kubelet_matches_them() {
    for (key, host, path, matches) in [
        ("https://index.docker.io/v1/", "docker.io", "alice/churn", true),
        ("index.docker.io", "docker.io", "alice/churn", true),
        ("docker.io", "docker.io", "alice/churn", true),
        ("registry-1.docker.io", "docker.io", "alice/churn", true),
        ("https://registry.example/v2/", "registry.example", "alice/churn", true),
        ("https://registry.example/v2/alice", "registry.example", "alice/churn", true),
        ("http://registry.example:5000", "registry.example:5000", "churn", true),
        ("registry.example:5000", "registry.example", "churn", false),
        ("registry.example", "registry.example:5000", "churn", false),
        ("registry.example/alice", "registry.example", "alice/churn", true),
        ("registry.example/bob", "registry.example", "alice/churn", false),
        ("*.example", "registry.example", "churn", true),
        ("*.example", "eu.registry.example", "churn", false),
        ("*.*.example", "eu.registry.example", "churn", true),
        ("registry*.example", "registry2.example", "churn", true),
        ("*.dkr.ecr.*.amazonaws.com", "123.dkr.ecr.eu-west-1.amazonaws.com", "churn", true),
        ("*.dkr.ecr.*.amazonaws.com", "evil.example", "churn", false),
        ("*", "localhost", "churn", true),
        ("*", "docker.io", "churn", false),
        ("", "docker.io", "churn", false),
    ] {
        let keychain = keychain(json!({key: auth("alice", "pw")}));
        assert_eq!(!users(&keychain, host, path).is_empty(), matches, "{key} for {host}/{path}");
    }
}

#[test]
fn of_several_that_match_the_most_specific_comes_first() {
    let keychain = keychain(json!({
        "*.example": auth("glob", "1"),
        "registry.example": auth("host", "2"),
        "registry.example/alice": auth("path", "3"),
        "registry.example/alice/churn": auth("model", "4"),
        "registry.example/bob": auth("other", "5"),
        "https://registry.example/v2/": auth("host", "2"),
    }));
    let found = users(&keychain, "registry.example", "alice/churn");
    assert_eq!(found, ["model/4", "path/3", "host/2", "glob/1"], "each login once");
}

#[test]
fn secrets_are_merged_in_the_order_named() {
    let mut keychain = Keychain::empty();
    keychain.add_legacy_dockercfg("b", json!({"ghcr.io": auth("first", "1")}).to_string().as_bytes()).unwrap();
    keychain
        .add_docker_config_json("a", json!({"auths": {"ghcr.io": auth("second", "2")}}).to_string().as_bytes())
        .unwrap();
    assert_eq!(users(&keychain, "ghcr.io", "x"), ["first/1", "second/2"]);
}

#[test]
fn malformed_secrets_are_named_and_their_content_is_not() {
    for content in [
        "",
        "{",
        "[]",
        "hunter2",
        r#"{"auths": "hunter2"}"#,
        r#"{"ghcr.io": {"auth": "x"}}"#,
        r#"{"auths": {"ghcr.io": {"auth": "hunter2!"}}}"#,
        r#"{"auths": {"ghcr.io": {"auth": "aHVudGVyMg=="}}}"#,
        r#"{"auths": {"ghcr.io": {"password": {"hunter2": 1}}}}"#,
    ] {
        let error = Keychain::empty().add_docker_config_json("hub-login", content.as_bytes()).expect_err(content);
        let text = error.to_string();
        assert!(matches!(error, CredentialError::Malformed { .. }), "{content}");
        assert!(text.contains("Secret hub-login") && text.contains("kubectl create secret"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("aHVu"), "{text}");
    }
    assert!(Keychain::empty().add_legacy_dockercfg("hub-login", br#"{"auths": 1}"#).is_err());
}

#[test]
fn debug_never_prints_a_secret() {
    let keychain = keychain(json!({
        "ghcr.io": auth("alice", "hunter2"),
        "quay.io": {"identitytoken": "hunter2"},
        "gcr.io": {"registrytoken": "hunter2"},
    }));
    let printed = format!("{keychain:?} {:#?}", keychain.matching("ghcr.io", "x"));
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(!keychain.fingerprint().to_string().contains("hunter2"));
}

#[test]
fn the_fingerprint_changes_with_the_content_and_only_with_it() {
    let print = |password: &str| keychain(json!({"ghcr.io": auth("alice", password)})).fingerprint();
    assert_eq!(print("a"), print("a"));
    assert_ne!(print("a"), print("b"));
    assert_ne!(print("a"), Keychain::empty().fingerprint());
}

proptest::proptest! {
    #[test]
    fn matching_never_panics_and_a_star_swallows_anything(key in "\\PC{0,30}", part in "[a-z0-9-]{1,20}") {
        let keychain = keychain(json!({key: auth("alice", "pw")}));
        let _ = keychain.matching(&part, "x");
        proptest::prop_assert!(glob(b"*", part.as_bytes()));
        let (head, tail) = part.split_at(part.len() / 2);
        let (pattern, one) = (format!("{head}*{tail}"), format!("{head}*?{tail}"));
        proptest::prop_assert!(glob(pattern.as_bytes(), part.as_bytes()));
        proptest::prop_assert!(!glob(one.as_bytes(), part.as_bytes()) || part.len() > head.len() + tail.len());
    }
}

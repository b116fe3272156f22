use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

use super::*;

const HELD: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A registry on the machine itself that answers each request alike, and its host.
async fn registry(answer: &'static str) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).await.is_ok_and(|read| read > 2) {
                line.clear();
            }
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    host
}

fn model(image: Value, status: Value) -> StoredModelDeployment {
    serde_json::from_value(json!({"metadata": {"name": "churn"}, "spec": {"image": image}, "status": status})).unwrap()
}

async fn told(image: Value) -> Option<Result<Held, String>> {
    held(&model(image, json!({})), &Keychain::empty()).await
}

#[tokio::test]
async fn the_registry_is_asked_what_the_tag_of_the_spec_holds_now() {
    let host = registry(
        "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.index.v1+json\r\nDocker-Content-Digest: \
         sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nContent-Length: 2\r\nConnection: close\r\n\r\n",
    )
    .await;
    let repository = format!("{host}/alice/churn");
    let name = format!("{repository}:v2");
    let expected = Held { digest: Digest::parse(HELD).unwrap(), name };
    assert_eq!(told(json!({"repository": repository, "follow": {"tag": "v2"}})).await, Some(Ok(expected.clone())));
    let first = json!({"repository": repository, "follow": {"tag": "v2"}, "autoUpdate": false});
    assert_eq!(told(first).await, Some(Ok(expected)), "nothing runs that could stay");
}

#[tokio::test]
async fn where_no_tag_decides_nobody_is_asked() {
    let image = json!({"repository": "127.0.0.1:9/alice/churn"});
    let with = |name: &str, value: Value| {
        let mut image = image.clone();
        image[name] = value;
        image
    };
    assert_eq!(told(with("pin", json!(HELD))).await, None);
    assert_eq!(told(with("pollInterval", json!("never"))).await, None, "the operator tells what is wrong");
    let runs = json!({"stable": {"repository": "docker.io/alice/churn", "digest": HELD, "short": "aaaaaaaaaaaa"}});
    assert_eq!(held(&model(with("autoUpdate", json!(false)), runs), &Keychain::empty()).await, None);
}

#[tokio::test]
async fn why_it_is_not_known_is_told_in_a_word() {
    let refused = registry("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    for (host, word) in [
        (refused.as_str(), "keeps in a helper is not read here, so name the version by --digest"),
        ("127.0.0.1:9", "(RegistryUnreachable)"),
    ] {
        let why = told(json!({"repository": format!("{host}/alice/churn")})).await.unwrap().unwrap_err();
        assert!(why.starts_with(&format!("what {host}/alice/churn:latest holds is not known here")), "{why}");
        assert!(why.contains(word), "{why}");
    }
}

#[test]
fn logins_are_where_docker_and_podman_write_them() {
    let at = |set: &[(&str, &str)]| {
        let files = files(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value)));
        files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>()
    };
    let home = ("HOME", "/home/alice");
    assert_eq!(at(&[home]), ["/home/alice/.docker/config.json"]);
    assert_eq!(at(&[home, ("DOCKER_CONFIG", "/run/d")]), ["/run/d/config.json"]);
    assert_eq!(
        at(&[home, ("XDG_RUNTIME_DIR", "/run/user/1")]),
        ["/home/alice/.docker/config.json", "/run/user/1/containers/auth.json"]
    );
    assert_eq!(at(&[("REGISTRY_AUTH_FILE", "/run/auth.json"), ("XDG_RUNTIME_DIR", "/run/user/1")]), ["/run/auth.json"]);
    assert_eq!(at(&[]), [""; 0]);
}

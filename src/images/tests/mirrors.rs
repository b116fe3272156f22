use super::*;

fn repository(text: &str) -> Repository {
    Repository::parse(text).unwrap()
}

fn urls(mirrors: &str, of: &str) -> Vec<String> {
    let mirrors: Mirrors = mirrors.parse().unwrap();
    let of = repository(of);
    mirrors.endpoints(&of).iter().map(|endpoint| endpoint.url(&of, "manifests/latest").to_string()).collect()
}

#[test]
fn mirrors_come_in_the_order_written_and_the_registry_itself_last() {
    assert_eq!(
        urls("docker.io=http://10.245.0.1:5000, docker.io=https://cache.example/hub/", "alice/churn"),
        [
            "http://10.245.0.1:5000/v2/alice/churn/manifests/latest?ns=docker.io",
            "https://cache.example/hub/v2/alice/churn/manifests/latest?ns=docker.io",
            "https://registry-1.docker.io/v2/alice/churn/manifests/latest",
        ]
    );
    assert_eq!(
        urls("docker.io=http://10.245.0.1:5000", "ghcr.io/alice/churn"),
        ["https://ghcr.io/v2/alice/churn/manifests/latest"]
    );
}

#[test]
fn an_air_gapped_mirror_is_all_there_is() {
    assert_eq!(
        urls("index.docker.io=http://m:5000?upstream=never", "busybox"),
        ["http://m:5000/v2/library/busybox/manifests/latest?ns=docker.io"]
    );
}

#[test]
fn a_mirror_whose_path_holds_a_project_is_asked_as_containerd_asks_it() {
    for (mirror, root) in [
        ("https://cache.example/v2/hub-proxy", "https://cache.example/v2/hub-proxy"),
        ("https://cache.example/v2/hub-proxy/?upstream=never", "https://cache.example/v2/hub-proxy"),
        ("https://cache.example/v2/team/hub?override_path=true", "https://cache.example/v2/team/hub"),
        ("https://cache.example/hub?override_path=true", "https://cache.example/hub"),
        ("https://cache.example?override_path=true", "https://cache.example"),
        ("https://cache.example/hub", "https://cache.example/hub/v2"),
        ("https://cache.example/hub/v2", "https://cache.example/hub/v2"),
        ("https://cache.example/v2/", "https://cache.example/v2"),
        ("https://cache.example", "https://cache.example/v2"),
    ] {
        let asked = &urls(&format!("docker.io={mirror}"), "alice/churn")[0];
        assert_eq!(*asked, format!("{root}/alice/churn/manifests/latest?ns=docker.io"), "{mirror}");
    }
}

#[test]
fn a_repository_in_a_project_of_a_mirror_is_called_by_both() {
    let path = |mirrors: &str| {
        let (mirrors, of): (Mirrors, _) = (mirrors.parse().unwrap(), repository("alice/churn"));
        mirrors.endpoints(&of)[0].path(&of).into_owned()
    };
    assert_eq!(path("docker.io=https://cache.example/v2/hub-proxy"), "hub-proxy/alice/churn");
    assert_eq!(path("docker.io=https://cache.example/v2"), "alice/churn");
    assert_eq!(path("docker.io=https://cache.example/hub"), "alice/churn");
}

#[test]
fn only_registries_on_the_machine_itself_are_asked_without_tls() {
    for (of, scheme) in [
        ("localhost:5000/churn", "http"),
        ("localhost/churn", "http"),
        ("127.0.0.1:5000/churn", "http"),
        ("127.1.2.3/churn", "http"),
        ("127.evil.example/churn", "https"),
        ("localhost.example/churn", "https"),
        ("10.0.0.1:5000/churn", "https"),
        ("ghcr.io/churn", "https"),
    ] {
        assert!(urls("", of)[0].starts_with(&format!("{scheme}://")), "{of}: {}", urls("", of)[0]);
    }
}

#[test]
fn what_is_no_mirror_is_refused_with_the_remedy() {
    for (text, expected) in [
        ("http://m:5000", "write host=url"),
        ("=http://m:5000", "write host=url"),
        ("docker.io/alice=http://m", "write host=url"),
        ("docker.io=m:5000", "not an http:// or https:// URL"),
        ("docker.io=ftp://m", "not an http:// or https:// URL"),
        ("docker.io=http://", "not an http:// or https:// URL"),
        ("docker.io=http://u:p@m", "put them into a pull secret"),
        (
            "docker.io=http://m?credentials=send",
            "only credentials=forward, upstream=never and override_path=true exist",
        ),
    ] {
        let error = text.parse::<Mirrors>().expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

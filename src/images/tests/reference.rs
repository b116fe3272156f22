use proptest::prelude::*;

use super::*;

const HEX: &str = "6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";

#[test]
fn names_are_normalised_as_docker_does_it() {
    for (text, whole, familiar) in [
        ("busybox", "docker.io/library/busybox", "busybox"),
        ("alice/churn", "docker.io/alice/churn", "alice/churn"),
        ("docker.io/alice/churn", "docker.io/alice/churn", "alice/churn"),
        ("index.docker.io/alice/churn", "docker.io/alice/churn", "alice/churn"),
        ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("library/busybox", "docker.io/library/busybox", "busybox"),
        ("docker.io/library/team/churn", "docker.io/library/team/churn", "library/team/churn"),
        ("ghcr.io/alice/churn", "ghcr.io/alice/churn", "ghcr.io/alice/churn"),
        ("localhost/churn", "localhost/churn", "localhost/churn"),
        ("localhost:5000/churn", "localhost:5000/churn", "localhost:5000/churn"),
        ("10.245.0.1:5000/alice/churn", "10.245.0.1:5000/alice/churn", "10.245.0.1:5000/alice/churn"),
        ("registry:5000/churn", "registry:5000/churn", "registry:5000/churn"),
        ("docker.io/foo.bar/x", "docker.io/foo.bar/x", "docker.io/foo.bar/x"),
        ("alice/my--model__v2.final", "docker.io/alice/my--model__v2.final", "alice/my--model__v2.final"),
    ] {
        let repository = Repository::parse(text).unwrap();
        assert_eq!(repository.to_string(), whole, "{text}");
        assert_eq!(repository.familiar(), familiar, "{text}");
        assert_eq!(Repository::parse(familiar).unwrap(), repository, "{text}: the short name is the same repository");
    }
}

#[test]
fn what_is_no_repository_is_refused_with_the_remedy() {
    let digest = format!("sha256:{HEX}");
    let long = format!("alice/{}", "a".repeat(260));
    for (text, expected) in [
        ("", "is empty"),
        ("  ", "is empty"),
        (" alice/churn", "holds blanks"),
        ("alice/churn\n", "holds blanks"),
        ("alice/churn:latest", "put the tag under image.follow.tag (here: latest) and leave alice/churn"),
        ("busybox:1", "put the tag under image.follow.tag (here: 1) and leave busybox"),
        ("localhost:5000/churn:V2", "put the tag under image.follow.tag (here: V2) and leave localhost:5000/churn"),
        (&format!("alice/churn@{digest}"), "put the digest under image.pin (here: sha256:6c3c"),
        (&format!("alice/churn:v1@{digest}"), "put the digest under image.pin"),
        ("https://alice", "as alice"),
        ("https://registry.example.org/churn?tag=v1", "without the scheme, as something like"),
        ("https://registry.example.org/Alice/churn:v1", "without the scheme, as registry.example.org/alice/churn"),
        ("docker://alice/churn", "write the repository without the scheme, as alice/churn"),
        ("Alice/Churn", "write alice/churn"),
        ("GHCR.io/alice/churn", "write ghcr.io/alice/churn"),
        ("alice//churn", "is not an image repository"),
        ("/churn", "is not an image repository"),
        ("alice/churn/", "is not an image repository"),
        ("alice/-churn", "is not an image repository"),
        ("alice/chürn", "is not an image repository"),
        ("@sha256", "is not an image repository"),
        (":latest", "is not an image repository"),
        (&long, "longer than 255"),
    ] {
        let error = Repository::parse(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
}

#[test]
fn a_pod_template_gets_the_name_with_the_digest() {
    let churn = Repository::parse("alice/churn").unwrap();
    let digest = Digest::parse(&format!("sha256:{HEX}")).unwrap();
    assert_eq!(churn.at(&digest), format!("docker.io/alice/churn@sha256:{HEX}"));
    assert_eq!(digest.short(), "6c3c624b58db");
    assert_eq!((churn.registry(), churn.path()), ("docker.io", "alice/churn"));
}

#[test]
fn tags_follow_the_specification() {
    for good in ["latest", "v1.2.3", "_x", "A-b.C_d", "2024-01-01", &"a".repeat(128)] {
        assert_eq!(Tag::parse(good).unwrap().as_str(), good);
    }
    for bad in ["", "-x", ".x", "a b", "a:b", "a/b", "ä", &"a".repeat(129)] {
        assert!(Tag::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn digests_are_sha256_in_lower_case_and_nothing_else() {
    assert!(Digest::parse(&format!("sha256:{HEX}")).is_ok());
    for bad in [HEX, &format!("sha256:{}", &HEX[1..]), &format!("sha256:{}", HEX.to_uppercase()), "sha512:00", ""] {
        assert!(Digest::parse(bad).is_err(), "{bad:?}");
    }
    // echo -n | sha256sum
    let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Digest::of([]).as_str(), empty);
}

#[test]
fn the_digest_is_found_in_whatever_a_kubelet_reports() {
    let digest = Digest::parse(&format!("sha256:{HEX}")).ok();
    for text in [
        format!("docker-pullable://alice/churn@sha256:{HEX}"),
        format!("docker.io/alice/churn@sha256:{HEX}"),
        format!("docker.io/alice/churn:latest@sha256:{HEX}"),
        format!("docker://sha256:{HEX}"),
        format!("sha256:{HEX}"),
    ] {
        assert_eq!(digest_in_image(&text), digest, "{text}");
    }
    for text in ["", "docker.io/alice/churn:latest", "alice/churn@sha256:12", HEX] {
        assert_eq!(digest_in_image(text), None, "{text}");
    }
}

#[test]
fn they_are_written_and_read_as_their_text() {
    let digest = Digest::of(b"x");
    let json = serde_json::to_string(&digest).unwrap();
    assert_eq!(json, format!("\"{digest}\""));
    assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
    assert!(serde_json::from_str::<Digest>("\"latest\"").is_err());
    assert!(serde_json::from_str::<Tag>("\"a b\"").is_err());
}

proptest! {
    #[test]
    fn parsing_never_panics(text in "\\PC*") {
        let _ = (Repository::parse(&text), Tag::parse(&text), Digest::parse(&text), digest_in_image(&text));
    }

    #[test]
    fn parsing_never_panics_on_near_misses(text in "([a-zA-Zä0-9._-]{0,6}[:/@]{0,2}){0,6}") {
        if let Err(error) = Repository::parse(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn normalising_twice_changes_nothing(text in "([a-z0-9]{1,4}(\\.[a-z]{2})?(:[0-9]{2})?/)?[a-z0-9]{1,6}([._-][a-z0-9]{1,3})?(/[a-z0-9]{1,6}){0,2}") {
        if let Ok(once) = Repository::parse(&text) {
            prop_assert_eq!(Repository::parse(&once.to_string()).unwrap(), once.clone());
            prop_assert_eq!(Repository::parse(&once.familiar()).unwrap(), once);
        }
    }
}

#[test]
fn the_page_of_an_image_is_answered_with_the_repository_that_it_is_about() {
    for (page, repository) in [
        ("https://hub.docker.com/r/alice/churn", "alice/churn"),
        ("https://hub.docker.com/r/alice/churn/tags?page=2#top", "alice/churn"),
        ("hub.docker.com/r/alice/churn/", "alice/churn"),
        ("http://www.hub.docker.com/r/Alice/churn", "alice/churn"),
        ("https://hub.docker.com/_/nginx", "nginx"),
        ("https://hub.docker.com/repository/docker/alice/churn/general", "alice/churn"),
        ("https://hub.docker.com/layers/alice/churn/latest/images/sha256-00", "alice/churn"),
        ("https://hub.docker.com/alice/churn", "alice/churn"),
        ("https://github.com/Alice/models/pkgs/container/churn", "ghcr.io/alice/churn"),
        ("https://github.com/alice/models/pkgs/container/models%2Fchurn/123?tag=v1", "ghcr.io/alice/models/churn"),
        ("https://github.com/orgs/acme/packages/container/package/churn", "ghcr.io/acme/churn"),
        ("https://github.com/users/alice/packages/container/churn/versions", "ghcr.io/alice/churn"),
        ("https://github.com/alice/churn", "ghcr.io/alice/churn"),
        ("github.com/alice/churn", "ghcr.io/alice/churn"),
        ("https://quay.io/repository/alice/churn?tab=tags", "quay.io/alice/churn"),
        ("https://gitlab.com/acme/models/churn/container_registry/42", "registry.gitlab.com/acme/models/churn"),
        ("https://gitlab.com/acme/churn/-/packages", "registry.gitlab.com/acme/churn"),
    ] {
        let error = Repository::parse(page).expect_err(page).to_string();
        assert!(error.contains("is a web page"), "{error}");
        assert_eq!(error.rsplit(' ').next(), Some(repository), "{page}");
        assert!(Repository::parse(repository).is_ok(), "what is offered is taken: {repository}");
    }
    for page in ["https://hub.docker.com/u/alice/repos/all", "https://hub.docker.com", "github.com/alice"] {
        let error = Repository::parse(page).expect_err(page).to_string();
        assert!(error.contains("here something like alice/credit-scoring-model"), "{error}");
    }
    for real in
        ["quay.io/repository/churn", "ghcr.io/alice/churn", "hub.docker.com.example/r/alice", "registry.gitlab.com/a/b"]
    {
        assert!(Repository::parse(real).is_ok(), "{real}");
    }
}

//! What a digest holds, and how many requests it takes to know.

use super::{
    super::super::labels::{Labels, REVISION},
    *,
};

fn labelled(architecture: &str, commit: &str) -> serde_json::Value {
    json!({"os": "linux", "architecture": architecture, "config": {"Labels": {REVISION: commit}}})
}

fn commit(details: &ImageDetails) -> Option<&str> {
    details.labels.get(REVISION)
}

/// What was fetched, in short, since the first `before` requests.
fn gets(fake: &Fake, before: usize) -> Vec<&'static str> {
    let came = fake.came();
    assert!(came.iter().all(|came| came.method == Method::GET), "{came:?}");
    came[before..].iter().map(|came| if came.path.contains("/blobs/") { "config" } else { "manifest" }).collect()
}

#[tokio::test]
async fn a_single_image_gets_platform_and_labels_from_its_configuration_by_two_requests() {
    let fake = Fake::start().await;
    let amd = fake.push_config("latest", labelled("amd64", "4f2a"));
    let single = details(&client(), &churn(&fake), &amd).await.unwrap();
    let labels = Arc::new(Labels::in_config(labelled("amd64", "4f2a").to_string().as_bytes()));
    let platforms = vec![("linux/amd64".parse().unwrap(), amd.clone())];
    assert_eq!(single, ImageDetails { digest: amd, platforms, labels });
    assert_eq!(gets(&fake, 0), ["manifest", "config"]);
}

#[tokio::test]
async fn an_index_names_its_platforms_and_one_child_its_labels() {
    let fake = Fake::start().await;
    let (arm, amd) = (fake.push_config("b", labelled("arm64", "arm")), fake.push_config("a", labelled("amd64", "amd")));
    let children = [(Some("arm64"), &arm), (Some("amd64"), &amd), (Some("unknown"), &arm)];
    let index = fake.push_index("latest", &children);
    let both = details(&client(), &churn(&fake), &index).await.unwrap();
    let expected = vec![("linux/arm64".parse().unwrap(), arm.clone()), ("linux/amd64".parse().unwrap(), amd.clone())];
    assert_eq!((&both.digest, &both.platforms), (&index, &expected));
    assert_eq!(commit(&both), Some("amd"));
    assert_eq!(gets(&fake, 0), ["manifest", "manifest", "config"], "two more than without labels");
}

#[tokio::test]
async fn what_was_fetched_for_the_platform_is_not_fetched_again_for_the_labels() {
    let fake = Fake::start().await;
    let (arm, amd) = (fake.push_config("b", labelled("arm64", "arm")), fake.push_config("a", labelled("amd64", "amd")));
    let bare = fake.push_index("bare", &[(None, &arm), (None, &amd)]);
    let details = details(&client(), &churn(&fake), &bare).await.unwrap();
    let expected = vec![("linux/arm64".parse().unwrap(), arm), ("linux/amd64".parse().unwrap(), amd)];
    assert_eq!((&details.platforms, commit(&details)), (&expected, Some("amd")));
    assert_eq!(gets(&fake, 0), ["manifest", "manifest", "config", "manifest", "config"]);
}

#[tokio::test]
async fn a_child_that_the_registry_lacks_is_passed_over() {
    let fake = Fake::start().await;
    let (arm, amd) = (fake.push_config("b", labelled("arm64", "arm")), fake.push_config("a", labelled("amd64", "amd")));
    let index = fake.push_index("latest", &[(Some("arm64"), &arm), (Some("amd64"), &amd)]);
    fake.remove(&Digest::of(labelled("amd64", "amd").to_string()));
    let without_config = details(&client(), &churn(&fake), &index).await.unwrap();
    assert_eq!((commit(&without_config), without_config.platforms.len()), (Some("arm"), 2));
    fake.remove(&amd);
    assert_eq!(commit(&details(&client(), &churn(&fake), &index).await.unwrap()), Some("arm"));
}

#[tokio::test]
async fn an_index_whose_images_are_gone_cannot_be_pulled() {
    let fake = Fake::start().await;
    let (arm, amd) = (fake.push_config("b", labelled("arm64", "arm")), fake.push_config("a", labelled("amd64", "amd")));
    let named = fake.push_index("latest", &[(Some("arm64"), &arm), (Some("amd64"), &amd)]);
    let unnamed = fake.push_index("bare", &[(None, &arm), (None, &amd)]);
    let outer = fake.push_outer("outer", &[&named]);
    fake.remove(&amd);
    fake.remove(&arm);
    for index in [named, unnamed, outer] {
        assert!(resolve(&client(), &churn(&fake)).await.is_ok(), "the tag is answered as ever");
        let failure = details(&client(), &churn(&fake), &index).await.unwrap_err();
        assert_failure(&failure, reason::DIGEST_NOT_FOUND, &["holds the index", index.as_str(), "push it again"]);
        assert_eq!(failure.kind, FailureKind::Absent);
    }
}

#[tokio::test]
async fn what_a_mirror_that_is_asked_alone_lacks_of_an_index_is_not_called_collected() {
    let fake = Fake::start().await;
    let amd = fake.push_config("a", labelled("amd64", "amd"));
    let index = fake.push_index("latest", &[(Some("amd64"), &amd)]);
    fake.remove(&amd);
    let client = client_with(&format!("docker.io=http://{}?upstream=never", fake.host));
    let failure = details(&client, &hub(), &index).await.unwrap_err();
    assert_failure(&failure, reason::NOT_IN_MIRROR, &["the mirror holds the index", "cannot reach its registry"]);
    assert_eq!(failure.kind, FailureKind::NotInMirror);
}

#[tokio::test]
async fn an_index_of_indexes_holds_the_images_of_all() {
    let fake = Fake::start().await;
    let (arm, amd) = (fake.push_config("b", labelled("arm64", "arm")), fake.push_config("a", labelled("amd64", "amd")));
    let inner = [fake.push_index("arm", &[(Some("arm64"), &arm)]), fake.push_index("amd", &[(Some("amd64"), &amd)])];
    let outer = fake.push_outer("latest", &[&inner[0], &inner[1]]);
    let outermost = fake.push_outer("outermost", &[&outer]);
    let expected = vec![("linux/arm64".parse().unwrap(), arm), ("linux/amd64".parse().unwrap(), amd)];
    for index in [outer, outermost] {
        let both = details(&client(), &churn(&fake), &index).await.unwrap();
        assert_eq!((&both.digest, &both.platforms, commit(&both)), (&index, &expected, Some("amd")));
    }
}

#[tokio::test]
async fn indexes_within_an_index_are_looked_into_only_so_far() {
    let fake = Fake::start().await;
    let amd = fake.push_config("a", labelled("amd64", "amd"));
    let mut innermost = fake.push_index("0", &[(Some("amd64"), &amd)]);
    for depth in 0..20 {
        innermost = fake.push_outer(&depth.to_string(), &[&innermost]);
    }
    let before = fake.came().len();
    let failure = details(&client(), &churn(&fake), &innermost).await.unwrap_err();
    assert_failure(&failure, reason::NOT_AN_IMAGE, &["more than 16 indexes"]);
    assert_eq!(fake.came().len() - before, 17);
}

#[tokio::test]
async fn what_is_no_image_beside_an_image_spoils_nothing() {
    let fake = Fake::start().await;
    let amd = fake.push_config("a", labelled("amd64", "amd"));
    let chart = json!({"schemaVersion": 2, "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json"}});
    let chart = fake.store("manifests", manifest::OCI_MANIFEST, chart.to_string());
    let text = fake.store("manifests", manifest::OCI_MANIFEST, "no manifest at all".to_owned());
    let odd = fake.push_config("odd", json!({"no": "platform"}));
    let gone = Digest::of("gone");
    for other in [&chart, &text, &odd, &gone] {
        for children in [[(Some("amd64"), &amd), (None, other)], [(None, other), (None, &amd)]] {
            let index = fake.push_index("latest", &children);
            let found = details(&client(), &churn(&fake), &index).await.unwrap();
            assert_eq!(found.platforms, [("linux/amd64".parse().unwrap(), amd.clone())]);
            assert_eq!(commit(&found), Some("amd"));
        }
        let alone = fake.push_index("alone", &[(None, other)]);
        assert!(details(&client(), &churn(&fake), &alone).await.is_err(), "but nothing else is no image");
    }
    let many: Vec<Digest> = (0..20).map(|number| Digest::of(format!("gone {number}"))).collect();
    let children: Vec<_> = many.iter().map(|digest| (None, digest)).chain([(Some("amd64"), &amd)]).collect();
    let index = fake.push_index("latest", &children);
    assert_eq!(details(&client(), &churn(&fake), &index).await.unwrap().platforms.len(), 1);
}

#[tokio::test]
async fn few_children_are_looked_for() {
    let fake = Fake::start().await;
    let gone: Vec<Digest> = (0..20).map(|number| Digest::of(format!("gone {number}"))).collect();
    let children: Vec<_> = gone.iter().map(|digest| (Some("amd64"), digest)).collect();
    let index = fake.push_index("latest", &children);
    assert_failure(&details(&client(), &churn(&fake), &index).await.unwrap_err(), reason::DIGEST_NOT_FOUND, &[]);
    assert_eq!(fake.came().len(), 9);
}

#[tokio::test]
async fn a_child_that_is_no_image_has_no_labels_and_spoils_nothing() {
    let fake = Fake::start().await;
    let chart = json!({"schemaVersion": 2, "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json"}});
    let chart = fake.store("manifests", manifest::OCI_MANIFEST, chart.to_string());
    let odd = fake.push_config("odd", json!(["no", "configuration"]));
    let index = fake.push_index("latest", &[(Some("amd64"), &chart), (Some("arm64"), &odd)]);
    let details = details(&client(), &churn(&fake), &index).await.unwrap();
    assert_eq!((&*details.labels, details.platforms.len()), (&Labels::default(), 2));
}

#[tokio::test]
async fn a_child_that_cannot_be_asked_for_leaves_the_answer_incomplete() {
    for (part, code, expected) in [
        ("/manifests/", StatusCode::BAD_GATEWAY, reason::REGISTRY_ERROR),
        ("/blobs/", StatusCode::SERVICE_UNAVAILABLE, reason::REGISTRY_ERROR),
        ("/blobs/", StatusCode::TOO_MANY_REQUESTS, reason::REGISTRY_RATE_LIMITED),
        ("/manifests/", StatusCode::FORBIDDEN, reason::UNAUTHORIZED),
    ] {
        let index = Arc::new(std::sync::OnceLock::<Digest>::new());
        let known = index.clone();
        let answer = move |came: &Came| {
            let is_index = known.get().is_some_and(|index| came.path.ends_with(index.as_str()));
            (!is_index && came.path.contains(part)).then(|| status(code))
        };
        let fake = Fake::with(answer).await;
        let amd = fake.push_config("a", labelled("amd64", "amd"));
        let digest = index.get_or_init(|| fake.push_index("latest", &[(Some("amd64"), &amd)]));
        let failure = details(&client(), &churn(&fake), digest).await.unwrap_err();
        assert_failure(&failure, expected, &[]);
    }
}

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
    fake.remove(&arm);
    let none = details(&client(), &churn(&fake), &index).await.unwrap();
    assert_eq!((&*none.labels, none.platforms.len()), (&Labels::default(), 2));
}

#[tokio::test]
async fn few_children_are_looked_for() {
    let fake = Fake::start().await;
    let gone: Vec<Digest> = (0..20).map(|number| Digest::of(format!("gone {number}"))).collect();
    let children: Vec<_> = gone.iter().map(|digest| (Some("amd64"), digest)).collect();
    let index = fake.push_index("latest", &children);
    assert_eq!(*details(&client(), &churn(&fake), &index).await.unwrap().labels, Labels::default());
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

use serde_json::json;

use super::*;

fn digest(n: u8) -> Digest {
    Digest::of([n])
}

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

fn nodes(texts: &[&str]) -> BTreeSet<Platform> {
    texts.iter().map(|text| platform(text)).collect()
}

fn image(index: u8, children: &[(&str, u8)]) -> ImageDetails {
    let platforms = children.iter().map(|(text, child)| (platform(text), digest(*child))).collect();
    ImageDetails { digest: digest(index), platforms, labels: Arc::default() }
}

fn read(manifest: serde_json::Value) -> Result<Manifest, ManifestError> {
    let bytes = bytes::Bytes::from(manifest.to_string());
    Manifest::read(&RawManifest { digest: Digest::of(&bytes), media_type: None, bytes })
}

fn child(os: &str, architecture: &str, n: u8) -> serde_json::Value {
    json!({"mediaType": OCI_MANIFEST, "size": 1, "digest": digest(n),
           "platform": {"os": os, "architecture": architecture}})
}

#[test]
fn a_new_attestation_or_another_platform_is_not_a_new_model() {
    let old = image(1, &[("linux/amd64", 11), ("linux/arm64", 12)]);
    let arm_rebuilt = image(2, &[("linux/amd64", 11), ("linux/arm64", 22)]);
    let amd_rebuilt = image(3, &[("linux/amd64", 31), ("linux/arm64", 12)]);
    let amd = nodes(&["linux/amd64"]);
    assert!(old.same_images_as(&arm_rebuilt, &amd));
    assert!(!old.same_images_as(&amd_rebuilt, &amd));
    assert!(!old.same_images_as(&arm_rebuilt, &nodes(&["linux/amd64", "linux/arm64"])));
    assert!(old.same_images_as(&arm_rebuilt, &BTreeSet::new()), "with no nodes known one child in common is enough");
    assert!(!old.same_images_as(&image(5, &[("linux/arm64", 11), ("linux/amd64", 12)]), &BTreeSet::new()));
    assert!(old.same_images_as(&image(4, &[("linux/arm64", 12), ("linux/amd64", 11)]), &BTreeSet::new()));
}

#[test]
fn a_single_manifest_that_moves_into_an_index_is_the_same_model() {
    let single = image(11, &[("linux/amd64", 11)]);
    let index = image(1, &[("linux/amd64", 11)]);
    assert!(single.same_images_as(&index, &nodes(&["linux/amd64"])));
}

#[test]
fn images_that_fit_no_node_are_told_apart_by_all_they_hold() {
    let arm = nodes(&["linux/arm64"]);
    assert!(!image(1, &[("linux/amd64", 11)]).same_images_as(&image(2, &[("linux/amd64", 12)]), &arm));
    assert!(image(1, &[("linux/amd64", 11)]).same_images_as(&image(2, &[("linux/amd64", 11)]), &arm));
    assert!(!image(1, &[]).same_images_as(&image(2, &[]), &arm), "nothing is not the same as nothing");
}

#[test]
fn an_image_fits_when_one_node_can_run_it() {
    let image = image(1, &[("linux/amd64", 11), ("linux/arm/v7", 12)]);
    assert!(image.fits_any(&nodes(&["linux/arm64", "linux/amd64"])));
    assert!(image.fits_any(&nodes(&["linux/arm"])));
    assert!(!image.fits_any(&nodes(&["linux/arm64"])));
    assert!(!image.fits_any(&BTreeSet::new()));
    assert!(image.holds(&digest(12)) && image.holds(&digest(1)) && !image.holds(&digest(99)));
}

#[test]
fn an_index_yields_its_images_without_attestations() {
    let mut attestation = child("linux", "amd64", 9);
    attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    let unknown_type = json!({"mediaType": "application/x", "size": 1, "digest": digest(8)});
    let unnamed = json!({"mediaType": DOCKER_MANIFEST, "size": 1, "digest": digest(3)});
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        child("linux", "amd64", 1), child("unknown", "unknown", 2), attestation, unknown_type, unnamed,
    ]});
    let expected = vec![
        Child { digest: digest(1), platform: Some(platform("linux/amd64")), is_index: false },
        Child { digest: digest(3), platform: None, is_index: false },
    ];
    assert_eq!(read(index), Ok(Manifest::Index(expected)));
}

#[test]
fn an_index_names_indexes_too_and_artifacts_are_left_out() {
    let typed = |number: u8, media_type: &str, artifact_type: &str| json!({"mediaType": media_type, "artifactType": artifact_type, "size": 1, "digest": digest(number)});
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        {"mediaType": OCI_INDEX, "size": 1, "digest": digest(1)},
        {"mediaType": DOCKER_LIST, "size": 1, "digest": digest(2)},
        typed(3, OCI_MANIFEST, "application/spdx+json"),
        typed(4, OCI_MANIFEST, "application/vnd.oci.image.config.v1+json"),
        typed(5, OCI_MANIFEST, ""),
    ]});
    let Ok(Manifest::Index(children)) = read(index) else { panic!("no index") };
    let found: Vec<_> = children.iter().map(|child| (child.digest.clone(), child.is_index)).collect();
    assert_eq!(found, [(digest(1), true), (digest(2), true), (digest(4), false), (digest(5), false)]);
}

#[test]
fn the_type_may_be_missing_in_the_content() {
    let index = json!({"schemaVersion": 2, "manifests": [child("linux", "arm64", 1)]});
    assert!(matches!(read(index), Ok(Manifest::Index(_))));
    let image = json!({"schemaVersion": 2, "config": {"digest": digest(5)}, "layers": []});
    assert_eq!(read(image), Ok(Manifest::Image { config: digest(5) }));
}

#[test]
fn what_is_no_image_is_named() {
    let many: Vec<_> = (0..=MOST_CHILDREN).map(|_| child("linux", "amd64", 1)).collect();
    for (manifest, expected) in [
        (json!({}), "no manifest"),
        (json!([]), "no manifest"),
        (json!({"errors": [{"code": "DENIED"}]}), "no manifest"),
        (json!({"schemaVersion": 1, "fsLayers": []}), "schema 1"),
        (json!({"schemaVersion": 2, "manifests": []}), "no image in it"),
        (json!({"schemaVersion": 2, "manifests": [child("unknown", "unknown", 1)]}), "no image in it"),
        (json!({"schemaVersion": 2, "manifests": many}), "more than 500"),
        (json!({"schemaVersion": 2, "manifests": [{"digest": "md5:1"}]}), "no manifest"),
        (
            json!({"schemaVersion": 2, "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": digest(1)}}),
            "another kind of artifact (application/vnd.cncf.helm.config.v1+json)",
        ),
    ] {
        let error = read(manifest.clone()).expect_err("no image").to_string();
        assert!(error.contains(expected), "{manifest}: {error}");
    }
}

#[test]
fn a_configuration_names_the_platform_or_nothing() {
    let config = json!({"architecture": "arm64", "os": "linux", "variant": "v8", "config": {}, "rootfs": {}});
    assert_eq!(Configuration::read(config.to_string().as_bytes()).platform, Some(platform("linux/arm64")));
    for other in ["{}", "[]", "<html>", r#"{"os":"linux"}"#] {
        assert_eq!(Configuration::read(other.as_bytes()).platform, None, "{other}");
    }
}

proptest::proptest! {
    #[test]
    fn reading_never_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = Configuration::read(&bytes);
        let _ = Manifest::read(&RawManifest { digest: digest(0), media_type: None, bytes: bytes.into() });
    }
}

#[test]
fn null_is_what_is_left_out_as_registries_and_nodes_take_it() {
    let nulls = |field: &str| {
        let mut child = child("linux", "amd64", 1);
        child[field] = json!(null);
        child
    };
    for field in ["annotations", "artifactType", "urls"] {
        let index =
            json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "annotations": null, "manifests": [nulls(field)]});
        let expected = Child { digest: digest(1), platform: Some(platform("linux/amd64")), is_index: false };
        assert_eq!(read(index), Ok(Manifest::Index(vec![expected])), "{field}");
    }
    // What one child says beside the point is no fault of the others.
    let (mut odd, mut half) = (child("linux", "amd64", 1), child("linux", "arm64", 2));
    odd["annotations"] = json!({"a": null, "b": 1});
    half["platform"]["os"] = json!(null);
    let index = read(json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [half, odd]}));
    assert!(matches!(index, Ok(Manifest::Index(children)) if children.iter().any(|child| child.digest == digest(1))));
    let empty = read(json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": null}));
    assert_eq!(empty, Err(ManifestError::EmptyIndex));
}

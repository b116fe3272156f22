//! The operator as the chart installs it: little rights, a strict pod.

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use modelship::images::Digest;
use serde_json::{Value, json};

use crate::{
    asking, operator,
    stage::Stage,
    support::{audit, world::setting},
};

#[tokio::test]
async fn the_operator_runs_by_digest_restricted_and_not_as_root() {
    let stage = Stage::shared("strict").await;
    let pod = operator::pod(&stage).await;
    let namespaces: Api<Namespace> = Api::all(stage.client.clone());
    let namespace = namespaces.get(operator::NAMESPACE).await.expect("the namespace");
    let enforced = namespace.metadata.labels.unwrap_or_default().remove("pod-security.kubernetes.io/enforce");
    assert_eq!(enforced.as_deref(), Some("restricted"), "the API server took the pod under these rules");
    let pod = json!(pod);
    assert_eq!(pod["spec"]["securityContext"]["runAsNonRoot"], true);
    let containers = pod["spec"]["containers"].as_array().expect("containers");
    assert_eq!(containers.len(), 1);
    let (container, status) = (&containers[0], &pod["status"]["containerStatuses"][0]);
    let own = &container["securityContext"];
    assert_eq!(own["readOnlyRootFilesystem"], true);
    assert_eq!(own["allowPrivilegeEscalation"], false);
    assert_eq!(own["capabilities"]["drop"], json!(["ALL"]));
    assert_ne!(status["user"]["linux"]["uid"], 0, "{status}");
    let digest = |image: &str| Digest::parse(image.split_once('@')?.1).ok();
    let wanted = digest(container["image"].as_str().expect("an image"));
    assert!(wanted.is_some(), "{}", container["image"]);
    assert_eq!(digest(status["imageID"].as_str().expect("an image")), wanted);
    stage.end().await;
}

/// The labels that registries and scanners read.
#[tokio::test]
async fn the_operators_image_says_what_it_is_where_it_comes_from_and_under_which_licence() {
    let stage = Stage::shared("labelled").await;
    let pod = json!(operator::pod(&stage).await);
    let (_, digest) =
        pod["spec"]["containers"][0]["image"].as_str().and_then(|image| image.split_once('@')).expect("a digest");
    let repository = format!("{}/v2/modelship/modelship", setting("MODELSHIP_TEST_REGISTRY"));
    let get = async |path: String| {
        let request = asking::client().get(format!("{repository}/{path}")).header(
            "accept",
            "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json",
        );
        let answer = request.send().await.and_then(reqwest::Response::error_for_status).expect("an answer");
        answer.text().await.map(|text| serde_json::from_str::<Value>(&text).expect("JSON")).expect("text")
    };
    let manifest = get(format!("manifests/{digest}")).await;
    let config = get(format!("blobs/{}", manifest["config"]["digest"].as_str().expect("a digest"))).await;
    let label =
        |name: &str| config["config"]["Labels"][format!("org.opencontainers.image.{name}")].as_str().unwrap_or("-");
    assert_eq!(
        ["title", "description", "version", "source", "licenses"].map(label),
        [
            "Modelship",
            env!("CARGO_PKG_DESCRIPTION"),
            env!("CARGO_PKG_VERSION"),
            env!("CARGO_PKG_REPOSITORY"),
            env!("CARGO_PKG_LICENSE"),
        ],
    );
    stage.end().await;
}

#[tokio::test]
async fn the_chart_grants_the_operator_all_that_it_asks_for() {
    let stage = Stage::shared("rights").await;
    let digest = stage.push("1");
    let mut spec = stage.spec();
    // Every kind of child, made and removed.
    spec["server"] = json!({"resources": {"requests": {"cpu": "1m"}}});
    spec["autoscaling"] = json!({"min": 2, "max": 3});
    stage.apply("churn", spec).await;
    stage.serves("churn", &digest).await;
    stage.apply("churn", stage.spec()).await;
    stage.serves("churn", &digest).await;
    let page = operator::metrics(&stage).await;
    let forbidden: Vec<_> = page.lines().filter(|line| line.contains(r#"="forbidden""#)).collect();
    assert!(forbidden.is_empty(), "{forbidden:#?}");
    assert!(page.contains(r#"modelship_kubernetes_requests_total{"#), "{page}");
    let mut refused = audit::entries(operator::USER);
    let hampered = |entry: &audit::Entry| entry.namespace().starts_with("killresolve-");
    refused.retain(|entry| entry.user() == operator::USER && entry.unauthorised() && !hampered(entry));
    assert!(refused.is_empty(), "{refused:#?}");
    stage.end().await;
}

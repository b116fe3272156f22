//! Modelship's own image by digest, as the pod that this controller runs in tells it: the exporter is in the same image.

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::ListParams};

use super::Error;
use crate::images::{Digest, Repository};

/// The container of the operator's pod, by the chart.
const CONTAINER: &str = "controller";

/// Asks for the pod `name`. `None` when there is no such pod (the controller runs outside of a cluster), or when its node
/// does not name the image's digest in a registry (an image that was loaded by hand has none).
///
/// # Errors
/// As the API server refuses.
pub async fn find(client: &Client, namespace: &str, name: &str) -> Result<Option<String>, Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    // Listed, not read: the right to list pods is there for the models' pods.
    let only = ListParams::default().fields(&format!("metadata.name={name}"));
    let found = pods.list(&only).await.map_err(|error| Error::of(format!("pod {namespace}/{name}"), error))?;
    Ok(found.items.first().and_then(pinned))
}

fn pinned(pod: &Pod) -> Option<String> {
    let asked = pod.spec.as_ref()?.containers.iter().find(|container| container.name == CONTAINER)?.image.as_deref()?;
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let ran = &statuses.iter().find(|status| status.name == CONTAINER)?.image_id;
    let (_, digest) = ran.split_once('@')?;
    let digest = Digest::parse(digest).ok()?;
    // By the name that it was asked for under: a node may know the image under another one, too.
    let name = asked.split_once('@').map_or(asked, |(name, _)| name);
    let name = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    };
    Some(Repository::parse(name).ok()?.at(&digest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(image: &str, image_id: &str) -> Pod {
        let status = json!({
            "name": "controller", "image": image, "imageID": image_id, "ready": true, "restartCount": 0,
        });
        serde_json::from_value(json!({
            "spec": {"containers": [{"name": "controller", "image": image}]},
            "status": {"containerStatuses": [status]},
        }))
        .unwrap()
    }

    #[test]
    fn the_digest_that_runs_is_named_under_the_name_that_was_asked_for() {
        let digest = Digest::of("modelship");
        let rows = [
            (
                "modelship/modelship:0.1.0",
                format!("docker.io/modelship/modelship@{digest}"),
                "docker.io/modelship/modelship",
            ),
            ("host:5000/ship", format!("docker-pullable://other/name@{digest}"), "host:5000/ship"),
            (&format!("host:5000/ship@{digest}"), format!("host:5000/ship@{digest}"), "host:5000/ship"),
        ];
        for (asked, ran, name) in rows {
            assert_eq!(pinned(&pod(asked, &ran)), Some(format!("{name}@{digest}")), "{asked}");
        }
    }

    #[test]
    fn an_image_that_was_loaded_by_hand_has_no_digest_to_pull_it_by() {
        assert_eq!(pinned(&pod("modelship/modelship:dev", "sha256:0123")), None);
        assert_eq!(pinned(&Pod::default()), None);
    }
}

//! Modelship's own image by digest, as the pod that this controller runs in tells it: the exporter is in the same image.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::ListParams};
use tokio::time::Instant;

use super::Error;
use crate::images::{Digest, Repository};

/// The container of the operator's pod, by the chart.
const CONTAINER: &str = "controller";

/// The kubelet tells what it has started a moment after it has.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Asks for the pod `name`. `None` when there is no such pod (the controller runs outside of a cluster), or when its node
/// does not name the image's digest in a registry (an image that was loaded by hand has none).
///
/// # Errors
/// As the API server refuses.
pub async fn find(client: &Client, namespace: &str, name: &str) -> Result<Option<String>, Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    // Listed, not read: the right to list pods is there for the models' pods.
    let only = ListParams::default().fields(&format!("metadata.name={name}"));
    let begun = Instant::now();
    loop {
        let found = pods.list(&only).await.map_err(|error| Error::of(format!("pod {namespace}/{name}"), error))?;
        let Some(pod) = found.items.first() else { return Ok(None) };
        if is_told(pod) || begun.elapsed() >= PATIENCE {
            return Ok(pinned(pod));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn image_id(pod: &Pod) -> Option<&str> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|status| status.name == CONTAINER).map(|status| status.image_id.as_str())
}

/// Whether the pod tells all that it ever will of its image.
fn is_told(pod: &Pod) -> bool {
    pinned(pod).is_some() || image_id(pod).is_some_and(|id| !id.is_empty())
}

fn pinned(pod: &Pod) -> Option<String> {
    let asked = pod.spec.as_ref()?.containers.iter().find(|container| container.name == CONTAINER)?.image.as_deref()?;
    let (_, digest) = asked.split_once('@').or_else(|| image_id(pod)?.split_once('@'))?;
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
        assert!(is_told(&pod("modelship/modelship:dev", "sha256:0123")));
        assert_eq!(pinned(&Pod::default()), None);
    }

    #[test]
    fn a_digest_that_was_asked_for_needs_no_word_of_the_kubelet_and_a_tag_does() {
        let digest = Digest::of("modelship");
        let asked = pod(&format!("host:5000/ship@{digest}"), "");
        assert_eq!(pinned(&asked), Some(format!("host:5000/ship@{digest}")));
        assert!(is_told(&asked));
        assert!(!is_told(&pod("host:5000/ship:1", "")));
    }
}

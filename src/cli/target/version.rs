//! What the version that users get says of itself: the labels of its image, as the operator stored them with its template.

use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::{Api, Client, api::ListParams};

use super::forward::refused;
use crate::{
    api::{Meaning, names, status::Version},
    resources::revision::Revision,
};

/// # Errors
/// A sentence that says what is missing, and what to do.
pub async fn meaning(client: Client, namespace: &str, model: &str, version: &Version) -> Result<Meaning, String> {
    let revisions: Api<ControllerRevision> = Api::namespaced(client, namespace);
    let of_model = ListParams::default().labels(&format!("{}={model}", names::MODEL));
    let stored = revisions
        .list(&of_model)
        .await
        .map_err(|error| format!("{}; or give -f FILE", refused(&error, "list controllerrevisions.apps", namespace)))?;
    let image = format!("{}@{}", version.repository, version.digest);
    let labels = stored.items.iter().filter_map(Revision::read).filter(|revision| revision.image == image);
    let meaning = labels.filter_map(|revision| revision.labels).next().map(|labels| Meaning::of(&labels));
    Ok(meaning.unwrap_or_default())
}

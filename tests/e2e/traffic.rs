//! `modelship traffic` in a pod of its own, as a client within the cluster: through the Service's address.

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api,
    api::{LogParams, PostParams},
};
use serde_json::{Value, json};

use crate::{asking, operator, stage::Stage};

/// A pod that sends traffic until it is told to stop.
pub struct Traffic<'a> {
    stage: &'a Stage,
    name: String,
}

impl<'a> Traffic<'a> {
    /// Begins; returns once the pod runs.
    pub async fn start(stage: &'a Stage, name: &str, url: &str, further: &[&str]) -> Self {
        payload(stage).await;
        let image = operator::pod(stage).await.spec.expect("a spec").containers[0].image.clone();
        let arguments = ["traffic", "--url", url, "--filename", "/payload/row.json", "--duration", "30m"];
        let arguments: Vec<&str> =
            arguments.into_iter().chain(["--output", "json"]).chain(further.iter().copied()).collect();
        let pod = json!({
            "metadata": {"name": name},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "containers": [{
                    "name": "traffic", "image": image, "args": arguments,
                    "volumeMounts": [{"name": "payload", "mountPath": "/payload"}],
                }],
                "volumes": [{"name": "payload", "configMap": {"name": "payload"}}],
            },
        });
        let pods: Api<Pod> = stage.api();
        pods.create(&PostParams::default(), &serde_json::from_value(pod).expect("a pod")).await.expect("created");
        let traffic = Self { stage, name: name.to_owned() };
        traffic.phase("Running").await;
        traffic
    }

    /// Waits until the pod is in that phase; returns its container's id.
    async fn phase(&self, wanted: &str) -> String {
        let pods: Api<Pod> = self.stage.api();
        self.stage
            .eventually("the traffic's pod", || async {
                let status = pods.get(&self.name).await.expect("the pod").status.unwrap_or_default();
                let containers = status.container_statuses.unwrap_or_default();
                let id = containers.first().and_then(|container| container.container_id.clone());
                match id {
                    Some(id) if status.phase.as_deref() == Some(wanted) => Ok(id),
                    _ => Err((status.phase, containers)),
                }
            })
            .await
    }

    /// Ends it as Ctrl-C does; returns its summary.
    pub async fn stop(self) -> Value {
        let id = self.phase("Running").await;
        operator::signal_process(id.strip_prefix("containerd://").expect("containerd"), "-INT");
        let pods: Api<Pod> = self.stage.api();
        self.stage
            .eventually("the summary", || async {
                let log = pods.logs(&self.name, &LogParams::default()).await.unwrap_or_default();
                // The log holds what went to standard error, too.
                let summary: Vec<&str> = log.lines().skip_while(|line| *line != "{").collect();
                serde_json::from_str::<Value>(&summary.join("\n")).map_err(|_| log)
            })
            .await
    }
}

async fn payload(stage: &Stage) {
    let row = json!({"metadata": {"name": "payload"}, "data": {"row.json": asking::ROW}});
    let maps: Api<ConfigMap> = stage.api();
    if maps.get_opt("payload").await.expect("an answer").is_none() {
        maps.create(&PostParams::default(), &serde_json::from_value(row).expect("a ConfigMap")).await.expect("created");
    }
}

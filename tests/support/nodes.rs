//! Nodes that nobody runs, and the real kube-scheduler, which places the pods of one world on them: those that ask for it by
//! its name. Modelship takes no notice of them, and so not the operators of other tests, for they report no platform.

use std::{path::Path, process::Stdio, time::Duration};

use k8s_openapi::{api::core::v1::Node, jiff::Timestamp};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{process::Child, task::JoinHandle};

use super::{World, eventually, world::setting};

/// Well below the time after which a node counts as lost (the controller manager's 50 s).
const HEARTBEAT: Duration = Duration::from_secs(10);

/// They end with the test; [`Nodes::end`] removes their objects as well.
pub struct Nodes {
    client: Client,
    names: Vec<String>,
    heart: JoinHandle<()>,
    scheduler: Child,
    folder: TempDir,
}

impl Nodes {
    pub async fn start(world: &World, number: usize) -> Self {
        let names: Vec<String> = (0..number).map(|node| format!("{}-{node}", world.namespace)).collect();
        let api: Api<Node> = Api::all(world.client.clone());
        for name in &names {
            let node = json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}});
            let node = serde_json::from_value(node).expect("a Node");
            api.create(&PostParams::default(), &node).await.expect("the Node is taken");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let scheduler = schedule(&world.namespace, folder.path());
        let heart = tokio::spawn(beat(api.clone(), names.clone()));
        for name in &names {
            eventually("the node to be ready for pods", || async {
                let node = api.get(name).await.expect("the Node");
                let tainted = node.spec.and_then(|spec| spec.taints).is_some_and(|taints| !taints.is_empty());
                let ready = node.status.and_then(|status| status.conditions).is_some_and(|all| !all.is_empty());
                if ready && !tainted { Ok(()) } else { Err((ready, tainted)) }
            })
            .await;
        }
        Self { client: world.client.clone(), names, heart, scheduler, folder }
    }

    /// What a spec's `podTemplate` says for its pods to be placed here.
    pub fn pod_template(world: &World) -> Value {
        json!({"spec": {"schedulerName": world.namespace}})
    }

    /// What the scheduler has said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub async fn end(mut self) {
        self.heart.abort();
        self.scheduler.kill().await.expect("the scheduler ends");
        let api: Api<Node> = Api::all(self.client.clone());
        for name in &self.names {
            api.delete(name, &DeleteParams::default()).await.expect("the Node is deleted");
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        self.heart.abort();
    }
}

/// A scheduler for the pods that name it.
fn schedule(name: &str, folder: &Path) -> Child {
    let kubeconfig = setting("MODELSHIP_TEST_KUBECONFIG");
    let configuration = json!({
        "apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": kubeconfig, "qps": 300, "burst": 600},
        "leaderElection": {"leaderElect": false},
        "profiles": [{"schedulerName": name}],
    });
    let file = folder.join("scheduler.json");
    std::fs::write(&file, configuration.to_string()).expect("written");
    let log = std::fs::File::create(folder.join("log")).expect("a log");
    let mut command = tokio::process::Command::new(Path::new(&setting("MODELSHIP_TEST_BIN")).join("kube-scheduler"));
    command.arg("--config").arg(file).arg("--secure-port=0").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    // With the marks of a part of the cluster: should the test be killed, the cluster's end is the scheduler's too.
    let kubeconfig = std::fs::canonicalize(kubeconfig).expect("the kubeconfig is there");
    command.env("MODELSHIP_CLUSTER_INSTANCE", kubeconfig.parent().expect("a folder"));
    command.env("MODELSHIP_CLUSTER_PART", "scheduler-of-a-test");
    command.kill_on_drop(true).spawn().expect("kube-scheduler starts")
}

/// Says again and again that the nodes are there, as their kubelets would.
async fn beat(api: Api<Node>, names: Vec<String>) {
    loop {
        let now = Timestamp::now().to_string();
        let room = json!({"cpu": "64", "memory": "64Gi", "pods": "110"});
        let ready = json!({"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now});
        let status = json!({"status": {"capacity": room, "allocatable": room, "conditions": [ready]}});
        for name in &names {
            // A beat that is lost is made up for by the next one.
            let _ = api.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await;
        }
        tokio::time::sleep(HEARTBEAT).await;
    }
}

//! Where a real kube-scheduler puts the pods of Deployments as Modelship renders them.

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};
use modelship::api::names;
use serde_json::json;

use crate::{
    lifecycle::{repository, spec},
    support::{Kubelet, Nodes, Operator, World, eventually, kubelet, registry},
};

/// Without `matchLabelKeys` in the spread constraint two new pods meet on one node after every second roll-out or so: chance
/// must not be able to hide that.
const MODELS: [&str; 4] = ["red", "white", "rose", "port"];
const ROLL_OUTS: usize = 3;

/// The nodes of a model's pods, once no earlier version's are left.
async fn places(world: &World, model: &str) -> Vec<String> {
    let (api, ours): (Api<Pod>, _) = (world.api(), ListParams::default().labels(&format!("{}={model}", names::MODEL)));
    let mut places = eventually("two pods with a node each", || async {
        let pods = api.list(&ours).await.expect("pods").items;
        let nodes: Vec<_> = pods.iter().filter_map(|pod| pod.spec.as_ref()?.node_name.clone()).collect();
        if (pods.len(), nodes.len()) == (2, 2) { Ok(nodes) } else { Err((pods.len(), nodes)) }
    })
    .await;
    places.sort();
    places
}

#[tokio::test]
async fn two_replicas_of_the_newest_version_are_on_two_nodes_after_every_roll_out() {
    let world = World::new("spread").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let nodes = Nodes::start(&world, 2).await;
    let _kubelet = Kubelet::of_nodes(&world, kubelet::serving);
    let operator = Operator::start(&world);
    let mut wanted = spec(&world);
    wanted["replicas"] = json!(2);
    wanted["podTemplate"] = Nodes::pod_template(&world);
    let mut seen = Vec::new();
    for version in 0..=ROLL_OUTS {
        wanted["server"] = json!({"env": [{"name": "VERSION", "value": version.to_string()}]});
        for model in MODELS {
            world.apply(model, wanted.clone()).await;
        }
        for model in MODELS {
            world.serves(model, &digest).await;
            seen.push((version, model, places(&world, model).await));
        }
    }
    let met: Vec<_> = seen.iter().filter(|(_, _, places)| places[0] == places[1]).collect();
    assert!(met.is_empty(), "{} of {}: {met:#?}\n{}", met.len(), seen.len(), nodes.log());
    assert_eq!(world.replica_sets().await.len(), MODELS.len() * (ROLL_OUTS + 1), "there was a roll-out each time");
    operator.stop().await;
    nodes.end().await;
    world.end().await;
}

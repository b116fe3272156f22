//! The Service that clients call.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use serde_json::json;

use super::{Child, ChildKind, Owner};
use crate::api::{
    names,
    spec::{ServerType, ServiceType},
    valid::ValidSpec,
};

pub fn build(owner: &Owner, spec: &ValidSpec) -> Child {
    let mut metadata = owner.child_metadata(&owner.name);
    if !spec.service.annotations.is_empty() {
        metadata.annotations = Some(spec.service.annotations.clone());
    }
    let service = Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(type_name(spec.service.kind).into()),
            selector: Some(owner.selector()),
            ports: Some(vec![ServicePort {
                name: Some(names::HTTP_PORT.into()),
                port: i32::from(spec.service.port),
                protocol: Some("TCP".into()),
                // Where nobody asks for one, that which the API server has chosen is left alone.
                node_port: spec.service.node_port.map(i32::from),
                // By name: the pod template decides which container bears it.
                target_port: Some(IntOrString::String(names::HTTP_PORT.into())),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    };
    Child::seal(ChildKind::Service, json!(service))
}

/// Where clients inside the cluster POST their requests. Only MLflow has one path for all models; a server of another type is
/// asked where `spec.predictions.requestPath` says that it answers with predictions.
pub fn url(owner: &Owner, spec: &ValidSpec) -> String {
    let said = spec.predictions["requestPath"].as_str();
    let path = match spec.server.kind {
        ServerType::Mlflow => "/invocations",
        ServerType::OpenInference => said.unwrap_or("/v2/models"),
        ServerType::Http => said.unwrap_or("/"),
    };
    let port = match spec.service.port {
        80 => String::new(),
        port => format!(":{port}"),
    };
    format!("http://{}.{}.svc{port}{path}", owner.name, owner.namespace)
}

fn type_name(kind: ServiceType) -> &'static str {
    match kind {
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    }
}

#[cfg(test)]
#[path = "tests/service.rs"]
mod tests;

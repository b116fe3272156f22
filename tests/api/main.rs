//! Against a real kube-apiserver, etcd and controller-manager: `tests/run` starts them. No pod runs.

#[path = "../support/mod.rs"]
mod support;

mod autoscaling;
mod crash;
mod ecosystem;
mod guides;
mod helm;
mod labels;
mod lifecycle;
mod mlflow;
mod ownership;
mod placement;
mod readings;
mod refused;
mod rest;
mod trouble;
mod versions;
mod waiting;

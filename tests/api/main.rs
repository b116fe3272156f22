//! Against a real kube-apiserver, etcd and controller-manager, without nodes: `tests/run` starts them.

#[path = "../support/mod.rs"]
mod support;

mod crash;
mod ecosystem;
mod labels;
mod lifecycle;
mod mlflow;
mod ownership;
mod readings;
mod refused;
mod rest;
mod trouble;
mod versions;
mod waiting;

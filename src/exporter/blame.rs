//! Who caused an error, as `http_request_errors_total{cause}` counts it.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// Who caused an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The request was wrong, or its sender went away.
    Client,
    /// The model answered with a failure of its own: a status of 5xx, or MLflow's 400 for an exception that no request causes.
    Model,
    /// The model did not answer in time, or a server in front of it said so (504), or a gRPC call.
    Timeout,
    /// The model refused the connection, or closed it before its answer was whole, or a server in front of it said that it is
    /// away (502, 503 as a page for people), or a gRPC call.
    Unreachable,
    /// Something failed, and the answer does not tell whether the request or the model was wrong. No alert counts these.
    Unclear,
}

/// Counts errors by cause. Cheap to clone; every cause is there at 0 from the start.
#[derive(Clone)]
pub struct Errors {
    client: IntCounter,
    model: IntCounter,
    timeout: IntCounter,
    unreachable: IntCounter,
    unclear: IntCounter,
}

impl Errors {
    /// # Errors
    /// When the name is taken on this registry.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let options = Opts::new(
            "http_request_errors_total",
            "Requests that failed, by who caused it: client, model, timeout, unreachable, or unclear where the answer does \
             not tell the client's fault from the model's.",
        );
        let all = IntCounterVec::new(options, &["cause"])?;
        registry.register(Box::new(all.clone()))?;
        let of = |cause: &str| all.with_label_values(&[cause]);
        Ok(Self {
            client: of("client"),
            model: of("model"),
            timeout: of("timeout"),
            unreachable: of("unreachable"),
            unclear: of("unclear"),
        })
    }

    pub fn count(&self, cause: Cause) {
        match cause {
            Cause::Client => self.client.inc(),
            Cause::Model => self.model.inc(),
            Cause::Timeout => self.timeout.inc(),
            Cause::Unreachable => self.unreachable.inc(),
            Cause::Unclear => self.unclear.inc(),
        }
    }
}

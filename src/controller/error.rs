//! What can go wrong on the way to the API server, by what should be done about it.

/// An error of one request or of the loop. Each carries a category for metrics and conditions.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("this controller no longer holds the lease; nothing is written until it does")]
    LeaseLost,
    #[error("the API server did not answer within {seconds}s ({what})")]
    TimedOut { what: String, seconds: u64 },
    #[error("{what}: {message}")]
    Refused { what: String, code: u16, message: String },
    #[error("{what}: the namespace is being deleted")]
    NamespaceEnding { what: String },
    #[error("{what}: {source}")]
    Unreachable { what: String, source: Box<kube::Error> },
    #[error("{0}")]
    Obstructed(String),
    #[error("this turn broke off inside the operator: see what it says before")]
    BrokenOff,
    #[error("the task {task} broke off inside the operator: see what it says before")]
    TaskBrokeOff { task: &'static str },
    #[error("cannot start: {0}")]
    Setup(String),
}

impl Error {
    /// Sorts a client error: what the API server said, or that it could not be asked.
    pub fn of(what: impl Into<String>, error: kube::Error) -> Self {
        let what = what.into();
        match error {
            kube::Error::Api(status) if ends(&status) => Self::NamespaceEnding { what },
            kube::Error::Api(status) => Self::Refused { what, code: status.code, message: status.message.clone() },
            other => Self::Unreachable { what, source: Box::new(other) },
        }
    }

    /// A short static name for metrics and logs.
    pub fn category(&self) -> &'static str {
        match self {
            Self::LeaseLost => "lease_lost",
            Self::TimedOut { .. } => "timeout",
            Self::Refused { code: 403, .. } => "forbidden",
            Self::Refused { code: 409, .. } => "conflict",
            Self::Refused { code: 400 | 422, .. } => "invalid",
            Self::Refused { .. } => "refused",
            Self::NamespaceEnding { .. } => "namespace_ending",
            Self::Unreachable { .. } => "unreachable",
            Self::Obstructed(_) => "obstructed",
            Self::BrokenOff | Self::TaskBrokeOff { .. } => "broken_off",
            Self::Setup(_) => "setup",
        }
    }

    /// The object goes with its namespace: nothing is left to do for it.
    pub fn is_farewell(&self) -> bool {
        matches!(self, Self::NamespaceEnding { .. })
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: 404, .. })
    }

    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code: 409, .. })
    }

    /// The API server has answered, if not as we like: other requests may fare better.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// The API server has judged the object itself: only a change of the spec or of its rules helps.
    pub fn is_verdict(&self) -> bool {
        match self {
            Self::Refused { code: 400 | 403 | 422, .. } => true,
            // Server-side apply of a field that no schema knows, or of the wrong type, is answered by 500.
            Self::Refused { code: 500, message, .. } => message.starts_with("failed to create typed patch object"),
            _ => false,
        }
    }
}

/// The admission plugin `NamespaceLifecycle` says so in a cause of its own; its sentence may change.
fn ends(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 403 && causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(status: serde_json::Value) -> Error {
        Error::of("apply Service ns/a", kube::Error::Api(Box::new(serde_json::from_value(status).unwrap())))
    }

    #[test]
    fn an_object_in_a_namespace_that_ends_is_no_verdict_on_the_object() {
        let ending = refused(json!({
            "kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden",
            "message": "services \"a\" is forbidden: unable to create new content in namespace ns because it is being terminated",
            "details": {"name": "a", "kind": "services", "causes": [{"reason": "NamespaceTerminating", "message": "namespace ns is being terminated", "field": "metadata.namespace"}]},
        }));
        assert!(ending.is_farewell() && !ending.is_verdict());
        assert_eq!(ending.category(), "namespace_ending");
        let quota = refused(json!({
            "kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden",
            "message": "exceeded quota", "details": {"name": "a", "kind": "services"},
        }));
        assert!(quota.is_verdict() && !quota.is_farewell());
        assert_eq!(quota.category(), "forbidden");
    }
}

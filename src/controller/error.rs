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
    #[error("{what}: {source}")]
    Unreachable { what: String, source: Box<kube::Error> },
    #[error("{0}")]
    Obstructed(String),
    #[error("cannot start: {0}")]
    Setup(String),
}

impl Error {
    /// Sorts a client error: what the API server said, or that it could not be asked.
    pub fn of(what: impl Into<String>, error: kube::Error) -> Self {
        let what = what.into();
        match error {
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
            Self::Unreachable { .. } => "unreachable",
            Self::Obstructed(_) => "obstructed",
            Self::Setup(_) => "setup",
        }
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: 404, .. })
    }

    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code: 409, .. })
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

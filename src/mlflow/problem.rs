//! Why a run is not known: [`Problem`], whose words become the text of a condition.

/// A reason and a sentence. Neither ever holds a password, or what changes by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A `CamelCase` word from [`reason`].
    pub reason: &'static str,
    /// What is wrong, where, and how to mend it.
    pub message: String,
}

impl Problem {
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// Whether nothing was learned, so that time alone may help.
    pub fn passes(&self) -> bool {
        const PASSING: [&str; 4] =
            [reason::UNREACHABLE, reason::SERVER_ERROR, reason::RUN_UNFINISHED, reason::SECRET_UNAVAILABLE];
        PASSING.contains(&self.reason)
    }
}

/// The reasons a [`Problem`] can have.
pub mod reason {
    /// No connection, no name, no TLS, or no answer in time.
    pub const UNREACHABLE: &str = "TrackingServerUnreachable";
    /// The server failed by itself (5xx), wants to be asked less often (429), or broke off in its answer.
    pub const SERVER_ERROR: &str = "TrackingServerError";
    /// What answers is no MLflow.
    pub const BAD_ANSWER: &str = "BadAnswer";
    /// 401 or 403.
    pub const UNAUTHORIZED: &str = "Unauthorized";
    /// The registered model does not exist.
    pub const NO_SUCH_MODEL: &str = "NoSuchModel";
    /// The registered model has no such version.
    pub const NO_SUCH_VERSION: &str = "NoSuchVersion";
    /// The registered model has no such alias.
    pub const NO_SUCH_ALIAS: &str = "NoSuchAlias";
    /// The server is too old for aliases.
    pub const NO_ALIASES: &str = "NoAliases";
    /// The run does not exist, or is deleted.
    pub const NO_SUCH_RUN: &str = "NoSuchRun";
    /// The version was registered without a run.
    pub const NO_RUN: &str = "NoRun";
    /// The run ended by an error, or was killed.
    pub const RUN_FAILED: &str = "RunFailed";
    /// The run has not ended yet.
    pub const RUN_UNFINISHED: &str = "RunUnfinished";
    /// The image says that it comes from another run than the alias or version does.
    pub const RUN_MISMATCH: &str = "RunMismatch";
    /// The image says nothing, and the alias or version is of the run that another image was made of.
    pub const RUN_TAKEN: &str = "RunOfAnotherVersion";
    /// The Secret in `spec.mlflow.credentialsSecret` is not there.
    pub const SECRET_MISSING: &str = "CredentialsMissing";
    /// It lacks a key.
    pub const SECRET_MALFORMED: &str = "CredentialsMalformed";
    /// The API server did not hand it out.
    pub const SECRET_UNAVAILABLE: &str = "CredentialsUnavailable";
}

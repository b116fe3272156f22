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
        [reason::UNREACHABLE, reason::SERVER_ERROR, reason::RUN_UNFINISHED].contains(&self.reason)
    }
}

/// The reasons a [`Problem`] can have.
pub mod reason {
    /// No connection, no name, no TLS, or no answer in time.
    pub const UNREACHABLE: &str = "TrackingServerUnreachable";
    /// The server failed by itself (5xx), or wants to be asked less often (429).
    pub const SERVER_ERROR: &str = "TrackingServerError";
    /// What answers is no MLflow, or breaks off.
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
}

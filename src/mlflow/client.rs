//! How a question leaves and an answer comes in: one address, bounded in time and size.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::{
    Login, Problem, Run, TrackingUri,
    answer::{self, LatestVersions, Refusal, RunAnswer, Subject, VersionAnswer},
    problem::reason::NO_ALIASES,
};
use crate::outside::{self, Spoilt, TrustedCa};

/// A run's parameters and tags come along with its metrics, thousands of them at times.
pub(super) const LARGEST_BODY: usize = 4 << 20;
/// MLflow before 2.3 has these instead of aliases.
const STAGES: [&str; 3] = ["Production", "Staging", "Archived"];

/// A tracking server, and who asks it.
#[derive(Clone, Debug)]
pub struct Server {
    pub uri: TrackingUri,
    pub login: Login,
    /// Where the login was read, for messages.
    pub secret: Option<String>,
}

/// Which run is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    Run(String),
    Version { model: String, version: String },
    Alias { model: String, alias: String },
}

/// The client of all tracking servers.
#[derive(Clone)]
pub struct Client(reqwest::Client);

/// An answer that is no success.
struct Refused {
    problem: Problem,
    /// It is not MLflow's registry that said so: the server may not know the call.
    call_unknown: bool,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self { problem, call_unknown: false }
    }
}

impl Client {
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(timeout: Duration, system_proxy: bool, trusted: &TrustedCa) -> Result<Self, reqwest::Error> {
        // None is followed: credentials go where the spec says, and nowhere else.
        outside::client(timeout, system_proxy, trusted, reqwest::redirect::Policy::none).map(Self)
    }

    /// The run, and its metrics.
    ///
    /// # Errors
    /// Why it is not known, or has not ended well.
    pub async fn run(&self, server: &Server, which: &Which) -> Result<Run, Problem> {
        let (id, version) = match which {
            Which::Run(id) => (id.clone(), None),
            Which::Version { model, version } => self.version(server, model, version).await?,
            Which::Alias { model, alias } => self.alias(server, model, alias).await?,
        };
        let subject = Subject::Run(&id);
        let body =
            self.get(server, subject, "runs/get", &[("run_id", &id)]).await.map_err(|refused| refused.problem)?;
        answer::read::<RunAnswer>(server, subject, &body)?.finished(server, &id, version)
    }

    async fn version(&self, server: &Server, model: &str, version: &str) -> Result<(String, Option<String>), Problem> {
        let subject = Subject::Version { model, version };
        let query = [("name", model), ("version", version)];
        let body = self.get(server, subject, "model-versions/get", &query).await.map_err(|refused| refused.problem)?;
        let found = answer::read::<VersionAnswer>(server, subject, &body)?.model_version;
        Ok((found.run(server, subject)?, Some(found.number(server, subject)?)))
    }

    async fn alias(&self, server: &Server, model: &str, alias: &str) -> Result<(String, Option<String>), Problem> {
        let subject = Subject::Alias { model, alias };
        let query = [("name", model), ("alias", alias)];
        let found = match self.get(server, subject, "registered-models/alias", &query).await {
            Ok(body) => answer::read::<VersionAnswer>(server, subject, &body)?.model_version,
            Err(refused) if refused.call_unknown => self.stage(server, model, alias).await?,
            Err(refused) => return Err(refused.problem),
        };
        Ok((found.run(server, subject)?, Some(found.number(server, subject)?)))
    }

    /// What an alias was before there were aliases: DagsHub, and MLflow before 2.3.
    async fn stage(&self, server: &Server, model: &str, alias: &str) -> Result<answer::Version, Problem> {
        let subject = Subject::Stage { model };
        let query = [("name", model)];
        let body = self.get(server, subject, "registered-models/get-latest-versions", &query).await;
        let body = body.map_err(|refused| refused.problem)?;
        let versions = answer::read::<LatestVersions>(server, subject, &body)?.model_versions;
        let is_stage = STAGES.iter().any(|stage| stage.eq_ignore_ascii_case(alias));
        let found = versions.into_iter().find(|version| version.current_stage.eq_ignore_ascii_case(alias));
        found.filter(|_| is_stage).ok_or_else(|| {
            let message = format!(
                "{} knows no aliases (MLflow has them since 2.3), and no version of {model} is in a stage {alias}; set \
                 spec.mlflow.version instead of alias, or leave model out and let images name their run",
                server.uri
            );
            Problem::new(NO_ALIASES, message)
        })
    }

    /// The only place from which a question leaves.
    async fn get(
        &self,
        server: &Server,
        subject: Subject<'_>,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Bytes, Refused> {
        let request = server.login.sign(self.0.get(server.uri.call(path, query)));
        let response = request.send().await.map_err(|error| answer::unanswered(server, subject, &error))?;
        let status = response.status();
        let body = outside::body(response, LARGEST_BODY).await;
        if status != StatusCode::OK {
            // What is wrong with the body of a refusal does not matter.
            let said = body.ok().and_then(|body| answer::refusal(&body));
            let call_unknown = call_unknown(status, said.as_ref());
            return Err(Refused { problem: answer::status(server, subject, status, said.as_ref()), call_unknown });
        }
        Ok(body.map_err(|spoilt| match spoilt {
            Spoilt::TooLong => answer::bad(server, subject, "it is far too long"),
            Spoilt::Broken(error) => answer::unanswered(server, subject, &error),
        })?)
    }
}

/// Flask says 404 and 405 in HTML of a path that it does not know; newer servers and gateways have words for it.
fn call_unknown(status: StatusCode, said: Option<&Refusal>) -> bool {
    match said {
        None => [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_IMPLEMENTED].contains(&status),
        Some(said) => ["ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED"].contains(&said.error_code.as_str()),
    }
}

//! Where `modelship traffic` and `modelship predict` send their requests: a ModelDeployment, or any URL.

pub(super) mod forward;
mod tls;
mod version;

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde::Deserialize as _;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use self::forward::{Forward, refused};
use crate::{
    api::{
        Meaning, ModelDeploymentStatus, StoredModelDeployment, conditions,
        meaning::Example,
        names,
        spec::{self, PredictionClass},
    },
    images::labels::PROFILE,
};

const NO_EXAMPLE: &str = "the profile has no example to send: give -f FILE";

/// How a model is named on the command line.
#[derive(Debug, clap::Args)]
#[group(id = "target")]
pub struct Arguments {
    /// A ModelDeployment: from inside the cluster through its Service, from elsewhere by port-forwards to its pods.
    #[arg(value_name = "NAME", required_unless_present = "url")]
    name: Option<String>,
    /// Any server instead of a ModelDeployment, such as http://127.0.0.1:8080/invocations.
    #[arg(long, conflicts_with_all = ["name", "namespace", "context"])]
    url: Option<String>,
    /// Namespace of the ModelDeployment. Default: the one of the kubeconfig's context, or of this pod.
    #[arg(short, long)]
    namespace: Option<String>,
    /// Context of the kubeconfig. Default: the current one.
    #[arg(long)]
    context: Option<String>,
    /// Path to POST to. Default: the path of the ModelDeployment's status.url, or of --url.
    #[arg(long)]
    path: Option<String>,
    /// A modelship-profile.json: its example is sent where no body is given, and its classes are named. Default: what the
    /// image of the ModelDeployment's version says.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
}

/// A server that takes requests.
#[derive(Clone)]
pub struct Target {
    /// What requests are sent to, for people.
    pub described: String,
    /// The Host header.
    pub authority: String,
    /// Path and query of the request.
    pub path: String,
    /// What the ModelDeployment calls its classes, or else the version itself.
    pub classes: Vec<PredictionClass>,
    /// A request that the version answers, where one was asked for.
    example: Result<Example, String>,
    /// What the user should know before requests start.
    pub note: Option<String>,
    reach: Reach,
}

#[derive(Clone)]
enum Reach {
    Direct {
        host: String,
        port: u16,
        /// Where the URL says https.
        tls: Option<TlsConnector>,
    },
    Forward(Arc<Forward>),
}

/// One connection's bytes.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection, and what a pod has to say when it fails.
pub struct Link {
    pub stream: Box<dyn Stream>,
    pub complaint: BoxFuture<'static, Option<String>>,
}

impl Target {
    /// Opens one connection.
    ///
    /// # Errors
    /// A sentence that says who could not be reached, and why.
    pub async fn connect(&self) -> Result<Link, String> {
        match &self.reach {
            Reach::Direct { host, port, tls } => {
                let cannot = |words: String| format!("cannot connect to {}: {words}", self.authority);
                let stream = TcpStream::connect((host.as_str(), *port)).await;
                let stream = stream.map_err(|error| cannot(error.to_string()))?;
                // A request is written at once: waiting for more would only add to its latency.
                let _ = stream.set_nodelay(true);
                let stream: Box<dyn Stream> = match tls {
                    Some(tls) => Box::new(tls::encrypt(tls, host, stream).await.map_err(cannot)?),
                    None => Box::new(stream),
                };
                Ok(Link { stream, complaint: futures::future::ready(None).boxed() })
            }
            Reach::Forward(forward) => forward.connect().await,
        }
    }

    /// The body of the version's example, and requests go where that says, unless a path was given.
    ///
    /// # Errors
    /// A sentence that says why there is none, and what to do.
    pub fn example(&mut self) -> Result<Bytes, String> {
        let example = self.example.as_ref().map_err(String::clone)?;
        if let Some(path) = &example.path {
            self.path.clone_from(path);
        }
        Ok(example.body.to_string().into())
    }

    /// Finds the target. `example`: whether its own example will be sent.
    ///
    /// # Errors
    /// A sentence that says what is missing, and what to do.
    pub async fn find(arguments: &Arguments, example: bool) -> Result<Self, String> {
        let path = arguments.path.as_deref();
        let profile = arguments.profile.as_deref().map(super::profile::read).transpose()?;
        let wish = Wish { path, profile, example };
        match (&arguments.url, &arguments.name) {
            (Some(url), _) => {
                let mut target = Self::of_url(url, path).map_err(|error| format!("--url: {error}"))?;
                if let Some(profile) = &wish.profile {
                    target.take(profile, path, NO_EXAMPLE);
                }
                Ok(target)
            }
            (None, Some(name)) => {
                let Cluster { config, inside } = Cluster::find(arguments.context.as_deref()).await?;
                let namespace = arguments.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
                let client = Client::try_from(config).map_err(|error| format!("no client for the cluster: {error}"))?;
                Self::of_model(client, inside, &namespace, name, wish).await
            }
            (None, None) => Err("name a ModelDeployment, or give --url".to_owned()),
        }
    }

    /// # Errors
    /// A sentence that says what is wrong with the URL.
    pub fn of_url(text: &str, path: Option<&str>) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| {
            format!("'{text}' is not a URL ({error}); write it in full, such as http://127.0.0.1:8080/invocations")
        })?;
        let scheme = url.scheme();
        let tls = match scheme {
            "http" => None,
            "https" => Some(tls::connector()?),
            _ => {
                return Err(format!(
                    "'{text}' starts with neither http:// nor https://; other protocols are not spoken"
                ));
            }
        };
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(format!("'{text}' names no host"));
        };
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        let host = match host {
            Host::Ipv6(address) => address.to_string(),
            other => other.to_string(),
        };
        let path = path_of(&url, path)?;
        Ok(Self {
            described: format!("{scheme}://{authority}{path}"),
            authority,
            path,
            classes: Vec::new(),
            example: Err("nothing to send: give -f FILE, or --profile FILE with an example".into()),
            note: None,
            reach: Reach::Direct { host, port, tls },
        })
    }

    /// Takes over what a version says of itself. `without`: the remark when an example is missing.
    fn take(&mut self, meaning: &Meaning, path: Option<&str>, without: &str) {
        if self.classes.is_empty() {
            let classes = meaning.predictions.get("classes");
            self.classes = classes.and_then(|classes| Vec::deserialize(classes).ok()).unwrap_or_default();
        }
        let mut example = meaning.example.clone().ok_or_else(|| without.to_owned());
        if let (Ok(example), Some(_)) = (&mut example, path) {
            example.path = None;
        }
        self.example = example;
    }

    async fn of_model(
        client: Client,
        inside: bool,
        namespace: &str,
        name: &str,
        wish: Wish<'_>,
    ) -> Result<Self, String> {
        let models: Api<StoredModelDeployment> = Api::namespaced(client.clone(), namespace);
        let model = models.get(name).await.map_err(|error| missing_model(&error, namespace, name))?;
        let status = model.known_status();
        let (url, note) = serving(name, namespace, &status)?;
        let mut target = Self::of_url(&url, wish.path).map_err(|error| format!("the status of '{name}': {error}"))?;
        target.classes = classes(&model);
        target.note = note;
        let stable = status.stable.as_ref();
        let unnamed = target.classes.is_empty() && stable.is_some_and(|stable| !stable.classes.is_empty());
        match (wish.profile, stable) {
            (Some(profile), _) => target.take(&profile, wish.path, NO_EXAMPLE),
            (None, Some(stable)) if wish.example || unnamed => {
                match version::meaning(client.clone(), namespace, name, stable).await {
                    Ok(meaning) => {
                        let without = format!(
                            "the image of '{name}' at {} brings no example along (label {PROFILE}): give -f FILE, or --profile FILE",
                            stable.short
                        );
                        target.take(&meaning, wish.path, &without);
                    }
                    Err(message) if wish.example => return Err(message),
                    // The answer is worth more than the names in it.
                    Err(_) => {}
                }
            }
            _ => {}
        }
        if !inside {
            let (forward, pods) = Forward::find(client, namespace, name).await?;
            let pods = if pods == 1 { "1 pod".to_owned() } else { format!("{pods} pods") };
            target.described = format!("{} by port-forwards to {pods}", target.described);
            target.reach = Reach::Forward(Arc::new(forward));
        }
        Ok(target)
    }
}

/// What is asked of a target besides where it is.
#[derive(Default)]
struct Wish<'a> {
    path: Option<&'a str>,
    /// In place of what the version says itself.
    profile: Option<Meaning>,
    /// Whether there must be an example.
    example: bool,
}

fn path_of(url: &Url, path: Option<&str>) -> Result<String, String> {
    let Some(path) = path else {
        return Ok(url.query().map_or(url.path().to_owned(), |query| format!("{}?{query}", url.path())));
    };
    let parsed: Result<http::uri::PathAndQuery, _> = path.parse();
    match parsed {
        Ok(parsed) if path.starts_with('/') => Ok(parsed.to_string()),
        _ => Err(format!("'{path}' is not a path; write it as in /invocations")),
    }
}

/// What the ModelDeployment calls its classes. A spec that does not parse names none: the operator complains of it.
fn classes(model: &StoredModelDeployment) -> Vec<PredictionClass> {
    let spec = model.spec.value();
    spec::Predictions::deserialize(&spec["predictions"]).map(|predictions| predictions.classes).unwrap_or_default()
}

/// The model's URL and, when it serves but is not what it should be, a remark.
///
/// A roll-out is the very time to send traffic, so what counts is that some pod answers.
fn serving(name: &str, namespace: &str, status: &ModelDeploymentStatus) -> Result<(String, Option<String>), String> {
    let said = |kind: &str| conditions::find(&status.conditions, kind);
    let holds = |kind: &str| said(kind).is_some_and(|condition| condition.status == "True");
    let words = said(conditions::READY)
        .map_or("nothing is known of it yet; is the operator running?".to_owned(), |ready| {
            format!("{}: {}", ready.reason, ready.message)
        });
    let ready = holds(conditions::READY);
    if !ready && !holds(conditions::AVAILABLE) {
        return Err(format!("ModelDeployment '{name}' of namespace '{namespace}' is not ready: {words}"));
    }
    let note = (!ready).then(|| format!("'{name}' serves but is not Ready: {words}"));
    match &status.url {
        Some(url) => Ok((url.clone(), note)),
        None => {
            Err(format!("ModelDeployment '{name}' of namespace '{namespace}' has no URL in its status yet: {words}"))
        }
    }
}

/// Which cluster is meant.
pub(super) struct Cluster {
    pub config: Config,
    /// Whether this process is a pod of that cluster.
    inside: bool,
}

impl Cluster {
    /// As kubectl does: the kubeconfig first, then the pod's own ServiceAccount.
    pub async fn find(context: Option<&str>) -> Result<Self, String> {
        let kubeconfig = Kubeconfig::read();
        if let (Ok(kubeconfig), Some(context)) = (&kubeconfig, context)
            && !kubeconfig.contexts.iter().any(|known| known.name == context)
        {
            return Err(unknown_context(context, kubeconfig));
        }
        let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
        let config = match kubeconfig {
            Ok(kubeconfig) => Config::from_custom_kubeconfig(kubeconfig, &options).await,
            Err(error) => Err(error),
        };
        match (config, context) {
            (Ok(config), _) => Ok(Self { config, inside: false }),
            (Err(error), Some(context)) => Err(format!("--context {context}: {error}")),
            (Err(error), None) => match Config::incluster() {
                Ok(config) => Ok(Self { config, inside: true }),
                Err(_) => Err(format!("no cluster to ask: {error}; set KUBECONFIG, or run in a pod")),
            },
        }
    }
}

fn unknown_context(context: &str, kubeconfig: &Kubeconfig) -> String {
    const SHOWN: usize = 10;
    let known: Vec<&str> = kubeconfig.contexts.iter().take(SHOWN).map(|context| context.name.as_str()).collect();
    let more = if kubeconfig.contexts.len() > SHOWN { ", …" } else { "" };
    format!("--context: the kubeconfig has no context '{context}'; it has: {}{more}", known.join(", "))
}

pub(super) fn missing_model(error: &kube::Error, namespace: &str, name: &str) -> String {
    match error {
        // A kind that the API server does not know is answered by its router, which names no object.
        kube::Error::Api(status)
            if status.code == 404 && status.details.as_ref().is_none_or(|of| of.name.is_empty()) =>
        {
            format!("this cluster knows no ModelDeployments: install Modelship, or choose another --context ({status})")
        }
        kube::Error::Api(status) if status.code == 404 => no_such_model(namespace, name),
        error => refused(error, &format!("get modeldeployments.{}", names::GROUP), namespace),
    }
}

pub(super) fn no_such_model(namespace: &str, name: &str) -> String {
    format!("there is no ModelDeployment '{name}' in namespace '{namespace}'; kubectl get mdl -A shows where they are")
}

#[cfg(test)]
#[path = "tests/target.rs"]
mod tests;

//! Prometheus, Alertmanager and the mail server of tests/monitoring: what they know, asked as a person would.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use k8s_openapi::{api::core::v1::Pod, jiff};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use modelship::api::{conditions, names};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    asking, exporter,
    stage::{PATIENCE, Stage},
    support::{World, eventually_within, world::setting},
};

/// The label that the Prometheus and the Alertmanager of tests/monitoring select by.
const SELECTED: (&str, &str) = ("release", "kps");

pub type Labels = BTreeMap<String, String>;

/// One series' value now.
#[derive(Debug, Deserialize)]
pub struct Sample {
    pub metric: Labels,
    value: (f64, String),
}

impl Sample {
    pub fn value(&self) -> f64 {
        self.value.1.parse().expect("a number")
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// `serviceMonitor/NAMESPACE/NAME/INDEX`
    pub scrape_pool: String,
    pub health: String,
    pub last_error: String,
    pub labels: Labels,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    pub name: String,
    /// `ok`, `err` or `unknown`
    pub health: String,
    #[serde(default)]
    pub last_error: String,
    /// Of alerting rules: `inactive`, `pending` or `firing`.
    pub state: Option<String>,
}

/// An alert that Alertmanager has.
#[derive(Debug, Deserialize)]
pub struct Alert {
    pub labels: Labels,
    pub annotations: Labels,
}

#[derive(Debug, Deserialize)]
pub struct Mail {
    pub tls: bool,
    pub user: Option<String>,
    pub from: String,
    pub to: Vec<String>,
    pub subject: String,
    pub text: Option<String>,
    pub html: Option<String>,
}

impl Mail {
    /// All that a reader sees.
    pub fn words(&self) -> String {
        [Some(&self.subject), self.text.as_ref(), self.html.as_ref()].into_iter().flatten().cloned().collect()
    }
}

/// An instant query.
pub async fn query(promql: &str) -> Vec<Sample> {
    let data: Value = prometheus("query", &[("query", promql)]).await;
    assert_eq!(data["resultType"], "vector", "{promql}: {data}");
    parsed(data["result"].clone())
}

/// The targets that come from a ServiceMonitor of that namespace.
pub async fn targets(namespace: &str) -> Vec<Target> {
    let data: Value = prometheus("targets", &[("state", "active")]).await;
    let mut targets: Vec<Target> = parsed(data["activeTargets"].clone());
    targets.retain(|target| target.scrape_pool.starts_with(&format!("serviceMonitor/{namespace}/")));
    targets
}

/// The rules that come from a PrometheusRule of that namespace, whichever group they are in.
pub async fn rules(namespace: &str) -> Vec<Rule> {
    let data: Value = prometheus("rules", &[]).await;
    let groups = data["groups"].as_array().expect("groups").iter();
    // A rule file is called NAMESPACE-NAME-UID.yaml.
    let of_namespace = groups.filter(|group| {
        let file = Path::new(group["file"].as_str().expect("a file")).file_name().expect("a name");
        file.to_str().expect("text").starts_with(&format!("{namespace}-"))
    });
    of_namespace.flat_map(|group| parsed::<Vec<Rule>>(group["rules"].clone())).collect()
}

/// The alerts with that namespace label which have reached Alertmanager.
pub async fn alerts(namespace: &str) -> Vec<Alert> {
    let filter = format!("namespace=\"{namespace}\"");
    get("MODELSHIP_TEST_ALERTMANAGER", "api/v2/alerts", &[("filter", &filter)]).await
}

/// The mails to that address, oldest first.
pub fn mails(to: &str) -> Vec<Mail> {
    let entries = fs::read_dir(setting("MODELSHIP_TEST_MAILS")).expect("the folder of mails").flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    // Each is written beside its place and moved.
    files.retain(|file| !file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
    files.sort();
    let read = |file| serde_json::from_slice(&fs::read(file).expect("a mail")).expect("JSON");
    let mut mails: Vec<Mail> = files.iter().map(read).collect();
    mails.retain(|mail| mail.to.iter().any(|address| address == to));
    mails
}

async fn prometheus<T: DeserializeOwned>(path: &str, parameters: &[(&str, &str)]) -> T {
    let answer: Value = get("MODELSHIP_TEST_PROMETHEUS", &format!("api/v1/{path}"), parameters).await;
    assert_eq!(answer["status"], "success", "{path} {parameters:?}: {answer}");
    parsed(answer["data"].clone())
}

async fn get<T: DeserializeOwned>(base: &str, path: &str, parameters: &[(&str, &str)]) -> T {
    let url = url::Url::parse_with_params(&format!("{}/{path}", setting(base)), parameters).expect("a URL");
    let answer = asking::client().get(url.clone()).send().await.expect("an answer").text().await.expect("text");
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{url}: {error}: {answer}"))
}

fn parsed<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

/// As [`Stage::eventually`], for what Prometheus or Alertmanager learn from an object. Their configuration is a mounted
/// Secret, and rules are a mounted ConfigMap: a kubelet that nothing makes look at the pod refreshes those a minute later.
pub async fn eventually<T, S, F>(world: &World, what: &str, look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, S>>,
    S: std::fmt::Debug,
{
    nudging(world, eventually_within(PATIENCE, what, look)).await
}

/// Does that while every kubelet is made to look at the pods again and again.
pub async fn nudging<T>(world: &World, work: impl Future<Output = T>) -> T {
    let nudges = async {
        let mut again = tokio::time::interval(Duration::from_secs(2));
        loop {
            again.tick().await;
            nudge(world).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = nudges => unreachable!("it never ends"),
    }
}

async fn nudge(world: &World) {
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), "monitoring");
    let made = ListParams::default().labels("app.kubernetes.io/managed-by=prometheus-operator");
    let now = jiff::Timestamp::now().to_string();
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"modelship.dev/test-looks": now}}}));
    for pod in pods.list(&made).await.expect("pods") {
        pods.patch_metadata(&pod.name_any(), &PatchParams::default(), &patch).await.expect("the annotation is taken");
    }
}

/// Creates an object in the test's namespace with the label that gets it selected.
pub async fn create(world: &World, api_version: &str, kind: &str, name: &str, content: Value) {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let mut object = json!({"apiVersion": api_version, "kind": kind,
        "metadata": {"name": name, "labels": {SELECTED.0: SELECTED.1}}});
    object.as_object_mut().expect("an object").extend(content.as_object().expect("fields").clone());
    let api: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
    api.patch(name, &PatchParams::apply("test"), &Patch::Apply(&object)).await.expect("the object is taken");
}

#[tokio::test]
async fn prometheus_scrapes_a_model_and_knows_what_its_containers_use() {
    let stage = Stage::shared("scraped").await;
    let digest = stage.push("1");
    stage.apply("churn", stage.spec()).await;
    stage.serves("churn", &digest).await;
    assert_eq!(stage.ask("churn").await, "1");
    let namespace = stage.namespace.as_str();

    let target = eventually(&stage, "the model to be a target that is up", || async {
        let mut targets = targets(namespace).await;
        let up = matches!(targets.as_slice(), [only] if only.health == "up" && only.last_error.is_empty());
        if up { Ok(targets.remove(0)) } else { Err(targets) }
    })
    .await;
    assert_eq!(target.labels["service"], "churn-metrics");
    let answered = format!(r#"http_requests_total{{namespace="{namespace}", code="200"}} > 0"#);
    let counted = stage
        .eventually("its requests to be counted", || async {
            query(&answered).await.pop().ok_or("no request is counted")
        })
        .await;
    assert_eq!((counted.metric["method"].as_str(), counted.value()), ("POST", 1.0));

    for container in [names::MODEL_CONTAINER, names::EXPORTER_CONTAINER] {
        let used = format!(
            r#"container_cpu_usage_seconds_total{{namespace="{namespace}", pod=~"churn-.+", container="{container}"}}"#
        );
        stage
            .eventually("the kubelet's measure of a container", || async {
                let found = query(&used).await;
                if found.len() == 1 && found[0].value() > 0.0 { Ok(()) } else { Err(found) }
            })
            .await;
    }
    stage.end().await;
}

#[tokio::test]
async fn an_alert_of_a_namespace_arrives_as_a_mail() {
    let stage = Stage::shared("mailed").await;
    let namespace = stage.namespace.as_str();
    let team = format!("team@{namespace}.test");
    let certificate = fs::read_to_string(setting("MODELSHIP_TEST_SMTP_CA")).expect("a certificate");
    create(&stage, "v1", "Secret", "smtp", json!({"stringData": {"password": "open-sesame", "ca": certificate}})).await;
    let email = json!({
        "to": team, "from": "alerts@example.test", "smarthost": setting("MODELSHIP_TEST_SMTP_GUARDED"),
        "authUsername": "alice", "authPassword": {"name": "smtp", "key": "password"},
        "requireTLS": true, "tlsConfig": {"ca": {"secret": {"name": "smtp", "key": "ca"}}},
    });
    let spec = json!({
        "route": {"receiver": "team", "groupWait": "1s", "groupInterval": "1s"},
        "receivers": [{"name": "team", "emailConfigs": [email]}],
    });
    create(&stage, "monitoring.coreos.com/v1alpha1", "AlertmanagerConfig", "team", json!({"spec": spec})).await;
    let rule = json!({
        "alert": "Always", "expr": "vector(1)", "labels": {"namespace": namespace, "severity": "info"},
        "annotations": {"summary": "This is always so."},
    });
    let spec = json!({"groups": [{"name": "test", "rules": [rule]}]});
    create(&stage, "monitoring.coreos.com/v1", "PrometheusRule", "always", json!({"spec": spec})).await;

    eventually(&stage, "the rule to fire", || async {
        let rules = rules(namespace).await;
        let fires = matches!(rules.as_slice(), [only] if only.name == "Always" && only.health == "ok"
            && only.last_error.is_empty() && only.state.as_deref() == Some("firing"));
        if fires { Ok(()) } else { Err(rules) }
    })
    .await;
    let alert = stage
        .eventually("Alertmanager to have the alert", || async { alerts(namespace).await.pop().ok_or("no alert") })
        .await;
    assert_eq!(alert.labels["alertname"], "Always");
    assert_eq!(alert.annotations["summary"], "This is always so.");
    let mail = eventually(&stage, "the mail", || async { mails(&team).pop().ok_or("no mail") }).await;
    assert_eq!((mail.from.as_str(), mail.user.as_deref(), mail.tls), ("alerts@example.test", Some("alice"), true));
    assert!(mail.subject.contains("FIRING") && mail.words().contains("This is always so."), "{mail:#?}");
    stage.end().await;
}

/// Whether it went well, and what it printed.
async fn test_alert(stage: &Stage, model: &str) -> (bool, String) {
    let arguments = ["test-alert", model, "--namespace", &stage.namespace, "--timeout", "4m"];
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_modelship"));
    command.args(arguments).env("KUBECONFIG", setting("MODELSHIP_TEST_KUBECONFIG")).kill_on_drop(true);
    let output = nudging(stage, command.output()).await.expect("modelship runs");
    let complaints = String::from_utf8_lossy(&output.stderr);
    (output.status.success(), format!("{}{complaints}", String::from_utf8_lossy(&output.stdout)))
}

#[tokio::test]
async fn test_alert_sends_a_real_mail_by_the_way_of_a_models_alerts_and_tells_each_hop() {
    let stage = Stage::shared("tested").await;
    let team = format!("team@{}.test", stage.namespace);
    let digest = stage.push("1");
    let mut spec = stage.spec();
    spec["monitoring"] = json!({"email": {"to": [team], "secret": "smtp"}});
    stage.apply("churn", spec).await;
    stage.serves("churn", &digest).await;
    stage.told(conditions::MONITORING_READY, "False", "EmailSecretMissing").await;
    let (well, told) = test_alert(&stage, "churn").await;
    assert!(!well && told.contains("FAIL") && told.contains("smtp"), "there is no Secret yet: {told}");

    let certificate = fs::read_to_string(setting("MODELSHIP_TEST_SMTP_CA")).expect("a certificate");
    let secret = json!({"stringData": {
        "username": "alice", "password": "open-sesame", "from": "alerts@example.test",
        "smarthost": setting("MODELSHIP_TEST_SMTP_GUARDED"), "ca.crt": certificate,
    }});
    create(&stage, "v1", "Secret", "smtp", secret).await;
    nudging(&stage, stage.told(conditions::MONITORING_READY, "True", "*")).await;
    let (well, told) = test_alert(&stage, "churn").await;
    assert!(well, "{told}");
    for words in [
        format!("ok    ModelDeployment {}/churn has its alerts mailed to {team}", stage.namespace),
        "ok    its condition MonitoringReady is True".to_owned(),
        "as alice".to_owned(),
        "ok    it finds the key password of Secret smtp and ca.crt of Secret smtp".to_owned(),
        "ok    Alertmanager monitoring/main selects it".to_owned(),
        format!("has loaded the receiver {}/churn/email", stage.namespace),
        "ok    Prometheus monitoring/main sends its alerts to Alertmanager monitoring/main".to_owned(),
        "ok    the mail server took the e-mail".to_owned(),
    ] {
        assert!(told.contains(&words), "{words}: {told}");
    }
    assert!(!told.contains("sesame") && !told.contains("CERTIFICATE"), "{told}");
    let mail = stage.eventually("the mail", || async { mails(&team).pop().ok_or("no mail") }).await;
    assert_eq!((mail.from.as_str(), mail.user.as_deref(), mail.tls), ("alerts@example.test", Some("alice"), true));
    let subject = format!("This is a test: e-mail about model {}/churn arrives.", stage.namespace);
    assert!(mail.subject == subject && mail.words().contains("ModelshipTest (info)"), "{mail:#?}");
    stage.end().await;
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_a_live_exporters_page() {
    let stage = Stage::shared("linted").await;
    let digest = stage.push("1");
    stage.apply("churn", stage.spec()).await;
    stage.serves("churn", &digest).await;
    assert_eq!(stage.ask("churn").await, "1");
    let page = exporter::page(&exporter::only_pod(&stage, "churn").await).await;
    assert_eq!(promtool(&["check", "metrics"], &page), "");
    stage.end().await;
}

/// What promtool has to say about its input; it must not refuse it.
fn promtool(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(setting("MODELSHIP_TEST_PROMTOOL"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let words = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {arguments:?}: {words}");
    words
}

//! The Prometheus Operator's kinds come late, go away, are forbidden, or are older than we know them. They belong to the
//! whole cluster: `tests/run` runs these tests after all others, one at a time.

use std::{path::PathBuf, process::Command};

use k8s_openapi::{
    api::{
        core::v1::{Namespace, Secret, Service},
        rbac::v1::{ClusterRole, ClusterRoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use modelship::{
    api::conditions,
    controller::own_monitor::OwnService,
    monitoring::{OptionalKind, Reader},
    resources::ChildKind,
};
use serde_json::{Value, json};

use crate::{
    lifecycle::{repository, spec},
    support::{Kubelet, Operator, Options, World, eventually, kubelet, registry, world::setting},
};

fn definitions(world: &World) -> Api<CustomResourceDefinition> {
    Api::all(world.client.clone())
}

/// A definition that takes anything, as far as a controller can tell: the real ones are tried end to end.
fn definition(kind: OptionalKind, schema: Value) -> Value {
    let resource = kind.api_resource();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.definition()},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced",
            "names": {"kind": resource.kind, "plural": resource.plural},
            "versions": [{"name": resource.version, "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

fn anything() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

async fn install(world: &World, kinds: &[OptionalKind]) {
    for kind in kinds {
        install_as(world, *kind, anything()).await;
    }
}

async fn install_as(world: &World, kind: OptionalKind, schema: Value) {
    let patch = definition(kind, schema);
    let params = PatchParams::apply("test").force();
    definitions(world).patch(&kind.definition(), &params, &Patch::Apply(&patch)).await.expect("the CRD is taken");
}

/// The definitions of prometheus-operator itself, of the version that tests/cluster builds.
fn install_real(kinds: &[OptionalKind]) {
    let folder = PathBuf::from(setting("MODELSHIP_TEST_MONITORING_CRDS"));
    let mut kubectl = Command::new(PathBuf::from(setting("MODELSHIP_TEST_BIN")).join("kubectl"));
    kubectl.args(["--kubeconfig", &setting("MODELSHIP_TEST_KUBECONFIG"), "apply", "--server-side"]);
    for kind in kinds {
        let file = folder.join(format!("monitoring.coreos.com_{}.yaml", kind.plural()));
        kubectl.arg("--filename").arg(file);
    }
    let output = kubectl.output().expect("kubectl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

async fn remove(world: &World, kind: OptionalKind) {
    remove_named(world, &kind.definition()).await;
}

async fn remove_named(world: &World, name: &str) {
    let api = definitions(world);
    let _ = api.delete(name, &DeleteParams::default()).await;
    eventually("the CRD to be gone", || async {
        let left = api.get_opt(name).await.expect("an answer");
        left.map_or(Ok(()), |left| Err(left.name_any()))
    })
    .await;
}

async fn remove_all(world: &World) {
    for kind in OptionalKind::ALL {
        remove(world, kind).await;
    }
    for name in Reader::ALL.into_iter().flat_map(Reader::definitions) {
        remove_named(world, name).await;
    }
}

/// Writes a Prometheus or an Alertmanager into the test's namespace, as soon as its kind is served.
async fn collector(world: &World, kind: OptionalKind, spec: Value) {
    let resource = kind.api_resource();
    let api: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
    let object = json!({
        "apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": "main"}, "spec": spec,
    });
    eventually("the object to be taken", || async {
        api.patch("main", &PatchParams::apply("test").force(), &Patch::Apply(&object)).await.map(|_| ())
    })
    .await;
}

fn selecting(label: &str) -> Value {
    let selector = json!({"matchLabels": {"release": label}});
    json!({
        "serviceMonitorSelector": selector, "serviceMonitorNamespaceSelector": {},
        "ruleSelector": selector, "ruleNamespaceSelector": {},
        "alertmanagerConfigSelector": selector, "alertmanagerConfigNamespaceSelector": {},
    })
}

async fn told(world: &World, status: &str, reason: &str) -> String {
    let found = world.condition("churn", conditions::MONITORING_READY, status, reason).await;
    conditions::find(&found.conditions, conditions::MONITORING_READY).expect("the condition").message.clone()
}

/// The child, if it is there. A definition is installed a moment before its objects are served.
async fn look(world: &World, kind: ChildKind) -> Option<Value> {
    let found = world.children(kind).get_opt("churn").await;
    found.ok().flatten().map(|object| json!(object))
}

/// Waits until a child satisfies; returns it.
async fn child(world: &World, kind: ChildKind, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || async {
        match look(world, kind).await {
            Some(found) if holds(&found) => Ok(found),
            other => Err(other),
        }
    })
    .await
}

fn label(object: &Value) -> &Value {
    &object["metadata"]["labels"]["release"]
}

async fn serving(test: &str, options: Options) -> (World, Operator, Kubelet, String) {
    let world = World::new(test).await;
    remove_all(&world).await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start_with(&world, options);
    (world, operator, kubelet, digest)
}

#[tokio::test]
async fn what_is_installed_late_is_used_and_what_goes_away_is_told_while_the_model_serves() {
    use OptionalKind::{Alertmanager, AlertmanagerConfig, Prometheus, PrometheusRule, ServiceMonitor};
    let (world, operator, _kubelet, digest) = serving("late", Options::default()).await;
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &digest).await;
    let words = told(&world, "False", "NotInstalled").await;
    assert!(words.contains("CRD servicemonitors.monitoring.coreos.com"), "{words}");
    assert!(world.child(ChildKind::ConfigMap, "churn-dashboard").await.is_some(), "Grafana needs no definitions");

    install(&world, &[ServiceMonitor, PrometheusRule, Prometheus]).await;
    let words = told(&world, "False", "NothingSelects").await;
    assert!(words.contains("no Prometheus object"), "{words}");
    collector(&world, Prometheus, selecting("kps")).await;
    let words = told(&world, "True", "Selected").await;
    assert!(words.contains("/main selects its ServiceMonitor") && words.contains("its PrometheusRule"), "{words}");
    for kind in [ChildKind::ServiceMonitor, ChildKind::PrometheusRule] {
        child(&world, kind, "the label that is selected", |found| label(found) == "kps").await;
    }

    // The Prometheus changes its mind.
    collector(&world, Prometheus, selecting("other")).await;
    child(&world, ChildKind::ServiceMonitor, "the label to follow", |found| label(found) == "other").await;

    // A rule is edited by hand.
    world.patch(ChildKind::PrometheusRule, "churn", json!({"spec": {"groups": []}})).await;
    let back = |found: &Value| found["spec"]["groups"].as_array().is_some_and(|groups| !groups.is_empty());
    child(&world, ChildKind::PrometheusRule, "the rules to be put back", back).await;

    // E-mail, whose Secret comes last.
    let mut with_mail = spec(&world);
    with_mail["monitoring"] = json!({"email": {
        "to": ["team@example.org"], "from": "m@example.org", "smarthost": "smtp.example.org:587", "secret": "smtp",
    }});
    world.apply("churn", with_mail).await;
    let secret = format!("Secret {}/smtp is not there", world.namespace);
    eventually("both that is missing to be told", || async {
        let words = told(&world, "False", "NotInstalled").await;
        if words.contains("alertmanagerconfigs") && words.contains(&secret) { Ok(()) } else { Err(words) }
    })
    .await;
    install(&world, &[AlertmanagerConfig, Alertmanager]).await;
    collector(&world, Alertmanager, selecting("kps")).await;
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "smtp"}, "stringData": {"username": "alice", "password": "open-sesame"},
    }))
    .expect("a Secret");
    world.api::<Secret>().create(&PostParams::default(), &secret).await.expect("the Secret is taken");
    let found = eventually_long("the e-mail to be set up", || async {
        look(&world, ChildKind::AlertmanagerConfig).await.ok_or("none yet")
    })
    .await;
    assert_eq!(label(&found), "kps");
    assert_eq!(found["spec"]["receivers"][0]["emailConfigs"][0]["authUsername"], "alice");
    told(&world, "True", "Selected").await;

    // A definition goes away, with all of its objects, and comes back.
    remove(&world, ServiceMonitor).await;
    let words = told(&world, "False", "NotInstalled").await;
    assert!(words.contains("servicemonitors.monitoring.coreos.com"), "{words}");
    world.serves("churn", &digest).await;
    install(&world, &[ServiceMonitor]).await;
    child(&world, ChildKind::ServiceMonitor, "the ServiceMonitor to be made anew", |_| true).await;
    told(&world, "True", "Selected").await;

    // Switched off, all of it goes.
    let mut off = spec(&world);
    off["monitoring"] = json!({"enabled": false});
    world.apply("churn", off).await;
    for kind in ChildKind::OPTIONAL {
        eventually("the object to be gone", || async {
            world.child(kind, "churn").await.map_or(Ok(()), |left| Err(left["metadata"]["name"].clone()))
        })
        .await;
    }
    let reasons: Vec<String> = world.events("churn").await.into_iter().map(|(reason, _)| reason).collect();
    for reason in ["Monitored", "NotMonitored", "PutBack"] {
        assert!(reasons.iter().any(|told| told == reason), "{reason}: {reasons:?}");
    }
    operator.stop().await;
    remove_all(&world).await;
    world.end().await;
}

/// A Secret is looked at again once a minute.
async fn eventually_long<T, S, F>(what: &str, look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, S>>,
    S: std::fmt::Debug,
{
    crate::support::eventually_within(std::time::Duration::from_secs(150), what, look).await
}

/// As VictoriaMetrics' operator installs it, but for its fields.
async fn install_reader(world: &World) {
    let schema = anything();
    let names = json!({"kind": "VMServiceScrape", "plural": "vmservicescrapes"});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": Reader::VictoriaMetrics.definitions()[0]},
        "spec": {
            "group": "operator.victoriametrics.com", "scope": "Namespaced", "names": names,
            "versions": [{"name": "v1beta1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    });
    let params = PatchParams::apply("test").force();
    let name = Reader::VictoriaMetrics.definitions()[0];
    definitions(world).patch(name, &params, &Patch::Apply(&definition)).await.expect("the CRD is taken");
}

#[tokio::test]
async fn agents_and_rulers_are_heard_and_so_is_what_prometheus_operator_says_and_others_are_not_denied() {
    use OptionalKind::{PrometheusAgent, PrometheusRule, ServiceMonitor, ThanosRuler};
    let (world, operator, _kubelet, digest) = serving("readers", Options::default()).await;
    install_real(&[ServiceMonitor, PrometheusRule, PrometheusAgent, ThanosRuler]);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &digest).await;
    let words = told(&world, "False", "NotInstalled").await;
    assert!(words.contains("prometheuses.monitoring.coreos.com") && !words.contains("agents"), "{words}");

    // Who reads by means of its own is not seen, and not denied; nothing of its definition needs to be read.
    install_reader(&world).await;
    let words = told(&world, "Unknown", "Unverified").await;
    assert!(words.contains("VMServiceScrapes") && words.contains("VMRules"), "{words}");
    remove_named(&world, Reader::VictoriaMetrics.definitions()[0]).await;
    told(&world, "False", "NotInstalled").await;

    let namespaces = json!({});
    let selector = |role: &str| json!({"matchLabels": {"role": role}});
    let agent = json!({"serviceMonitorSelector": selector("scraped"), "serviceMonitorNamespaceSelector": namespaces});
    collector(&world, PrometheusAgent, agent).await;
    let ruler = json!({"ruleSelector": selector("ruled"), "ruleNamespaceSelector": namespaces, "queryEndpoints": ["dns:+query"]});
    collector(&world, ThanosRuler, ruler).await;
    let words = told(&world, "True", "Selected").await;
    for selects in ["/main selects its ServiceMonitor", "/main selects its PrometheusRule"] {
        assert!(words.contains(selects), "{words}");
    }
    let role = |found: &Value| found["metadata"]["labels"]["role"].clone();
    child(&world, ChildKind::ServiceMonitor, "the label that the agent wants", |found| role(found) == "scraped").await;
    child(&world, ChildKind::PrometheusRule, "the label that the ruler wants", |found| role(found) == "ruled").await;

    // As prometheus-operator writes it, with its feature gate on.
    let accept = async |status: &str| {
        let binding = json!({
            "group": "monitoring.coreos.com", "resource": "prometheusagents", "namespace": world.namespace, "name": "main",
            "conditions": [{
                "type": "Accepted", "status": status, "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z",
                "reason": "InvalidConfiguration", "message": "the port is not allowed",
            }],
        });
        let patch = json!({"status": {"bindings": [binding]}});
        let params = PatchParams { field_manager: Some("prometheus-operator".into()), ..PatchParams::default() };
        let monitors = world.children(ChildKind::ServiceMonitor);
        monitors.patch_status("churn", &params, &Patch::Merge(&patch)).await.expect("the status is taken");
    };
    accept("False").await;
    let words = told(&world, "False", "NotAccepted").await;
    assert!(words.contains("PrometheusAgent") && words.contains("the port is not allowed"), "{words}");
    accept("True").await;
    told(&world, "True", "Selected").await;
    operator.stop().await;
    remove_all(&world).await;
    world.end().await;
}

#[tokio::test]
async fn a_kind_that_the_operator_may_not_list_is_named_and_the_rest_works() {
    let world = World::new("forbidden").await;
    let group = format!("operators-{}", world.namespace);
    let role: ClusterRole = serde_json::from_value(json!({
        "metadata": {"name": group},
        "rules": [
            {"apiGroups": ["apps", "policy", "autoscaling", "networking.k8s.io", "modelship.dev", "events.k8s.io", "coordination.k8s.io", "apiextensions.k8s.io"],
             "resources": ["*"], "verbs": ["*"]},
            // An older chart's role, which knows nothing of namespaces.
            {"apiGroups": [""], "resources": ["services", "configmaps", "pods", "nodes", "secrets", "serviceaccounts"], "verbs": ["*"]},
            {"apiGroups": ["monitoring.coreos.com"], "resources": ["prometheuses", "alertmanagers", "prometheusrules"], "verbs": ["*"]},
        ],
    }))
    .expect("a role");
    let binding: ClusterRoleBinding = serde_json::from_value(json!({
        "metadata": {"name": group},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": group},
        "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": group}],
    }))
    .expect("a binding");
    let params = PostParams::default();
    Api::all(world.client.clone()).create(&params, &role).await.expect("the role is taken");
    Api::all(world.client.clone()).create(&params, &binding).await.expect("the binding is taken");
    install(&world, &OptionalKind::ALL).await;
    collector(&world, OptionalKind::Prometheus, selecting("kps")).await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start_with(&world, Options { group: group.clone(), ..Options::default() });
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &digest).await;
    let words = told(&world, "False", "Forbidden").await;
    assert!(words.contains("may not") || words.contains("does not allow"), "{words}");
    assert!(words.contains("servicemonitors.monitoring.coreos.com"), "{words}");
    child(&world, ChildKind::PrometheusRule, "the rules", |found| label(found) == "kps").await;
    operator.stop().await;
    let gone = DeleteParams::default();
    Api::<ClusterRoleBinding>::all(world.client.clone()).delete(&group, &gone).await.expect("the binding is deleted");
    Api::<ClusterRole>::all(world.client.clone()).delete(&group, &gone).await.expect("the role is deleted");
    remove_all(&world).await;
    world.end().await;
}

#[tokio::test]
async fn a_definition_that_lacks_a_field_is_told_and_the_model_serves() {
    let (world, operator, _kubelet, digest) = serving("older", Options::default()).await;
    let selector = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let older = json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"selector": selector, "endpoints": {"type": "array", "items": selector}}},
    }});
    install_as(&world, OptionalKind::ServiceMonitor, older).await;
    install(&world, &[OptionalKind::PrometheusRule, OptionalKind::Prometheus]).await;
    collector(&world, OptionalKind::Prometheus, selecting("kps")).await;
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &digest).await;
    let words = told(&world, "False", "Rejected").await;
    assert!(words.contains("sampleLimit") && words.contains("upgrade the CustomResourceDefinition"), "{words}");
    child(&world, ChildKind::PrometheusRule, "the rules", |_| true).await;
    install(&world, &[OptionalKind::ServiceMonitor]).await;
    told(&world, "True", "Selected").await;
    operator.stop().await;
    remove_all(&world).await;
    world.end().await;
}

#[tokio::test]
async fn what_watches_the_operator_itself_is_made_anew_put_back_and_follows_its_namespace() {
    use OptionalKind::{Prometheus, PrometheusRule, ServiceMonitor};
    const NAME: &str = "harbour-metrics";
    let world = World::new("own").await;
    remove_all(&world).await;
    install(&world, &[ServiceMonitor, PrometheusRule, Prometheus]).await;
    let mut selects = selecting("kps");
    selects["serviceMonitorNamespaceSelector"] = json!({"matchLabels": {"scraped": "yes"}});
    collector(&world, Prometheus, selects).await;
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": NAME, "labels": {"app.kubernetes.io/name": "modelship"}},
        "spec": {"clusterIP": "None", "ports": [{"name": "metrics", "port": 8080}]},
    }))
    .expect("a Service");
    world.api::<Service>().create(&PostParams::default(), &service).await.expect("the Service is taken");
    let own = OwnService { namespace: world.namespace.clone(), name: NAME.into() };
    let operator = Operator::start_with(&world, Options { own_service: Some(own), ..Options::default() });
    let until_of = async |kind, what: &str, holds: &dyn Fn(&Value) -> bool| {
        eventually(what, || async {
            let found = world.children(kind).get_opt(NAME).await.ok().flatten();
            match found.map(|object| json!(object)) {
                Some(found) if holds(&found) => Ok(found),
                other => Err(other),
            }
        })
        .await
    };
    let until =
        async |what: &str, holds: &dyn Fn(&Value) -> bool| until_of(ChildKind::ServiceMonitor, what, holds).await;
    let path = |found: &Value| found["spec"]["endpoints"][0]["path"].clone();
    let first = until("the ServiceMonitor", &|found| path(found) == "/metrics").await;
    assert_eq!(label(&first), &Value::Null, "nobody looks into the namespace yet");

    let scraped = json!({"metadata": {"labels": {"scraped": "yes"}}});
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.patch(&world.namespace, &PatchParams::default(), &Patch::Merge(&scraped)).await.expect("it is taken");
    until("the label that is selected", &|found| label(found) == "kps").await;

    world.delete(ChildKind::ServiceMonitor, NAME).await;
    let uid = |found: &Value| found["metadata"]["uid"].clone();
    until("the ServiceMonitor to be made anew", &|found| uid(found) != uid(&first) && label(found) == "kps").await;

    world.patch(ChildKind::ServiceMonitor, NAME, json!({"spec": {"endpoints": []}})).await;
    until("its endpoint to be put back", &|found| path(found) == "/metrics").await;

    let alert = |found: &Value| found["spec"]["groups"][0]["rules"][0]["alert"].clone();
    let rules = ChildKind::PrometheusRule;
    until_of(rules, "its alerts", &|found| alert(found) == "ModelshipDown").await;
    world.patch(rules, NAME, json!({"spec": {"groups": []}})).await;
    until_of(rules, "its alerts to be put back", &|found| alert(found) == "ModelshipDown").await;
    operator.stop().await;
    remove_all(&world).await;
    world.end().await;
}

/// Its ServiceMonitor and PrometheusRule would have the names of the operator's own.
#[tokio::test]
async fn a_model_called_as_the_operators_service_takes_nothing_of_the_operators_and_is_told() {
    const NAME: &str = "harbour-metrics";
    let (world, operator, _kubelet, _) = serving("alike", Options::default()).await;
    install(&world, &[OptionalKind::ServiceMonitor, OptionalKind::PrometheusRule, OptionalKind::Prometheus]).await;
    collector(&world, OptionalKind::Prometheus, selecting("kps")).await;
    // The model comes first, and has its objects.
    world.apply(NAME, spec(&world)).await;
    let kinds = [ChildKind::ServiceMonitor, ChildKind::PrometheusRule];
    let owner = async |kind, wanted: &str| {
        eventually(wanted, || async {
            let found = world.children(kind).get_opt(NAME).await.ok().flatten().map(|found| json!(found));
            let owners = found.map(|found| found["metadata"]["ownerReferences"].clone()).unwrap_or_default();
            let kinds: Vec<_> = owners.as_array().into_iter().flatten().map(|owner| owner["kind"].clone()).collect();
            if kinds == [wanted] { Ok(()) } else { Err(owners) }
        })
        .await;
    };
    for kind in kinds {
        owner(kind, "ModelDeployment").await;
    }
    operator.stop().await;
    let _ = world.api::<Service>().delete(NAME, &DeleteParams::default()).await;
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": NAME, "labels": {"app.kubernetes.io/name": "modelship"}},
        "spec": {"clusterIP": "None", "ports": [{"name": "metrics", "port": 8080}]},
    }))
    .expect("a Service");
    eventually("the Service to be taken", || async {
        world.api::<Service>().create(&PostParams::default(), &service).await.map(|_| ())
    })
    .await;
    let own = || OwnService { namespace: world.namespace.clone(), name: NAME.into() };
    let operator = Operator::start_with(&world, Options { own_service: Some(own()), ..Options::default() });
    // The one is taken before the other.
    let conflict = async || {
        eventually("both conflicts to be told", || async {
            let status = world.condition(NAME, conditions::MONITORING_READY, "False", "NameConflict").await;
            let words = conditions::find(&status.conditions, conditions::MONITORING_READY).expect("it").message.clone();
            let parts =
                ["ServiceMonitor harbour-metrics is what watches", "PrometheusRule harbour-metrics is what watches"];
            if parts.iter().all(|part| words.contains(part)) { Ok(()) } else { Err(words) }
        })
        .await;
    };
    conflict().await;
    for kind in kinds {
        owner(kind, "Service").await;
    }
    // The model's end takes nothing of it along.
    let versions = async || {
        let mut versions = Vec::new();
        for kind in kinds {
            let found = world.children(kind).get(NAME).await.expect("the operator's own");
            versions.push((found.uid(), found.resource_version()));
        }
        versions
    };
    operator.at_rest(|| true).await;
    let before = versions().await;
    world.models().delete(NAME, &DeleteParams::foreground()).await.expect("the model is deleted");
    eventually("the model to be gone", || async {
        world.models().get_opt(NAME).await.expect("an answer").map_or(Ok(()), |left| Err(left.name_any()))
    })
    .await;
    assert_eq!(versions().await, before);
    // And a model that comes later finds them taken.
    world.apply(NAME, spec(&world)).await;
    conflict().await;
    operator.at_rest(|| true).await;
    assert_eq!(versions().await, before);
    operator.stop().await;
    remove_all(&world).await;
    world.end().await;
}

use super::*;
use crate::rollout::fixtures::{built_for, platform};

fn node(name: &str, on: &str, labels: &[(&str, &str)]) -> Node {
    let platform = platform(on);
    let own = [(ARCHITECTURE, platform.architecture()), (OPERATING_SYSTEM, platform.os())];
    let labels = own.iter().chain(labels).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Node { name: name.to_owned(), platform, labels }
}

fn mixed() -> [Node; 3] {
    [
        node("amd", "linux/amd64", &[("disk", "fast"), ("cores", "8")]),
        node("arm", "linux/arm64", &[("cores", "64")]),
        node("win", "windows/amd64", &[]),
    ]
}

fn demands(key: &str, operator: &str, values: &[&str]) -> Value {
    let term = json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
    terms(json!([term]))
}

fn terms(terms: Value) -> Value {
    let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}});
    json!({"spec": {"affinity": {"nodeAffinity": required}}})
}

fn names(template: &Value) -> Vec<String> {
    platforms(Some(template), &mixed().each_ref()).iter().map(ToString::to_string).collect()
}

#[test]
fn the_platforms_that_count_are_those_of_the_nodes_that_the_template_admits() {
    let field = json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["arm"]}]}]);
    for (template, expected) in [
        (json!({}), &["linux/amd64", "linux/arm64", "windows/amd64"][..]),
        (json!({"spec": {"nodeSelector": {"disk": "fast"}}}), &["linux/amd64"]),
        (demands("disk", "Exists", &[]), &["linux/amd64"]),
        (demands("disk", "DoesNotExist", &[]), &["linux/arm64", "windows/amd64"]),
        (demands("disk", "NotIn", &["fast"]), &["linux/arm64", "windows/amd64"]),
        (demands("cores", "Gt", &["8"]), &["linux/arm64"]),
        (demands("cores", "Lt", &["9"]), &["linux/amd64"]),
        (demands(OPERATING_SYSTEM, "In", &["linux"]), &["linux/amd64", "linux/arm64"]),
        (terms(field), &["linux/arm64"]),
    ] {
        assert_eq!(names(&template), expected, "{template}");
    }
    assert_eq!(names(&json!({"spec": {"nodeSelector": {"gpu": "none up yet"}}})).len(), 3, "nothing is known");
    assert!(platforms(None, &[]).is_empty());
}

#[test]
fn a_platform_that_is_asked_for_by_name_counts_while_no_such_node_is_up() {
    let arm = [node("arm", "linux/arm64", &[])];
    for template in
        [json!({"spec": {"nodeSelector": {ARCHITECTURE: "amd64"}}}), demands(ARCHITECTURE, "In", &["amd64"])]
    {
        assert_eq!(
            platforms(Some(&template), &arm.each_ref()),
            BTreeSet::from([platform("linux/amd64")]),
            "{template}"
        );
    }
}

#[test]
fn of_platforms_that_are_asked_for_by_name_those_of_nodes_that_are_up_count() {
    let amd = [node("amd", "linux/amd64", &[])];
    let either = demands(ARCHITECTURE, "In", &["amd64", "arm64"]);
    assert_eq!(platforms(Some(&either), &amd.each_ref()), BTreeSet::from([platform("linux/amd64")]));
}

#[test]
fn a_template_without_a_place_for_a_node_selector_stays_as_it_is() {
    let amd = built_for(1, &["linux/amd64"]);
    for template in [json!("x"), json!({"spec": "x"}), json!({"spec": {"nodeSelector": "x"}}), json!({"spec": []})] {
        assert_eq!(steered(template.clone(), Some(&amd), &mixed().each_ref()), template);
    }
}

#[test]
fn pods_are_kept_from_nodes_that_cannot_run_the_image_within_what_the_user_demands() {
    let (template, amd) = (json!({"spec": {"containers": []}}), built_for(1, &["linux/amd64"]));
    let steer =
        |template: &Value, nodes: &[Node]| steered(template.clone(), Some(&amd), &nodes.iter().collect::<Vec<_>>());
    let mut expected = template.clone();
    expected["spec"]["nodeSelector"] = json!({ARCHITECTURE: "amd64", OPERATING_SYSTEM: "linux"});
    assert_eq!(steer(&template, &mixed()), expected);
    assert_eq!(steer(&template, &mixed()[..1]), template, "all nodes of one platform");
    assert_eq!(steer(&template, &[]), template);
    assert_eq!(steered(template.clone(), None, &mixed().each_ref()), template, "what the image holds is not known");
    let both = built_for(1, &["linux/amd64", "linux/arm64"]);
    assert_eq!(steered(template.clone(), Some(&both), &mixed().each_ref()[..2]), template, "all can run it");
    for several in [
        demands(ARCHITECTURE, "NotIn", &["s390x"]),
        demands(ARCHITECTURE, "In", &["amd64", "arm64"]),
        demands(ARCHITECTURE, "Exists", &[]),
    ] {
        let mut narrowed = several.clone();
        narrowed["spec"]["nodeSelector"] = json!({ARCHITECTURE: "amd64"});
        assert_eq!(steer(&several, &mixed()[..2]), narrowed);
    }
    for spoken in [demands(ARCHITECTURE, "In", &["arm64"]), json!({"spec": {"nodeSelector": {ARCHITECTURE: "arm64"}}})]
    {
        assert_eq!(steer(&spoken, &mixed()), spoken, "it is the user's word");
    }
    let elsewhere = json!({"spec": {"nodeSelector": {"disk": "fast"}}});
    assert_eq!(steer(&elsewhere, &mixed()), elsewhere, "only one node is admitted, and it can");
}

#[test]
fn the_nodes_that_cannot_run_the_image_are_those_that_the_template_admits() {
    let amd = built_for(1, &["linux/amd64"]);
    let unfit = |template: &Value| {
        unfit(template, &amd, &mixed().each_ref()).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(unfit(&json!({})), ["linux/arm64", "windows/amd64"]);
    assert_eq!(unfit(&demands("cores", "Exists", &[])), ["linux/arm64"]);
    assert_eq!(unfit(&json!({"spec": {"nodeSelector": {"disk": "fast"}}})), [""; 0]);
    let steered = steered(json!({}), Some(&amd), &mixed().each_ref());
    assert_eq!(unfit(&steered), [""; 0]);
}

use serde_json::{Value, json};

use crate::api::{Invalid, ValidSpec};

/// Where a spec with these fields beside the image exceeds its bounds, and the words.
fn refused(fields: Value) -> Vec<(String, String)> {
    let mut spec = json!({"image": {"repository": "vintner/wine"}});
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let refused = ValidSpec::parse("grape-scorer", &spec).err().unwrap_or_default();
    refused.into_iter().map(|Invalid { field, message }| (field, message)).collect()
}

#[track_caller]
fn is_refused(fields: Value, field: &str, words: &str) {
    let found = refused(fields);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, field);
    assert!(found[0].1.contains(words), "{found:?}");
}

fn query(expression: String) -> Value {
    json!({"monitoring": {"extraRules": [{"record": "grapes", "expr": expression}]}})
}

fn board(panels: Value) -> Value {
    json!({"monitoring": {"extraPanels": panels}})
}

fn panel() -> Value {
    json!({"type": "stat", "title": "Grapes"})
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

#[test]
fn a_query_of_5_kib_is_refused_and_one_of_4_is_taken() {
    let long = |bytes: usize| query(format!("grapes{{of=\"{}\"}}", "x".repeat(bytes - 13)));
    assert_eq!(refused(long(4096)), []);
    is_refused(long(5120), "spec.monitoring.extraRules[0].expr", "has 5120 characters; 4096 are the most");
    // As many characters may be more bytes.
    let wide = query(format!("grapes{{of=\"{}\"}}", "ü".repeat(2048)));
    is_refused(wide, "spec.monitoring.extraRules[0]", "expr has 4109 bytes; 4096 are the most");
}

#[test]
fn a_query_of_65_levels_is_refused_and_one_of_64_is_taken() {
    let brackets = |levels: usize| query(format!("{}1{}", "(".repeat(levels), ")".repeat(levels)));
    let signs = |levels: usize| query(format!("{}1", "- ".repeat(levels)));
    for deep in [&brackets as &dyn Fn(usize) -> Value, &signs] {
        assert_eq!(refused(deep(64)), []);
        is_refused(deep(65), "spec.monitoring.extraRules[0]", "nests deeper than 64 levels");
    }
}

#[test]
fn brackets_in_texts_and_comments_of_a_query_are_no_levels() {
    let open = "(".repeat(70);
    for expression in [
        format!("grapes{{of=\"{open}\\\"{open}\"}}"),
        format!("grapes{{of='{open}'}}"),
        format!("grapes{{of=`{open}`}}"),
        format!("grapes # {open}\n"),
        vec!["(grapes)"; 70].join(" or "),
    ] {
        assert_eq!(refused(query(expression.clone())), [], "{expression}");
    }
}

#[test]
fn panels_are_as_few_and_as_small_as_a_board_can_show() {
    let rows =
        |inside: usize| board(vec![json!({"type": "row", "title": "R", "panels": vec![panel(); inside]}); 4].into());
    assert_eq!(refused(rows(49)), []);
    is_refused(rows(50), "spec.monitoring.extraPanels", "has 204 panels; 200 are the most");
    is_refused(board(vec![panel(); 21].into()), "spec.monitoring.extraPanels", "has 21 items; 20 are the most");
    let mut wide = panel();
    wide["description"] = "x".repeat(65_536).into();
    is_refused(board(json!([wide])), "spec.monitoring.extraPanels", "bytes as JSON; 65536 are the most");
    let mut deep = panel();
    deep["options"] = nested(62);
    assert_eq!(refused(board(json!([deep]))), []);
    deep["options"] = nested(63);
    is_refused(board(json!([deep])), "spec.monitoring.extraPanels", "nests deeper than 64 levels");
}

#[test]
fn what_keeps_unknown_fields_is_bounded_as_a_whole() {
    let template = |annotation: String| json!({"podTemplate": {"metadata": {"annotations": {"note": annotation}}}});
    assert_eq!(refused(template("x".repeat(60_000))), []);
    is_refused(template("x".repeat(66_000)), "spec.podTemplate", "65536 are the most");
    is_refused(json!({"podTemplate": {"spec": nested(64)}}), "spec.podTemplate", "nests deeper than 64 levels");
    let rules = vec![json!({"alert": "A", "expr": "up", "annotations": {"note": "x".repeat(2_000)}}); 40];
    is_refused(json!({"monitoring": {"extraRules": rules}}), "spec.monitoring.extraRules", "65536 are the most");
}

#[test]
fn every_text_list_and_map_of_a_spec_has_its_bound_here_too() {
    let long = |most: usize| "x".repeat(most + 1);
    for (fields, field, words) in [
        (json!({"server": {"env": [{"name": "A", "value": long(8192)}]}}), "spec.server.env[0].value", "8192"),
        (json!({"service": {"annotations": {long(317): "x"}}}), "spec.service.annotations", "a key of 318 bytes"),
        (json!({"service": {"annotations": {"a": long(4096)}}}), "spec.service.annotations.a", "4096"),
        (json!({"service": {"aliases": {"/a": format!("/{}", long(255))}}}), "spec.service.aliases./a", "256"),
        (json!({"monitoring": {"labels": {"a": long(63)}}}), "spec.monitoring.labels.a", "63"),
        (json!({"monitoring": {"dashboard": {"labels": {"a": long(63)}}}}), "spec.monitoring.dashboard.labels.a", "63"),
        (json!({"monitoring": {"email": {"to": vec!["a@b"; 21]}}}), "spec.monitoring.email.to", "21 items"),
        (json!({"mlflow": {"model": long(256)}}), "spec.mlflow.model", "256"),
    ] {
        is_refused(fields, field, words);
    }
}

/// Whatever is added to the spec later, too.
#[test]
fn no_text_list_or_map_of_the_schema_is_without_a_bound() {
    let crd = json!(crate::api::schema::crd());
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut unbounded = Vec::new();
    look(spec, "spec", &mut unbounded);
    assert_eq!(unbounded, [""; 0]);
}

fn look(schema: &Value, at: &str, unbounded: &mut Vec<String>) {
    let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
    let bounded = match schema["type"].as_str() {
        Some("string") => !schema["maxLength"].is_null() || !schema["enum"].is_null(),
        Some("array") => !schema["maxItems"].is_null(),
        Some("object") => schema["additionalProperties"].is_null() || !schema["maxProperties"].is_null(),
        _ => true,
    };
    if !bounded && !open {
        unbounded.push(at.to_owned());
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        look(field, &format!("{at}.{name}"), unbounded);
    }
    for each in ["items", "additionalProperties"] {
        schema.get(each).into_iter().for_each(|inner| look(inner, &format!("{at}[]"), unbounded));
    }
}

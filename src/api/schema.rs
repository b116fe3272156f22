//! Hand-made parts of the schema, and the CustomResourceDefinition as it is checked into `crds/`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::{CustomResourceExt, core::Rule};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::{
    mlflow::MOST_REQUIREMENTS,
    monitoring::query,
    spec::ModelDeployment,
    units::{DURATION_PATTERN, FIGURE_PATTERN},
};
use crate::yaml;

/// Of what form a duration is, the rule of its field or of the object around it says.
pub fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 16})
}

/// As [`duration`].
pub fn ratio(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 8})
}

/// As [`duration`].
pub fn figure(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 24})
}

/// Fields that match a pattern where they are given. A pattern of the schema would be told to people as it is, and in front
/// of every sentence; so all patterns stand in rules, and where fields are many, in one for all.
pub fn given(fields: &[(&str, &str)]) -> Rule {
    let matches = |(name, pattern): &(&str, &str)| format!("(!has(self.{name}) || self.{name}.matches('{pattern}'))");
    Rule::new(fields.iter().map(matches).collect::<Vec<_>>().join(" && "))
}

/// A text that matches a pattern.
pub fn form(pattern: &str) -> Rule {
    Rule::new(format!("self.matches('{pattern}')"))
}

/// A duration from one to another.
pub fn between(low: &str, high: &str) -> Rule {
    Rule::new(format!(
        "self.matches('{DURATION_PATTERN}') && duration(self) >= duration('{low}') && duration(self) <= duration('{high}')"
    ))
    .message(&*format!("must lie between {low} and {high}, and has units: 1m30s"))
}

/// A list of figures.
pub fn figures() -> Rule {
    Rule::new(format!("self.all(one, one.matches('{FIGURE_PATTERN}'))"))
        .message("holds figures in quotes: [\"0\", \"10.5\"]")
}

/// Amounts by name. What is no text is a number.
pub fn amounts() -> Rule {
    Rule::new("self.all(name, type(self[name]) == int || isQuantity(string(self[name])))")
        .message("holds amounts such as 500m, 2 or 1Gi")
}

/// A label's value has as many characters as Kubernetes lets it have.
pub fn labels(_: &mut SchemaGenerator) -> Schema {
    texts(16, 63)
}

pub fn annotations(_: &mut SchemaGenerator) -> Schema {
    texts(32, 4096)
}

pub fn aliases(_: &mut SchemaGenerator) -> Schema {
    texts(16, 256)
}

fn texts(most: u32, longest: u32) -> Schema {
    let text = json_schema!({"type": "string", "maxLength": longest});
    json_schema!({"type": "object", "maxProperties": most, "additionalProperties": text})
}

pub fn counts_by_class(_: &mut SchemaGenerator) -> Schema {
    let count = json_schema!({"type": "integer", "format": "int64", "minimum": 0, "maximum": 1_000_000_000_000_i64});
    json_schema!({"type": "object", "maxProperties": 49, "additionalProperties": count})
}

/// Bounds by metric. No type says "number or text", and each bound with a schema of its own would cost too many bytes: of text
/// the pattern is checked here, and the rest when the spec is read.
pub fn requirements(_: &mut SchemaGenerator) -> Schema {
    let figure =
        json_schema!({"x-kubernetes-preserve-unknown-fields": true, "maxLength": 24, "pattern": FIGURE_PATTERN});
    let bounds =
        json_schema!({"type": "object", "minProperties": 1, "maxProperties": 4, "additionalProperties": figure});
    json_schema!({"type": "object", "maxProperties": MOST_REQUIREMENTS, "additionalProperties": bounds})
}

/// Rules are Prometheus' own shape; what is wrong in one is found when the spec is read.
pub fn extra_rules(_: &mut SchemaGenerator) -> Schema {
    let query = json_schema!({
        "description": "The query, in PromQL. Unset: the rule is refused.", "type": "string", "maxLength": query::LONGEST,
    });
    let rule = json_schema!({
        "type": "object", "properties": {"expr": query}, "x-kubernetes-preserve-unknown-fields": true,
    });
    json_schema!({"type": "array", "maxItems": 50, "items": rule})
}

pub fn extra_panels(_: &mut SchemaGenerator) -> Schema {
    let panel = json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json_schema!({"type": "array", "maxItems": 20, "items": panel})
}

/// The pod template's schema alone would be larger than all the rest; the API server checks what comes out of the merge.
pub fn pod_template(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Conditions are a map by type, so that another writer's condition is never lost. Kubernetes' own words for each
/// field would be a twentieth of the whole.
pub fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "lastTransitionTime": {"description": "When status changed last.", "type": "string", "format": "date-time"},
                "message": {"description": "What is the case, and how to mend it.", "type": "string"},
                "observedGeneration": {"description": "The generation of the spec that it speaks of.", "type": "integer"},
                "reason": {"description": "The same in one CamelCase word.", "type": "string", "maxLength": 1024},
                "status": {"description": "Whether it is so.", "type": "string", "enum": ["True", "False", "Unknown"]},
                "type": {"description": "What is spoken of, such as Ready.", "type": "string", "maxLength": 316},
            },
        },
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

/// The generation that the status of an object speaks of which no operator has looked at: kstatus, by which Helm and Flux
/// wait, takes an object without a status for finished.
const UNSEEN: i64 = -1;

/// The CustomResourceDefinition, as `modelship crds` prints it.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = ModelDeployment::crd();
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            trimmed(schema);
            if let Some(status) = schema.properties.as_mut().and_then(|fields| fields.get_mut("status")) {
                status.default = Some(JSON(json!({"observedGeneration": UNSEEN})));
                describe_versions_once(status);
            }
        }
        // A terminal never shows them, and the columns are named in the README.
        version.additional_printer_columns.iter_mut().flatten().for_each(|column| column.description = None);
    }
    crd
}

/// The candidate has the fields of the stable version, and history some of them: to say the same again would take a
/// twentieth of the whole.
fn describe_versions_once(status: &mut JSONSchemaProps) {
    let Some(fields) = status.properties.as_mut() else { return };
    let open = |version: &mut JSONSchemaProps| {
        (version.properties, version.required) = (None, None);
        version.x_kubernetes_preserve_unknown_fields = Some(true);
    };
    fields.get_mut("candidate").map(open);
    if let Some(JSONSchemaPropsOrArray::Schema(past)) = fields.get_mut("history").and_then(|past| past.items.as_mut()) {
        open(past);
    }
}

/// An optional field may be absent, not null: the API server then drops a null, and CEL's `has()` tells the truth. Nor is
/// there room for what is said twice: whole numbers have bounds, or are ours, and the kind has its name.
fn trimmed(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    if schema.type_.as_deref() == Some("integer") {
        schema.format = None;
    }
    schema.enum_.iter_mut().for_each(|values| values.retain(|value| !value.0.is_null()));
    schema.properties.iter_mut().flatten().for_each(|(_, property)| trimmed(property));
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        // What each is, the list says.
        items.description.take_if(|_| schema.description.is_some());
        trimmed(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        trimmed(values);
    }
}

/// The CustomResourceDefinition as YAML.
///
/// # Errors
/// When it cannot be serialised, which a test rules out.
pub fn crd_yaml() -> Result<String, serde_saphyr::ser::Error> {
    yaml::to_string(&crd())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_checked_in_crd_is_the_one_that_is_generated() {
        let checked_in = include_str!("../../crds/modeldeployments.modelship.dev.yaml");
        assert!(crd_yaml().unwrap() == checked_in, "crds/ is stale: run make generate");
    }

    #[test]
    fn the_crd_stays_under_50_kb_in_store_and_no_field_of_a_spec_has_a_default() {
        // The API server stores it as JSON, and so does kubectl apply in an annotation, beside what it has of its own there.
        let stored = serde_json::to_string(&crd()).unwrap().len();
        assert!(stored < 50_000, "{stored} bytes");
        let yaml = crd_yaml().unwrap();
        let defaults = yaml.lines().filter(|line| line.trim_start().starts_with("default:")).count();
        assert_eq!(defaults, 1, "defaults live in code: a later change of one must not rewrite stored objects");
        let properties = &json!(crd())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
        assert_eq!(properties["status"]["default"], json!({"observedGeneration": -1}));
    }

    /// Every field below a schema: its path, itself, and whether it may be left out.
    fn fields<'a>(path: &str, schema: &'a Value) -> Vec<(String, &'a Value, bool)> {
        let mut found = Vec::new();
        for inner in ["items", "additionalProperties"] {
            if schema[inner].is_object() {
                found.extend(fields(&format!("{path}[]"), &schema[inner]));
            }
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            let optional = !schema["required"].as_array().into_iter().flatten().any(|required| required == name);
            found.extend(fields(&path, field));
            found.push((path, field, optional));
        }
        found
    }

    #[test]
    fn every_field_says_what_it_is_and_each_value_that_may_be_left_out_what_holds_then() {
        let crd = json!(crd());
        let versions = crd["spec"]["versions"].as_array().unwrap();
        let fields = versions.iter().flat_map(|version| fields("", &version["schema"]["openAPIV3Schema"]));
        let (mut silent, mut open) = (Vec::new(), Vec::new());
        for (path, field, optional) in fields {
            let said = field["description"].as_str().unwrap_or_default();
            let meaning = said.split_once("Default").map_or(said, |(meaning, _)| meaning);
            let value = field["type"] != "object" && field["type"] != "array";
            if meaning.trim().is_empty() {
                silent.push(path);
            } else if path.starts_with(".spec.")
                && optional
                && value
                && !["efault", "Unset"].iter().any(|word| said.contains(word))
            {
                open.push(path);
            }
        }
        assert_eq!((silent, open), (Vec::new(), Vec::new()));
    }
}

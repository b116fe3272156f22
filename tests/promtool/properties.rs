//! Whatever a valid spec says, promtool takes the rules: one that it refused would take all of the model's with it.

use modelship::api::ValidSpec;
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};

use super::support::{groups, promtool, run, write};

/// As many files as promtool takes at once.
const SPECS: usize = 500;

fn maybe<S: Strategy<Value = Value> + 'static>(value: S) -> impl Strategy<Value = Value> {
    prop_oneof![1 => Just(Value::Null), 2 => value]
}

fn time(units: &'static [&'static str], most: u32) -> impl Strategy<Value = Value> {
    (1..=most, prop::sample::select(units)).prop_map(|(amount, unit)| json!(format!("{amount}{unit}")))
}

fn percent(least: u32, most: u32) -> impl Strategy<Value = Value> {
    (least..=most).prop_map(|thousandths| json!(format!("{}.{:03}%", thousandths / 1000, thousandths % 1000)))
}

/// Any text, and such as means something to PromQL, Go's templates, YAML or regular expressions.
fn name() -> impl Strategy<Value = String> {
    let odd = "[\"'`\\\\{}$|%#:.*+?() \n\t\u{0}\u{7f}\u{85}\u{2028}/-]{1,32}";
    prop_oneof!["\\PC{1,32}".boxed(), odd.boxed(), "[a-z ]{1,64}".boxed(), Just("{{ $value }}".to_owned()).boxed()]
}

fn share() -> impl Strategy<Value = Value> {
    let of = prop_oneof![
        name().prop_map(|class| ("class", json!(class))),
        (1_u32..20).prop_map(|step| ("scoreAbove", json!(format!("0.{:02}", step * 5)))),
    ];
    (of, percent(1, 100_000), maybe(time(&["h"], 168)), maybe((1_u32..1_000_000).prop_map(Value::from))).prop_map(
        |((field, of), above, window, minimum)| json!({field: of, "above": above, "window": window, "minimum": minimum}),
    )
}

fn alerts() -> impl Strategy<Value = Value> {
    let traffic = prop_oneof![
        (0_u32..1_000_000, prop::sample::select(vec!["s", "m", "h", "1h", "90m"]))
            .prop_map(|(amount, per)| json!(format!("{amount}.5/{per}"))),
    ];
    let times = (
        maybe(time(&["m", "h"], 60)),
        maybe(time(&["ms"], 9999)),
        maybe(time(&["s", "m"], 600)),
        maybe(time(&["s", "m", "h"], 24)),
    );
    let ratios = (maybe(percent(1, 100_000)), maybe(percent(50_000, 99_999)), maybe(percent(1, 100_000)));
    let shares = prop::collection::vec(share(), 0..4);
    let drift = maybe(
        (1_u32..99, 1_u32..168)
            .prop_map(|(psi, hours)| json!({"psi": format!("0.{psi:02}1"), "window": format!("{hours}h")})),
    );
    (maybe(traffic), any::<bool>(), times, ratios, shares, drift).prop_map(
        |(traffic, detected, (none, latency, down, unresolved), (errors, objective, share), mut shares, drift)| {
            let mut seen = Vec::new();
            shares.retain(|share| {
                let of = (share.get("class").cloned(), share.get("scoreAbove").cloned());
                let new = !seen.contains(&of);
                seen.push(of);
                new
            });
            json!({
                "highTraffic": traffic, "trafficDetected": detected, "noTraffic": none, "latencyP95": latency, "downFor": down,
                "imageUnresolvedFor": unresolved, "errorRatio": errors, "objective": objective, "memory": share, "openFiles": share,
                "cpuThrottling": share, "classShare": shares, "drift": drift,
            })
        },
    )
}

/// Pieces of templates in any order: most are wrong, and those that are taken must be right.
fn template() -> impl Strategy<Value = String> {
    let pieces = [
        "{{",
        "}}",
        "{{ ",
        " }}",
        "{{- ",
        " -}}",
        "$value",
        "$labels.pod",
        ".Value",
        ".",
        "|",
        "(",
        ")",
        "\"a\"",
        "`a`",
        "3",
        "0.5",
        "printf",
        "humanize",
        "query",
        "if",
        "else",
        "end",
        "range",
        "with",
        "$x",
        ":=",
        ",",
        " ",
        "text",
        "true",
        "-",
        "\"",
        "\\n",
        "{{ end }}",
        "{{ else }}",
        "{{ if $value }}",
        "{{ range query \"up\" }}",
        "{{ $x := 1 }}",
        "{{ $value }}",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 1..9).prop_map(|pieces| pieces.concat())
}

/// Templates that a spec with a rule of them is valid with.
fn taken_template() -> impl Strategy<Value = String> {
    template().prop_filter("a template", |text| {
        let rule = json!({"alert": "Mine", "expr": "up", "annotations": {"note": text}});
        let spec = json!({"image": {"repository": "a/b"}, "monitoring": {"extraRules": [rule]}});
        ValidSpec::parse("grape-scorer", &spec).is_ok()
    })
}

fn extra_rules() -> impl Strategy<Value = Value> {
    let alert = (taken_template(), taken_template(), maybe(time(&["s", "m", "h"], 60))).prop_map(|(note, label, pending)| {
        json!({"alert": "Mine", "expr": "up == 0", "for": pending, "annotations": {"note": note}, "labels": {"team": label}})
    });
    let record =
        name().prop_map(|value| json!({"record": "mine:up:sum", "expr": "sum(up)", "labels": {"team": value}}));
    prop::collection::vec(prop_oneof![alert, record], 0..9).prop_map(Value::from)
}

fn specs() -> impl Strategy<Value = Value> {
    (prop::sample::select(vec!["1s", "15s", "30s"]), alerts(), extra_rules(), any::<bool>()).prop_map(
        |(interval, alerts, extra, exporter)| {
            json!({
                "exporter": {"enabled": exporter},
                "monitoring": {"scrapeInterval": interval, "alerts": alerts, "extraRules": extra},
            })
        },
    )
}

#[test]
fn the_rules_of_any_valid_spec_are_taken() {
    let Some(promtool) = promtool() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::default();
    let mut files = Vec::new();
    for number in 0..SPECS {
        let spec = specs().new_tree(&mut runner).unwrap().current();
        let file = format!("{number}.yml");
        write(folder.path(), &file, &json!({"groups": groups(("cellar", "grape-scorer"), &spec)}));
        files.push(file);
    }
    let arguments: Vec<&str> =
        ["check", "rules", "--lint=none"].into_iter().chain(files.iter().map(String::as_str)).collect();
    run(&promtool, folder.path(), &arguments);
}

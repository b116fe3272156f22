//! Runs promtool over the rules of three models, of which all but one must stay silent.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use modelship::{
    api::ValidSpec,
    monitoring::{
        Subject,
        rules::{self, Sources},
    },
    resources::Owner,
};
use serde_json::{Value, json};

/// The model with the trouble.
const SUBJECT: (&str, &str) = ("cellar", "grape-scorer");
/// Of the same name elsewhere, and of a name that begins alike.
const OTHERS: [(&str, &str); 2] = [("kitchen", "grape-scorer"), ("cellar", "grape-scorer-eu")];

pub const SOURCES: Sources = Sources { cadvisor: true };

/// promtool, or `None` after saying how to get it. Where everything must run, a missing one is a failure.
pub fn promtool() -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("build/bin/promtool");
    let named = std::env::var_os("MODELSHIP_TEST_PROMTOOL").map(PathBuf::from);
    let must = named.is_some() || std::env::var_os("CI").is_some();
    let path = named.unwrap_or(built);
    if path.is_file() {
        return Some(path);
    }
    let message = format!("{} is missing: tests/cluster/run build-tool prometheus builds it", path.display());
    assert!(!must, "{message}");
    println!("left out: {message}");
    None
}

/// Reads a model's spec and hands its subject on.
pub fn with<T>((namespace, name): (&str, &str), spec: &Value, read: impl FnOnce(&Subject) -> T) -> T {
    let mut stored = json!({"image": {"repository": "vintner/wine-quality"}});
    stored.as_object_mut().unwrap().extend(spec.as_object().cloned().unwrap());
    let owner = Owner { namespace: namespace.into(), name: name.into(), uid: String::new() };
    let spec = ValidSpec::parse(name, &stored).unwrap_or_else(|faults| panic!("{stored}: {faults:?}"));
    read(&Subject { owner: &owner, spec: &spec, monitoring: spec.monitoring.as_ref().unwrap() })
}

pub fn groups(model: (&str, &str), spec: &Value) -> Vec<Value> {
    with(model, spec, |subject| rules::groups(subject, SOURCES))
}

/// Runs promtool in a directory; whether it was content, and what it said.
fn ask(promtool: &Path, folder: &Path, arguments: &[&str]) -> (bool, String) {
    // One file for both, so that verdicts and complaints keep their order.
    let said = folder.join("said");
    let out = fs::File::create(&said).unwrap();
    let mut command = Command::new(promtool);
    command.args(arguments).current_dir(folder).stdout(out.try_clone().unwrap()).stderr(out);
    let status = command.status().unwrap();
    (status.success(), fs::read_to_string(&said).unwrap())
}

/// Runs promtool in a directory, and fails with what it says.
pub fn run(promtool: &Path, folder: &Path, arguments: &[&str]) {
    let (content, said) = ask(promtool, folder, arguments);
    assert!(content, "promtool {arguments:?}:\n{said}");
}

/// As JSON, which is YAML too but for characters that YAML takes only escaped.
pub fn write(folder: &Path, name: &str, content: &Value) {
    let odd = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    let escaped = |c: char| if odd(c) { format!("\\u{:04x}", c as u32) } else { c.to_string() };
    fs::write(folder.join(name), content.to_string().chars().map(escaped).collect::<String>()).unwrap();
}

/// Series, what they say, and what must fire then.
pub struct Case {
    name: &'static str,
    interval: &'static str,
    series: Vec<(String, String)>,
    at: &'static str,
    /// Number of alerts by name.
    fires: BTreeMap<String, u32>,
}

/// A case with a sample every 15 s.
pub fn case(name: &'static str) -> Case {
    Case { name, interval: "15s", series: Vec::new(), at: "30m", fires: BTreeMap::new() }
}

impl Case {
    pub fn every(mut self, interval: &'static str) -> Self {
        self.interval = interval;
        self
    }

    /// A series of a pod of the stable version, by name and further labels: `http_requests_total,code="200"`.
    pub fn pod(self, pod: &str, series: &str, values: &str) -> Self {
        self.track("stable", pod, series, values)
    }

    pub fn track(mut self, track: &str, pod: &str, series: &str, values: &str) -> Self {
        let (metric, more) = parts(series);
        let (namespace, name) = SUBJECT;
        let labels =
            format!("namespace=\"{namespace}\",model=\"{name}\",track=\"{track}\",pod=\"{name}-5d8f7c9b64-{pod}\"");
        self.series.push((format!("{metric}{{{labels}{more}}}"), values.into()));
        self
    }

    /// A series that the operator tells.
    pub fn told(mut self, series: &str, values: &str) -> Self {
        let (metric, more) = parts(series);
        let (namespace, name) = SUBJECT;
        let labels = format!("model_namespace=\"{namespace}\",model=\"{name}\",namespace=\"modelship-system\"");
        self.series.push((format!("modelship_model_{metric}{{{labels}{more}}}"), values.into()));
        self
    }

    /// A series of the kubelet.
    pub fn container(mut self, pod: &str, metric: &str, values: &str) -> Self {
        let (namespace, name) = SUBJECT;
        let labels = format!("namespace=\"{namespace}\",pod=\"{name}-5d8f7c9b64-{pod}\",container=\"model\"");
        self.series.push((format!("{metric}{{{labels}}}"), values.into()));
        self
    }

    /// A series as it is.
    pub fn plain(mut self, series: &str, values: &str) -> Self {
        self.series.push((series.into(), values.into()));
        self
    }

    pub fn at(mut self, at: &'static str) -> Self {
        self.at = at;
        self
    }

    /// What fires; a rule with a label window by name and window: `ErrorBudgetBurn 1h`.
    pub fn fires(mut self, alert: &str) -> Self {
        *self.fires.entry(alert.into()).or_default() += 1;
        self
    }

    pub fn silent(self) -> Self {
        self
    }

    fn json(&self) -> Value {
        let series =
            self.series.iter().map(|(series, values)| json!({"series": series, "values": spelled_out(values)}));
        let samples = self.fires.iter().map(|(alert, count)| {
            let (alert, window) = alert.split_once(' ').unwrap_or((alert, ""));
            let window = if window.is_empty() { String::new() } else { format!(",window=\"{window}\"") };
            let (namespace, name) = SUBJECT;
            let labels = format!("{{alertname=\"{alert}\",namespace=\"{namespace}\",model=\"{name}\"{window}}}");
            json!({"labels": labels, "value": count})
        });
        json!({
            "name": self.name,
            "interval": self.interval,
            "input_series": series.collect::<Vec<_>>(),
            "promql_expr_test": [{
                "expr": "count by (alertname, namespace, model, window) (ALERTS{alertstate=\"firing\"})",
                "eval_time": self.at,
                "exp_samples": samples.collect::<Vec<_>>(),
            }],
        })
    }
}

fn parts(series: &str) -> (&str, String) {
    match series.split_once(',') {
        Some((metric, more)) => (metric, format!(",{more}")),
        None => (series, String::new()),
    }
}

/// The cases, with models of this spec.
pub fn check(spec: &Value, cases: &[Case]) {
    check_tests(spec, cases.iter().map(Case::json).collect());
}

/// Tests in promtool's own words. Each is a file of its own, since promtool tells in their order which file failed.
pub fn check_tests(spec: &Value, tests: Vec<Value>) {
    let groups: Vec<Value> = [SUBJECT].into_iter().chain(OTHERS).flat_map(|model| groups(model, spec)).collect();
    check_groups(&groups, tests);
}

/// The same of any groups of rules.
pub fn check_groups(groups: &[Value], tests: Vec<Value>) {
    let Some(promtool) = promtool() else { return };
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "rules.yml", &json!({"groups": groups}));
    let files: Vec<String> = (0..tests.len()).map(|number| format!("{number}.yml")).collect();
    for (file, test) in files.iter().zip(&tests) {
        let content = json!({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]});
        write(folder.path(), file, &content);
    }
    let arguments: Vec<&str> = ["test", "rules"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let (content, said) = ask(&promtool, folder.path(), &arguments);
    let lines = said.lines().filter_map(|line| line.strip_prefix("  "));
    let verdicts = lines.filter(|line| line.starts_with("SUCCESS") || line.starts_with("FAILED"));
    let failed = verdicts.zip(&tests).filter(|(verdict, _)| verdict.starts_with("FAILED"));
    let failed: Vec<String> = failed.map(|(_, test)| test["name"].to_string()).collect();
    assert!(content, "{} failed:\n{said}", failed.join(", "));
}

/// promtool repeats numbers (`5x3`) but not NaN.
fn spelled_out(values: &str) -> String {
    match values.strip_prefix("NaNx") {
        Some(times) => vec!["NaN"; times.parse::<usize>().unwrap() + 1].join(" "),
        None => values.to_owned(),
    }
}

/// The spec with these alerts.
pub fn alerts(alerts: Value) -> Value {
    json!({"monitoring": {"alerts": alerts}})
}

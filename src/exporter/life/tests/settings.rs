use std::os::unix::fs::symlink;

use prometheus::TextEncoder;
use tempfile::TempDir;

use super::*;

/// A directory as the kubelet mounts a ConfigMap.
struct Mount(TempDir);

impl Mount {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// Writes a new version beside the old one and swaps a link, as the kubelet does.
    fn put(&self, version: &str, text: &str) {
        let path = |name: &str| self.0.path().join(name);
        fs::create_dir(path(version)).unwrap();
        fs::write(path(version).join(FILE), text).unwrap();
        symlink(version, path("..data_tmp")).unwrap();
        fs::rename(path("..data_tmp"), path("..data")).unwrap();
        if !path(FILE).is_symlink() {
            symlink(format!("..data/{FILE}"), path(FILE)).unwrap();
        }
    }

    fn follower(&self) -> (Follower, Registry) {
        let registry = Registry::new();
        let validate = |settings: &Settings| match &settings.predictions {
            serde_json::Value::String(text) => Err(format!("predictions: {text} is no object")),
            _ => Ok(()),
        };
        (Follower::new(self.0.path(), Arc::new(validate), &registry).unwrap(), registry)
    }
}

/// (valid, generation) as the metrics tell.
fn told(registry: &Registry) -> (String, String) {
    let page = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let value = |name: &str| page.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    (value("modelship_exporter_config_valid "), value("modelship_exporter_config_generation "))
}

fn both(valid: u8, generation: u64) -> (String, String) {
    (valid.to_string(), generation.to_string())
}

#[test]
fn without_a_file_the_defaults_hold_and_a_metric_says_so() {
    let (follower, registry) = Mount::new().follower();
    assert_eq!(**follower.receiver().borrow(), Settings::default());
    assert_eq!(told(&registry), both(0, 0));
}

#[test]
fn a_file_is_read_at_the_start_and_unknown_fields_are_ignored() {
    let mount = Mount::new();
    mount.put(
        "..1",
        r#"{"generation": 3, "aliases": {"/predict": "/invocations"}, "predictions": {"kind": "class"}, "later": [1]}"#,
    );
    let (follower, registry) = mount.follower();
    let settings = follower.receiver().borrow().clone();
    assert_eq!(settings.generation, 3);
    assert_eq!(settings.aliases, BTreeMap::from([("/predict".to_owned(), "/invocations".to_owned())]));
    assert_eq!(settings.predictions, serde_json::json!({"kind": "class"}));
    assert_eq!(told(&registry), both(1, 3));
}

#[test]
fn a_swapped_directory_is_noticed_and_a_file_that_stays_is_not_read_again() {
    let mount = Mount::new();
    mount.put("..1", r#"{"generation": 1}"#);
    let (mut follower, registry) = mount.follower();
    let mut receiver = follower.receiver();
    follower.look();
    assert!(!receiver.has_changed().unwrap());
    mount.put("..2", r#"{"generation": 2}"#);
    follower.look();
    assert!(receiver.has_changed().unwrap());
    assert_eq!(receiver.borrow_and_update().generation, 2);
    assert_eq!(told(&registry), both(1, 2));
    // The same words in a new directory are nothing new.
    mount.put("..3", r#"{"generation": 2}"#);
    follower.look();
    assert!(!receiver.has_changed().unwrap());
}

#[test]
fn a_bad_file_keeps_the_last_good_one_until_a_good_one_comes() {
    let good = r#"{"generation": 1, "aliases": {"/a": "/b"}}"#;
    let many: Vec<String> = (0..=MOST_ALIASES).map(|number| format!(r#""/{number}": "/x""#)).collect();
    let bad = [
        "{".to_owned(),
        String::new(),
        "[]".to_owned(),
        r#"{"generation": -1}"#.to_owned(),
        r#"{"generation": 2, "predictions": "refused by the hook"}"#.to_owned(),
        r#"{"generation": 2, "aliases": {"predict": "/invocations"}}"#.to_owned(),
        r#"{"generation": 2, "aliases": {"/predict": "/a?b"}}"#.to_owned(),
        r#"{"generation": 2, "aliases": {"/predict": "http://host/"}}"#.to_owned(),
        format!(r#"{{"generation": 2, "aliases": {{{}}}}}"#, many.join(",")),
        format!("{}{}", r#"{"generation": 2}"#, " ".repeat(1 << 20)),
        "[".repeat(100_000),
    ];
    for (number, text) in bad.iter().enumerate() {
        let mount = Mount::new();
        mount.put("..1", good);
        let (mut follower, registry) = mount.follower();
        mount.put("..2", text);
        follower.look();
        assert_eq!(follower.receiver().borrow().aliases.len(), 1, "{number}");
        assert_eq!(told(&registry), both(0, 1), "{number}");
        mount.put("..3", r#"{"generation": 3}"#);
        follower.look();
        assert_eq!(told(&registry), both(1, 3), "{number}");
    }
}

#[test]
fn a_file_that_goes_away_keeps_the_last_good_one() {
    let mount = Mount::new();
    mount.put("..1", r#"{"generation": 1}"#);
    let (mut follower, registry) = mount.follower();
    fs::remove_file(mount.0.path().join("..data")).unwrap();
    follower.look();
    assert_eq!(follower.receiver().borrow().generation, 1);
    assert_eq!(told(&registry), both(0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_change_is_seen_within_seconds() {
    let mount = Mount::new();
    let (follower, _) = mount.follower();
    let mut receiver = follower.receiver();
    let start = tokio::time::Instant::now();
    let task = tokio::spawn(follower.follow());
    mount.put("..1", r#"{"generation": 1}"#);
    receiver.changed().await.unwrap();
    assert!(start.elapsed() <= LOOK_EVERY + Duration::from_millis(10));
    assert_eq!(receiver.borrow().generation, 1);
    task.abort();
}

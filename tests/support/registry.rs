//! Pushes to the real registry, by the small model server's own tool (tests/images/tiny).

use std::process::{Command, Stdio};

use serde_json::Value;

use super::world::setting;

/// Pushes a model server that gives that answer, under a tag; returns the digest.
pub fn push(name: &str, tag: &str, answer: &str) -> String {
    push_with(name, tag, &["--answer", answer])
}

/// Pushes with further options of `tests/images/tiny/run push`; returns the digest.
pub fn push_with(name: &str, tag: &str, options: &[&str]) -> String {
    let pushed = push_to(&setting("MODELSHIP_TEST_REGISTRY"), name, tag, options);
    pushed["digest"].as_str().expect("a digest").to_owned()
}

/// Pushes to a registry of the test's own; returns what the tool prints.
pub fn push_to(registry: &str, name: &str, tag: &str, options: &[&str]) -> Value {
    let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/images/tiny/run");
    let output = Command::new(tool)
        .args(["push", "--registry", registry, "--name", name, "--tag", tag])
        .args(options)
        .stdin(Stdio::null())
        .output()
        .expect("tests/images/tiny/run starts");
    assert!(output.status.success(), "push failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

//! Web pages about images, whose addresses people paste where a repository belongs. No I/O.

/// The repository that a page is about; empty where the page does not tell. `None`: the text names no such page.
pub(super) fn repository(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://").map_or((false, text), |(_, rest)| (true, rest));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.to_ascii_lowercase();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match host.strip_prefix("www.").unwrap_or(&host) {
        "hub.docker.com" => Some(on_docker_hub(&parts)),
        "github.com" => Some(on_github(&parts)),
        // A registry answers at this host, too: only what is clearly an address is taken for a page.
        "quay.io" if scheme => match parts[..] {
            ["repository", owner, name, ..] => Some(format!("quay.io/{owner}/{name}")),
            _ => None,
        },
        "gitlab.com" => Some(on_gitlab(&parts)),
        _ => None,
    }
}

fn on_docker_hub(parts: &[&str]) -> String {
    match parts {
        ["_", name, ..] => (*name).to_owned(),
        ["r" | "layers", owner, name, ..] | ["repository", "docker", owner, name, ..] | [owner, name] => {
            format!("{owner}/{name}")
        }
        _ => String::new(),
    }
}

fn on_github(parts: &[&str]) -> String {
    let (owner, name) = match parts {
        ["orgs" | "users", owner, "packages", "container", "package", name, ..]
        | ["orgs" | "users", owner, "packages", "container", name, ..]
        | [owner, _, "pkgs" | "packages", "container", name, ..]
        | [owner, name, ..] => (owner, name),
        _ => return String::new(),
    };
    // The name of a package may hold slashes, which a part of an address may not.
    format!("ghcr.io/{owner}/{}", name.replace("%2F", "/").replace("%2f", "/"))
}

fn on_gitlab(parts: &[&str]) -> String {
    let project: Vec<&str> =
        parts.iter().copied().take_while(|part| !matches!(*part, "-" | "container_registry")).collect();
    if project.is_empty() { String::new() } else { format!("registry.gitlab.com/{}", project.join("/")) }
}

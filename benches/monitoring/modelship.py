"""What `modelship render` makes of specs."""

import json
import os
import subprocess

import yaml

BINARY = os.environ["MODELSHIP_BENCH_BINARY"]
# They lie side by side.
EXPORTER = BINARY + "-exporter"


def render(deployments, *arguments):
    # JSON is YAML too.
    text = "\n---\n".join(json.dumps(one) for one in deployments)
    command = [BINARY, "render", "--filename", "-", *arguments]
    done = subprocess.run(command, input=text, text=True, capture_output=True, timeout=120)
    if done.returncode:
        raise SystemExit(f"modelship render failed:\n{done.stderr}")
    return done.stdout


def children(deployment):
    return list(yaml.load_all(render([deployment]), Loader=yaml.CSafeLoader))


def rules(deployments, folder):
    """The path of their rules.yml."""
    render(deployments, "--plain", str(folder))
    return folder / "rules.yml"


def settings(deployment, folder):
    """Writes what the exporter reads at run time, as the model's ConfigMap holds it."""
    wanted = deployment["metadata"]["name"] + "-exporter"
    data = next(child for child in children(deployment) if child["metadata"]["name"] == wanted)["data"]
    folder.mkdir(parents=True)
    for file, text in data.items():
        (folder / file).write_text(text)

"""What a ModelDeployment says of a digest: verdict.py DEPLOYMENT.json DIGEST prints serving, refused WHY, or waiting WHY."""

import json
import pathlib
import sys


def main(file: str, digest: str) -> None:
    deployment = json.loads(pathlib.Path(file).read_text(encoding="utf-8"))
    print(verdict(deployment, digest).replace("\n", " "))


def verdict(deployment: dict, digest: str) -> str:
    status, spec = deployment.get("status", {}), deployment.get("spec", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    if (status.get("stable") or {}).get("digest") == digest:
        return "serving"
    # Neither will change by waiting.
    if "pin" in spec.get("image", {}) and spec["image"]["pin"] != digest:
        return "refused it is pinned to another digest"
    if spec.get("image", {}).get("autoUpdate") is False:
        return "refused autoUpdate is false"
    candidate = (status.get("candidate") or {}).get("digest")
    stalled = conditions.get("Stalled", {})
    if candidate == digest and stalled.get("status") == "True":
        return f"refused {stalled.get('reason')}: {stalled.get('message')}"
    if candidate == digest:
        return "waiting it is being introduced"
    ready = conditions.get("Ready", {})
    return f"waiting the cluster has not seen it yet ({ready.get('reason', 'no status')})"


if __name__ == "__main__":
    main(*sys.argv[1:])

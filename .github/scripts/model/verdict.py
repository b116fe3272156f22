"""What a ModelDeployment says of a digest: verdict.py DEPLOYMENT.json DIGEST prints serving, refused WHY, or waiting WHY.

`modelship wait` says the same, in the same words; a runner has kubectl alone. tests/vectors/verdicts.json holds the two to it.
"""

import json
import pathlib
import sys


def main(file: str, digest: str) -> None:
    deployment = json.loads(pathlib.Path(file).read_text(encoding="utf-8"))
    print(verdict(deployment, digest).replace("\n", " "))


def verdict(deployment: dict, digest: str) -> str:
    status, image = deployment.get("status", {}), deployment.get("spec", {}).get("image", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    stable, candidate = ((status.get(name) or {}).get("digest") for name in ("stable", "candidate"))
    if status.get("sameImage") == digest:
        # The tag holds the wanted version's image under another digest.
        digest = candidate or stable or digest
    # A newer version may be on its way: users get this one all the same.
    if stable == digest and any(conditions.get(kind, {}).get("status") == "True" for kind in ("Ready", "Available")):
        return "serving"
    # A pin, or autoUpdate, will not change by waiting.
    if image.get("pin", digest) != digest:
        return f"refused it is pinned to {image['pin']}"
    seen = digest in (stable, candidate)
    what = "it is being introduced" if seen else "the cluster has not seen it yet"
    observed = status.get("observedGeneration")
    if observed is None or observed != deployment["metadata"].get("generation"):
        # What the status says is of the spec before, whose fault may be the very one that was mended.
        state = "the changed spec has not been looked at yet" if "Ready" in conditions else "no status"
        return f"waiting {what} ({state})"
    if image.get("autoUpdate") is False and not seen and stable:
        return "refused autoUpdate is false: it stays on what runs"
    resolved = conditions.get("ImageResolved", {})
    unresolved = resolved.get("status") == "False" and resolved["reason"] not in ("Resolving", "Comparing")
    not_taken = unresolved and resolved["reason"] in ("NoMatchingPlatform", "NotAnImage")
    if not seen and not_taken and digest.removeprefix("sha256:")[:12] in resolved["message"]:
        return f"refused {words(resolved)}"
    accepted = conditions.get("VersionAccepted", {})
    if candidate == digest and accepted.get("status") == "False":
        awaits = accepted["reason"] == "AwaitingMetrics"
        return f"waiting it is held back ({words(accepted)})" if awaits else f"refused {words(accepted)}"
    stalled = conditions.get("Stalled", {})
    # What else is stuck says nothing of this version: a new one wins over it.
    if stalled.get("status") == "True" and (seen or stalled.get("reason") == "InvalidSpec"):
        return f"refused {words(stalled)}"
    # Of a version that was not seen the registry's answer tells more than what serves meanwhile.
    state = resolved if unresolved and not seen else conditions.get("Ready")
    return f"waiting {what} ({words(state) if state else 'no status'})"


def words(condition: dict) -> str:
    return f"{condition['reason']}: {condition['message']}"


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The models that are measured: the smallest spec, and one with every alert and every part on."""

NAMESPACE = "tasting-room"

CLASSES = [{"value": str(value), "name": name} for value, name in enumerate(["sound", "corked", "oxidised"])]

# What is free text of the user's own (extraRules, extraPanels) is left out: it is as large as its author likes.
MONITORING = {
    "alerts": {
        "highTraffic": "5000/1h",
        "trafficDetected": True,
        "noTraffic": "6h",
        "objective": "99.5%",
        "classShare": [{"class": "corked", "above": "40%"}],
    },
    "dashboard": {"folder": "Wines"},
    "email": {"to": ["cellar@example.org"], "from": "alerts@example.org", "smarthost": "smtp.example.org:587"},
}

SMALLEST = {"image": {"repository": "vintner/wine-quality"}}

EVERYTHING = SMALLEST | {
    "server": {"pythonMetrics": True, "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}},
    "predictions": {
        "kind": "class",
        "classes": CLASSES,
        "reference": {"classes": {"sound": 800, "corked": 150, "oxidised": 50}},
    },
    "monitoring": MONITORING,
}

SPECS = {"smallest spec": SMALLEST, "everything on": EVERYTHING}


def name(number):
    return f"grape-scorer-{number:03}"


def deployments(spec, count):
    return [
        {
            "apiVersion": "modelship.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": name(number), "namespace": NAMESPACE},
            "spec": spec,
        }
        for number in range(count)
    ]

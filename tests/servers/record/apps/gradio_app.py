"""Gradio's classifier: an interface with one number in, and a label with its confidences out."""

import sys

import gradio


def classify(tenure):
    p = 0.9 if tenure < 12 else 0.1
    return {"churn": p, "stay": 1 - p}


def value(tenure):
    return 2.5 * tenure + 0.25


with gradio.Blocks(analytics_enabled=False) as blocks:
    number, shown, worth = gradio.Number(), gradio.Label(), gradio.Number()
    gradio.Button().click(classify, number, shown, api_name="predict")
    gradio.Button().click(value, number, worth, api_name="value")

blocks.launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True, share=False)

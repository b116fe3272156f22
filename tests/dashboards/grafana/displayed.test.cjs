// What people see on the boards, by Grafana's own code, of what a real Prometheus answers.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { after, before, test } = require("node:test");
const { series, start } = require("./prometheus.cjs");
const { NEUTRAL, colour, panels, drawn, figures, rows } = require("./display.cjs");
const { getFieldDisplayName } = require("@grafana/data");

const {
  MODELSHIP_TEST_PROMETHEUS_BIN: bin,
  MODELSHIP_TEST_WRITTEN_BOARDS: written,
  MODELSHIP_TEST_BOARDS: rendered,
  MODELSHIP_TEST_FOLDER: folder,
} = process.env;
const read = (...file) => JSON.parse(fs.readFileSync(path.join(...file)));
const board = (name) => read(written, `${name}.json`);
const [model, models, operator] = ["model", "models", "operator"].map(board);
const panel = (of, id) => panels(of).find((panel) => panel.id === id);

const HOUR = 3600;
const MINUTE = 60;

/** What the operator says of a model. */
function told(name, { version = "aaaaaaaaaaaa", board: uid, ready = 1, ...when } = {}) {
  const of = { model_namespace: "ml", model: name };
  return [
    ...series("modelship_model_condition", { ...of, type: "Ready" }, ready, when),
    ...series("modelship_model_version_info", { ...of, track: "stable", tag: "latest", digest: version }, 1, when),
    ...["rollout_in_progress", "rollout_failed", "updates_off"].flatMap((what) => series(`modelship_model_${what}`, of, 0, when)),
    ...["replicas_available", "replicas_wanted"].flatMap((what) => series(`modelship_model_${what}`, of, 2, when)),
    ...series("modelship_model_stable_since_timestamp_seconds", of, 1_767_200_000, when),
    ...series("modelship_model_memory_limit_bytes", of, 512 * 1024 ** 2, when),
    ...(uid ? series("modelship_model_board_info", { ...of, board: uid }, 1, when) : []),
  ];
}

/** What is scraped of a model's pod: ten requests a second, one in ten of which fails. */
function measured(name, when = {}) {
  const of = { namespace: "ml", model: name, pod: `${name}-0`, job: name, instance: "10.0.0.1:9801", track: "stable" };
  const bucket = (le, share) => series("http_request_duration_seconds_bucket", { ...of, le }, (at) => at * 10 * share, when);
  return [
    ...series("model_up", of, 1, when),
    ...series("http_requests_total", { ...of, code: "200" }, (at) => at * 10, when),
    ...series("http_request_errors_total", { ...of, cause: "model" }, (at) => at, when),
    ...series("model_predictions_total", { ...of, class: "a" }, (at) => at * 10, when),
    ...bucket("0.1", 0.9),
    ...bucket("0.2", 1),
    ...bucket("+Inf", 1),
  ];
}

/** The bins of a reference of numbers, of which each holds more than the one below it. */
function binned(name, bins) {
  const of = { namespace: "ml", model: name, pod: `${name}-0`, job: name, instance: "10.0.0.1:9801", track: "stable" };
  of.reference = "4f2a9c10";
  return bins.flatMap((bin, at) => [
    ...series("model_prediction_reference_ratio", { ...of, bin }, (at + 1) / 15),
    ...series("model_predictions_binned_total", { ...of, bin }, (seconds) => seconds * (at + 1)),
  ]);
}

const BINS = ["(-Inf, -10]", "(-10, -9.5]", "(-9.5, 2]", "(2, 10]", "(10, +Inf)"];
const UID = "ms-15aea2bcaa86abaa52f7eea10fbd91ab";

const past = [
  ...told("serving", { board: UID }),
  ...measured("serving"),
  ...told("rolled", { version: "aaaaaaaaaaaa", ended: 3 * HOUR }),
  ...told("rolled", { version: "bbbbbbbbbbbb", began: 3 * HOUR - 15 }),
  ...told("deserted", { ended: 26 * MINUTE }),
  ...told("gone", { ready: 0 }),
  ...measured("gone", { ended: 56 * MINUTE }),
  ...measured("minutely", { every: 60 }),
  ...measured("slow", { every: 300 }),
  ...binned("numbers", BINS),
  ...binned("classes", ["b", "a"]),
];

let prometheus;
before(async () => (prometheus = await start(bin, path.join(folder, "prometheus"), past)));
after(() => prometheus.stop());

const at = (name) => ({ namespace: "ml", model: name });
const show = (of, id, constants) => figures(prometheus, of, panel(of, id), constants);
const rounded = ({ text }) => text.replace(/^[0-9.]+/, (number) => Number(number).toFixed(1));
const noValue = (id) => panel(model, id).fieldConfig.defaults.noValue;

test("where there is nothing, every figure says so in a neutral colour", async () => {
  const nobody = { namespace: "nowhere", model: "nobody", job: "none", instance: "none" };
  for (const of of [model, models, operator]) {
    const stats = panels(of).filter((panel) => ["stat", "gauge", "bargauge"].includes(panel.type));
    assert.ok(stats.length > 0);
    for (const stat of stats) {
      const shown = await figures(prometheus, of, stat, nobody);
      const wanted = [{ text: stat.fieldConfig.defaults.noValue, colour: NEUTRAL }];
      assert.deepEqual(shown.map(({ text, colour }) => ({ text, colour })), wanted, stat.title);
    }
  }
});

test("a model that serves is green, and has its figures", async () => {
  const [ready, ...more] = await show(model, 11, at("serving"));
  assert.deepEqual([ready.text, ready.colour, more], ["Ready", colour("green"), []]);
  assert.deepEqual((await show(model, 12, at("serving"))).map(({ name }) => name), ["latest aaaaaaaaaaaa"]);
  assert.deepEqual((await show(model, 13, at("serving"))).map(({ name, text }) => `${text} ${name}`), ["2 serving", "2 wanted"]);
  const [pods] = await show(model, 16, at("serving"));
  assert.deepEqual([pods.text, pods.colour], ["1", colour("green")]);
  assert.deepEqual((await show(model, 17, at("serving"))).map(rounded), ["10.0 req/s"]);
  assert.deepEqual((await show(model, 18, at("serving"))).map(({ text }) => text), ["10%"]);
});

test("three hours after a roll-out there is one version that users get", async () => {
  assert.deepEqual((await show(model, 12, at("rolled"))).map(({ name }) => name), ["latest bbbbbbbbbbbb"]);
});

test("twenty-six minutes after the operator died nothing of what it said stands", async () => {
  for (const id of [11, 12, 13, 14, 15]) {
    const shown = await show(model, id, at("deserted"));
    assert.deepEqual(shown.map(({ text, colour }) => [text, colour]), [[noValue(id), NEUTRAL]], panel(model, id).title);
  }
});

test("fifty-six minutes after all pods were gone none answers, and none is asked", async () => {
  for (const id of [16, 17, 18, 19, 20]) {
    const shown = await show(model, id, at("gone"));
    assert.deepEqual(shown.map(({ text, colour }) => [text, colour]), [[noValue(id), NEUTRAL]], panel(model, id).title);
  }
});

test("a row of the table of models leads to the model's board, and says nothing where nothing is known", async () => {
  const table = await rows(prometheus, models, panel(models, 101));
  const of = (name) => table.find((row) => row.Model.text === name);
  assert.deepEqual([of("serving").State.text, of("serving").State.colour], ["Ready", colour("green")]);
  assert.match(of("serving").Model.href, new RegExp(`^/d/${UID}\\?`));
  // Its board is switched off.
  assert.match(of("rolled").Model.href, new RegExp(`^/d/${models.uid}\\?`));
  for (const [name, column] of [["gone", "Requests"], ["gone", "Failed"], ["minutely", "State"], ["minutely", "Roll-out"]]) {
    const cell = of(name)[column];
    assert.deepEqual([cell.text, cell.colour], ["–", NEUTRAL], `${name}: ${column}`);
  }
  assert.equal(of("deserted"), undefined, "nobody has told of it for 26 minutes");
  assert.equal(table.filter((row) => row.Model.text === "rolled").length, 1, "one row for each model");
});

test("a model that is scraped every minute, or every five, is part of every sum and has a row and a line of its own", async () => {
  assert.deepEqual((await show(models, 15)).map(rounded), ["30.0 req/s"]);
  assert.deepEqual((await show(models, 16)).map(({ text }) => text), ["10%"]);
  const table = await rows(prometheus, models, panel(models, 101));
  for (const name of ["serving", "minutely", "slow"]) {
    const row = table.find((row) => row.Model.text === name);
    assert.deepEqual([row.Requests.text, row.Failed.text], ["10.00 req/s", "10.0%"], name);
    for (const id of [201, 202, 203]) {
      const lines = await drawn(prometheus, models, panel(models, id), { model: name });
      const [, last] = lines[0].fields;
      // Six hours, and none of the last five has a gap.
      assert.ok(last.values.length > 5 * 12 && lines[0].length > 5 * 12, `${name}: ${panel(models, id).title}`);
    }
  }
});

test("bins of numbers stand in the order of numbers, and classes keep theirs", async () => {
  const [beside] = await drawn(prometheus, model, panel(model, 501), at("numbers"));
  assert.deepEqual(beside.fields.map((field) => getFieldDisplayName(field, beside)).sort(), ["bin", "live", "reference"]);
  assert.deepEqual(beside.fields.find((field) => field.name === "bin").values, BINS);
  const shares = beside.fields.find((field) => getFieldDisplayName(field, beside) === "live").values;
  assert.deepEqual(shares.map((share) => Math.round(share * 15)), [1, 2, 3, 4, 5]);
  const [over] = await drawn(prometheus, model, panel(model, 503), at("numbers"));
  assert.equal(over.fields[0].type, "time");
  assert.deepEqual(over.fields.slice(1).map((field) => field.name), BINS);
  const [classes] = await drawn(prometheus, model, panel(model, 501), at("classes"));
  assert.deepEqual(classes.fields.find((field) => field.name === "bin").values, ["a", "b"]);
});

test("memory is told in the units that limits are written in", async () => {
  const [frame] = await drawn(prometheus, model, { ...panel(model, 603), targets: [panel(model, 603).targets[1]] }, at("serving"));
  const [, limit] = frame.fields;
  const { text, suffix } = limit.display(limit.values[0]);
  assert.equal(`${text}${suffix}`, "512 MiB");
});

test("a model of which nobody has told anything yet has a board without a colour", async () => {
  const boards = fs.readdirSync(rendered).filter((file) => file.endsWith(".json")).map((file) => read(rendered, file));
  assert.ok(boards.length >= 3);
  for (const of of boards) {
    for (const one of panels(of).filter((panel) => panel.type === "stat" && panel.targets.every((target) => target.instant))) {
      const shown = await figures(prometheus, of, one, {});
      assert.ok(shown.every(({ colour }) => colour === NEUTRAL), `${of.title}: ${one.title}`);
    }
  }
});

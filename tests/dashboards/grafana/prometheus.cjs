// A real Prometheus with a past that is made up: what it answers to the boards' queries is what Grafana would get.
"use strict";

const { execFileSync, spawn } = require("node:child_process");
const fs = require("node:fs");
const net = require("node:net");
const path = require("node:path");

// The moment that the boards are looked at, and the beginning of their range of six hours; in seconds.
const NOW = 1_767_225_600;
const FROM = NOW - 6 * 3600;

/** A series as OpenMetrics: value(seconds since FROM), scraped every `every` seconds until `ended` seconds before NOW. */
function series(name, labels, value, { every = 15, began = 6 * 3600, ended = 0 } = {}) {
  const text = Object.entries(labels).map(([label, of]) => `${label}="${of}"`);
  const lines = [];
  for (let at = NOW - began; at <= NOW - ended; at += every) {
    lines.push(`${name}{${text.join(",")}} ${typeof value === "function" ? value(at - FROM) : value} ${at}`);
  }
  return lines;
}

async function freePort() {
  const server = net.createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** Starts Prometheus on these lines. Gives `ask(query, step)`, which without a step is an instant query at NOW, and `stop()`. */
async function start(bin, folder, lines) {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  // OpenMetrics wants the series of a family together.
  const text = path.join(folder, "past.txt");
  const name = (line) => line.slice(0, line.indexOf("{"));
  fs.writeFileSync(text, `${lines.toSorted((a, b) => (name(a) < name(b) ? -1 : Number(name(a) > name(b)))).join("\n")}\n# EOF\n`);
  fs.writeFileSync(path.join(folder, "prometheus.yml"), "{}\n");
  const fill = ["tsdb", "create-blocks-from", "openmetrics", "--quiet", text, path.join(folder, "data")];
  execFileSync(path.join(bin, "promtool"), fill);
  const port = await freePort();
  const program = spawn(
    path.join(bin, "prometheus"),
    [
      `--config.file=${path.join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${path.join(folder, "data")}`,
      "--storage.tsdb.retention.time=100y",
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ["ignore", "ignore", fs.openSync(path.join(folder, "log"), "w")] },
  );
  const url = `http://127.0.0.1:${port}`;
  for (const deadline = Date.now() + 30_000; ; ) {
    const ready = await fetch(`${url}/-/ready`).catch(() => null);
    if (ready?.ok) break;
    if (program.exitCode !== null || Date.now() > deadline) throw new Error(`Prometheus does not start: see ${folder}/log`);
    await new Promise((done) => setTimeout(done, 50));
  }
  return {
    async ask(query, step) {
      const times = step === undefined ? { time: NOW } : { start: FROM, end: NOW, step };
      const response = await fetch(`${url}/api/v1/query${step === undefined ? "" : "_range"}`, {
        method: "POST",
        body: new URLSearchParams({ query, ...times }),
      });
      const answer = await response.json();
      if (answer.status !== "success") throw new Error(`${query}: ${answer.error}`);
      return answer.data.result;
    },
    stop() {
      program.kill();
      return new Promise((done) => (program.exitCode === null ? program.once("exit", done) : done()));
    },
  };
}

module.exports = { NOW, FROM, series, start };

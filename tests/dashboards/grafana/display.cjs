// What Grafana's own code shows of a panel, given what Prometheus answers.
"use strict";

// What it asks of a browser.
globalThis.navigator ??= { language: "en-US", languages: ["en-US"] };
const data = require("@grafana/data");
const { lastValueFrom } = require("rxjs");
const { NOW, FROM } = require("./prometheus.cjs");

// Not before: what is loaded above would take this for a browser that draws.
globalThis.window ??= { location: { origin: "http://grafana.test" } };

const theme = data.createTheme({ colors: { mode: "dark" } });
const NEUTRAL = theme.visualization.getColorByName("text");
const colour = (name) => theme.visualization.getColorByName(name);

// What Grafana's application registers at its start.
const transformers = new Map(Object.values(data.standardTransformers).map((transformation) => [transformation.id, transformation]));
data.standardTransformersRegistry.setInit(() =>
  [...transformers].map(([id, transformation]) => ({ id, name: id, transformation: async () => transformation })),
);
const settings = new data.Registry(() =>
  ["unit", "decimals", "min", "max", "noValue", "displayName", "thresholds", "mappings", "links", "color"]
    .concat(["custom.hidden", "custom.cellOptions", "custom.width"])
    .map((id) => ({
      id,
      name: id,
      path: id.replace("custom.", ""),
      isCustom: id.startsWith("custom."),
      process: (value) => value,
      shouldApply: () => true,
    })),
);

/** The panels of a board, those inside rows as well. */
function panels(board) {
  return board.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]).filter((panel) => panel.type !== "row");
}

/** Puts in what a browser would: constants, All for every other variable; and Grafana's own. */
function interpolated(text, board, constants, step, interval) {
  const rate = Math.max(step + interval, 4 * interval);
  const values = { __rate_interval: `${rate}s`, __range: "6h", datasource: "prometheus", __url_time_range: "from=now-6h&to=now" };
  for (const variable of board.templating.list) values[variable.name] ??= variable.type === "constant" ? variable.query : ".+";
  Object.assign(values, constants);
  return text.replace(/\$\{(\w+)(?::\w+)?\}|\$(\w+)/g, (whole, braced, plain) => values[braced ?? plain] ?? whole);
}

function seconds(text) {
  const [, count, unit] = /^(\d+)([smh])$/.exec(text ?? "15s");
  return count * { s: 1, m: 60, h: 3600 }[unit];
}

const number = (text) => (text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text));
const { time: TIME, number: NUMBER, string: STRING } = data.FieldType;

/** Frames as Grafana's data source for Prometheus makes them: none has a point where there is none. */
function frames(target, result, several) {
  const points = (one) => one.values ?? [one.value];
  const valueName = several ? `Value #${target.refId}` : "Value";
  if (target.format === "table") {
    const labels = [...new Set(result.flatMap((one) => Object.keys(one.metric)))].sort();
    const rows = result.flatMap((one) => points(one).map((point) => [one.metric, point])).sort(([, a], [, b]) => a[0] - b[0]);
    const fields = [{ name: "Time", type: TIME, config: {}, values: rows.map(([, point]) => point[0] * 1000) }];
    for (const label of labels) {
      fields.push({ name: label, type: STRING, config: { filterable: true }, values: rows.map(([metric]) => metric[label] ?? "") });
    }
    fields.push({ name: valueName, type: NUMBER, config: {}, values: rows.map(([, point]) => number(point[1])) });
    return rows.length === 0 ? [] : [data.toDataFrame({ refId: target.refId, fields })];
  }
  return result.map((one) => {
    const named = target.legendFormat.replace(/\{\{(\w+)\}\}/g, (_, label) => one.metric[label] ?? "");
    const config = target.legendFormat === "__auto" ? {} : { displayNameFromDS: named };
    return data.toDataFrame({
      refId: target.refId,
      fields: [
        { name: "Time", type: TIME, config: {}, values: points(one).map(([at]) => at * 1000) },
        { name: "Value", type: NUMBER, config, labels: one.metric, values: points(one).map(([, value]) => number(value)) },
      ],
    });
  });
}

/** The frames that the panel draws: asked for, transformed, and with its settings and overrides applied. */
async function drawn(prometheus, board, panel, constants = {}) {
  const asked = [];
  for (const target of panel.targets) {
    const interval = seconds(target.interval);
    const step = Math.max(60, interval);
    const query = interpolated(target.expr, board, constants, step, interval);
    const result = await prometheus.ask(query, target.instant ? undefined : step);
    asked.push(...frames(target, result, panel.targets.length > 1));
  }
  const known = (panel.transformations ?? []).every(({ id }) => data.standardTransformersRegistry.getIfExists(id));
  if (!known) throw new Error(`${panel.title}: a transformation that @grafana/data does not have`);
  const transformed = await lastValueFrom(
    data.transformDataFrame(panel.transformations ?? [], asked, { interpolate: (text) => text }),
    { defaultValue: asked },
  );
  const range = { from: data.dateTime(FROM * 1000), to: data.dateTime(NOW * 1000) };
  return data.applyFieldOverrides({
    data: transformed,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: settings,
    replaceVariables: (text, scoped) => replaced(interpolated(text, board, constants, 60, 15), scoped),
    theme,
    timeZone: "utc",
    timeRange: { ...range, raw: range },
  });
}

/** ${__data.fields.NAME}, as Grafana's runtime fills it in. */
function replaced(text, scoped) {
  const { frame, rowIndex } = scoped?.__dataContext?.value ?? {};
  return text.replace(/\$\{__data\.fields\.(\w+)\}/g, (whole, name) => {
    const field = frame?.fields.find((field) => data.getFieldDisplayName(field, frame) === name);
    return field ? String(field.values[rowIndex] ?? "") : whole;
  });
}

const whole = ({ prefix, text, suffix }) => `${prefix ?? ""}${text}${suffix ?? ""}`;
// Where no colour is set at all, Grafana spells the text's own otherwise.
const spelt = (colour) => (colour === "#ccccdc" ? NEUTRAL : colour);

/** Name, text and colour of each figure of a stat panel. */
async function figures(prometheus, board, panel, constants) {
  const shown = data.getFieldDisplayValues({
    fieldConfig: panel.fieldConfig,
    reduceOptions: panel.options.reduceOptions,
    replaceVariables: (text) => text,
    theme,
    timeZone: "utc",
    data: await drawn(prometheus, board, panel, constants),
  });
  return shown.map(({ display }) => ({
    name: display.title,
    text: whole(display),
    colour: spelt(display.color),
  }));
}

/** A table's rows, each by the names of its columns: text, colour, and where it leads. */
async function rows(prometheus, board, panel, constants) {
  const [frame, ...more] = await drawn(prometheus, board, panel, constants);
  if (more.length > 0) throw new Error(`${panel.title}: a table shows one frame, and there are ${more.length + 1}`);
  return Array.from({ length: frame?.length ?? 0 }, (_, at) => {
    const cells = frame.fields.map((field) => {
      const display = field.display(field.values[at]);
      const links = field.getLinks?.({ valueRowIndex: at }) ?? [];
      return [
        data.getFieldDisplayName(field, frame),
        { text: whole(display), colour: spelt(display.color), href: links[0]?.href },
      ];
    });
    return Object.fromEntries(cells);
  });
}

module.exports = { NEUTRAL, colour, panels, drawn, figures, rows };

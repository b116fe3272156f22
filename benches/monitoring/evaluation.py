"""What the rules of many models cost a Prometheus."""

import shutil
import time

import history
import modelship
import specs
from pages import HISTORY, Pages
from processes import cpu_seconds, free_ports, wait_for
from prometheus import Prometheus, figure, groups
from table import head, method, spread, title

COUNTS = [1, 10, 100]


def measure(folder, page, interval, rounds):
    title("Rules of many models in Prometheus")
    method(
        f"""A real Prometheus 3, alone with its temporary data on this machine's loopback, scrapes the pages of so many models,
        the operator's and the kubelet's of them, and evaluates all their rules, both every {interval} s. The page is the
        real one from above, with one pod for each model, and what is counted on it goes on growing evenly; process_* are
        added. Prometheus begins with an hour of history of all series that rules read, one sample every {history.STEP} s:
        windows of up to an hour are full, those of NoTraffic and of ErrorBudgetBurn that are longer hold no more than
        that. {rounds} rounds each (half as many without rules), after a first one that is not in the figures. active alerts: pending
        or firing, at the end. a round: the sum of
        prometheus_rule_group_last_duration_seconds over all groups. longest group: the largest of them. one rule: what
        prometheus_rule_evaluation_duration_seconds gained in sum over what it gained in count. CPU: user and system time
        of the process in each interval, scraping included, as seconds per minute; no rules: the same without any rule.
        The pages are made by this benchmark, on the same CPUs. Failed or missed evaluations end the benchmark."""
    )
    for count in COUNTS:
        rows = measure_count(folder / f"rules-{count}", with_processes(page), count, interval, rounds)
        head(["min", "median", "max"], "rounds")
        for what, values, digits in rows:
            spread(what, values, digits) if values else print(what)


def with_processes(page):
    """With what the exporter knows of the model's processes once it shares a pod with them."""
    has = {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE ")}
    own = {"cpu_seconds_total": ("counter", 120.5), "open_fds": ("gauge", 40), "max_fds": ("gauge", 65536)}
    own |= {"resident_memory_bytes": ("gauge", 3e8), "virtual_memory_bytes": ("gauge", 9e8)}
    own |= {"start_time_seconds": ("gauge", 1.7e9), "threads": ("gauge", 12)}
    for name, (kind, value) in own.items():
        if f"process_{name}" not in has:
            page += f"# TYPE process_{name} {kind}\nprocess_{name} {value}\n"
    return page


def measure_count(folder, page, count, interval, rounds):
    folder.mkdir()
    files = {
        name: modelship.rules(specs.deployments(spec, count), folder / f"plain-{number}")
        for number, (name, spec) in enumerate(specs.SPECS.items())
    }
    own, pages_port = free_ports(2)
    prometheus = Prometheus(folder / "prometheus", own, interval)
    pages = Pages(page, count)
    read = set.union(*map(history.names, files.values()))
    history.write(pages, read, folder, prometheus.data)
    server = pages.serve(pages_port)
    targets = pages.targets(f"127.0.0.1:{pages_port}")
    prometheus.configure(targets)
    models = "1 model" if count == 1 else f"{count} models"
    rows = []
    with prometheus.running():
        wait_for("all targets are up", lambda: prometheus.number("sum(up)") == len(targets), 4 * interval + 60, 1)
        # Did a scraped series not continue one of the history, it would have few samples.
        for name in filter(history.on_pages, read):
            found = prometheus.number(f"min(count_over_time({name}[1h]))")
            if found < 0.9 * HISTORY / history.STEP:
                raise SystemExit(f"some series of {name} have only {found:.0f} samples within an hour")
        rows.append((f"{models}, no rules: CPU s/min", processor(prometheus, interval, (rounds + 1) // 2), 2))
        for name, file in files.items():
            prometheus.configure(targets, file)
            prometheus.reload()
            rows += evaluated(prometheus, f"{models}, {name}", interval, rounds)
    server.shutdown()
    server.server_close()
    shutil.rmtree(folder)
    return rows


def processor(prometheus, interval, rounds):
    used = []
    for _ in range(rounds):
        before, began = cpu_seconds(prometheus.process), time.monotonic()
        time.sleep(interval)
        used.append((cpu_seconds(prometheus.process) - before) / (time.monotonic() - began) * 60)
    return used


def evaluated(prometheus, what, interval, rounds):
    def all_once():
        counts = groups(prometheus.own(), "iterations_total")
        return counts and min(counts.values()) >= 1

    wait_for("every group was evaluated", all_once, 3 * interval + 30, interval / 3)
    round_ms, longest_ms, rule_us, cpu = [], [], [], []
    before = prometheus.own()
    for _ in range(rounds):
        cpu += processor(prometheus, interval, 1)
        page = prometheus.own()
        last = groups(page, "last_duration_seconds").values()
        round_ms.append(sum(last) * 1000)
        longest_ms.append(max(last) * 1000)
        spent, number = (
            figure(page, f"prometheus_rule_evaluation_duration_seconds_{part}")
            - figure(before, f"prometheus_rule_evaluation_duration_seconds_{part}")
            for part in ("sum", "count")
        )
        rule_us.append(spent / number * 1e6)
        before = page
    for trouble in ("prometheus_rule_evaluation_failures_total", "prometheus_rule_group_iterations_missed_total"):
        if number := figure(before, trouble):
            raise SystemExit(f"{what}: {trouble} is {number:.0f}")
    rules = sum(groups(before, "rules").values())
    active = prometheus.number("count(ALERTS)")
    return [
        (f"{what}: {rules:,.0f} rules, active alerts: {active:,.0f}", [], 0),
        ("    a round, ms", round_ms, 1),
        ("    longest group, ms", longest_ms, 2),
        ("    one rule, µs", rule_us, 0),
        ("    CPU s/min", cpu, 2),
    ]

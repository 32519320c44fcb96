#!/usr/bin/python3
"""Stops one server at a time for 1 to 5 s (SIGSTOP), again and again, with both cores busy: nothing may be fenced.

    bench/stalls.py [--minutes N] [--sync] [--seed N] [--since COMMIT] [--load hogs|none]

A server is a whole process tree: PostgreSQL with its backends, Patroni, etcd, Redis, Sentinel, Qdrant, HAProxy,
Prometheus and `serve` itself. Each stall is appended with its commit to bench/results/stalls.jsonl with what it led to: executions
begun, incidents by severity, whether another node took over. A series that was interrupted is continued: stalls of the
same mode count, with --since only those of COMMIT and its descendants. Both cores are kept busy by one process each, or with
--load none by whatever else runs: how busy they were is recorded with each stall and said at the end. Ends with 1 when the assist
fenced anything or a critical incident was opened without a role change. Needs the release build.
"""
import argparse
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "live"))
from busy import busy_cores  # noqa: E402
from support import Lab  # noqa: E402
from watching import start_of  # noqa: E402

RESULTS = ROOT / "bench" / "results" / "stalls.jsonl"
RESULTS.parent.mkdir(exist_ok=True)
# Stopping what only exports figures says nothing about failovers.
LEFT_OUT = ("prometheus-postgres-exporter", "exporter")


def children(pid):
    found = [pid]
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += children(int(child))
    return found


@contextlib.contextmanager
def stalled(pid):
    """The tree below `pid` stands still; what a child process of it becomes meanwhile is stopped with it."""
    begun = {}
    try:
        for each in children(pid):
            with contextlib.suppress(OSError):
                begun[each] = start_of(each)
                os.kill(each, signal.SIGSTOP)
        yield
    finally:
        for each, start in reversed(begun.items()):
            with contextlib.suppress(OSError):
                if start_of(each) == start:
                    os.kill(each, signal.SIGCONT)


def primaries(lab):
    status = lab.cli("--json", "status", timeout=60)
    return {name: store.get("primary") for name, store in status.json()["stores"].items()} if status.code == 0 else None


def ids(lab, what):
    done = lab.cli("--json", what, "list", timeout=60)
    if done.code != 0:
        raise RuntimeError(f"{what} list ended with {done.code}: {done}")
    return {each["id"]: each for each in done.json()[f"{what}s"]}


def is_recent(record, since):
    return not since or subprocess.run(["git", "merge-base", "--is-ancestor", since, record["commit"]], cwd=ROOT,
                                       stderr=subprocess.DEVNULL).returncode == 0


def records(options):
    if not RESULTS.exists():
        return []
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    return [line for line in lines if line["sync"] == options.sync and is_recent(line, options.since)]


def cpu_times():
    """Jiffies since the start of the machine: (all, idle)."""
    with open("/proc/stat") as file:
        fields = [int(field) for field in file.readline().split()[1:]]
    return sum(fields), fields[3] + fields[4]


def one_stall(lab, chance):
    node = chance.choice([node for node in lab.lab_status()["nodes"]
                          if node.get("pid") and not node["kind"].endswith(LEFT_OUT)])
    seconds = round(chance.uniform(1, 5), 2)
    before, executions, incidents = primaries(lab), ids(lab, "execution"), ids(lab, "incident")
    begin, (jiffies, idle) = time.monotonic(), cpu_times()
    with stalled(node["pid"]):
        time.sleep(seconds)
    lasted = time.monotonic() - begin
    time.sleep(chance.uniform(2, 8))
    after = primaries(lab)
    opened = [each for key, each in ids(lab, "incident").items() if key not in incidents]
    begun = [each for key, each in ids(lab, "execution").items() if key not in executions]
    jiffies, idle = (late - early for late, early in zip(cpu_times(), (jiffies, idle)))
    return {"node": node["name"], "seconds": round(lasted, 2), "cycle_seconds": round(time.monotonic() - begin, 2),
            "busy": round(1 - idle / max(1, jiffies), 3),
            "role_change": bool(before and after and before != after),
            "incidents": [[each["detector"], each["severity"]] for each in opened],
            "executions": [[each["id"], each["runbook"], each["state"]] for each in begun]}


def fences(lab):
    status = lab.cli("--json", "status", timeout=60).json()
    return [node["name"] for store in status["stores"].values() for node in store["nodes"] if node["fenced"]]


def assisted(lab):
    """Executions in which the assist fenced: their facts say so."""
    acted = []
    for key in ids(lab, "execution"):
        facts = lab.cli("--json", "execution", "show", key, timeout=60).json()["execution"].get("facts", {})
        if facts.get("fenced") or facts.get("fence.confirmed") or facts.get("assist") == "acted":
            acted.append(key)
    return acted


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--sync", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--since", help="a commit: older stalls do not count")
    parser.add_argument("--load", choices=["hogs", "none"], default="hogs", help="what keeps the cores busy")
    options = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    done = records(options)
    left = options.minutes * 60 - sum(record["cycle_seconds"] for record in done)
    acted = []
    if left > 0:
        lab = Lab(*(["--sync"] if options.sync else []))
        lab.up()
        lab.await_healthy()
        chance = random.Random(options.seed * 100000 + len(done))
        with busy_cores() if options.load == "hogs" else contextlib.nullcontext():
            end = time.monotonic() + left
            while time.monotonic() < end:
                record = {"commit": commit.strip(), "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                          "sync": options.sync, **one_stall(lab, chance), "fenced": fences(lab)}
                with open(RESULTS, "a") as file:
                    file.write(json.dumps(record) + "\n")
                if record["fenced"] or record["executions"] or record["role_change"]:
                    print(record, flush=True)
        acted = assisted(lab)
        lab.remove()
    done = records(options)
    critical = [record for record in done if any(severity == "critical" for _, severity in record["incidents"])]
    alone = [record for record in critical if not record["role_change"]]
    fenced = [record for record in done if record["fenced"]]
    minutes = sum(record["cycle_seconds"] for record in done) / 60
    print(f"{len(done)} stalls in {minutes:.1f} min, {'synchronous' if options.sync else 'asynchronous'}: fenced {len(fenced)}, "
          f"assist acted {len(acted)}, role changes {sum(record['role_change'] for record in done)}, "
          f"critical incidents {len(critical)}, of them without a role change {len(alone)}; CPU busy "
          f"{statistics.median(record['busy'] for record in done):.1%}, at least {min(record['busy'] for record in done):.1%}")
    for record in alone + fenced:
        print(record)
    return 1 if alone or fenced or acted else 0


if __name__ == "__main__":
    sys.exit(main())

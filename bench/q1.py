#!/usr/bin/python3
"""Measures drill Q1 again and again, beside an observer that shares no code with it.

    bench/q1.py [--sync] [--fault kill|pause] [--assist off|act|refused|off,refused] [--since COMMIT] [--runs N]

Each run is appended with its commit to bench/results/q1.jsonl; a series that was interrupted is continued: runs of
the same mode, fault and assist that are there count, with --since only those of COMMIT and its descendants. Prints the
summary of the series. `refused` is act in a stack whose hosts cannot fence; `off,refused` takes turns, both in such a
stack, and its runs are a series of their own ("off beside refused"). Needs the release build.
"""
import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "live"))
from support import Lab, restart_serve  # noqa: E402

RESULTS = ROOT / "bench" / "results" / "q1.jsonl"
RESULTS.parent.mkdir(exist_ok=True)


class Series:
    def __init__(self, options, assist):
        self.mode = "synchronous" if options.sync else "asynchronous"
        self.fault = options.fault
        self.assist = assist
        self.since = options.since

    @property
    def drill_word(self):
        return "act" if self.assist in ("act", "refused") else "off"

    def is_recent(self, commit):
        if not self.since:
            return True
        return subprocess.run(["git", "merge-base", "--is-ancestor", self.since, commit], cwd=ROOT,
                              stderr=subprocess.DEVNULL).returncode == 0

    def records(self):
        if not RESULTS.exists():
            return []
        lines = [json.loads(line) for line in RESULTS.read_text().splitlines()]
        return [line for line in lines
                if (line["mode"], line["fault"], line.get("assist", "off")) == (self.mode, self.fault, self.assist)
                and self.is_recent(line["commit"])]


def measure(lab, series):
    with tempfile.TemporaryDirectory() as directory:
        status, output = os.path.join(directory, "lab.json"), os.path.join(directory, "observed.json")
        Path(status).write_text(json.dumps(lab.lab_status()))
        observer = subprocess.Popen(["/usr/bin/python3", ROOT / "tests" / "live" / "observer.py", status, output],
                                    stdout=subprocess.PIPE, text=True)
        observer.stdout.readline()
        done = lab.cli("--json", "drill", "run", "q1", "--fault", series.fault, "--assist", series.drill_word,
                       "--yes",
                       timeout=1200)
        observer.send_signal(signal.SIGTERM)
        observer.wait(60)
        observed = json.loads(Path(output).read_text())
    if done.code not in (0, 4, 6):
        raise SystemExit(f"the drill could not be measured: {done}")
    return done, observed


def without_fences(lab):
    """A stack whose hosts cannot fence: the assist has to refuse."""
    text = Path(lab.stack).read_text()
    Path(lab.stack).write_text(text.replace("fence: marker", "fence: none"))
    restart_serve(lab)


def renewed_before(lab, injected_at):
    """Seconds from the last renewal of the leader's lease, by Patroni's own logs, to that instant; None when no log says."""
    at = datetime.fromisoformat(injected_at.replace("Z", "+00:00")).replace(tzinfo=None)
    ages = []
    for log in Path(lab.directory).glob("log/patroni-*.log"):
        for line in log.read_text(errors="replace").splitlines():
            if "the leader with the lock" in line:
                with contextlib.suppress(ValueError):
                    ages.append((at - datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f")).total_seconds())
    return min((age for age in ages if age >= 0), default=None)


def append(lab, series, done, observed):
    card = done.json()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    keep = ("rto_seconds", "client_rto_seconds", "detect_seconds", "rpo_seconds", "acknowledged", "lost",
            "lost_before_fault", "lost_after_fault", "unknown", "met", "server")
    record = {"commit": commit.strip(), "at": card["started_at"], "mode": series.mode, "fault": series.fault,
              "assist": series.assist, "seed": card["seed"], "verdict": card["verdict"],
              "stores": {name: {key: store[key] for key in keep} for name, store in card["stores"].items()},
              "renewed_before_fault": renewed_before(lab, card["stores"]["postgres"]["injected_at"]),
              "observed": {store: figures["outage_seconds"] for store, figures in observed.items()}}
    with open(RESULTS, "a") as file:
        file.write(json.dumps(record) + "\n")


def column(values):
    values = [value for value in values if value is not None]
    if not values:
        return f"{'-':>20}"
    return f"{statistics.median(values):9.2f} {max(values):9.2f} "


def summarise(series):
    runs = series.records()
    print(f"{series.mode}, {series.fault}, assist {series.assist}: n {len(runs)}, passed {sum(run['verdict'] == 'pass' for run in runs)}")
    print(f"{'median, max':<12}{'RTO nodes':>20}{'RTO client':>20}{'detected':>20}{'lost':>20}{'|observer - RTO|':>20}")
    for store in ("postgres", "redis"):
        scores = [run["stores"][store] for run in runs]
        differences = [abs(run["observed"][store] - run["stores"][store]["rto_seconds"]) for run in runs
                       if run["observed"][store] is not None and run["stores"][store]["rto_seconds"] is not None]
        print(f"{store:<12}" + "".join(column([score[key] for score in scores]) for key in
                                       ("rto_seconds", "client_rto_seconds", "detect_seconds", "lost")) +
              column(differences))
    # How much of the lease was left is chance; from its last renewal on, it is always all of it.
    leases = [run["stores"]["postgres"]["rto_seconds"] + run["renewed_before_fault"] for run in runs
              if run.get("renewed_before_fault") is not None and run["stores"]["postgres"]["rto_seconds"] is not None]
    if leases:
        print(f"postgres, from the lease's last renewal: n {len(leases)}, median {statistics.median(leases):.2f}, "
              f"{min(leases):.2f} to {max(leases):.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sync", action="store_true")
    parser.add_argument("--fault", choices=("kill", "pause"), default="kill")
    parser.add_argument("--assist", choices=("off", "act", "refused", "off,refused"), default="off")
    parser.add_argument("--since", help="a commit: older runs do not count")
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    words = ["off beside refused", "refused"] if options.assist == "off,refused" else [options.assist]
    every = [Series(options, word) for word in words]
    if any(len(series.records()) < options.runs for series in every):
        lab = Lab(*(["--sync"] if options.sync else []))
        lab.up()
        if "refused" in words:
            without_fences(lab)
        while any(len(series.records()) < options.runs for series in every):
            for series in every:
                if len(series.records()) >= options.runs:
                    continue
                lab.await_healthy(300)
                append(lab, series, *measure(lab, series))
                print(f"{series.assist}: {len(series.records())} of {options.runs} done", flush=True)
        lab.remove()
    for series in every:
        summarise(series)


main()

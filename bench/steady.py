#!/usr/bin/python3
"""Runs a file of live tests again and again with both cores busy, until it has passed 20 times in a row.

    bench/steady.py FILE… [--passes N]        FILE: test_drill, trial_isolation, …

Each pass is appended with its commit to bench/results/steady.jsonl; an interrupted series is continued: what counts is the
row of passes at the end of the file's records, over commits. Prints the row of every file named, and stops at the
first failure with its output. Needs the release build.
"""
import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "live"))
from busy import busy_cores  # noqa: E402

RESULTS = ROOT / "bench" / "results" / "steady.jsonl"
RESULTS.parent.mkdir(exist_ok=True)


def row_of(name):
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    row = 0
    for line in (line for line in lines if line["file"] == name):
        row = row + 1 if line["passed"] else 0
    return row


def run_once(name, commit):
    kind = "--trials" if name.startswith("trial_") else "--live"
    begin = time.monotonic()
    with busy_cores():
        done = subprocess.run(["/usr/bin/python3", "tests/run.py", kind, name], cwd=ROOT, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    last = done.stdout.splitlines()[-1] if done.stdout else ""
    record = {"commit": commit, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "file": name,
              "passed": done.returncode == 0, "seconds": round(time.monotonic() - begin), "said": last,
              "load": round(os.getloadavg()[0], 1)}
    with open(RESULTS, "a") as file:
        file.write(json.dumps(record) + "\n")
    print(f"{name}: pass {row_of(name)} in a row, {record['seconds']} s, {last}", flush=True)
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--passes", type=int, default=20)
    options = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    # In turns: a cut session leaves every file as far as the others.
    while any(row_of(name) < options.passes for name in options.files):
        for name in options.files:
            if row_of(name) >= options.passes:
                continue
            done = run_once(name, commit.strip())
            if done.returncode != 0:
                print(done.stdout)
                return 1
    for name in options.files:
        print(f"{name}: {row_of(name)} passes in a row")
    return 0


if __name__ == "__main__":
    sys.exit(main())

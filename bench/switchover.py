#!/usr/bin/python3
"""Measures planned switchovers under writers with stock clients, straight to every node.

    bench/switchover.py postgres|redis [--runs N]

Each run is appended with its commit to bench/results/switchover.jsonl: the longest time without an acknowledgement, and
how many acknowledged records the new primary does not have. Needs the release build.
"""
import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "live"))
from support import Lab  # noqa: E402
from test_switchover import AllNodesWriter, PostgresRecords, RedisRecords  # noqa: E402

RESULTS = ROOT / "bench" / "results" / "switchover.jsonl"
RESULTS.parent.mkdir(exist_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", choices=("postgres", "redis"))
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    lab = Lab()
    lab.up()
    outages, lost = [], 0
    for _ in range(options.runs):
        lab.await_healthy(300)
        records = (PostgresRecords if options.store == "postgres" else RedisRecords)(lab)
        begin = time.monotonic()
        with AllNodesWriter(records.nodes, records.write) as writer:
            done = lab.cli("switchover", options.store, "--yes", timeout=200)
        if done.code != 0:
            raise SystemExit(f"the switchover failed: {done}")
        missing = set(writer.acknowledged) - records.present(lab.status()["stores"][options.store]["primary"])
        outages.append(writer.longest_outage())
        lost += len(missing)
        with open(RESULTS, "a") as file:
            file.write(json.dumps({"commit": commit.strip(), "store": options.store, "outage_seconds": outages[-1],
                                   "acknowledged": len(writer.acknowledged), "lost": len(missing),
                                   "command_seconds": time.monotonic() - begin}) + "\n")
    lab.remove()
    print(f"{options.store}: n {options.runs}, outage median {statistics.median(outages):.3f} s, "
          f"max {max(outages):.3f} s, lost {lost}")


main()

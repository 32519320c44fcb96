#!/usr/bin/python3
"""Runs random schedules of the simulation and says how many a minute.

    bench/simulation.py [--redis] [--seeds A..B] [--no-record]

The range (1..5000 when none is given) runs in blocks on all cores; each block is appended with the commit and its
time to bench/results/simulation.jsonl. Ends with 1 when a seed failed. Needs the release build.
"""
import argparse
import json
import resource
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build" / "release" / "tests" / "sim_test"
RESULTS = ROOT / "bench" / "results" / "simulation.jsonl"
BLOCK = 2500


def cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_block(option, first, last):
    begin, cpu = time.monotonic(), cpu_of_children()
    done = subprocess.run([PROGRAM, option, f"{first}..{last}"], stdout=subprocess.PIPE, text=True)
    seconds = time.monotonic() - begin
    figures = json.loads(done.stdout)
    figures["seconds"] = round(seconds, 1)
    # Beside other load the wall clock says nothing.
    figures["cpu_seconds_per_1000"] = round((cpu_of_children() - cpu) / figures["done"] * 1000, 1)
    figures["per_minute"] = round(figures["done"] / seconds * 60)
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--redis", action="store_true", help="schedules with Redis and Sentinel")
    parser.add_argument("--seeds", default="1..5000")
    parser.add_argument("--no-record", action="store_true", help="only print")
    options = parser.parse_args()
    first, last = (int(part) for part in options.seeds.split(".."))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    total, seconds, failed = 0, 0.0, 0
    while first <= last:
        end = min(first + BLOCK - 1, last)
        figures = run_block("--redis-seeds" if options.redis else "--seeds", first, end)
        figures = {"commit": commit.strip(), "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                   "store": "redis" if options.redis else "postgres", **figures}
        print(json.dumps(figures), flush=True)
        if not options.no_record:
            RESULTS.parent.mkdir(exist_ok=True)
            with open(RESULTS, "a") as file:
                file.write(json.dumps(figures) + "\n")
        total, seconds, failed = total + figures["done"], seconds + figures["seconds"], failed + figures["failed"]
        first = end + 1
    print(f"{total} schedules in {seconds:.1f} s: {total / seconds * 60:.0f} a minute, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""Runs random schedules of the simulation and says how many a minute.

    bench/simulation.py [--redis] [--seeds A..B] [--block N] [--resume] [--no-record]

The range (1..5000 when none is given) runs in blocks on all cores; each block is appended with the commit and its
time to bench/results/simulation.jsonl, with the seeds that failed. A seed means the same as long as the code does:
--resume passes over blocks that are recorded with this code. Ends with 1 when a seed failed. Needs the release build
of what is committed.
"""
import argparse
import json
import re
import resource
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build" / "release" / "tests" / "sim_test"
RESULTS = ROOT / "bench" / "results" / "simulation.jsonl"
CODE = ["src", "tests/sim"]


def cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_block(option, first, last):
    begin, cpu = time.monotonic(), cpu_of_children()
    done = subprocess.run([PROGRAM, option, f"{first}..{last}"], capture_output=True, text=True)
    sys.stderr.write(done.stderr)
    seconds = time.monotonic() - begin
    figures = json.loads(done.stdout)
    if figures["failed"]:
        figures["flagged"] = [int(seed) for seed in re.findall(r"replay: sim_test --\S+ (\d+)", done.stderr)]
    figures["seconds"] = round(seconds, 1)
    # Beside other load the wall clock says nothing.
    figures["cpu_seconds_per_1000"] = round((cpu_of_children() - cpu) / figures["done"] * 1000, 1)
    figures["per_minute"] = round(figures["done"] / seconds * 60)
    return figures


def git(*words):
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def code_of_commit():
    """What the seeds' meaning depends on, in one word."""
    return "+".join(git("rev-parse", "--short", f"HEAD:{folder}").strip() for folder in CODE)


def recorded_blocks(store, code):
    if not RESULTS.exists():
        return set()
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    return {(line["first"], line["last"]) for line in lines if line["store"] == store and line.get("code") == code}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--redis", action="store_true", help="schedules with Redis and Sentinel")
    parser.add_argument("--seeds", default="1..5000")
    parser.add_argument("--block", type=int, default=2500, help="seeds that are run and recorded at once")
    parser.add_argument("--resume", action="store_true", help="pass over blocks that are recorded with this code")
    parser.add_argument("--no-record", action="store_true", help="only print")
    options = parser.parse_args()
    first, last = (int(part) for part in options.seeds.split(".."))
    commit, code = git("rev-parse", "--short", "HEAD").strip(), code_of_commit()
    store = "redis" if options.redis else "postgres"
    known = recorded_blocks(store, code) if options.resume else set()
    total, seconds, failed = 0, 0.0, 0
    while first <= last:
        end = min(first + options.block - 1, last)
        if (first, end) in known:
            first = end + 1
            continue
        figures = run_block("--redis-seeds" if options.redis else "--seeds", first, end)
        figures = {"commit": commit, "code": code, "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                   "store": store, **figures}
        print(json.dumps(figures), flush=True)
        if not options.no_record:
            RESULTS.parent.mkdir(exist_ok=True)
            with open(RESULTS, "a") as file:
                file.write(json.dumps(figures) + "\n")
        total, seconds, failed = total + figures["done"], seconds + figures["seconds"], failed + figures["failed"]
        first = end + 1
    if total:
        print(f"{total} schedules in {seconds:.1f} s: {total / seconds * 60:.0f} a minute, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""How long and with how much memory a large repository answers.

    bench/repository_scale.py [--backups 10000] [--files 10000000] [--runs 7] [--work DIR] [--no-record]

A repository is filled with that many backups, of which the last has that many files (repository_scale.cc writes catalog
and manifest straight away), then `backups list`, `backups show`, `backups show --path` of a path at random, and the first
command with an empty cache are timed: median, max, peak memory. Appended to bench/results/repository_scale.jsonl. Ends with
1 when a median is over 1 s or a peak over 256 MiB. Needs the release build.
"""
import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from records import ROOT, append, measure

PROGRAM = ROOT / "build" / "release" / "bin" / "aeterna-dr"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backups", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--work", default="/var/tmp")
    parser.add_argument("--no-record", action="store_true", help="only print")
    options = parser.parse_args()
    subprocess.run(["cmake", "--build", "--preset", "release", "--target", "repository_scale"], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)
    filler = next((ROOT / "build" / "release").rglob("repository_scale"))
    work = Path(tempfile.mkdtemp(prefix="aeterna-dr-scale-", dir=options.work))
    try:
        environment = dict(os.environ, STATE_DIRECTORY=str(work / "state"))
        base = [PROGRAM, "--repo", work / "repo", "--key-file", work / "key", "--quiet"]
        subprocess.run([*base, "repo", "init"], check=True, env=environment, stdout=subprocess.DEVNULL)
        begin = time.monotonic()
        subprocess.run([filler, work / "repo", work / "key", str(options.backups), str(options.files)], check=True)
        print(f"filled in {time.monotonic() - begin:.1f} s", flush=True)
        chance = random.Random(1)

        def path():
            number = chance.randrange(options.files)
            return f"d{number // 1000:08}/file-{number % 1000:04}.data"

        figures, over = {}, False
        cases = {"show --path, no cache": lambda: ["backups", "show", "latest", "--path", path()],
                 "list": lambda: ["backups", "list"],
                 "show": lambda: ["backups", "show", "latest"],
                 "show --path": lambda: ["backups", "show", "latest", "--path", path()]}
        for name, words in cases.items():
            taken = []
            for _ in range(1 if "no cache" in name else options.runs):
                taken.append(measure([*base, *words()], environment))
            seconds, peaks = [one[0] for one in taken], [one[1] for one in taken]
            figures[name] = {"n": len(taken), "median_seconds": round(statistics.median(seconds), 3),
                             "max_seconds": round(max(seconds), 3), "peak_mib": round(max(peaks), 1)}
            over = over or statistics.median(seconds) > 1 or max(peaks) > 256
            print(f"{name:24} n {len(taken)}  median {statistics.median(seconds):.3f} s  max {max(seconds):.3f} s  "
                  f"peak {max(peaks):.0f} MiB", flush=True)
        if not options.no_record:
            append("repository_scale", {"backups": options.backups, "files": options.files, **figures})
        return 1 if over else 0
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

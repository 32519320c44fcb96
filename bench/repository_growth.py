#!/usr/bin/python3
"""How time, memory and index grow with the data: they may be linear, bounded, small.

    bench/repository_growth.py [--mebibytes 512,1024,2048] [--runs 3] [--work DIR] [--no-record]

For each size a tree of files of 64 MiB that do not compress (so that every byte is stored) is backed up, backed up again with 1 %
of its pages changed, checked without and with reading, pruned to the last backup, and restored; seconds and peak memory
of each command, medians over the runs, and the bytes of the local index for each TiB. Appended to
bench/results/repository_growth.jsonl. Needs the release build.
"""
import argparse
import os
import random
import shutil
import statistics
import tempfile
from pathlib import Path

from records import ROOT, append, measure

PROGRAM = ROOT / "build" / "release" / "bin" / "aeterna-dr"
FILE_BYTES, PAGE = 64 << 20, 8192


def make_tree(tree, mebibytes, chance):
    tree.mkdir()
    for number in range(mebibytes * (1 << 20) // FILE_BYTES):
        with open(tree / f"segment-{number:04}", "wb") as file:
            for _ in range(64):
                file.write(chance.randbytes(1 << 20))


def change_pages(tree, chance):
    for path in sorted(tree.iterdir()):
        with open(path, "r+b") as file:
            for page in chance.sample(range(FILE_BYTES // PAGE), FILE_BYTES // PAGE // 100):
                file.seek(page * PAGE)
                file.write(chance.randbytes(PAGE))


def one_run(mebibytes, work, chance):
    environment = dict(os.environ, STATE_DIRECTORY=str(work / "state"))
    base = [PROGRAM, "--repo", work / "repo", "--key-file", work / "key", "--quiet"]
    tree = work / "tree"
    make_tree(tree, mebibytes, chance)
    measure([*base, "repo", "init"], environment)
    backup = [*base, "backup", "files", "--from", tree, "--name", "growth", "--read-all"]
    figures = {"first": measure(backup, environment)}
    index = sum(path.stat().st_size for path in (work / "state").rglob("*.run"))
    figures["index_mib_per_tib"] = (index / (1 << 20) / (mebibytes / (1 << 20)), 0)
    change_pages(tree, chance)
    figures["second"] = measure(backup, environment)
    figures["check"] = measure([*base, "repo", "check"], environment)
    figures["check --read-data"] = measure([*base, "repo", "check", "--read-data"], environment)
    figures["restore"] = measure([*base, "restore", "files", "latest", "--into", work / "out"], environment)
    figures["prune"] = measure([*base, "repo", "prune", "--keep-last", "1"], environment)
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mebibytes", default="512,1024,2048")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", default="/var/tmp")
    parser.add_argument("--no-record", action="store_true", help="only print")
    options = parser.parse_args()
    for mebibytes in map(int, options.mebibytes.split(",")):
        rows = []
        for number in range(options.runs):
            work = Path(tempfile.mkdtemp(prefix="aeterna-dr-growth-", dir=options.work))
            try:
                rows.append(one_run(mebibytes, work, random.Random(number)))
            finally:
                shutil.rmtree(work, ignore_errors=True)
        figures = {name: {"median": round(statistics.median(row[name][0] for row in rows), 2),
                          "peak_mib": round(max(row[name][1] for row in rows), 1)} for name in rows[0]}
        print(f"{mebibytes} MiB: " + "; ".join(f"{name} {value['median']} ({value['peak_mib']:.0f} MiB)" if value["peak_mib"]
                                               else f"{name} {value['median']}" for name, value in figures.items()), flush=True)
        if not options.no_record:
            append("repository_growth", {"mebibytes": mebibytes, "runs": options.runs, **figures})


if __name__ == "__main__":
    main()

"""What benchmarks share: a command's time and memory, and the files that results are appended to."""
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def measure(argv, environment):
    """(seconds, peak MiB) of one command, which has to end with 0."""
    begin = time.monotonic()
    process = subprocess.Popen([str(word) for word in argv], stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{argv} ended with {status}")
    return time.monotonic() - begin, usage.ru_maxrss / 1024


def pgbackrest_config(place, repository, data, socket, port=5432):
    """Two processes, zstd, encrypted; everything of its own in `place`."""
    return f"""[global]
repo1-path={repository}
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=bench
compress-type=zst
compress-level=1
process-max=2
start-fast=y
archive-check=n
log-path={place}
lock-path={place}
log-level-console=warn
[main]
pg1-path={data}
pg1-socket-path={socket}
pg1-port={port}
pg1-user=postgres
"""


def append(name, record):
    """Adds the record, with the commit, to bench/results/NAME.jsonl."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    results = ROOT / "bench" / "results" / f"{name}.jsonl"
    results.parent.mkdir(exist_ok=True)
    with open(results, "a") as file:
        file.write(json.dumps({"commit": commit.strip(), **record}) + "\n")

#!/usr/bin/env python3
"""Compares base backups of PostgreSQL and their restores with pg_basebackup and pgBackRest, interleaved, medians and ratios.

    bench/postgres.py --data DIR --work DIR [--rounds 5] [--program FILE] [--record]

DIR is a data directory of PostgreSQL 15 with the table `memories` (bench/sample_data.py makes one: DATA/postgres); it is copied, and the
copy's server runs for all rounds. In each round the table is vacuumed and every tool begins a repository of its own: a first backup; one row in a hundred,
spread evenly by key, is updated, then a checkpoint; a second backup; a restore of it, durable (`sync` belongs to the time of who does not
sync); a restore of the same over what was just restored (--delta). pg_basebackup writes a tar compressed by zstd:1 at the client and encrypts nothing; pgBackRest compresses with zst, two processes,
encrypted, and takes its second backup as an incremental one. A second, empty cluster (about 39 MB) is backed up as well. Checkpoints
are fast everywhere. Needs the packages of the group `bench`. As root, servers and tools run as the user postgres.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from records import ROOT, append, pgbackrest_config

BIN = Path("/usr/lib/postgresql/15/bin")
AS_OWNER = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
HOST = "127.0.96.1"


def run(*argv, environment=None, timed=False, syncs=True):
    """Seconds and peak MiB when timed, else what it printed."""
    os.sync() if timed else None
    begin = time.monotonic()
    process = subprocess.Popen([*AS_OWNER, *map(str, argv)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd="/",
                               env=dict(os.environ, **(environment or {})))
    out = process.stdout.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status != 0:
        sys.exit(f"{argv} ended with {status}: {out[-2000:]}")
    if not timed:
        return out
    if not syncs:
        os.sync()
    return time.monotonic() - begin, usage.ru_maxrss / 1024


class Server:
    def __init__(self, place, name, port):
        self.data, self.port, self.socket, self.log = place / name, port, place, place / f"{name}.log"

    def start(self):
        run(BIN / "pg_ctl", "-w", "-D", self.data, "-l", self.log, "-o",
            f"-c listen_addresses={HOST} -p {self.port} -c unix_socket_directories={self.socket} -c max_wal_size=4GB", "start")

    def stop(self):
        run(BIN / "pg_ctl", "-w", "-D", self.data, "-m", "immediate", "stop")

    def sql(self, *statements):
        words = [word for statement in statements for word in ("-c", statement)]
        return run(BIN / "psql", "-qAtX", "-h", self.socket, "-p", self.port, "-U", "postgres", "-d", "postgres", *words)


class Tool:
    restores = True

    def __init__(self, place, server):
        self.place, self.server, self.repo = place, server, place / "repo"


class Aeterna(Tool):
    name = "aeterna-dr"
    program = ROOT / "build/release/bin/aeterna-dr"

    def prepare(self):
        self.stack = self.place / "stack.yaml"
        self.stack.write_text(f"name: bench\nstores:\n  postgres:\n    scope: bench\n    user: postgres\n    nodes:\n"
                              f"      - {{name: one, address: '{HOST}:{self.server.port}', patroni: 'http://{HOST}:1'}}\n")
        self.call("repo", "init")

    def call(self, *words, **options):
        return run(self.program, "--repo", self.repo, "--key-file", self.place / "key", "--stack", self.stack, *words,
                   environment={"STATE_DIRECTORY": str(self.place / "state")}, **options)

    def first(self):
        return self.call("backup", "postgres", "--quiet", timed=True)

    second = first

    def stored(self):
        return json.loads(self.call("backups", "list", "--json"))["backups"][-1]["stored_bytes"]

    def stored_of(self, directory):
        """What a directory takes in a repository of its own: the WAL that came with a backup."""
        apart = Aeterna(folder(self.place / "apart"), self.server)
        apart.prepare()
        apart.call("backup", "files", "--quiet", "--from", directory, "--name", "apart")
        return apart.stored()

    def restore(self, into):
        return self.call("restore", "postgres", "--quiet", "--into", into, timed=True)

    def delta(self, into):
        return self.call("restore", "postgres", "--quiet", "--into", into, "--delta", "--yes", timed=True)


class PgBaseBackup(Tool):
    name, restores = "pg_basebackup", False

    def prepare(self):
        self.count = 0

    def first(self):
        self.count += 1
        return run(BIN / "pg_basebackup", "-h", HOST, "-p", self.server.port, "-U", "postgres", "-D", self.place / f"copy{self.count}", "-Ft",
                   "--compress=client-zstd:1", "-c", "fast", timed=True)

    second = first

    def stored(self):
        return sum(file.stat().st_size for file in (self.place / f"copy{self.count}").iterdir())


class PgBackRest(Tool):
    name = "pgbackrest"

    def prepare(self):
        (self.place / "pgbackrest.conf").write_text(
            pgbackrest_config(self.place, self.repo, self.server.data, self.server.socket, self.server.port))
        self.call("stanza-create")

    def call(self, *words, **options):
        return run("pgbackrest", "--config", self.place / "pgbackrest.conf", "--stanza=main", *words, **options)

    def first(self):
        self.before = 0
        return self.call("backup", "--type=full", timed=True)

    def second(self):
        self.before = self.size()
        return self.call("backup", "--type=incr", timed=True)

    def size(self):
        return sum(file.stat().st_size for file in self.repo.rglob("*") if file.is_file() and not file.is_symlink())

    def stored(self):
        return self.size() - self.before

    def restore(self, into):
        return self.call("restore", f"--pg1-path={into}", timed=True)

    def delta(self, into):
        return self.call("restore", "--delta", f"--pg1-path={into}", timed=True)


TOOLS = [Aeterna, PgBaseBackup, PgBackRest]


def folder(path):
    path.mkdir(parents=True)
    if AS_OWNER:
        shutil.chown(path, "postgres", "postgres")
    return path


def in_turn(number, tools):
    return tools[number % len(tools):] + tools[:number % len(tools)]


def one_round(number, place, server, small):
    # Else the scan of this round's UPDATE prunes the pages of the last one's as well, and twice as many have changed.
    server.sql("VACUUM memories", "CHECKPOINT")
    tools = [kind(folder(place / kind.name), server) for kind in TOOLS]
    rows = {tool.name: {} for tool in tools}
    for tool in tools:
        tool.prepare()
    for tool in in_turn(number, tools):
        rows[tool.name]["first"], rows[tool.name]["first_mib"] = tool.first()
        rows[tool.name]["first_stored"] = tool.stored()
    server.sql(f"UPDATE memories SET title = title || '.' WHERE id % 100 = {number % 100}", "CHECKPOINT", "SELECT pg_switch_wal()")
    for tool in in_turn(number, tools):
        rows[tool.name]["second"], _ = tool.second()
        rows[tool.name]["second_stored"] = tool.stored()
    for tool in in_turn(number, tools):
        if not tool.restores:
            continue
        into = folder(place / f"{tool.name}-restored")
        into.chmod(0o700)
        rows[tool.name]["restore"], rows[tool.name]["restore_mib"] = tool.restore(into)
        if isinstance(tool, Aeterna):
            rows[tool.name]["second_wal"] = tool.stored_of(into / "pg_wal")
        rows[tool.name]["delta"], rows[tool.name]["delta_mib"] = tool.delta(into)
        shutil.rmtree(into)
    for tool in in_turn(number, tools):
        shutil.rmtree(tool.place)
    for kind in in_turn(number, TOOLS):
        tool = kind(folder(place / f"small-{kind.name}"), small)
        tool.prepare()
        rows[kind.name]["small"], _ = tool.first()
        shutil.rmtree(tool.place)
    return rows


def show(rounds):
    print(f"{len(rounds)} rounds, median (max); in brackets behind it: ours divided by it")
    for key in ("first", "first_stored", "first_mib", "second", "second_stored", "second_wal", "restore", "restore_mib", "delta", "delta_mib", "small"):
        cells = []
        ours = statistics.median(row["aeterna-dr"][key] for row in rounds)
        for tool in TOOLS:
            values = [row[tool.name][key] for row in rounds if key in row[tool.name]]
            if not values:
                continue
            unit, scale = ("MB", 1e6) if key.endswith(("stored", "wal")) else ("MiB", 1) if key.endswith("mib") else ("s", 1)
            middle = statistics.median(values)
            ratio = "" if tool is Aeterna else f" [{ours / middle:.2f}]"
            cells.append(f"{tool.name} {middle / scale:.2f} ({max(values) / scale:.2f}) {unit}{ratio}")
        print(f"{key:14} " + "; ".join(cells))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--program", type=Path, default=Aeterna.program)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    Aeterna.program = options.program.resolve()
    work = options.work.resolve()
    folder(work)
    server, small = Server(work, "large", 15601), Server(work, "small", 15602)
    started = []
    try:
        subprocess.run(["cp", "-a", str(options.data), str(server.data)], check=True)
        run(BIN / "initdb", "-D", small.data, "-U", "postgres", "-A", "trust", "--data-checksums")
        for one in (server, small):
            with open(one.data / "pg_hba.conf", "a") as file:
                file.write("host all all 127.0.0.0/8 trust\nhost replication all 127.0.0.0/8 trust\n")
            one.start()
            started.append(one)
        rounds = []
        for number in range(options.rounds):
            rounds.append(one_round(number, work / f"round{number}", server, small))
            shutil.rmtree(work / f"round{number}")
            print(f"round {number + 1}: {json.dumps(rounds[-1])}", file=sys.stderr)
            if options.record:
                append("postgres", {"rows": rounds[-1]})
        show(rounds)
    finally:
        for one in started:
            one.stop()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()

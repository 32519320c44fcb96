#!/usr/bin/python3
"""How far the repository is behind PostgreSQL, over failovers, and whether a point in time brings back what it should.

    bench/capture.py [--minutes 10] [--failovers 2] [--record]
    bench/capture.py --idle [--minutes 10] [--record]
    bench/capture.py --speed [--seconds 60] [--record]
    bench/capture.py --synchronous [--seconds 10] [--rounds 5] [--record]

Failovers: a lab with `serve`, which captures; a base backup; a writer that notes when each row was sent and when it was acknowledged.
At even distances the primary's host is killed (agent and server). RPO now is asked twice a second. Left out of its maximum: from each
fault to ten seconds behind the promotion. Afterwards each fault is restored to one second before it, with stock pg_ctl: every row that was
acknowledged 50 ms before that must be there, none that was sent 50 ms after it. Ends with 1 when a row is missing or too much.

Idle: the same lab, in which nobody writes but what watches it, and nothing fails: RPO now alone.

Speed: pgbench (scale 20, two clients) against one server while `backup watch` captures it: CPU seconds of the receiver per 100 MB of
WAL, the longest RPO now that it told, and how long after pgbench's end everything was durable.

Synchronous: pgbench with one client and with eight, taking turns without and with commits that wait for the repository (`synchronous_name`).
"""
import argparse
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

from records import ROOT, append

sys.path.insert(0, str(ROOT / "tests" / "live"))
import psycopg2  # noqa: E402
from capturing import ADDRESS, AS_SERVER, BINARIES, Member, Server, as_server  # noqa: E402
from support import PROGRAM, Lab, wait_until  # noqa: E402

SLACK = 0.05


class NotingWriter(threading.Thread):
    """One row after the other at whoever is the primary."""

    def __init__(self, lab, members):
        super().__init__(daemon=True)
        self.lab, self.members, self.rows, self.is_over = lab, members, [], threading.Event()
        self.start()

    def run(self):
        number = 0
        while not self.is_over.is_set():
            for member in self.members:
                try:
                    connection = psycopg2.connect(member.dsn() + " target_session_attrs=read-write", connect_timeout=2)
                    connection.autocommit = True
                    with connection.cursor() as cursor:
                        cursor.execute("SET statement_timeout = '5s'")
                        while not self.is_over.is_set():
                            sent = time.time()
                            self.rows.append([number, sent, None])
                            number += 1
                            cursor.execute("INSERT INTO bench_ledger VALUES (%s, repeat(md5(random()::text), 20))", (self.rows[-1][0],))
                            self.rows[-1][2] = time.time()
                            time.sleep(0.005)
                    connection.close()
                except psycopg2.Error:
                    time.sleep(0.1)


def postgres_of(lab):
    return lab.status()["stores"]["postgres"]


def restore(place, repository, key, moment, name):
    into = place / name
    when = datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
    begin = time.monotonic()
    done = as_server(PROGRAM, "--repo", repository, "--key-file", key, "restore", "postgres", "--to", when, "--into", into, "--json",
                     env={"STATE_DIRECTORY": str(place / "state")}, timeout=600)
    if done.code != 0:
        sys.exit(f"restore to {when}: {done}")
    restored = time.monotonic() - begin
    port = 15701
    with open(into / "pg_hba.conf", "w") as file:
        file.write("local all all trust\nhost all all 127.0.0.0/8 trust\n")
    done = as_server(BINARIES / "pg_ctl", "-D", into, "-l", place / f"{name}.log", "-t", "300", "-w", "-o",
                     f"-h {ADDRESS} -p {port} -c unix_socket_directories='' -c logging_collector=off -c cluster_name=restored", "start", timeout=320)
    if done.code != 0:
        sys.exit(f"start: {done}: {(place / f'{name}.log').read_text()[-3000:]}")
    def is_up():
        with psycopg2.connect(f"host={ADDRESS} port={port} user=postgres dbname=postgres") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT NOT pg_is_in_recovery()")
            return cursor.fetchone()[0]
    wait_until("the end of recovery", is_up, 300)
    took = time.monotonic() - begin
    with psycopg2.connect(f"host={ADDRESS} port={port} user=postgres dbname={name_of_database}") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM bench_ledger")
        rows = {row[0] for row in cursor.fetchall()}
    as_server(BINARIES / "pg_ctl", "-D", into, "-m", "immediate", "-w", "stop")
    shutil.rmtree(into)
    return rows, restored, took


name_of_database = "postgres"


def failovers(options):
    global name_of_database
    lab = Lab()
    place = Path(tempfile.mkdtemp(prefix="aeterna-dr-bench-", dir="/var/tmp"))
    place.chmod(0o755)
    if AS_SERVER:
        shutil.chown(place, "postgres", "postgres")
    try:
        lab.up()
        lab.await_healthy()
        status = lab.lab_status()
        credentials = status["credentials"]["postgres"]
        name_of_database = credentials["database"]
        members = [Member(place, node["name"], credentials, node["address"]) for node in status["nodes"] if node["kind"] == "postgres"]
        leader = next(member for member in members if member.name == postgres_of(lab)["primary"])
        leader.sql("CREATE TABLE bench_ledger (id bigint PRIMARY KEY, filler text)")
        done = lab.cli("backup", "postgres")
        if done.code != 0:
            sys.exit(f"backup: {done}")
        time.sleep(3)
        writer = None if options.idle else NotingWriter(lab, members)
        begin, samples, faults = time.time(), [], []
        end = begin + 60 * options.minutes
        moments = [begin + 60 * options.minutes * (i + 1) / (options.failovers + 1) for i in range(options.failovers)]
        open_fault = None
        while time.time() < end:
            store = postgres_of(lab)
            now = time.time()
            samples.append((now, store["capture"], store["rpo_now_seconds"]))
            if open_fault and store["primary"] not in (None, open_fault["node"]):
                open_fault["promoted"] = now
                open_fault = None
            if moments and now >= moments[0] and store["primary"] and not open_fault:
                moments.pop(0)
                open_fault = {"node": store["primary"], "at": time.time()}
                for name in (store["primary"].replace("postgres", "patroni"), store["primary"]):
                    os.kill(lab.node(name)["pid"], signal.SIGKILL)
                faults.append(open_fault)
            time.sleep(0.5)
        if writer:
            writer.is_over.set()
            writer.join()
        lab.await_healthy()
        wait_until("durability", lambda: (postgres_of(lab)["rpo_now_seconds"] or 99) < 3, 60)
        time.sleep(3)
        repository, key = place / "repository", place / "key"
        subprocess.run(["cp", "-a", os.path.join(lab.directory, "repository"), str(repository)], check=True)
        subprocess.run(["cp", os.path.join(lab.directory, "secrets", "repository.key"), str(key)], check=True)
        if AS_SERVER:
            subprocess.run(["chown", "-R", "postgres:postgres", str(repository), str(key)], check=True)
        lab.remove()
        inside = [(at, rpo) for at, _, rpo in samples
                  if not any(fault["at"] <= at <= fault.get("promoted", end) + 10 for fault in faults)]
        unknown = sum(rpo is None for _, rpo in inside)
        known = [rpo for _, rpo in inside if rpo is not None]
        print(f"RPO now, n = {len(known)}, outside of the faults: median {statistics.median(known):.2f} s, max {max(known):.2f} s, "
              f"unknown {unknown}; {len(writer.rows) if writer else 0} rows sent in {options.minutes} min, {len(faults)} failovers")
        is_good, results = True, []
        for number, fault in enumerate(faults):
            moment = fault["at"] - 1
            rows, restored, took = restore(place, repository, key, moment, f"restored{number}")
            must = {row for row, _, acknowledged in writer.rows if acknowledged and acknowledged < moment - SLACK}
            may = {row for row, sent, _ in writer.rows if sent <= moment + SLACK}
            missing, extra = len(must - rows), len(rows - may)
            is_good = is_good and not missing and not extra
            results.append({"outage": round(fault.get("promoted", 0) - fault["at"], 2), "rows": len(rows), "missing": missing, "extra": extra,
                            "restore_seconds": round(restored, 2), "up_seconds": round(took, 2)})
            print(f"fault {number + 1} ({fault['node']}, another primary after {results[-1]['outage']} s): one second before it {len(rows)} rows, "
                  f"{missing} missing, {extra} too many; restored in {restored:.1f} s, up after {took:.1f} s")
        if options.record:
            append("capture", {"kind": "idle" if options.idle else "failovers", "minutes": options.minutes, "samples": len(known), "unknown": unknown,
                               "rpo_median": round(statistics.median(known), 3), "rpo_max": round(max(known), 3), "faults": results})
        return 0 if is_good else 1
    finally:
        lab.remove()
        shutil.rmtree(place, ignore_errors=True)


class CapturedServer:
    """A server with pgbench's tables, and a receiver that has all of its WAL."""

    def __init__(self, more=""):
        self.place = Path(tempfile.mkdtemp(prefix="aeterna-dr-bench-", dir="/var/tmp"))
        self.place.chmod(0o755)
        if AS_SERVER:
            shutil.chown(self.place, "postgres", "postgres")
        self.server, self.more, self.watch = Server(self.place, "one"), more, None

    def __enter__(self):
        try:
            self.begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.watch:
            self.watch.kill()
            self.watch.wait()
        self.server.stop()
        shutil.rmtree(self.place, ignore_errors=True)

    def begin(self):
        server, place = self.server, self.place
        server.initialise()
        server.begin()
        stack = place / "stack.yaml"
        stack.write_text(f"name: bench\nstores:\n  postgres:\n    scope: bench\n    user: postgres\n{self.more}    nodes:\n"
                         f"      - {{name: one, address: '{ADDRESS}:{server.port}', patroni: 'http://{ADDRESS}:1'}}\n")
        words = [PROGRAM, "--repo", place / "repo", "--key-file", place / "key", "--stack", stack]
        environment = dict(os.environ, STATE_DIRECTORY=str(place / "state"))
        assert as_server(*words, "repo", "init", env=environment).code == 0
        self.pgbench("-i", "-s", "20", "-q", timeout=300)
        with open(place / "watch.log", "wb") as said:
            self.watch = subprocess.Popen([*AS_SERVER, *map(str, words), "backup", "watch"], stdout=said, stderr=said, stdin=subprocess.DEVNULL,
                                          cwd="/", env=environment)
        wait_until("the slot", server.held_from, 30)
        wait_until("durability", lambda: server.held_from() >= server.end_of_wal() - (1 << 20), 60)

    def pgbench(self, *words, timeout):
        return as_server(BINARIES / "pgbench", "-h", ADDRESS, "-p", self.server.port, "-U", "postgres", *words, "postgres", timeout=timeout)

    def rate(self, clients, seconds):
        done = self.pgbench("-c", clients, "-j", "1", "-T", seconds, timeout=seconds + 60)
        return float(re.search(r"tps = ([0-9.]+)", done.out).group(1))


def synchronous(options):
    with CapturedServer("    synchronous_name: repository\n") as captured:
        def wait_for(name):
            captured.server.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
            captured.server.sql("SELECT pg_reload_conf()")
            wait_until("the setting", lambda: captured.server.one("SHOW synchronous_standby_names") == name, 30)

        rates = {(name, clients): [] for name in ("", "repository") for clients in (1, 8)}
        for _ in range(options.rounds):
            for (name, clients), found in rates.items():
                wait_for(name)
                found.append(captured.rate(clients, options.seconds))
        for clients in (1, 8):
            off, on = (statistics.median(rates[name, clients]) for name in ("", "repository"))
            print(f"{clients} clients: {off:.0f} transactions a second, {on:.0f} confirmed by the repository ({on / off:.2f}); a transaction "
                  f"takes {1000 * clients / off:.2f} and {1000 * clients / on:.2f} ms (medians, n = {options.rounds})")
        if options.record:
            append("capture", {"kind": "synchronous", "seconds": options.seconds,
                               "tps": [{"confirmed": bool(name), "clients": clients, "runs": [round(rate) for rate in found]}
                                       for (name, clients), found in rates.items()]})
    return 0


def speed(options):
    with CapturedServer() as captured:
        server, place = captured.server, captured.place
        begin = server.end_of_wal()
        rate = captured.rate(2, options.seconds)
        end = server.end_of_wal()
        ended = time.monotonic()
        wait_until("durability", lambda: server.held_from() >= end, 120)
        behind = time.monotonic() - ended
        # Its children are the receiver alone; its own waits are over when it is reaped.
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        captured.watch.send_signal(signal.SIGINT)
        captured.watch.wait(timeout=60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        megabytes = (end - begin) / 1e6
        told = [float(value) for value in re.findall(r"RPO now ([0-9.]+) s", (place / "watch.log").read_text())]
        print(f"{rate:.0f} transactions a second, {megabytes:.0f} MB of WAL in {options.seconds} s; the receiver used {cpu:.2f} s of CPU, "
              f"{100 * cpu / megabytes:.2f} s per 100 MB; RPO now at most {max(told, default=float('nan')):.1f} s (n = {len(told)}); told durable to "
              f"every node {behind:.1f} s after the end")
        if options.record:
            append("capture", {"kind": "speed", "seconds": options.seconds, "tps": round(rate), "wal_mb": round(megabytes),
                               "cpu_seconds": round(cpu, 2), "rpo_max": max(told, default=None), "behind_seconds": round(behind, 2)})
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--failovers", type=int, default=2)
    parser.add_argument("--idle", action="store_true")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--synchronous", action="store_true")
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    options.failovers = 0 if options.idle else options.failovers
    options.seconds = options.seconds or (10 if options.synchronous else 60)
    sys.exit(speed(options) if options.speed else synchronous(options) if options.synchronous else failovers(options))


if __name__ == "__main__":
    main()

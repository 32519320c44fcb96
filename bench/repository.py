#!/usr/bin/env python3
"""Compares the repository with restic, borg and tar | zstd on the same data, interleaved, medians and ratios.

    bench/repository.py --data DIR --work DIR [--rounds 5] [--only first,second,known,restore] [--tools NAME;…]
                        [--s3 VERSITYGW] [--fresh-filesystem SIZE] [--program FILE] [--record]

DATA is copied once, so that one page in a hundred can be changed between the first and the second backup. Every tool
encrypts, writes to the same disk and is timed from start to exit; where a tool does not sync, `sync` belongs to its time.
The order rotates from round to round: the machine's state (page cache, freed memory) moves results more than the tools do.
Needs the packages of the group `bench` (scripts/install-packages bench); what is missing is left out and said. With --s3
aeterna-dr and restic also back up to that server (scripts/build-versitygw prints its path), each into a bucket of its own.
The tool "cp" only restores: a copy of the data itself and a sync, the floor that the disk sets to every restore.
--fresh-filesystem 8G (root only) gives every tool's round an ext4 of its own, loop-mounted from a sparse file in --work.
--record appends every row with the commit to bench/results/repository.jsonl. Data to back up: bench/sample_data.py.
pgBackRest copies through a running server: with --data a data directory of PostgreSQL 15 it is compared as well, first backup and
restore, its server started before the clock is.
"""
import argparse
import contextlib
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from records import ROOT, append, pgbackrest_config

PAGE = 8192
POSTGRES = Path("/usr/lib/postgresql/15/bin")
# ext4 avoids inodes that were removed lately, and looks at each of them: 40,000 files that the round before
# has just removed made a restore of 2 s take 25. It does so for minutes; small files need --fresh-filesystem.
REUSE_SECONDS = 6


def run(argv, **options):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode != 0:
        sys.exit(f"{argv} ended with {done.returncode}: {done.stdout.decode(errors='replace')[-2000:]}")
    return done


def size_of(path):
    return sum(f.stat().st_size for f in Path(path).rglob("*") if f.is_file() and not f.is_symlink())


class Tool:
    """One round of one tool: its own empty repository in `place`."""
    name = ""
    program = ""
    syncs = False  # durable at exit
    only = {"first", "known", "second", "restore"}
    same = True    # what it restores is what it backed up

    def __init__(self, place, data):
        self.place, self.data = place, data
        self.repo = place / "repo"
        self.env = dict(os.environ, XDG_STATE_HOME=str(place / "state"), XDG_CACHE_HOME=str(place / "cache"))

    def call(self, *argv, **options):
        return run([str(a) for a in argv], env=self.env, **options)

    def init(self):
        pass

    def known(self):
        return self.backup()

    def close(self):
        pass


class Aeterna(Tool):
    name, syncs = "aeterna-dr", True

    def command(self, *argv):
        return self.call(self.program, "--repo", self.repo, "--key-file", self.place / "key", "--quiet", *argv)

    def init(self):
        self.command("repo", "init")

    def backup(self):
        self.command("backup", "files", "--from", self.data, "--name", "bench")

    def restore(self, into):
        self.command("restore", "files", "latest", "--into", into)


class Restic(Tool):
    name = program = "restic"

    def __init__(self, place, data):
        super().__init__(place, data)
        self.env.update(RESTIC_REPOSITORY=str(self.repo), RESTIC_PASSWORD="bench")

    def init(self):
        self.call("restic", "init")

    def backup(self):
        self.call("restic", "backup", "-q", ".", cwd=self.data)

    def restore(self, into):
        self.call("restic", "restore", "-q", "latest", "--target", into)


class Borg(Tool):
    name = program = "borg"

    def __init__(self, place, data):
        super().__init__(place, data)
        self.env.update(BORG_REPO=str(self.repo), BORG_PASSPHRASE="bench", BORG_BASE_DIR=str(place / "borg"))
        self.count = 0

    def init(self):
        self.call("borg", "init", "-e", "repokey-blake2")

    def backup(self):
        self.count += 1
        self.call("borg", "create", "-C", "zstd,1", f"::{self.count}", ".", cwd=self.data)

    def restore(self, into):
        into.mkdir()
        self.call("borg", "extract", f"::{self.count}", cwd=into)


class PgBackRest(Tool):
    name = program = "pgbackrest"
    syncs = True
    only = {"first", "restore"}  # changed pages would be damage to its server, and it has no files that are known
    same = False                 # it restores a cluster that is about to recover

    def __init__(self, place, data):
        super().__init__(place, data)
        for folder in ("repo", "log", "socket"):
            (place / folder).mkdir()
        (place / "pgbackrest.conf").write_text(pgbackrest_config(place / "log", self.repo, data, place / "socket"))
        subprocess.run(["chown", "-R", "postgres:postgres", place, data], check=True)
        place.chmod(0o755)

    def as_postgres(self, *argv):
        return self.call("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *argv)

    def command(self, *argv):
        return self.as_postgres("pgbackrest", "--config", self.place / "pgbackrest.conf", "--stanza=main", *argv)

    def init(self):
        self.as_postgres(POSTGRES / "pg_ctl", "-w", "-D", self.data, "-l", self.place / "log" / "server", "-o",
                         f"-c listen_addresses='' -c unix_socket_directories={self.place}/socket", "start")
        self.command("stanza-create", "--no-online")

    def backup(self):
        self.command("backup", "--type=full")

    def restore(self, into):
        self.command("restore", f"--pg1-path={into}")

    def close(self):
        self.as_postgres(POSTGRES / "pg_ctl", "-w", "-D", self.data, "-m", "fast", "stop")


class TarZstd(Tool):
    """Neither dedups nor encrypts: what a script does."""
    name, program = "tar | zstd -1", "zstd"

    def backup(self):
        self.repo.mkdir(exist_ok=True)
        self.call("sh", "-c", 'tar c . | zstd -q -f -1 -T2 -o "$0"', self.repo / "data.tar.zst", cwd=self.data)

    def restore(self, into):
        into.mkdir()
        self.call("sh", "-c", 'zstd -q -d -c "$0" | tar x', self.repo / "data.tar.zst", cwd=into)


class Server:
    """versitygw over a directory; one for the whole comparison."""
    program, url, process, directory = None, "", None, None

    @classmethod
    def start(cls, program, directory):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = "127.0.0.1:%d" % probe.getsockname()[1]
        directory.mkdir()
        cls.directory, cls.url = directory, f"http://{address}"
        environment = dict(os.environ, ROOT_ACCESS_KEY="bench", ROOT_SECRET_KEY="bench-secret")
        cls.process = subprocess.Popen([program, "--port", address, "posix", directory], env=environment,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(address.split(":"), 1):
                return
            time.sleep(0.1)
        sys.exit("the S3 server does not answer")

    @classmethod
    def stop(cls):
        if cls.process:
            cls.process.terminate()
            cls.process.wait()


class OnS3:
    """The bucket is a directory of the server's."""

    def use_bucket(self):
        self.repo = Server.directory / "bucket"
        shutil.rmtree(self.repo, ignore_errors=True)
        self.repo.mkdir()
        self.env.update(AWS_ACCESS_KEY_ID="bench", AWS_SECRET_ACCESS_KEY="bench-secret", AWS_REGION="us-east-1",
                        AWS_DEFAULT_REGION="us-east-1")


class AeternaS3(OnS3, Aeterna):
    name = "aeterna-dr, S3"

    def __init__(self, place, data):
        super().__init__(place, data)
        self.use_bucket()

    def command(self, *argv):
        url = f"s3://bucket/repo?endpoint={Server.url}&path-style=on"
        return self.call(self.program, "--repo", url, "--key-file", self.place / "key", "--quiet", *argv)


class ResticS3(OnS3, Restic):
    name, syncs = "restic, S3", True

    def __init__(self, place, data):
        super().__init__(place, data)
        self.use_bucket()
        self.env.update(RESTIC_REPOSITORY=f"s3:{Server.url}/bucket/repo")


class Copy(Tool):
    """No backup at all: what the disk allows."""
    name = program = "cp"
    only = {"restore"}

    def backup(self):
        pass

    def restore(self, into):
        self.call("cp", "-a", self.data, into)


TOOLS = [Aeterna, Restic, Borg, PgBackRest, TarZstd, Copy]
S3_TOOLS = [AeternaS3, ResticS3]


def timed(tool, work, into=None):
    os.sync()
    before = time.monotonic()
    work() if into is None else work(into)
    if not tool.syncs:
        os.sync()
    return time.monotonic() - before


def change_pages(data, share, seed):
    """Overwrites `share` of all 8 KiB pages in place, scattered; each keeps most of its text, as an UPDATE does."""
    chooser = random.Random(seed)
    for path in sorted(p for p in data.rglob("*") if p.is_file() and not p.is_symlink()):
        # Redis writes its dump anew; nobody changes pages of it in place.
        pages = 0 if path.suffix == ".rdb" else path.stat().st_size // PAGE
        with open(path, "r+b") as file:
            for page in chooser.sample(range(pages), round(pages * share)):
                file.seek(page * PAGE + 4096)
                file.write(chooser.randbytes(64))


def touch_all(data):
    for path in data.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.utime(path)


@contextlib.contextmanager
def empty_place(work, filesystem):
    """A directory for one round; with `filesystem`, a size, the root of a new ext4 of that size."""
    place, image = work / "round", work / "round.ext4"
    place.mkdir()
    if not filesystem:
        yield place
        shutil.rmtree(place)
        return
    try:
        run(["truncate", "-s", filesystem, image])
        # All of its tables at once: else the kernel writes them while the tools are timed.
        run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image])
        run(["mount", "-o", "loop", image, place])
        try:
            yield place
        finally:
            run(["umount", place])
    finally:
        image.unlink(missing_ok=True)
        place.rmdir()


def one_round(kind, place, data, only):
    tool = kind(place, data)
    row = {}
    only = only & tool.only
    tool.init()
    if "first" in tool.only:  # without it there is nothing to restore, whatever was asked for
        row["first_seconds"] = timed(tool, tool.backup)
        row["first_bytes"] = size_of(tool.repo)
    if "known" in only:
        time.sleep(2.1)  # files that changed within two seconds of a backup are not known by their times
        tool.backup()
        row["known_seconds"] = timed(tool, tool.known)
    if "second" in only:
        change_pages(data, 0.01, random.random())
        touch_all(data)
        before = size_of(tool.repo)
        row["second_seconds"] = timed(tool, tool.backup)
        row["second_bytes"] = size_of(tool.repo) - before
    if "restore" in only:
        into = place / "out"
        if not tool.same:
            subprocess.run(["install", "-d", "-m", "700", "-o", "postgres", "-g", "postgres", into], check=True)
        row["restore_seconds"] = timed(tool, tool.restore, into)
        if tool.same and subprocess.run(["diff", "-r", "--no-dereference", str(data), str(into)]).returncode != 0:
            sys.exit(f"{tool.name} restored something else")
    tool.close()
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="first,second,known,restore")
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/bin/aeterna-dr")
    parser.add_argument("--tools", default="", help="their names, as the table has them, with ; between them; all by default")
    parser.add_argument("--s3", metavar="VERSITYGW", help="compare on this S3 server as well")
    parser.add_argument("--fresh-filesystem", metavar="SIZE", help="each round on an ext4 of its own (root only)")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    only = set(options.only.split(","))
    if options.fresh_filesystem and os.geteuid() != 0:
        parser.error("--fresh-filesystem needs root: it mounts")
    Aeterna.program = AeternaS3.program = str(options.program)
    wanted = TOOLS + (S3_TOOLS if options.s3 else [])
    if options.tools:
        wanted = [tool for tool in wanted if tool.name in options.tools.split(";")]
    if not (options.data / "PG_VERSION").exists():
        wanted = [tool for tool in wanted if tool is not PgBackRest]
    if "restore" not in only:
        wanted = [tool for tool in wanted if tool is not Copy]
    tools = [t for t in wanted if shutil.which(t.program)]
    for tool in wanted:
        if tool not in tools:
            print(f"left out: {tool.name} is not installed", file=sys.stderr)
    rows = {t.name: [] for t in tools}
    options.work.mkdir(parents=True)
    try:
        if options.s3:
            Server.start(options.s3, options.work / "s3")
        data = options.work / "data"
        run(["cp", "-a", str(options.data), str(data)])
        for number in range(options.rounds):
            for tool in tools[number % len(tools):] + tools[:number % len(tools)]:
                with empty_place(options.work, options.fresh_filesystem) as place:
                    rows[tool.name].append(one_round(tool, place, data, only))
                if options.record:
                    append("repository", {"tool": tool.name, "data_bytes": size_of(data),
                                          **{key: round(value, 3) for key, value in rows[tool.name][-1].items()}})
                os.sync()
                if not options.fresh_filesystem:
                    time.sleep(REUSE_SECONDS)
                print(f"round {number + 1}: {tool.name}: {rows[tool.name][-1]}", file=sys.stderr)
    finally:
        Server.stop()
        shutil.rmtree(options.work)
    result = {"data_bytes": size_of(options.data), "rounds": options.rounds, "tools": {}}
    for name, measured in rows.items():
        result["tools"][name] = {key: statistics.median(r[key] for r in measured) for key in measured[0]}
        result.setdefault("most", {})[name] = {key: max(r[key] for r in measured) for key in measured[0]}
    show(result)


def show(result):
    ours = result["tools"].get("aeterna-dr", {})
    keys = list(ours) or ["first_seconds"]
    print(f"{result['data_bytes'] / 1e9:.2f} GB, {result['rounds']} rounds, medians; in brackets: how many times ours")
    print("tool".ljust(16) + "".join(k.rjust(24) for k in keys))
    for name, medians in result["tools"].items():
        cells = []
        for key in keys:
            value = medians.get(key)
            text = "-" if value is None else f"{value / 1e6:.1f} MB" if key.endswith("bytes") else f"{value:.2f} s"
            ratio = f" ({value / ours[key]:.1f})" if value is not None and ours.get(key) else ""
            cells.append((text + ratio).rjust(24))
        print(name.ljust(16) + "".join(cells))


if __name__ == "__main__":
    main()

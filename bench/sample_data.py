#!/usr/bin/python3
"""Makes data to back up: what a stack keeps, of a size and compressibility that a real one has.

    bench/sample_data.py DIR [--rows 1000000] [--vectors-mib 256] [--keys 200000] [--small-files 0]

    DIR/postgres  a data directory of PostgreSQL 15, stopped, about 1.1 GB for a million rows of English-like text
    DIR/qdrant    segments with vectors as Qdrant keeps them (float32, no two alike), and a payload file
    DIR/redis     a dump.rdb of JSON values
    DIR/small     that many files of 100 B to 20 KiB, when asked for

Says how well PostgreSQL's largest file compresses with `zstd -1`. Needs postgresql-15, redis-server and zstd; as root,
PostgreSQL runs as the user postgres.
"""
import argparse
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIN = Path("/usr/lib/postgresql/15/bin")
SEGMENT_BYTES = 32 << 20


def words(chance, count):
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    weights = [120, 91, 81, 77, 73, 70, 63, 60, 59, 43, 40, 29, 27, 26, 23, 21, 21, 18, 11, 15, 20, 7, 1, 1, 2, 1]
    return ["".join(chance.choices(letters, weights, k=chance.randrange(2, 11))) for _ in range(count)]


class Text:
    """Sentences of a vocabulary whose words are as uneven as in a language."""

    def __init__(self, chance):
        self.chance, self.words = chance, words(chance, 6000)
        self.weights = [1 / (rank + 3) for rank in range(len(self.words))]
        self.sentences = [" ".join(chance.choices(self.words, self.weights, k=chance.randrange(5, 16)))
                          for _ in range(2500)]

    def some(self, count):
        return ". ".join(self.chance.choices(self.sentences, k=count))


def as_postgres(argv, **options):
    if os.geteuid() == 0:
        argv = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *argv]
    return subprocess.run([str(word) for word in argv], check=True, stdout=subprocess.DEVNULL, **options)


def make_postgres(directory, rows, text):
    sockets = Path(tempfile.mkdtemp(prefix="sample-", dir="/tmp"))
    directory.mkdir(parents=True)
    if os.geteuid() == 0:
        for path in (directory, sockets):
            shutil.chown(path, "postgres", "postgres")
    directory.chmod(0o700)
    as_postgres([BIN / "initdb", "-D", directory, "--data-checksums", "-A", "trust", "-U", "postgres"])
    as_postgres([BIN / "pg_ctl", "-w", "-D", directory, "-l", sockets / "log", "-o",
                 f"-c listen_addresses='' -c unix_socket_directories={sockets} -c fsync=off -c max_wal_size=4GB "
                 "-c min_wal_size=80MB -c full_page_writes=off", "start"])
    try:
        psql = [BIN / "psql", "-q", "-h", sockets, "-U", "postgres", "postgres"]
        as_postgres([*psql, "-c", "CREATE TABLE memories (id bigint, tenant uuid, created timestamptz, title text, body text, meta jsonb)"])
        argv = [str(word) for word in [*psql, "-c", "COPY memories FROM STDIN"]]
        if os.geteuid() == 0:
            argv = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *argv]
        copy = subprocess.Popen(argv, stdin=subprocess.PIPE, text=True)
        for i in range(rows):
            name = f"{text.chance.getrandbits(128):032x}"
            tenant = f"{name[:8]}-{name[8:12]}-4{name[13:16]}-8{name[17:20]}-{name[20:]}"
            copy.stdin.write(f"{i}\t{tenant}\t2026-{1 + i % 12:02}-{1 + i % 28:02} {i % 24:02}:{i % 60:02}:{i % 59:02}\t"
                             f"{text.some(1)}\t{text.some(10)}\t"
                             f'{{"source": "{text.words[i % 300]}", "score": {text.chance.random():.6f}, "ref": "{name[:16]}"}}\n')
        copy.stdin.close()
        if copy.wait() != 0:
            sys.exit("COPY failed")
        as_postgres([*psql, "-c", "CREATE INDEX ON memories (id)", "-c", "CREATE INDEX ON memories (tenant)",
                     "-c", "CHECKPOINT"])
    finally:
        as_postgres([BIN / "pg_ctl", "-w", "-D", directory, "-m", "fast", "stop"])
        shutil.rmtree(sockets, ignore_errors=True)
    for path in (directory / "pg_wal").glob("0*"):
        if path.stat().st_mtime < time.time() - 1:
            path.unlink()


def vectors(size, chance):
    """Little-endian float32 of about 0.01 to 0.3, of both signs."""
    count = size // 4
    exponents = bytes((0x3C, 0x3D, 0x3D, 0x3E, 0xBC, 0xBD, 0xBD, 0xBE)[i % 8] for i in range(256))
    out = bytearray(4 * count)
    for place in range(3):
        out[place::4] = chance.randbytes(count)
    out[3::4] = chance.randbytes(count).translate(exponents)
    return bytes(out)


def make_qdrant(directory, mebibytes, text):
    for number in range(max(1, mebibytes * (1 << 20) // SEGMENT_BYTES)):
        segment = directory / "collections" / "memories" / "0" / "segments" / f"segment-{number:03}"
        (segment / "vector_storage").mkdir(parents=True)
        (segment / "vector_storage" / "matrix.dat").write_bytes(b"data" + vectors(SEGMENT_BYTES, text.chance))
        (segment / "payload_storage").mkdir()
        with open(segment / "payload_storage" / "page_0.dat", "w") as file:
            for _ in range(4000):
                file.write(f'{{"text": "{text.some(4)}"}}\n')
        (segment / "segment.json").write_text('{"version": 1}\n')


def make_redis(directory, keys, text):
    directory.mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", ""],
                              stdout=subprocess.DEVNULL)
    try:
        time.sleep(1)
        feed = subprocess.Popen(["redis-cli", "-p", str(port), "--pipe"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for i in range(keys):
            value = f'{{"id": {i}, "text": "{text.some(5)}", "ref": "{text.chance.getrandbits(64):016x}"}}'.encode()
            key = b"memory:%d" % i
            feed.stdin.write(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(key), key, len(value), value))
        feed.stdin.close()
        feed.wait()
        subprocess.run(["redis-cli", "-p", str(port), "SAVE"], check=True, stdout=subprocess.DEVNULL)
    finally:
        server.terminate()
        server.wait()


def make_small(directory, count, text):
    for i in range(count):
        folder = directory / f"{i // 500:04}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i:06}.txt").write_text(text.some(1 + text.chance.randrange(200))[:text.chance.randrange(100, 20000)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--vectors-mib", type=int, default=256)
    parser.add_argument("--keys", type=int, default=200_000)
    parser.add_argument("--small-files", type=int, default=0)
    options = parser.parse_args()
    options.directory.mkdir(parents=True)
    text = Text(random.Random(7))
    if options.rows:
        make_postgres(options.directory / "postgres", options.rows, text)
        heap = max((options.directory / "postgres" / "base").rglob("*"), key=lambda path: path.stat().st_size)
        packed = subprocess.run(["zstd", "-1", "-q", "-c", heap], check=True, stdout=subprocess.PIPE).stdout
        print(f"{heap.name}: {heap.stat().st_size / 1e6:.0f} MB, zstd -1: {heap.stat().st_size / len(packed):.2f} times smaller")
    if options.vectors_mib:
        make_qdrant(options.directory / "qdrant", options.vectors_mib, text)
    if options.keys:
        make_redis(options.directory / "redis", options.keys, text)
    if options.small_files:
        make_small(options.directory / "small", options.small_files, text)


if __name__ == "__main__":
    main()

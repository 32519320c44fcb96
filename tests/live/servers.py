"""Servers of PostgreSQL outside of a lab that psql asks over a Unix socket: for tests of backups."""
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

BIN = Path("/usr/lib/postgresql/15/bin")
# PostgreSQL refuses root. A runuser would stay as the parent, and kill what takes two seconds to end in good order.
AS_OWNER = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"] if os.geteuid() == 0 else []


def free_address(host):
    with socket.socket() as probe:
        probe.bind((host, 0))
        return host, probe.getsockname()[1]


def command(*words, **options):
    """As the owner of the data directories."""
    return subprocess.run([*AS_OWNER, *map(str, words)], capture_output=True, text=True, timeout=120, cwd="/",
                          check=True, **options).stdout


def make_place(test):
    """A folder that the owner of the data directories may use and everybody may enter, for all tests of a class."""
    test.place = Path(tempfile.mkdtemp(prefix="aeterna-dr-test-", dir="/var/tmp"))
    test.addClassCleanup(shutil.rmtree, test.place, ignore_errors=True)
    if AS_OWNER:
        shutil.chown(test.place, "postgres", "postgres")
    os.chmod(test.place, 0o755)


def make_room(test):
    """A folder in there for one test."""
    test.room = Path(tempfile.mkdtemp(dir=test.place))
    if AS_OWNER:
        shutil.chown(test.room, "postgres", "postgres")
    os.chmod(test.room, 0o755)


class Server:
    def __init__(self, place, name, host):
        self.place, self.name, self.data = place, name, place / name
        self.host, self.port = free_address(host)

    def start(self):
        command(BIN / "pg_ctl", "-D", self.data, "-w", "-t", "60", "-l", self.place / f"{self.name}.log", "-o",
                f"-c listen_addresses={self.host} -p {self.port} -c unix_socket_directories={self.place} -c fsync=off", "start",
                stdin=subprocess.DEVNULL)

    def stop(self, mode="fast"):
        if (self.data / "postmaster.pid").exists():
            command(BIN / "pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def psql(self, sql, database="postgres"):
        return command(BIN / "psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", self.place, "-p", self.port, "-U", "postgres",
                       "-d", database, "-c", sql).strip()

    def pid(self):
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

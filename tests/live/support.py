"""What the live tests share: the program, labs under /var/tmp, and ways to wait for an event instead of sleeping."""
import atexit
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / "build" / "release" / "bin" / "aeterna-dr"


class Done:
    """A finished command."""

    def __init__(self, completed):
        self.code = completed.returncode
        self.out = completed.stdout
        self.err = completed.stderr

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"exit {self.code}\n--- stdout\n{self.out[-3000:]}\n--- stderr\n{self.err[-3000:]}"


def run(*arguments, timeout=300, env=None, prefix=()):
    """Runs aeterna-dr without a terminal."""
    environment = dict(os.environ, **(env or {}))
    environment.pop("AETERNA_DR_STACK", None)
    if env and "AETERNA_DR_STACK" in env:
        environment["AETERNA_DR_STACK"] = env["AETERNA_DR_STACK"]
    return Done(subprocess.run([*prefix, str(PROGRAM), *map(str, arguments)], capture_output=True, text=True,
                               timeout=timeout, stdin=subprocess.DEVNULL, env=environment))


def resettle(text, host):
    """The stack file `text` with every address moved to `host`, each to a port of its own; the ports used."""
    ports = {}

    def move(match):
        if match.group(0) not in ports:
            listener = socket.socket()
            listener.bind((host, 0))
            listener.listen(64)
            ports[match.group(0)] = listener
        return f"{host}:{ports[match.group(0)].getsockname()[1]}"

    return re.sub(r"127\.0\.\d+\.\d+:\d+", move, text), list(ports.values())


def wait_until(what, condition, seconds, every=0.1):
    """Polls `condition` until it gives something true; its value. Fails with `what` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(every)


def host_port(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


def is_running(pid):
    """False for a zombie, too."""
    try:
        return Path(f"/proc/{int(pid)}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill_at(test, pattern, *arguments, **options):
    """Runs aeterna-dr and kills it (SIGKILL) as soon as a line of its stderr matches; what it has said until then."""
    command = subprocess.Popen([PROGRAM, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True, **options)
    said = ""
    with command.stderr:
        try:
            for line in command.stderr:
                said += line
                if re.search(pattern, line):
                    return said
        finally:
            command.kill()
            command.wait()
    test.fail(f"it never said '{pattern}':\n{said}")


def processes_of(directory):
    """Pids of everything that carries the lab's mark or works below its directory, zombies left out."""
    directory = os.path.realpath(directory)
    mark = f"AETERNA_DR_LAB={directory}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            stat = Path(f"/proc/{entry}/stat").read_text()
            if stat.rsplit(")", 1)[1].split()[0] == "Z":
                continue
            environment = Path(f"/proc/{entry}/environ").read_bytes().split(b"\0")
            cwd = os.readlink(f"/proc/{entry}/cwd")
        except OSError:
            continue
        if mark in environment or cwd == directory or cwd.startswith(directory + "/"):
            found.append(int(entry))
    return found


def damage_file(path, every=None):
    """Another byte in its middle, or behind each stretch of so many."""
    content = bytearray(path.read_bytes())
    for at in range(every, len(content), every) if every else [len(content) // 2]:
        content[at] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


def damage(repository):
    """The largest pack; its path."""
    pack = max((path for path in (repository / "packs").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    damage_file(pack)
    return pack


class Lab:
    broken = False

    def __init__(self, *options, prefix=()):
        self.base = tempfile.mkdtemp(prefix="aeterna-dr-test-", dir="/var/tmp")
        os.chmod(self.base, 0o755)
        self.directory = os.path.join(self.base, "lab")
        self.options = options
        self.prefix = prefix
        atexit.register(self.remove)

    def up(self, timeout=180):
        done = run("lab", "up", "--dir", self.directory, *self.options, timeout=timeout, prefix=self.prefix)
        assert done.code == 0, done
        return done

    def down(self):
        return run("lab", "down", "--dir", self.directory, timeout=120, prefix=self.prefix)

    def remove(self):
        if os.path.isdir(self.directory):
            done = run("lab", "down", "--purge", "--dir", self.directory, timeout=120, prefix=self.prefix)
            if done.code != 0:
                print(f"left behind: {self.directory}: {done}")
                return
        shutil.rmtree(self.base, ignore_errors=True)

    @property
    def stack(self):
        return os.path.join(self.directory, "stack.yaml")

    def cli(self, *arguments, timeout=300):
        return run("--stack", self.stack, *arguments, timeout=timeout, prefix=self.prefix)

    def take_over(self, *arguments, timeout=300):
        """As cli(); waits for a dead program's lock, which is a lease and ends by itself."""
        def done():
            done = self.cli(*arguments, timeout=timeout)
            return done if done.code != 11 else None
        return wait_until("the end of the dead program's lock", done, 60)

    def lab_status(self):
        return run("lab", "status", "--json", "--dir", self.directory, prefix=self.prefix).json()

    def status(self):
        return self.cli("--json", "status", timeout=30).json()

    def node(self, name):
        return next(node for node in self.lab_status()["nodes"] if node["name"] == name)

    def await_healthy(self, seconds=180):
        def healthy():
            status = self.status()
            return status["healthy"] and not status["incidents"]
        wait_until("a healthy stack", healthy, seconds)


def restart_serve(lab):
    """It reads the stack file once, at its start."""
    pid = lab.node("serve")["pid"]
    os.kill(pid, signal.SIGKILL)
    # While it is dying, `lab up` finds it running.
    wait_until("the end of serve", lambda: not is_running(pid), 30)
    done = run("lab", "up", "--dir", lab.directory, "--only", "serve", timeout=60, prefix=lab.prefix)
    assert done.code == 0, done
    wait_until("serve's answer", lambda: lab.status()["watcher"] == "serve", 30)


_shared = None


def shared_lab():
    """One asynchronous lab for all tests that leave it healthy; started by the first, ended at exit."""
    global _shared
    if _shared is None:
        _shared = Lab()
        try:
            _shared.up()
        except BaseException:
            _shared.broken = True
            raise
    if _shared.broken:
        raise AssertionError("the shared lab did not come up")
    _shared.await_healthy()
    return _shared

"""Looking at what serve says while something odd is done to real servers."""
import contextlib
import os
import signal
import time
from pathlib import Path

from support import is_running, wait_until


def seen(lab):
    """The status as `serve` sees it: a command that finds it too slow to answer looks for itself."""
    def served():
        status = lab.status()
        return status if status["watcher"] == "serve" else None
    return wait_until("an answer of serve", served, 20)


def incidents(lab):
    """The open incidents by detector; of several of one detector the last."""
    return {incident["detector"]: incident for incident in seen(lab)["incidents"]}


def await_incident(lab, detector, seconds=45):
    return wait_until(f"an incident of {detector}", lambda: incidents(lab).get(detector), seconds)


def await_no_incident(lab, detector, seconds=45):
    wait_until(f"the end of {detector}", lambda: detector not in incidents(lab), seconds)


def detectors_seen(lab, seconds):
    """Every detector that has an open incident at some time during the next `seconds`."""
    seen = set()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seen |= set(incidents(lab))
        time.sleep(0.2)
    return seen


def reasons(incident):
    return "\n".join(incident["reasons"])


def node_status(lab, store, name):
    return next(node for node in seen(lab)["stores"][store]["nodes"] if node["name"] == name)


def start_of(pid):
    """When the process began, in the kernel's ticks: tells it from a later one with its number."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]


def kill(pid):
    """kill -9, and back only when nothing of it can answer any more."""
    os.kill(pid, signal.SIGKILL)
    wait_until(f"the end of process {pid}", lambda: not is_running(pid), 10)


@contextlib.contextmanager
def stopped(*pids):
    """The processes are stopped (SIGSTOP) inside the block and go on after it, whatever happens in it."""
    begun = {pid: start_of(pid) for pid in pids}
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid, start in begun.items():
            with contextlib.suppress(OSError):
                if start_of(pid) == start:
                    os.kill(pid, signal.SIGCONT)

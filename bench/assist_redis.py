#!/usr/bin/python3
"""Measures the loss of the Redis master with and without assist, at Sentinel's stock timings (down-after 30 s).

    bench/assist_redis.py [--assist act|off|off,refused] [--fault kill|pause|empty|older] [--runs N] [--seed N]

One writer per node with a kept connection (3 ms pause) and one that follows the Sentinels; the fault comes at a random
instant. With act, the lab's serve acts by itself. With off, nobody but Sentinel acts. `refused` is act in a stack two of whose
Sentinels never answer us, so that it leaves the failover to them; `off,refused` takes turns. Two seconds after the promotion a
supervisor starts a killed master again (a fence refuses it), or the paused process is woken. With empty or older the
supervisor starts it at once, without its data or with what it had before the writers: "restarted" says whether it was
faster than the fence, and "emptied" whether a replica has copied it. Each run is appended with
its commit to bench/results/assist_redis.jsonl; a series that was interrupted is continued. Prints the summary of the
series: the longest time without an acknowledgement straight to the nodes and on the client's path, and how many
acknowledged records the new master has not. Needs the release build.
"""
import argparse
import contextlib
import json
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "live"))
from support import Lab, is_running, run, wait_until  # noqa: E402
from assisted_redis import Stack, Writers, await_execution, executions, use_stack, without_cooldown  # noqa: E402

RESULTS = ROOT / "bench" / "results" / "assist_redis.jsonl"
RESULTS.parent.mkdir(exist_ok=True)


def records(assist, fault):
    if not RESULTS.exists():
        return []
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    return [line for line in lines if line["assist"] == assist and line["fault"] == fault]


@contextlib.contextmanager
def deaf_to_sentinels(lab):
    """serve's stack file names two that take connections and never answer, as if the way to them were lost."""
    text = Path(lab.stack).read_text()
    with contextlib.ExitStack() as open_ones:
        deaf = text
        for number in "23":
            listener = open_ones.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1000))
            deaf, count = re.subn(rf'(name: sentinel-{number}, address: )"[^"]+"',
                                  rf'\g<1>"127.0.0.1:{listener.getsockname()[1]}"', deaf)
            assert count == 1, text
        use_stack(lab, deaf)
        time.sleep(10)  # until serve knows the rest as well as ever
        yield
        use_stack(lab, text)


def measure(lab, options, assist, chance):
    stack = Stack(lab)
    master = stack.named_master()
    before = {execution["id"] for execution in executions(lab)}
    pid = lab.node(master)["pid"]
    restarts = options.fault in ("empty", "older")
    data = forget_data(stack, master, options.fault) if restarts else []
    if assist == "off":
        stack.signal("serve", signal.SIGKILL)
    pause = chance.uniform(0, 2)
    with Writers(stack) as writers:
        time.sleep(pause)
        fault_at = time.monotonic()
        os.kill(pid, signal.SIGSTOP if options.fault == "pause" else signal.SIGKILL)
        restarted = restarts and restart_at_once(lab, stack, master, pid, data)
        new = wait_until("a new master", lambda: stack.other_master(master), 120)
        time.sleep(2)
        try:
            if options.fault == "pause":
                os.kill(pid, signal.SIGCONT)
            else:
                run("lab", "up", "--dir", lab.directory, "--only", master, timeout=60)
        except ProcessLookupError:
            pass  # the fence has killed it
        wait_until("the old master as a replica", lambda: stack.is_replica_with_link(master), 180)
    facts = await_execution(lab, before)["facts"] if assist != "off" else {}
    if assist == "off":
        stack.start("serve")
    if restarts:
        stack.client(master).config_set("appendonly", "yes")
        stack.client(master).config_rewrite()
    lost = writers.lost(new)
    return {"assist": assist if options.assist in ("act", "off") else f"{assist} in turns", "fault": options.fault, "outage_seconds": writers.outage(),
            "client_outage_seconds": writers.client_outage(), "acknowledged": len(writers.acknowledged),
            "lost": len(lost), "lost_before_fault": sum(writers.acknowledged[record] < fault_at for record in lost),
            "restarted": restarted, "emptied": restarts and not stack.client(new).exists("precious-999"),
            "said": facts.get("assist"), "lost_by_salvage": (facts.get("salvaged") or {}).get("lost_writes"),
            "down_after_remaining_seconds": facts.get("down_after_remaining_seconds")}


def forget_data(stack, master, fault):
    """It persists nothing from now on; the files that it would load."""
    client = stack.client(master)
    client.mset({f"precious-{number}": "1" for number in range(1000)})
    wait_until("the replicas to have them", lambda: all(stack.client(name).exists("precious-999") for name in stack.nodes), 30)
    client.config_set("appendonly", "no")
    client.config_set("save", "")
    client.config_rewrite()
    place = client.config_get("dir")["dir"]
    if fault == "older":
        client.save()
        return [os.path.join(place, "appendonlydir")]
    return [os.path.join(place, name) for name in ("appendonlydir", client.config_get("dbfilename")["dbfilename"])]


def restart_at_once(lab, stack, master, pid, data):
    """Whether it came up before it was held down."""
    while is_running(pid):
        time.sleep(0.001)
    subprocess.run(["rm", "-rf", *data], check=True)
    done = run("lab", "up", "--dir", lab.directory, "--only", master, timeout=60)
    return done.code == 0 and "fenced" not in done.out + done.err


def summarise(options, assist):
    runs = records(assist, options.fault)
    if options.fault in ("empty", "older"):
        print(f"  back before the fence in {sum(line['restarted'] for line in runs)} of {len(runs)}: only these count")
        runs = [line for line in runs if line["restarted"]]
        print(f"  copied by a replica in {sum(line['emptied'] for line in runs)}")
    print(f"assist {assist}, {options.fault}: n {len(runs)}")
    for key in ("outage_seconds", "client_outage_seconds", "lost", "lost_before_fault"):
        values = [line[key] for line in runs]
        print(f"  {key:<24} median {statistics.median(values):8.2f}  max {max(values):8.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assist", choices=("act", "off", "off,refused"), default="act")
    parser.add_argument("--fault", choices=("kill", "pause", "empty", "older"), default="kill")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    words = options.assist.split(",")
    series = [word if options.assist in ("act", "off") else f"{word} in turns" for word in words]
    done = sum(len(records(name, options.fault)) for name in series)
    if done < options.runs * len(words):
        lab = Lab()
        lab.up()
        without_cooldown(lab)
        for number in range(done, options.runs * len(words)):
            word = words[number % len(words)]
            lab.await_healthy(300)
            with deaf_to_sentinels(lab) if word == "refused" else contextlib.nullcontext():
                measured = measure(lab, options, word, random.Random(options.seed * 1000 + number))
            record = {"commit": commit.strip(), "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "run": number, **measured}
            with open(RESULTS, "a") as file:
                file.write(json.dumps(record) + "\n")
            print(f"run {number + 1} of {options.runs * len(words)}: {record}", flush=True)
        lab.remove()
    for name in series:
        summarise(options, name)


main()

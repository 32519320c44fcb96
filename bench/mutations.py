#!/usr/bin/python3
"""Takes one safety check after another out of the program and shows which schedule of the simulation notices.

    bench/mutations.py [--only REGEX] [--seeds N] [--others N] [--scratch DIR] [--no-record]

A copy of the working tree is built once with all mutations of tests/sim/mutation_list.py, each asleep behind a
switch; then each is woken alone and seeds are run until one fails, those of its plots first. What survives alone
because another check stands behind it is woken together with that one, until a seed fails that the other one alone
lets pass. What no schedule notices has to fail a unit test, or cannot fail at all: the list says why. A seed that
fails without any mutation proves nothing and is passed over. Ends with 1 when a mutation survives that should not, or
when the sleeping program fails in the seeds that are run before (not with --others). The working tree is never changed.
"""
import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "tests" / "sim" / "mutation_list.py"
RESULTS = ROOT / "bench" / "results" / "mutations.jsonl"
BLOCK = 40
# The unit tests of the code that is mutated, each with a file of its own that may get the switchboard.
UNITS = {"redis_test": "tests/unit/redis/steps_test.cc", "postgres_test": "tests/unit/postgres/loss_test.cc",
         "app_test": "tests/unit/app/policy_test.cc", "hosts_test": "tests/unit/hosts/fence_test.cc",
         "engine_test": "tests/unit/engine/runner_test.cc"}
SWITCH = 'extern "C" bool aeterna_mutant(const char* name);\n'
SWITCHBOARD = """
extern "C" bool aeterna_mutant(const char* name) {
    const char* named = ::getenv("AETERNA_MUTANTS");
    static const std::string awake = std::string(",") + (named ? named : "") + ",";
    return awake.find(std::string(",") + name + ",") != std::string::npos;
}
"""


def load_list():
    spec = importlib.util.spec_from_file_location("mutation_list", LIST)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def find_place(text, mutation):
    """(from, to) of the expression that a mutation replaces."""
    name, file, place, _, _ = mutation
    before, rest = place.split("«")
    old, after = rest.split("»")
    if text.count(before + old + after) != 1:
        sys.exit(f"{name}: its place is {text.count(before + old + after)} times in {file}; correct {LIST.name}")
    begin = text.index(before + old + after) + len(before)
    return begin, begin + len(old)


def mutate(text, mutations):
    """The file's text with a switch for each of its mutations."""
    placed = sorted(((find_place(text, mutation), mutation) for mutation in mutations), reverse=True, key=lambda one: one[0])
    for (_, end), (later, _) in zip((place for place, _ in placed[1:]), (place for place, _ in placed)):
        if end > later:
            sys.exit(f"two mutations of {mutations[0][1]} overlap")
    for (begin, end), (name, _, _, instead, _) in placed:
        old = text[begin:end]
        typed = instead[:instead.index("{")] + old if old.startswith("{") else old
        if instead in ("true", "false"):
            typed = f"static_cast<bool>({old})"
        if instead == "void()":
            typed = f"static_cast<void>({old})"
        text = text[:begin] + f'(aeterna_mutant("{name}") ? ({instead}) : ({typed}))' + text[end:]
    return text


def write_if_changed(path, text):
    if path.exists() and path.read_bytes() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)


def make_scratch(scratch, mutations):
    tracked = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                             capture_output=True, text=True).stdout.split("\n")
    texts = {name: (ROOT / name).read_bytes() for name in tracked if name and (ROOT / name).is_file()}
    for file in {mutation[1] for mutation in mutations}:
        here = [mutation for mutation in mutations if mutation[1] == file]
        texts[file] = (SWITCH + mutate(texts[file].decode(), here)).encode()
    for file in ("tests/sim/sim_test.cc", *UNITS.values()):
        texts[file] += SWITCHBOARD.encode()
    for name, text in texts.items():
        write_if_changed(scratch / name, text)
    for script in ("scripts/build",):
        (scratch / script).chmod(0o755)
    subprocess.run(["scripts/build", "release", "sim_test", *UNITS], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
    return scratch / "build" / "release" / "tests"


def failing_unit_test(programs, name):
    """The first unit test that fails with this mutation awake, or ""."""
    for unit in UNITS:
        done = subprocess.run([programs / unit, "--gtest_brief=1", "--gtest_fail_fast"], capture_output=True, text=True,
                              env=dict(os.environ, AETERNA_MUTANTS=name))
        if failed := re.search(r"^\[  FAILED  \] (\w+\.\w+)", done.stdout, re.MULTILINE):
            return failed.group(1)
        if done.returncode:
            return f"{unit} died"
    return ""


class Seeds:
    """Which seeds of one store to run, and the running of them; `prefix` is "" or "redis-"."""

    def __init__(self, program, prefix, count, others):
        self.program, self.prefix, self.others = program, prefix, others
        told = subprocess.run([program, f"--{prefix}plots", f"1..{count}"], check=True, capture_output=True, text=True).stdout
        self.plots = dict(line.split(" ", 1) for line in told.splitlines())

    def order(self, plots):
        first = [seed for seed, plot in self.plots.items() if plot in plots]
        return first + [seed for seed in self.plots if self.plots[seed] not in plots][:self.others]

    def failures(self, names, seeds):
        """[(seed, what it says)] of those that fail with these mutations awake."""
        environment = dict(os.environ, AETERNA_MUTANTS=",".join(names))
        done = subprocess.run([self.program, f"--{self.prefix}seeds", ",".join(seeds)], env=environment, capture_output=True,
                              text=True)
        found, says = [], ""
        for line in done.stderr.splitlines():
            says = says or line
            if replay := re.search(r"replay: sim_test --(?:redis-)?seed (\d+)", line):
                found.append((replay.group(1), says))
                says = ""
        return found or ([("?", "it died")] if done.returncode else [])

    def run(self, names, plots, others=()):
        """(seed, what it says, how many were run) of the first that fails, and that `others` alone let pass."""
        seeds = self.order(plots)
        for begin in range(0, len(seeds), BLOCK):
            block = seeds[begin:begin + BLOCK]
            for seed, says in self.failures(names, block):
                if not names or not self.failures(others, [seed]):
                    return seed, says, begin + len(block)
        return None, "", len(seeds)


def judge(seeds, mutation, behind, by_name, programs):
    """The table's lines for one mutation, and whether all is as it should be."""
    name, _, _, _, plots = mutation
    seed, says, ran = seeds.run([name], plots)
    partners, why = behind.get(name, ([], ""))
    lines = [{"mutation": name, "seed": seed, "says": says, "ran": ran, "behind": ""}]
    if seed:
        return lines, True
    lines[0]["behind"] = why
    if not partners:
        lines[0]["unit"] = failing_unit_test(programs, name)
        return lines, name in behind or bool(lines[0]["unit"])
    both = [name, *partners]
    together = [plot for one in both for plot in by_name[one][4]]
    seed, says, ran = seeds.run(both, together, partners)
    lines.append({"mutation": " + ".join(both), "seed": seed, "says": says, "ran": ran, "behind": ""})
    return lines, seed is not None


def show(line):
    fate = f"seed {line['seed']}: {line['says']}" if line["seed"] else f"survived {line['ran']} schedules"
    unit = f"; unit test: {line['unit'] or 'none notices'}" if "unit" in line else ""
    print(f"{line['mutation']:44} {fate}{unit}{'; behind it: ' + line['behind'] if line['behind'] else ''}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="mutations whose name this finds")
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--others", type=int, help="how many seeds of other plots are tried after those of its own")
    parser.add_argument("--scratch", type=Path, default=Path(f"/var/tmp/aeterna-mutations-{os.getuid()}"))
    parser.add_argument("--no-record", action="store_true", help="only print")
    options = parser.parse_args()
    listed = load_list()
    by_name = {mutation[0]: mutation for mutation in listed.MUTATIONS}
    programs = make_scratch(options.scratch, listed.MUTATIONS)
    stores = {prefix: Seeds(programs / "sim_test", prefix, options.seeds, options.others) for prefix in ("", "redis-")}
    for seeds in stores.values() if options.others is None else ():
        seed, says, _ = seeds.run([], [])
        if seed:
            sys.exit(f"without any mutation {seeds.prefix}seed {seed} fails: {says}")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    stamp = {"commit": commit.strip(), "at": datetime.now(timezone.utc).isoformat(timespec="seconds")}
    survivors = 0
    for name, mutation in by_name.items():
        if not re.search(options.only, name):
            continue
        seeds = stores["redis-" if name.startswith("redis.") else ""]
        lines, is_good = judge(seeds, mutation, listed.BEHIND, by_name, programs)
        survivors += not is_good
        for line in lines:
            show(line)
            if not options.no_record:
                RESULTS.parent.mkdir(exist_ok=True)
                with open(RESULTS, "a") as file:
                    file.write(json.dumps({**stamp, **line}) + "\n")
    print(f"{survivors} mutations survive that should not")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""Answers as WAL-G's manual says (docs/PostgreSQL.md of 3.0.9), with a directory as storage: the part of it that `engine: wal-g` drives.
It is no WAL-G and proves nothing about one: it proves what our side asks for and how it takes the answers.

`misbehave` in the configuration makes it fail as a program can: silent (backup-push ends with 0 and stores nothing), garbage
(backup-list prints no JSON), unarchived (wal-show lacks the newest segments, as with an archive_command that fails)."""
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BIN = "/usr/lib/postgresql/15/bin"
SEGMENT_BYTES = 16 << 20
ABSENT = 74


def fail(text, code=1):
    print(f"ERROR: {datetime.datetime.utcnow():%Y/%m/%d %H:%M:%S.%f} {text}", file=sys.stderr)
    sys.exit(code)


def now():
    return datetime.datetime.utcnow().isoformat() + "Z"


def lsn(text):
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


class Storage:
    def __init__(self, settings):
        self.settings = settings
        prefix = Path(settings["WALG_FILE_PREFIX"])
        self.bases, self.wal = prefix / "basebackups_005", prefix / "wal_005"
        for folder in (self.bases, self.wal):
            folder.mkdir(parents=True, exist_ok=True)

    def backup_push(self, directory, *flags):
        if self.settings.get("misbehave") == "silent":
            return
        if not (Path(directory) / "PG_VERSION").exists():
            fail(f"'{directory}' is no data directory")
        begun, place = now(), self.bases / "new"
        connection = [f"--{name}={self.settings[key]}" for name, key in (("host", "PGHOST"), ("port", "PGPORT"), ("username", "PGUSER"))]
        spec = self.spec(Path(directory))
        moved = [f"--tablespace-mapping={one['loc']}={tempfile.mkdtemp(dir=self.bases)}" for one in spec.get("Spec", {}).values() if isinstance(one, dict)]
        done = subprocess.run([f"{BIN}/pg_basebackup", *connection, *moved, "-D", place, "-X", "none", "-c", "fast", "--no-manifest"], capture_output=True, text=True)
        if done.returncode != 0:
            fail(done.stderr.strip())
        label = (place / "backup_label").read_text()
        start, segment = re.search(r"START WAL LOCATION: (\S+) \(file (\w+)\)", label).groups()
        history = sorted(self.wal.glob(f"{segment}.*.backup"))[-1].read_text()
        stop = re.search(r"STOP WAL LOCATION: (\S+)", history).group(1)
        name = f"base_{segment}"
        place.rename(self.bases / name)
        control = subprocess.run([f"{BIN}/pg_controldata", directory], capture_output=True, text=True).stdout
        size = sum(path.stat().st_size for path in (self.bases / name).rglob("*") if path.is_file())
        sentinel = {"backup_name": name, "time": now(), "wal_file_name": segment, "storage_name": "default", "start_time": begun, "finish_time": now(),
                    "date_fmt": "%Y-%m-%dT%H:%M:%S.%fZ", "hostname": "here", "data_dir": directory, "pg_version": 150000, "start_lsn": lsn(start),
                    "finish_lsn": lsn(stop), "is_permanent": False, "uncompressed_size": size, "compressed_size": size,
                    "system_identifier": int(re.search(r"system identifier: +(\d+)", control).group(1))}
        (self.bases / f"{name}.json").write_text(json.dumps(sentinel))
        (self.bases / f"{name}_backup_stop_sentinel.json").write_text(json.dumps(
            {"LSN": lsn(start), "PgVersion": 150000, "FinishLSN": lsn(stop), **spec, "ChkpNum": None, "Version": 2, "DataDir": directory}))

    @staticmethod
    def spec(directory):
        """As 3.0.9 writes it: nothing where there is no tablespace."""
        links = {link.name: {"loc": os.readlink(link), "link": f"pg_tblspc/{link.name}"} for link in (directory / "pg_tblspc").iterdir() if link.is_symlink()}
        return {"Spec": {**links, "base_prefix": str(directory), "tablespaces": sorted(links)}} if links else {}

    def st(self, verb, path):
        if verb != "cat" or not (self.bases.parent / path).exists():
            fail(f"download the file: object '{self.bases.parent / path}' not found in storage")
        sys.stdout.write((self.bases.parent / path).read_text())

    def backup_list(self, *flags):
        if self.settings.get("misbehave") == "garbage":
            return print("something else")
        if set(flags) != {"--detail", "--json"}:
            fail(f"unknown flags {flags}")
        backups = [json.loads(path.read_text()) for path in sorted(self.bases.glob("*.json")) if not path.name.endswith("_sentinel.json")]
        print(json.dumps(backups))

    def wal_show(self, flag):
        timelines = []
        names = sorted(path.name for path in self.wal.iterdir() if re.fullmatch(r"[0-9A-F]{24}", path.name))
        if self.settings.get("misbehave") == "unarchived":
            names = names[:1]
        for timeline in sorted({name[:8] for name in names}):
            ours = [name for name in names if name.startswith(timeline)]
            numbers = {int(name[8:16], 16) * 256 + int(name[16:], 16) for name in ours}
            missing = [f"{timeline}{number // 256:08X}{number % 256:08X}" for number in range(min(numbers), max(numbers)) if number not in numbers]
            timelines.append({"id": int(timeline, 16), "parent_id": 0, "switch_point_lsn": 0, "start_segment": ours[0], "end_segment": ours[-1],
                              "segments_count": len(ours), "missing_segments": missing, "segment_range_size": len(ours) + len(missing),
                              "status": "LOST_SEGMENTS" if missing else "OK"})
        print(json.dumps(timelines))

    def wal_push(self, path):
        shutil.copy(path, self.wal / "new")
        (self.wal / "new").rename(self.wal / Path(path).name)

    def wal_fetch(self, name, destination):
        if not (self.wal / name).exists():
            fail(f"Archive '{name}' does not exist.", ABSENT)
        shutil.copy(self.wal / name, destination)

    def backup_fetch(self, directory, name):
        if os.path.isdir(directory) and os.listdir(directory):
            fail(f"directory '{directory}' must be empty")
        if not (self.bases / name).exists():
            fail(f"Backup '{name}' does not exist.")
        shutil.copytree(self.bases / name, directory, dirs_exist_ok=True)


def main():
    words = sys.argv[1:]
    if words == ["--version"]:
        return print("wal-g version stand-in")
    if not words or not words[0].startswith("--config="):
        fail("no --config")
    try:
        settings = json.loads(Path(words[0].split("=", 1)[1]).read_text())
    except OSError as error:
        fail(str(error))
    if words[1:] == ["--version"]:
        return print("wal-g version stand-in")
    commands = {name.replace("_", "-"): getattr(Storage, name) for name in ("backup_push", "backup_list", "wal_show", "wal_push", "wal_fetch", "backup_fetch", "st")}
    commands[words[1]](Storage(settings), *words[2:])


if __name__ == "__main__":
    main()

"""A network namespace from which a lab is reached over a link of its own, so that this link can be cut: what happens to
a watcher that stands elsewhere than the servers, or to one of the hosts. Needs root.

The servers listen on loopback addresses. Inside the namespace these lie behind a veth pair instead of `lo`, and packets
of 127.0.x.200, or another number, which is the namespace's own address, go back over it. Nothing of the host changes but one route for that
address, which goes with the link. A cut is silent, as on the way through a dead switch: packets go out, none comes back.
"""
import os
import subprocess
from pathlib import Path


class FarPlace:
    def __init__(self, subnet, number=200):
        self.name = f"aeterna-dr-far-{os.getpid()}"
        self.near = f"adr{os.getpid() % 100000}n"
        self.far = f"adr{os.getpid() % 100000}f"
        self.subnet = f"127.0.{subnet}.0/24"
        self.address = f"127.0.{subnet}.{number}"
        self.near_address = f"127.0.{subnet}.254"  # of whatever here calls somebody there
        self.rules = 0

    def __enter__(self):
        try:
            self.ip("netns", "add", self.name)
            self.ip("link", "add", self.near, "type", "veth", "peer", "name", self.far, "netns", self.name)
            Path(f"/proc/sys/net/ipv4/conf/{self.near}/route_localnet").write_text("1")
            self.ip("link", "set", self.near, "up")
            self.here("link", "set", "lo", "up")
            self.here("address", "del", "127.0.0.1/8", "dev", "lo")
            self.run("sh", "-c", f"echo 1 > /proc/sys/net/ipv4/conf/{self.far}/route_localnet;"
                                 # A packet of a known connection would pass the rules unseen.
                                 "echo 0 > /proc/sys/net/ipv4/tcp_early_demux")
            self.here("address", "add", f"{self.address}/32", "dev", self.far)
            self.here("link", "set", self.far, "up")
            # Rules that drop come before the table of the own addresses.
            self.here("rule", "add", "preference", "100", "lookup", "local")
            self.here("rule", "del", "preference", "0")
            self.connect()
            self.join()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        # The namespace takes its end of the link along, and that the other end, and that the route.
        subprocess.run(["ip", "netns", "del", self.name], stderr=subprocess.DEVNULL, check=False)
        subprocess.run(["ip", "link", "del", self.near], stderr=subprocess.DEVNULL, check=False)
        subprocess.run(["ip", "route", "del", f"{self.address}/32", "table", "local"], stderr=subprocess.DEVNULL, check=False)

    @property
    def prefix(self):
        """What a command begins with that runs there."""
        return ("ip", "netns", "exec", self.name)

    def run(self, *command):
        subprocess.run([*self.prefix, *command], check=True)

    @staticmethod
    def ip(*arguments):
        subprocess.run(["ip", *arguments], check=True)

    def here(self, *arguments):
        self.ip("-netns", self.name, *arguments)

    def cut(self):
        """No packet comes back any more."""
        self.ip("route", "replace", "blackhole", f"{self.address}/32", "table", "local")

    def join(self):
        self.ip("route", "replace", f"{self.address}/32", "dev", self.near, "scope", "link", "src", self.near_address,
                "table", "local")

    def disconnect(self):
        """The far kernel itself knows no way: every attempt fails at once."""
        self.here("route", "del", self.subnet)

    def connect(self):
        self.here("route", "replace", self.subnet, "dev", self.far, "scope", "link", "src", self.address)

    def cut_ports(self, *ports):
        """No packet comes back from these ports."""
        for port in ports:
            self.drop("ipproto", "tcp", "sport", str(port))

    def cut_arrivals(self):
        """No packet reaches it, and whoever sends one is not told so by the kernel."""
        self.drop()

    def drop(self, *which):
        self.here("rule", "add", "preference", "1", "iif", self.far, *which, "blackhole")
        self.rules += 1

    def join_arrivals(self):
        while self.rules > 0:
            self.here("rule", "del", "preference", "1")
            self.rules -= 1

"""Sweeps one simulated fleet by versweep and by what else people do it with, one after the other, three times, and prints
the medians of what each took.

Needs `versweep` (a release build) and the libraries in this folder's requirements.txt; `make peers` brings both. CPU and
memory are the visiting process's and its children's, as the kernel counts them, less those of the same program over no
device: imports and start are not the visits' cost."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
USER = PASSWORD = "versweep"
# One that every peer gets an answer from: netmiko wants more of a simulated EOS than it says, and of a device that hangs up
# after its answer, as IOS does, OpenSSH, asyncssh and parallel-ssh lose answers.
PLATFORMS = "cisco_nxos"

CONFIG = """
[store]
path = "versweep.db"
[credentials.fleet]
username = "versweep"
password = {{ file = "password" }}
[[inventory]]
type = "file"
path = "{inventory}"
[defaults]
credential = "fleet"
host_keys = "off"
[workers]
max = {workers}
[[sweep]]
name = "all"
every = "1h"
"""


def measured(command, **environment):
    """Runs it; wall, CPU, peak of memory, and the last line of its output."""
    began = os.times()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
            env={**os.environ, **environment})
        _, status, usage = os.wait4(process.pid, 0)
        output.seek(0)
        lines = output.read().decode(errors="replace").strip().splitlines()
    return {
        "wall": os.times().elapsed - began.elapsed,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss * 1024,
        "status": os.waitstatus_to_exitcode(status),
        "said": lines[-1] if lines else "",
    }


def fleet(arguments, folder):
    inventory = folder / "devices.toml"
    process = subprocess.Popen(
        [arguments.versweep, "sim", "--port", "2222", "--listen", "127.8.0.0", "--devices", str(arguments.devices),
         "--delay", arguments.delay, "--platforms", PLATFORMS, "--sessions", str(2 * arguments.workers)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    text = ""
    for line in process.stdout:
        if line.startswith("# all devices listen"):
            inventory.write_text(text)
            return process, inventory
        text += line
    sys.exit("the simulated fleet did not start")


def versweep(arguments, folder, inventory):
    """The sweep with its store, and what only reads the same configuration."""
    secret = folder / "password"
    secret.touch(0o600)
    secret.write_text(PASSWORD)
    config = folder / "versweep.toml"
    config.write_text(CONFIG.format(workers=arguments.workers, inventory=inventory))
    return ([arguments.versweep, "sweep", "--config.file", str(config), "--output", "csv"],
            [arguments.versweep, "check", str(config)])


def one_ssh(device):
    """The memory of one ssh in KiB; it goes as far as the login, which it isn't let in at."""
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes"]
    options = [word for option in options for word in ("-o", option)]
    return measured(["ssh", *options, "-p", str(device["port"]), f"{USER}@{device['address']}"])["peak"] / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versweep", default="target/release/versweep")
    parser.add_argument("--devices", type=int, default=500)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--delay", default="0s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default="versweep,paramiko,netmiko,asyncssh,parallel-ssh,openssh")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process, inventory = fleet(arguments, folder)
        try:
            devices = tomllib.loads(inventory.read_text())["device"]
            run(arguments, folder, inventory, devices)
        finally:
            process.kill()
            process.wait()


def run(arguments, folder, inventory, devices):
    everything, nothing = folder / "all.json", folder / "none.json"
    everything.write_text(json.dumps(devices))
    nothing.write_text("[]")
    print(f"{len(devices)} devices of {arguments.delay}, {arguments.workers} at once, medians of {arguments.rounds}")
    print(f"{'':14}{'wall s':>9}{'devices/s':>11}{'CPU ms/device':>15}{'KiB/session':>13}  answered")
    for peer in arguments.peers.split(","):
        if peer == "versweep":
            full, bare = versweep(arguments, folder, inventory)
        else:
            visit = [sys.executable, str(HERE / "visit.py"), peer, str(arguments.workers)]
            full, bare = [*visit, str(everything)], [*visit, str(nothing)]
        rounds = [(measured(bare), measured(full)) for _ in range(arguments.rounds)]
        median = lambda figure: statistics.median(figure(start, sweep) for start, sweep in rounds)
        sweep = rounds[-1][1]
        if peer == "versweep":
            answered = "all" if sweep["status"] == 0 else f"exit {sweep['status']}"
        else:
            answered = sweep["said"]
        wall = median(lambda start, sweep: sweep["wall"])
        cpu = median(lambda start, sweep: sweep["cpu"] - start["cpu"]) * 1000 / len(devices)
        memory = median(lambda start, sweep: sweep["peak"] - start["peak"]) / 1024
        memory = memory / min(arguments.workers, len(devices)) if peer != "openssh" else one_ssh(devices[0])
        print(f"{peer:14}{wall:9.2f}{len(devices) / wall:11.1f}{cpu:15.2f}{memory:13.0f}  {answered}", flush=True)


if __name__ == "__main__":
    main()

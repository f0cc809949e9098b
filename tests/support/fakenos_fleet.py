"""Starts FakeNOS with one host for each of its platforms that has a version command, tells where they listen and what
they answer (one JSON object a line), and ends when its standard input does."""

import json
import logging
import socket
import sys

from fakenos import FakeNOS
from fakenos.core.nos import Nos
from fakenos.plugins.nos import nos_plugins

COMMANDS = [
    "show version", "show version all", "display version", "get system status", "show system info",
    "show system", "/system resource print", "show switch", "show sys-info", "software show", "show software",
]


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def main():
    logging.disable(logging.CRITICAL)
    found = []
    for name, files in sorted(nos_plugins.items()):
        if name == "base_template":
            continue
        nos = Nos()
        for file in files if isinstance(files, list) else [files]:
            nos.from_file(file)
        known = nos.commands or {}
        for command in COMMANDS:
            answer = known.get(command, {}).get("output")
            if isinstance(answer, str):
                found.append((name, command, answer))
                break
            if callable(answer):
                found.append((name, command, ""))
                break
    ports = free_ports(len(found))
    hosts = {
        name: {"port": port, "platform": name, "username": "versweep", "password": "right-horse"}
        for (name, _, _), port in zip(found, ports)
    }
    net = FakeNOS(inventory={"hosts": hosts})
    net.start()
    for (name, command, answer), port in zip(found, ports):
        print(json.dumps({"platform": name, "port": port, "command": command, "answer": answer}))
    print("{}", flush=True)
    sys.stdin.read()
    net.stop()


if __name__ == "__main__":
    main()

"""Visits devices by one library: `visit.py LIBRARY WORKERS DEVICES.json`. Each device is asked `show version` once; the
last line printed is how many answered."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

USER = PASSWORD = "versweep"
COMMAND = "show version"


def by_threads(visit):
    def sweep(devices, workers):
        def tried(device):
            try:
                return bool(visit(device))
            except Exception:
                return False
        with ThreadPoolExecutor(max_workers=workers) as pool:
            return sum(pool.map(tried, devices))
    return sweep


def by_paramiko():
    import paramiko

    def visit(device):
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect(device["address"], device["port"], USER, PASSWORD, look_for_keys=False, allow_agent=False)
        try:
            return client.exec_command(COMMAND)[1].read()
        finally:
            client.close()
    return by_threads(visit)


def by_netmiko():
    from netmiko import ConnectHandler

    def visit(device):
        with ConnectHandler(device_type=device["platform"], host=device["address"], port=device["port"],
                            username=USER, password=PASSWORD) as connection:
            return connection.send_command(COMMAND)
    return by_threads(visit)


def by_asyncssh():
    import asyncssh

    async def sweep_all(devices, workers):
        room = asyncio.Semaphore(workers)

        async def visit(device):
            async with room:
                try:
                    async with asyncssh.connect(device["address"], device["port"], username=USER, password=PASSWORD,
                                                known_hosts=None, client_keys=None, agent_path=None,
                                                config=None) as connection:
                        return bool((await connection.run(COMMAND)).stdout)
                except Exception:
                    return False
        return sum(await asyncio.gather(*map(visit, devices)))
    return lambda devices, workers: asyncio.run(sweep_all(devices, workers))


def by_parallel_ssh():
    from pssh.clients import ParallelSSHClient

    def sweep(devices, workers):
        if not devices:
            return 0
        client = ParallelSSHClient([device["address"] for device in devices], port=devices[0]["port"], user=USER,
                                   password=PASSWORD, pool_size=workers, num_retries=1, allow_agent=False,
                                   identity_auth=False)
        outputs = client.run_command(COMMAND, stop_on_errors=False)
        return sum(1 for output in outputs if output.stdout and list(output.stdout))
    return sweep


def by_openssh():
    """ssh asks a helper for the password, which is a process more for each device."""
    def sweep(devices, workers):
        if not devices:
            return 0
        with tempfile.TemporaryDirectory() as folder:
            helper = os.path.join(folder, "askpass")
            with open(helper, "w") as file:
                file.write(f"#!/bin/sh\necho {PASSWORD}\n")
            os.chmod(helper, 0o700)
            options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
            one = f'ssh {options} -p {devices[0]["port"]} {USER}@"$0" {COMMAND} | grep -q . && echo answered'
            told = subprocess.run(
                ["xargs", "-P", str(workers), "-n", "1", "sh", "-c", one], text=True, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, input="\n".join(device["address"] for device in devices),
                env={**os.environ, "SSH_ASKPASS": helper, "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0"})
            return told.stdout.count("answered")
    return sweep


LIBRARIES = {
    "paramiko": by_paramiko, "netmiko": by_netmiko, "asyncssh": by_asyncssh, "parallel-ssh": by_parallel_ssh,
    "openssh": by_openssh,
}


def main():
    library, workers, path = sys.argv[1:]
    with open(path) as file:
        devices = json.load(file)
    answered = LIBRARIES[library]()(devices, int(workers))
    print(f"{answered} of {len(devices)}")


main()

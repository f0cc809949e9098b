"""A router by asyncssh: it lets everybody in by `none` and asks for user and password in its shell, as old switches do.
Tells its port, then each login that was tried at its prompt; ends when its standard input does."""

import asyncio
import logging
import sys

import asyncssh

USER, PASSWORD = "versweep", "right-horse"
ANSWER = """Cisco IOS Software, C2960 Software (C2960-LANBASEK9-M), Version 12.2(55)SE12, RELEASE SOFTWARE (fc2)
Technical Support: http://www.example.net/techsupport
Copyright (c) 1986-2017 by Cisco Systems, Inc.

ROM: Bootstrap program is C2960 boot loader

sw1 uptime is 1 year, 2 weeks, 3 days, 4 hours, 5 minutes
System image file is "flash:c2960-lanbasek9-mz.122-55.SE12.bin"

Configuration register is 0xF

"""


class Server(asyncssh.SSHServer):
    def begin_auth(self, username):
        # No authentication is needed: `none` is granted.
        return False


async def read(process, hidden=False):
    process.channel.set_echo(not hidden)
    line = await process.stdin.readline()
    process.channel.set_echo(True)
    if not line:
        raise asyncssh.BreakReceived(0)
    return line.rstrip("\r\n")


async def session(process):
    out = process.stdout
    try:
        out.write("\n# Authorised users only > #\n\nUser Access Verification\n\n")
        for _ in range(3):
            out.write("Username: ")
            user = await read(process)
            out.write("Password: ")
            password = await read(process, hidden=True)
            right = (user, password) == (USER, PASSWORD)
            print("right" if right else "wrong", flush=True)
            out.write("\n")
            if right:
                await prompt(process)
                break
            out.write("% Login invalid\n\n")
    except (asyncssh.BreakReceived, asyncssh.TerminalSizeChanged, BrokenPipeError):
        pass
    process.exit(0)


async def prompt(process):
    while True:
        process.stdout.write("sw1#")
        line = await read(process)
        if line == "exit":
            return
        if line == "show version":
            process.stdout.write(ANSWER)
        elif line != "terminal length 0" and line != "terminal width 511":
            process.stdout.write("% Invalid input detected\n")


async def main():
    logging.disable(logging.CRITICAL)
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(
        Server, "127.0.0.1", 0, server_host_keys=[key], process_factory=session)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())

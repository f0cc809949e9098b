"""An old router by paramiko: a host key of few bits, group exchange with groups of 1024 bits only, or no signatures but
those with SHA-1. Says its port, then what each session came to; ends when its standard input does.

Arguments: `rsa FILE` for a host key made by openssl; `sha1 MODULI` or `sha256 MODULI` for group exchange with that hash;
`signature PUBLIC_KEY` for the one key that may log in."""

import logging
import socket
import sys
import threading

import paramiko

logging.disable(logging.CRITICAL)


class Server(paramiko.ServerInterface):
    def __init__(self, authorized):
        self.authorized = authorized

    def check_auth_publickey(self, username, key):
        right = key.get_base64() == self.authorized
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def check_auth_password(self, username, password):
        right = (username, password) == ("versweep", "right-horse")
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username):
        return "publickey" if self.authorized else "password"

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        def answer():
            channel.sendall(b"hello\n")
            channel.send_exit_status(0)
            channel.close()
        threading.Thread(target=answer, daemon=True).start()
        return True


def only(transport, **lists):
    options = transport.get_security_options()
    for name, values in lists.items():
        setattr(options, name, values)


def session(tcp, what, path):
    # Its announcement of what it takes is without them as well.
    modern = ["rsa-sha2-256", "rsa-sha2-512"] if what == "signature" else []
    transport = paramiko.Transport(tcp, disabled_algorithms={"pubkeys": modern})
    authorized = None
    if what == "signature":
        transport.add_server_key(paramiko.ECDSAKey.generate())
        with open(path) as file:
            authorized = file.read().split()[1]
    elif what == "rsa":
        transport.add_server_key(paramiko.RSAKey.from_private_key_file(path))
        only(transport, key_types=["ssh-rsa"])
    else:
        transport.add_server_key(paramiko.ECDSAKey.generate())
        only(transport, kex=[f"diffie-hellman-group-exchange-{what}"])
    try:
        transport.start_server(server=Server(authorized))
        print("done", flush=True)
    except Exception as error:
        print(f"failed {error}", flush=True)


def tell_groups():
    pack = paramiko.Transport._modulus_pack
    choose = pack.get_modulus

    def get_modulus(least, preferred, most):
        generator, prime = choose(least, preferred, most)
        print(f"a group of {prime.bit_length()} bits", flush=True)
        return generator, prime

    pack.get_modulus = get_modulus


def take_sha1_only():
    verify = paramiko.RSAKey.verify_ssh_sig

    def verify_ssh_sig(self, data, signature):
        algorithm = paramiko.Message(signature.asbytes()).get_text()
        print(f"signature {algorithm}", flush=True)
        return algorithm == "ssh-rsa" and verify(self, data, signature)

    paramiko.RSAKey.verify_ssh_sig = verify_ssh_sig


def main():
    what, path = sys.argv[1:]
    if what == "signature":
        take_sha1_only()
    elif what != "rsa":
        assert paramiko.Transport.load_server_moduli(path), "moduli"
        tell_groups()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def accept():
        while True:
            tcp, _ = listener.accept()
            threading.Thread(target=session, args=(tcp, what, path), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


main()

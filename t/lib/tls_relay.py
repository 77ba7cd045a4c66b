#!/usr/bin/python3
"""Ends TLS in front of a unix socket, and tells how each connection came.

usage: tls_relay.py CERTIFICATE KEY PATH

It listens at a free port of 127.0.0.1 and prints "port N"; then, a line for
each connection, "resumed 0|1 name SNI".
"""

import signal
import socket
import ssl
import sys
import threading

NAMES = {}


def pump(source, target):
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(raw, context, path):
    try:
        tls = context.wrap_socket(raw, server_side=True)
        tls.settimeout(None)
    except OSError:
        raw.close()
        return
    print("resumed", int(tls.session_reused), "name",
          NAMES.pop(threading.get_ident(), None), flush=True)
    inner = socket.socket(socket.AF_UNIX)
    try:
        inner.connect(path)
    except OSError:
        tls.close()
        return
    threading.Thread(target=pump, args=(inner, tls), daemon=True).start()
    pump(tls, inner)
    tls.close()
    inner.close()


def named(tls, name, context):
    NAMES[threading.get_ident()] = name


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    context.sni_callback = named
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print("port", listener.getsockname()[1], flush=True)
    while True:
        raw, _ = listener.accept()
        raw.settimeout(10)
        threading.Thread(target=serve, args=(raw, context, sys.argv[3]),
                         daemon=True).start()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *args: sys.exit(0))
    threading.Thread(target=main, daemon=True).start()
    # whoever started it writes nothing: the end of its pipe ends the relay
    try:
        while sys.stdin.buffer.read(4096):
            pass
    except KeyboardInterrupt:
        pass

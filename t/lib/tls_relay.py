#!/usr/bin/python3
"""Ends TLS in front of a unix socket, and tells how each connection came.

usage: tls_relay.py CERTIFICATE KEY PATH [PORT [FAULT]]

It listens at a port of 127.0.0.1, without one at a free one, and prints
"port N"; then, a line for each connection, "resumed 0|1 name SNI".  FAULT is
what it does instead of a handshake:

  close     it closes, when it has read something
  garbage   it answers in clear
  half      the first bytes of an answer, and the end
  hang      it never answers

or what it does at SIGUSR1 to the connections that it has, "at once":

  truncate  the stream ends without an alert of TLS
  noise     bytes that are no TLS
"""

import os
import signal
import socket
import ssl
import sys
import threading

NAMES = {}
FAULT = sys.argv[5] if len(sys.argv) > 5 else ""
HANDSHAKES = {"close": b"", "garbage": b"-ERR Protocol error\r\n" * 3,
              "half": b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03"}
OPEN = []
LOCK = threading.Lock()


def strike(number, frame):
    """Does to all connections what FAULT says."""
    with LOCK:
        for wire in OPEN:
            try:
                if FAULT == "noise":
                    wire.sendall(b"\xff" * 100)
                else:
                    wire.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


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
    if FAULT == "hang" or FAULT in HANDSHAKES:
        try:
            raw.recv(65536)
            if FAULT == "hang":
                while raw.recv(65536):
                    pass
            raw.sendall(HANDSHAKES.get(FAULT, b""))
        except OSError:
            pass
        raw.close()
        return
    wire = socket.socket(fileno=os.dup(raw.fileno()))
    try:
        tls = context.wrap_socket(raw, server_side=True)
        tls.settimeout(None)
    except OSError:
        raw.close()
        wire.close()
        return
    with LOCK:
        OPEN.append(wire)
        print("resumed", int(tls.session_reused), "name",
              NAMES.pop(threading.get_ident(), None), flush=True)
    inner = socket.socket(socket.AF_UNIX)
    try:
        inner.connect(path)
        threading.Thread(target=pump, args=(inner, tls), daemon=True).start()
        pump(tls, inner)
    except OSError:
        pass
    with LOCK:
        OPEN.remove(wire)
    for end in (tls, wire, inner):
        end.close()


def named(tls, name, context):
    NAMES[threading.get_ident()] = name


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    context.sni_callback = named
    listener = socket.create_server(
        ("127.0.0.1", int(sys.argv[4]) if len(sys.argv) > 4 else 0),
        backlog=64)
    print("port", listener.getsockname()[1], flush=True)
    while True:
        raw, _ = listener.accept()
        raw.settimeout(10)
        threading.Thread(target=serve, args=(raw, context, sys.argv[3]),
                         daemon=True).start()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *args: sys.exit(0))
    signal.signal(signal.SIGUSR1, strike)
    threading.Thread(target=main, daemon=True).start()
    # whoever started it writes nothing: the end of its pipe ends the relay
    try:
        while sys.stdin.buffer.read(4096):
            pass
    except KeyboardInterrupt:
        pass

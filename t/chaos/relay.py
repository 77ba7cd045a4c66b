#!/usr/bin/python3
"""Stands between nginx and Redis, and does to the connection what networks do.

It listens on a unix socket and reads orders from its standard input, a line
each; whatever it has done it confirms with a line:

  to PATH        the Redis behind it; connections to another one are closed
  delay SECONDS  each piece of a reply comes so much later
  cut SHARE      so many of the replies break off in their midst, and the
                 connection with them
  pass           neither

usage: relay.py LISTEN PATH
"""

import asyncio
import random
import sys


class Relay:
    def __init__(self, path):
        self.path = path
        self.delay = 0.0
        self.cut = 0.0
        self.writers = set()

    async def replies(self, reader, writer):
        while data := await reader.read(65536):
            if self.cut and random.random() < self.cut:
                writer.write(data[:random.randrange(len(data))])
                return
            if self.delay:
                await asyncio.sleep(self.delay)
            writer.write(data)
            await writer.drain()

    @staticmethod
    async def commands(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def accept(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(
                self.path)
        except OSError:
            writer.close()
            return
        self.writers |= {writer, far_writer}
        tasks = [asyncio.create_task(self.commands(reader, far_writer)),
                 asyncio.create_task(self.replies(far_reader, writer))]
        done, rest = await asyncio.wait(
            tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        for task in done:
            task.exception()
        self.writers -= {writer, far_writer}
        writer.close()
        far_writer.close()

    def order(self, line):
        name, _, value = line.strip().partition(" ")
        if name == "to":
            if value != self.path:
                self.path = value
                for writer in self.writers:
                    writer.transport.abort()
        elif name == "delay":
            self.delay = float(value)
        elif name == "cut":
            self.cut = float(value)
        elif name == "pass":
            self.delay = self.cut = 0.0
        else:
            raise ValueError(line)


async def main(listen, path):
    relay = Relay(path)
    loop = asyncio.get_running_loop()
    server = await asyncio.start_unix_server(relay.accept, listen)
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    print("ready", flush=True)
    # the end of the pipe ends the relay
    while line := await orders.readline():
        relay.order(line.decode())
        print("done", flush=True)
    server.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

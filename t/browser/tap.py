"""Tests that print what prove reads (TAP)."""

import os
import re
import signal
import sys
import time
import traceback


class Missing(Exception):
    """What a test needs, and this browser does not have."""


class Tap:
    """Runs functions; the line of each says what it is about.

    A function fails with an exception, of assert or any other.  Arguments of
    the program choose those whose line matches one of them.
    """

    def __init__(self, chosen=()):
        self.chosen = chosen
        self.tests = []
        self.failed = 0

    def test(self, text):
        def register(function):
            self.tests.append((text, function))
            return function
        return register

    def run(self, *args, after=None):
        """Runs all with these arguments; after(text, function) when one has
        failed.  Returns the exit status.

        Who ends the program by SIGTERM leaves no server behind.
        """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        tests = [(text, function) for text, function in self.tests
                 if not self.chosen or any(re.search(word, text)
                                           for word in self.chosen)]
        print("1..%d" % len(tests), flush=True)
        for number, (text, function) in enumerate(tests, 1):
            begin = time.monotonic()
            try:
                function(*args)
                good = "ok"
            except Missing as without:
                good = "ok"
                text += " # SKIP without " + str(without)
            except Exception:
                good = "not ok"
                self.failed += 1
                sys.stderr.write("# %s\n%s" % (text, re.sub(
                    "(?m)^", "#   ", traceback.format_exc().strip())) + "\n")
                if after:
                    after(text, function)
            print("%s %d - %s" % (good, number, text), flush=True)
            if os.environ.get("BROWSER_TIMES"):
                print("# %.1f s" % (time.monotonic() - begin), flush=True)
        return 1 if self.failed else 0


def same(got, wanted, what="it"):
    """Like assert got == wanted, but tells both."""
    if got != wanted:
        raise AssertionError("%s is\n%s\nnot\n%s"
                             % (what, pretty(got), pretty(wanted)))


def pretty(value):
    if isinstance(value, list) and value:
        return "\n".join("  %s" % (one,) for one in value)
    return "  %r" % (value,)

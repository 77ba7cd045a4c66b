"""Firefox and WebKit in Chromium's place: driven by the same requests, but
without the DevTools protocol, so that tests which need that are skipped there.
"""

import glob
import json
import os
import re
import shutil
import socket
import subprocess

import chromium
from chromium import WebDriverError
from tap import Missing
from world import free_port, wait_for

MINIBROWSER = "/usr/lib/*/webkit2gtk-4*/MiniBrowser"

# nothing is looked for outside of this machine, and a page may open windows
PREFERENCES = {
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.disable_open_during_load": False,
    "extensions.getAddons.cache.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disabled": True,
    "network.proxy.type": 0,
    "services.settings.server": "http://127.0.0.1:1/",
}

# WebDriver's requests as Marionette names them
COMMANDS = {
    "POST /url": "Navigate", "GET /url": "GetCurrentURL", "POST /back": "Back",
    "POST /forward": "Forward", "POST /refresh": "Refresh",
    "POST /execute/sync": "ExecuteScript", "POST /element": "FindElement",
    "POST /elements": "FindElements", "POST /actions": "PerformActions",
    "GET /window": "GetWindowHandle", "POST /window": "SwitchToWindow",
    "GET /window/handles": "GetWindowHandles", "POST /window/new": "NewWindow",
    "DELETE /window": "CloseWindow", "POST /window/rect": "SetWindowRect",
    "GET /cookie": "GetCookies", "DELETE /cookie": "DeleteAllCookies",
    "GET /screenshot": "TakeScreenshot", "POST click": "ElementClick",
    "POST value": "ElementSendKeys", "GET text": "GetElementText",
}


def chosen():
    return {"chromium": chromium.Chromium, "firefox": Firefox,
            "webkit": WebKit}[os.environ.get("BROWSER_ENGINE", "chromium")]


class Other(chromium.Chromium):
    """What there is in the place of DevTools."""

    keeps = False                   # not always

    def __init__(self, directory):
        self.own = None
        self.processes = []
        self.directory = os.path.abspath(directory)
        self.profile = os.path.join(self.directory, "profile")
        os.makedirs(self.profile)
        try:
            made = self.driver_of().call("POST", "/session", {
                "capabilities": {"alwaysMatch": self.wanted}})
        except BaseException:
            self.quit()
            raise
        self.session = "/session/" + made["sessionId"]

    def start(self, *command, **options):
        env = dict(os.environ, HOME=self.profile, TZ="UTC", LANG="C.UTF-8",
                   **options.pop("env", {}))
        with open(os.path.join(self.directory, "engine.log"), "ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stderr=log, env=env,
                **dict({"stdout": log}, **options))
        self.processes.append(process)
        return process

    def quit(self):
        try:
            if self.session:
                self.driver.call("DELETE", self.session)
        except (OSError, WebDriverError):
            pass
        self.session = None
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []
        shutil.rmtree(self.profile, ignore_errors=True)

    def cdp(self, command, **parameters):
        raise Missing("DevTools")

    def console(self):
        return []

    def offline(self, off=True):
        if off:
            raise Missing("a way to be offline")

    def clear(self, origin):
        self.open(origin + "/refine/look")
        self.js("localStorage.clear(); sessionStorage.clear()")
        self.driver.call("DELETE", self.session + "/cookie")
        self.open("about:blank")

    def viewport(self, width=1200, height=800):
        edge = self.eval("[outerWidth - innerWidth, outerHeight - innerHeight]")
        self.post("/window/rect", width=width + edge[0],
                  height=height + edge[1])
        self.wait("innerWidth === %d && innerHeight === %d" % (width, height))


class Marionette:
    """Firefox's own protocol: LENGTH:[0, number, command, parameters]."""

    def __init__(self, port):
        self.socket = wait_for("Firefox", lambda: socket.create_connection(
            ("127.0.0.1", port)), 60)
        self.socket.settimeout(120)
        self.rest = b""
        self.number = 0
        self.read()

    def read(self):
        while b":" not in self.rest:
            self.more()
        length, self.rest = self.rest.split(b":", 1)
        while len(self.rest) < int(length):
            self.more()
        text, self.rest = self.rest[:int(length)], self.rest[int(length):]
        return json.loads(text)

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            raise OSError("Firefox has ended")
        self.rest += data

    def command(self, name, parameters):
        self.number += 1
        text = json.dumps([0, self.number, name, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(text), text))
        _, _, error, value = self.read()
        if error:
            raise WebDriverError(error["error"], error["message"])
        if isinstance(value, dict) and set(value) == {"value"}:
            return value["value"]
        return value

    def call(self, method, path, body=None):
        if path == "/session":
            return self.command("WebDriver:NewSession", body)
        path = re.sub("^/session/[^/]+", "", path)
        if not path:
            return self.command("Marionette:Quit", {"flags": ["eForceQuit"]})
        body = dict(body or {})
        element = re.match("/element/([^/]+)/([a-z]+)(?:/(.*))?$", path)
        if element:
            body["id"], path, name = element.groups()
            if name:
                return self.command("WebDriver:GetElementAttribute",
                                    dict(body, name=name))
            return self.command("WebDriver:" + COMMANDS[method + " " + path],
                                body)
        return self.command("WebDriver:" + COMMANDS[method + " " + path], body)


class Firefox(Other):
    agent = "Firefox/"
    wanted = {"unhandledPromptBehavior": "accept"}

    @staticmethod
    def missing():
        return None if shutil.which("firefox-esr") else "firefox-esr"

    def driver_of(self):
        port = free_port()
        with open(os.path.join(self.profile, "user.js"), "w") as out:
            for name, value in dict(PREFERENCES,
                                    **{"marionette.port": port}).items():
                out.write("user_pref(%s, %s);\n"
                          % (json.dumps(name), json.dumps(value)))
        self.start("firefox-esr", "-headless", "-no-remote", "-marionette",
                   "-remote-allow-system-access", "-profile", self.profile,
                   env={"MOZ_HEADLESS_WIDTH": "1400",
                        "MOZ_HEADLESS_HEIGHT": "1200"})
        self.driver = Marionette(port)
        return self.driver

    def offline(self, off=True):
        """The whole browser."""
        self.driver.command("Marionette:SetContext", {"value": "chrome"})
        self.driver.command("WebDriver:ExecuteScript", {
            "script": "Services.io.offline = arguments[0]", "args": [off]})
        self.driver.command("Marionette:SetContext", {"value": "content"})


class WebKit(Other):
    """The engine of Safari, as GTK has it, on a display of its own."""

    agent = "Safari/"
    closing = ""                    # its driver does not notice

    @staticmethod
    def missing():
        for name in ("WebKitWebDriver", "Xvfb"):
            if not shutil.which(name):
                return name
        return None if glob.glob(MINIBROWSER) else "MiniBrowser"

    def driver_of(self):
        screen = self.start("Xvfb", "-displayfd", "1", "-screen", "0",
                            "1400x1200x24", "-nolisten", "tcp",
                            stdout=subprocess.PIPE)
        display = ":" + screen.stdout.readline().decode().strip()
        port = free_port()
        self.start("WebKitWebDriver", "--port=%d" % port,
                   env={"DISPLAY": display})
        self.wanted = {"unhandledPromptBehavior": "accept",
                       "webkitgtk:browserOptions": {
                           "binary": glob.glob(MINIBROWSER)[-1],
                           "args": ["--automation", "--javascript-can-open-"
                                    "windows-automatically=true"]}}
        self.driver = WebDriver(port)
        return self.driver

    def scroll(self, by):
        """There is no wheel."""
        self.js("scrollBy(0, %d)" % by)


class WebDriver(chromium.Driver):
    """One that has been started already."""

    def __init__(self, port):
        self.port = port
        wait_for("WebKitWebDriver", lambda: self.call("GET", "/status"), 60)

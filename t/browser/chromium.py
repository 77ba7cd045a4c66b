"""Chromium without a window, driven by chromedriver (W3C WebDriver, and the
DevTools protocol through it).  Nothing but Python's standard library.

    with Chromium(directory) as page:
        page.open("http://127.0.0.1:8080/")
        page.find("#buy").click()
        page.wait("document.title == 'Thank you'")
        page.screenshot("thanks.png")

The profile is a new one, below the directory, and goes with the browser; what
the programs say stands in chromedriver.log there.
"""

import base64
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import time

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-extensions",
         "--disable-default-apps", "--disable-dev-shm-usage",
         "--no-proxy-server", "--password-store=basic", "--mute-audio",
         "--window-size=1200,800"]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
SECONDS_TO_START = 60
SECONDS_TO_WAIT = 30


class WebDriverError(Exception):
    """What chromedriver has refused; error is WebDriver's name of it."""

    def __init__(self, error, message):
        super().__init__("%s: %s" % (error, message.split("\n")[0]))
        self.error = error


def missing():
    """What has to be installed before this can run, or None."""
    for name in ("chromium", "chromedriver"):
        if not shutil.which(name):
            return name
    return None


class Driver:
    """A chromedriver on a free port."""

    def __init__(self, directory):
        self.directory = os.path.abspath(directory)
        self.profiles = 0
        os.makedirs(self.directory, exist_ok=True)
        path = os.path.join(self.directory, "chromedriver.log")
        self.log = open(path, "wb")
        # whatever else a browser would leave in the home of who runs it
        env = dict(os.environ, HOME=self.directory, TZ="UTC", LANG="C.UTF-8",
                   XDG_CONFIG_HOME=self.directory,
                   XDG_CACHE_HOME=self.directory)
        self.process = subprocess.Popen(
            ["chromedriver", "--port=0"], stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log, env=env, start_new_session=True)
        self.port = self._port(path)

    def _port(self, path):
        end = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < end and self.process.poll() is None:
            with open(path, errors="replace") as log:
                found = re.search(r"successfully on port (\d+)", log.read())
            if found:
                return int(found.group(1))
            time.sleep(0.02)
        self.stop()
        raise OSError("chromedriver has not started, see " + path)

    def call(self, method, path, body=None, seconds=120):
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=seconds)
        try:
            connection.request(
                method, path, None if body is None else json.dumps(body),
                {"Content-Type": "application/json"})
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise WebDriverError(value["error"], value.get("message", ""))
        return value

    def profile(self):
        self.profiles += 1
        return os.path.join(self.directory, "profile%d" % self.profiles)

    def stop(self):
        """Ends it, and the browsers that are left."""
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(10)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()


class Element:
    def __init__(self, page, value):
        self.page = page
        self.value = value
        self.path = "/element/" + value[ELEMENT]

    def click(self):
        """A click of the mouse on its middle, scrolled to if need be."""
        self.page.post(self.path + "/click")

    def type(self, text):
        self.page.post(self.path + "/value", text=text)

    def text(self):
        return self.page.get(self.path + "/text")

    def attribute(self, name):
        return self.page.get(self.path + "/attribute/" + name)


class Chromium:
    """A browser, and the tab of it that is looked at."""

    agent = "Chrome/"
    keeps = True                    # pages, in the back/forward cache
    closing = "window.close()"      # how a page is closed by its own script
    missing = staticmethod(missing)

    def __init__(self, directory, *flags, driver=None, binary=None):
        self.own = None if driver else Driver(directory)
        self.driver = driver or self.own
        self.directory = os.path.abspath(directory)
        self.profile = self.driver.profile()
        options = {"args": FLAGS + ["--user-data-dir=" + self.profile,
                                    *flags],
                   "binary": binary or shutil.which("chromium")}
        try:
            made = self.driver.call("POST", "/session", {"capabilities": {
                "alwaysMatch": {
                    "goog:chromeOptions": options,
                    "goog:loggingPrefs": {"browser": "ALL"},
                    "unhandledPromptBehavior": "accept"}}})
        except Exception:
            self.quit()
            raise
        self.session = "/session/" + made["sessionId"]

    session = None

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.quit()

    def quit(self):
        """Ends the browser as its user would, with all of its tabs."""
        try:
            if self.session:
                self.driver.call("DELETE", self.session)
        except (OSError, WebDriverError, http.client.HTTPException):
            pass
        self.session = None
        if self.own:
            self.own.stop()
            self.own = None
        shutil.rmtree(self.profile, ignore_errors=True)

    def get(self, path):
        return self.driver.call("GET", self.session + path)

    def post(self, path, **body):
        return self.driver.call("POST", self.session + path, body)

    def open(self, url):
        """Returns when the page has loaded."""
        self.post("/url", url=url)

    def url(self):
        return self.get("/url")

    def back(self):
        self.post("/back")

    def forward(self):
        self.post("/forward")

    def reload(self):
        self.post("/refresh")

    def js(self, script, *args):
        """Runs the body of a function in the page: js("return arguments[0]", 1).
        A promise is waited for.
        """
        return self.post("/execute/sync", script=script, args=list(args))

    def eval(self, expression):
        return self.js("return (%s)" % expression)

    def wait(self, expression, seconds=SECONDS_TO_WAIT):
        """Until an expression is true in the page; returns its value."""
        end = time.monotonic() + seconds
        while True:
            value = self.eval(expression)
            if value:
                return value
            if time.monotonic() > end:
                raise TimeoutError("waited %d s in vain for %s"
                                   % (seconds, expression))
            time.sleep(0.02)

    def find(self, selector):
        return Element(self, self.post("/element", using="css selector",
                                       value=selector))

    def find_all(self, selector):
        return [Element(self, value) for value in
                self.post("/elements", using="css selector", value=selector)]

    def scroll(self, by):
        """Turns the wheel of the mouse by so many pixels, over the middle."""
        self.post("/actions", actions=[{"type": "wheel", "id": "wheel",
                                        "actions": [{
                                            "type": "scroll", "x": 400,
                                            "y": 300, "deltaX": 0,
                                            "deltaY": by, "duration": 0,
                                            "origin": "viewport"}]}])

    def tab(self):
        return self.get("/window")

    def tabs(self):
        return self.get("/window/handles")

    def new_tab(self):
        """Opens a tab and looks at it; returns its handle."""
        handle = self.post("/window/new", type="tab")["handle"]
        self.switch(handle)
        return handle

    def switch(self, handle):
        self.post("/window", handle=handle)

    def close_tab(self):
        """Closes the tab; another one has to be switched to."""
        return self.driver.call("DELETE", self.session + "/window")

    def cookies(self):
        return {cookie["name"]: cookie["value"]
                for cookie in self.get("/cookie")}

    def cdp(self, command, **parameters):
        """A command of the DevTools protocol, of the tab that is looked at."""
        return self.post("/goog/cdp/execute", cmd=command, params=parameters)

    def offline(self, off=True):
        """Unplugs the tab from the network, or plugs it in again."""
        self.cdp("Network.enable")
        self.cdp("Network.emulateNetworkConditions", offline=off, latency=0,
                 downloadThroughput=-1, uploadThroughput=-1)

    def at_start(self, script):
        """Runs a script in each document of the tab before its own ones."""
        self.cdp("Page.enable")
        self.cdp("Page.addScriptToEvaluateOnNewDocument", source=script)

    def clear(self, origin):
        """Forgets what pages of an origin have stored, cookies included."""
        self.cdp("Storage.clearDataForOrigin", origin=origin,
                 storageTypes="all")

    def viewport(self, width=None, height=None):
        """Sets the size of what is seen of a page; without one, as before."""
        if width:
            self.cdp("Emulation.setDeviceMetricsOverride", width=width,
                     height=height, deviceScaleFactor=1, mobile=False)
        else:
            self.cdp("Emulation.clearDeviceMetricsOverride")

    def console(self):
        """What the console got since the last call: [{level, message...}]."""
        return self.post("/se/log", type="browser")

    def screenshot(self, name):
        """A picture of what is seen, in the directory."""
        path = os.path.join(self.directory, name)
        with open(path, "wb") as out:
            out.write(base64.b64decode(self.get("/screenshot")))
        return path

"""Firefox as it comes from a distribution, driven through its own remote protocol (Marionette): no driver to install.

Each message is its length in bytes, a colon, and a list in JSON: [0, number, command, parameters] there,
[1, number, error, result] back.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time

_PREFERENCES = {
    "app.normandy.enabled": False, "app.update.enabled": False, "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False, "toolkit.telemetry.reportingpolicy.firstRun": False,
    "browser.startup.homepage_override.mstone": "ignore", "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False, "network.manage-offline-status": False, "network.online": False,
    "webgl.force-enabled": True, "dom.disable_beforeunload": True, "devtools.console.stdout.content": True,
}
_SECONDS = 120


class Firefox:
    """One Firefox with a profile of its own, on a virtual screen.

    Parameters
    ----------
    executable : str
    width, height : int
        Of the window.
    """

    def __init__(self, executable, width=1366, height=1000):
        self._profile = tempfile.mkdtemp(prefix="occupy-firefox-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with open(os.path.join(self._profile, "user.js"), "w") as file:
            for name, value in {**_PREFERENCES, "marionette.port": port}.items():
                file.write(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n")
        self._log = open(os.path.join(self._profile, "output.txt"), "w+")
        screen = f"-screen 0 {width + 100}x{height + 200}x24"
        self._process = subprocess.Popen(
            ["xvfb-run", "-a", "-s", screen, executable, "--marionette", "--no-remote", "--profile", self._profile,
             "--width", str(width), "--height", str(height), "about:blank"],
            stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "HOME": self._profile, "LIBGL_ALWAYS_SOFTWARE": "1", "MOZ_CRASHREPORTER_DISABLE": "1"})
        self._number = 0
        try:
            self._socket = self._connect(port)
            self._receive()  # the greeting
            self.call("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {"acceptInsecureCerts": False}}})
        except BaseException:
            self.close()
            raise

    def _connect(self, port):
        end = time.monotonic() + _SECONDS
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), _SECONDS)
            except OSError:
                if time.monotonic() > end or self._process.poll() is not None:
                    raise
                time.sleep(0.2)

    def _receive(self):
        head = b""
        while not head.endswith(b":"):
            head += self._socket.recv(1) or self._ended()
        body = bytearray()
        while len(body) < int(head[:-1]):
            body += self._socket.recv(int(head[:-1]) - len(body)) or self._ended()
        return json.loads(body)

    def _ended(self):
        raise ConnectionError("Firefox has ended the connection")

    def call(self, command, parameters=None):
        """Result of a command; raises RuntimeError with Firefox's own words."""
        self._number += 1
        message = json.dumps([0, self._number, command, parameters or {}]).encode()
        self._socket.sendall(b"%d:%s" % (len(message), message))
        _, _, error, result = self._receive()
        if error:
            raise RuntimeError(f"{command}: {error['error']}: {error['message']}")
        return result.get("value", result) if isinstance(result, dict) else result

    def open(self, path):
        """Open a file."""
        self.call("WebDriver:Navigate", {"url": "file://" + os.path.abspath(path)})

    def evaluate(self, expression):
        """Value of an expression of JavaScript on the page."""
        return self.call("WebDriver:ExecuteScript", {"script": f"return {expression};", "args": []})

    def wait_for(self, expression):
        """Wait until an expression is true."""
        end = time.monotonic() + _SECONDS
        while not self.evaluate(f"!!({expression})"):
            if time.monotonic() > end:
                raise TimeoutError(expression)
            time.sleep(0.1)

    def pointer(self, *actions):
        """Move, press and release the mouse: ("move", x, y), ("down",), ("up",)."""
        kinds = {"move": "pointerMove", "down": "pointerDown", "up": "pointerUp"}
        steps = [{"type": kinds[name], **({"x": place[0], "y": place[1], "duration": 20} if place else {"button": 0})}
                 for name, *place in actions]
        self.call("WebDriver:PerformActions", {"actions": [
            {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": steps}]})

    def keys(self, *keys):
        """Press and release keys one after the other, in the code of WebDriver: "a", "\\ue007" (Enter)."""
        steps = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("WebDriver:PerformActions", {"actions": [{"type": "key", "id": "keyboard", "actions": steps}]})

    def screenshot(self, full=False):
        """Picture of the window, or of the whole page, as PNG."""
        return base64.b64decode(self.call("WebDriver:TakeScreenshot", {"full": full, "hash": False}))

    def close(self):
        """End Firefox and remove its profile."""
        if hasattr(self, "_socket"):
            try:
                self.call("Marionette:Quit", {"flags": ["eForceQuit"]})
            except (OSError, RuntimeError, ConnectionError):
                pass
            self._socket.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, 15)
            self._process.wait(20)
        self._log.close()
        shutil.rmtree(self._profile, ignore_errors=True)

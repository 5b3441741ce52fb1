"""A headless Chromium, spoken to over a pipe: the Chrome DevTools Protocol, and nothing installed for it.

Source: Chrome DevTools Protocol 1.3; `--remote-debugging-pipe` has messages in JSON, each ended by a zero byte, on the
file descriptors 3 (to the browser) and 4 (from it).
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time

CHROMIUM = shutil.which("chromium")


class Browser:
    """One browser with one page."""

    def __init__(self, profile):
        to_read, self.output = os.pipe()
        self.input, to_write = os.pipe()
        # The child takes 3 and 4; what stands there now is moved out of the way first.
        low = [os.dup(to_read), os.dup(to_write)]
        os.close(to_read), os.close(to_write)

        def place():
            high = [os.dup2(fd, 60 + n) for n, fd in enumerate(low)]
            os.dup2(high[0], 3), os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--remote-debugging-pipe", "--hide-scrollbars", f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=place, close_fds=False)
        for fd in low:
            os.close(fd)
        self.buffer = b""
        self.count = 0
        #: What the page's console and its security policy complained of.
        self.complaints = []
        target = self.send("Target.createTarget", url="about:blank", session=None)["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True, session=None)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(30)
        os.close(self.input), os.close(self.output)

    def read(self, deadline):
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.input], [], [], left)[0]:
                raise AssertionError("the browser does not answer")
            piece = os.read(self.input, 65_536)
            assert piece, "the browser ended"
            self.buffer += piece
        text, _, self.buffer = self.buffer.partition(b"\0")
        message = json.loads(text)
        if message.get("method") == "Log.entryAdded":
            self.complaints.append(message["params"]["entry"]["text"])
        if message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(message["params"]["exceptionDetails"]))
        return message

    def send(self, method, session="", seconds=60, **parameters):
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = self.session
        os.write(self.output, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + seconds
        while True:
            answer = self.read(deadline)
            if answer.get("id") == self.count:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def scripts(self, allowed):
        self.send("Emulation.setScriptExecutionDisabled", value=not allowed)

    def size(self, width, height, phone=False):
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)

    def dark(self, dark):
        self.send("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, url):
        """Goes there, and returns when the page is loaded."""
        self.send("Page.navigate", url=url)
        self.wait(lambda: self.evaluate("document.readyState") == "complete" and self.evaluate("location.href") != "about:blank",
                  "the page loaded")

    def evaluate(self, expression):
        """Also where the page's own scripts are off: this is not one of them."""
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, f"{expression}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def text(self, selector="body"):
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def wait(self, condition, what, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if value := condition():
                    return value
            except AssertionError as error:
                # While it goes from one page to another there is none to ask.
                if "context" not in str(error) and "navigated" not in str(error):
                    raise
            time.sleep(0.05)
        raise AssertionError(f"{what} did not happen within {seconds} s; the page says: {self.text()[:2000]}")

    def picture(self, path, whole=True):
        """Writes a PNG of the page, or of what of it is on the screen."""
        shot = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole, optimizeForSpeed=False)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

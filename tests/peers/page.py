#!/usr/bin/env python3
"""A browser that looks at the status page: Chromium without a screen, driven over a pipe, with nothing but Python.

usage: page.py BASE PEER ADMIN_TOKEN VIEWER_TOKEN FOLDER

BASE is https://host:port of a box, PEER one of its federates, whose link is up. Looks at the page on a telephone (360
wide) and on a desk, light and dark, with and without JavaScript, as viewer and as administrator; presses buttons and
sees what comes of it; writes pictures into FOLDER. Ends with 0 when all is as it should be. $CHROMIUM names the program.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time

PATIENCE = 15 * float(os.environ.get("TOMBOLO_PATIENCE", "1"))
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


class Browser:
    """Chromium, and what it says."""

    def __init__(self, program):
        self.folder = tempfile.mkdtemp(prefix="tombolo-page-")
        to_read, self.to = os.pipe()
        self.heard, to_write = os.pipe()
        options = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio",
            "--hide-scrollbars", "--force-color-profile=srgb", "--ignore-certificate-errors",
            "--remote-debugging-pipe", f"--user-data-dir={self.folder}", "about:blank",
        ]
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}', program, *options],
            pass_fds=(to_read, to_write), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self.number, self.rest, self.events, self.complaints = 0, b"", [], []

    def close(self):
        try:
            self.call("Browser.close")
            self.process.wait(PATIENCE)
        except Exception:
            self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def listen(self, end):
        """One message, or none until then."""
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.heard], [], [], max(0, end - time.monotonic()))
            if not ready:
                return None
            more = os.read(self.heard, 1 << 20)
            if not more:
                raise RuntimeError("the browser has ended")
            self.rest += more
        line, self.rest = self.rest.split(b"\0", 1)
        return json.loads(line)

    def call(self, method, session=None, **values):
        self.number += 1
        message = {"id": self.number, "method": method, "params": values}
        if session:
            message["sessionId"] = session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while (answer := self.listen(end)) is not None:
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(answer["params"])
            if "method" in answer:
                self.events.append(answer)
        raise RuntimeError(f"{method}: no answer")


class Page:
    """One page in a context of its own, with its own cookies."""

    def __init__(self, browser, width, height, dark=False, script=True):
        self.browser, self.width = browser, width
        context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
        scheme = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)

    def call(self, method, **values):
        return self.browser.call(method, self.session, **values)

    def ask(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def until(self, what, expression):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                if found := self.ask(expression):
                    return found
            except RuntimeError:
                pass  # Between two pages there is nothing to ask.
            time.sleep(0.05)
        raise AssertionError(f"{what}: not within {PATIENCE} s; the page says: {self.ask('document.body.innerText')[:2000]}")

    def open(self, address):
        self.ask("document.documentElement.dataset.old = 1")
        self.call("Page.navigate", url=address)
        self.until(address, "document.readyState === 'complete' && !document.documentElement.dataset.old")

    def press(self, selector):
        """With the mouse, as people do."""
        self.until(selector, f"document.readyState === 'complete' && !!document.querySelector({json.dumps(selector)})")
        where = self.ask(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)}); one.scrollIntoView({{block: 'center'}});"
            " const box = one.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=where[0], y=where[1], button="left", clickCount=1)

    def key(self, name, code):
        text = {"text": "\r"} if name == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code, **text)

    def picture(self, path):
        self.ask("scrollTo(0, 0)")
        height = self.ask("Math.ceil(document.documentElement.getBoundingClientRect().height)")
        clip = {"x": 0, "y": 0, "width": self.width, "height": min(height, 8000), "scale": 1}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
        print(f"picture {path}")

    def sign_in(self, base, token):
        self.open(base + "/")
        self.until("sent to the sign-in page", "location.pathname === '/login'")
        self.ask("document.querySelector('details').open = true")
        self.press("#token")
        self.call("Input.insertText", text=token)
        self.key("Enter", 13)
        self.until("signed in", "location.pathname === '/' && !!document.getElementById('live') && document.readyState === 'complete'")


# Every text whose contrast to what is behind it is below 4.5 (3 where it is large).
FAINT = """(() => {
  const parts = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((part) => { part /= 255;
    return part <= .03928 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4; })
    .reduce((sum, part, place) => sum + part * [.2126, .7152, .0722][place], 0);
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const one = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || one.closest('svg, noscript, option') || !one.checkVisibility()) continue;
    let behind = one;
    while (behind && (parts(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0) behind = behind.parentElement;
    const style = getComputedStyle(one);
    const pair = [light(parts(style.color)), light(behind ? parts(getComputedStyle(behind).backgroundColor) : [255, 255, 255])];
    const ratio = (Math.max(...pair) + .05) / (Math.min(...pair) + .05);
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) found.push(`${walk.currentNode.data.trim()} (${ratio.toFixed(2)})`);
  }
  return [...new Set(found)].join('; ');
})()"""
# What can be pressed and is smaller than a finger wants it, and what has no name.
SMALL = """[...document.querySelectorAll('button, .button, input:not([type=hidden], [type=checkbox]), select, summary, .tick')]
  .filter((one) => one.checkVisibility() && (one.getBoundingClientRect().height < 36 || !(one.ariaLabel || one.textContent.trim() || one.labels?.length)))
  .map((one) => one.outerHTML.slice(0, 80)).join('; ')"""


def check(truth, words):
    if not truth:
        raise AssertionError(words)


def looks_right(page, what):
    wide = page.ask("document.documentElement.scrollWidth")
    check(wide <= page.width, f"{what}: {wide} wide on a screen of {page.width}")
    faint = page.ask(FAINT)
    check(not faint, f"{what}: too faint: {faint}")
    small = page.ask(SMALL)
    check(not small, f"{what}: too small, or without a name: {small}")
    print(f"ok: {what}")


def main(base, peer, admin, viewer, folder):
    os.makedirs(folder, exist_ok=True)
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not program:
        print("skipped: no chromium here (set CHROMIUM to the program)")
        return
    card = f"document.getElementById('peer-{peer}')"
    says = lambda words: f"{card}?.querySelector('.pill').textContent === '{words}'"
    of_card = lambda selector: f"#peer-{peer} {selector}"
    browser = Browser(program)
    try:
        phone = Page(browser, 360, 740)
        phone.open(base + "/login")
        told = phone.ask("document.body.innerText")
        check(peer not in told and "Sign in" in told, f"strangers are told: {told}")
        looks_right(phone, "the sign-in page on a telephone")
        phone.picture(f"{folder}/phone-sign-in.png")
        phone.sign_in(base, viewer)
        phone.until("the link carries", says("Flowing"))
        check(phone.ask("document.querySelectorAll('#live button').length") == 0, "a viewer has no buttons")
        looks_right(phone, "the status on a telephone, as viewer")
        phone.picture(f"{folder}/phone-viewer.png")
        # It keeps itself fresh, and does not when nobody looks.
        phone.ask("window.mark = 1; window.first = document.querySelector('.sum').textContent; 1")
        phone.until("fresh by itself", "window.mark === 1 && document.querySelector('.sum').textContent !== window.first")
        phone.ask("Object.defineProperty(document, 'hidden', {get: () => true}); document.dispatchEvent(new Event('visibilitychange'))")
        time.sleep(0.5)
        browser.events.clear()
        time.sleep(4)
        phone.ask("1")
        asked = [one for one in browser.events if one["method"] == "Network.requestWillBeSent"]
        check(not asked, f"asks while it is hidden: {asked}")
        print("ok: fresh by itself, and silent while hidden")

        dark = Page(browser, 360, 740, dark=True)
        dark.sign_in(base, admin)
        dark.until("the link carries", says("Flowing"))
        looks_right(dark, "the status on a telephone, dark, as administrator")
        dark.picture(f"{folder}/phone-admin-dark.png")
        dark.press(of_card("button[value=pause]"))
        dark.until("paused", says("Paused"))
        dark.picture(f"{folder}/phone-paused.png")
        dark.press(of_card("button[value=resume]"))
        dark.until("not paused any more", f"{card} && !({says('Paused')})")
        print("ok: pause and resume")

        desk = Page(browser, 1280, 900)
        desk.sign_in(base, admin)
        desk.press(of_card("button[value=in_off]"))
        desk.until("in is off", f"!!{card}?.querySelector('button[value=in_on]')")
        looks_right(desk, "the status on a desk")
        desk.picture(f"{folder}/desk-in-off.png")
        desk.press(of_card("button[value=in_on]"))
        desk.until("in is on", f"!!{card}?.querySelector('button[value=in_off]')")
        desk.until("the link carries", says("Flowing"))
        desk.picture(f"{folder}/desk-admin.png")
        desk.press("form[action='/pair'] button[value=code]")
        code = desk.until("a code", "document.querySelector('#pair output')?.textContent")
        desk.picture(f"{folder}/desk-code.png")
        check(len(code.replace("-", "").replace(" ", "")) == 8, f"a code of eight characters: {code}")
        desk.press("form[action='/pair'] button[value=clear]")
        desk.until("no code any more", "!document.querySelector('#pair output') && document.readyState === 'complete'")
        desk.press(of_card("form[action='/check'] button"))
        desk.until("checked", "document.querySelector('h1').textContent.startsWith('Check of') && /proven/.test(document.body.innerText)")
        looks_right(desk, "a check")
        desk.picture(f"{folder}/desk-check.png")
        print("ok: chips and check")

        plain = Page(browser, 360, 740, script=False)
        plain.sign_in(base, admin)
        check(plain.ask("!!document.querySelector('noscript meta[http-equiv=refresh]') && document.querySelectorAll('article').length > 0"), "whole")
        looks_right(plain, "the status without JavaScript")
        plain.press(of_card("button[value=pause]"))
        plain.until("paused without JavaScript", says("Paused"))
        plain.picture(f"{folder}/phone-no-script.png")
        plain.press(of_card("button[value=resume]"))
        plain.until("resumed without JavaScript", f"{card} && !({says('Paused')})")
        plain.press(of_card("form[action='/remove'] button"))
        plain.until("asked before it is removed", "document.querySelector('h1')?.textContent.startsWith('Remove')")
        looks_right(plain, "the question before a removal")
        plain.picture(f"{folder}/phone-remove.png")
        plain.press("a.button")
        plain.until("kept", f"!!{card}")
        # The first key leads past the top, and the focus shows.
        plain.open(base + "/")
        plain.key("Tab", 9)
        check(plain.ask("document.activeElement.className") == "skip", "the first key leads to the content")
        plain.press(".leave button")
        plain.until("signed out", "location.pathname === '/login'")
        plain.open(base + "/")
        plain.until("out is out", "location.pathname === '/login'")
        print("ok: without JavaScript, by keyboard, signed out")

        check(not browser.complaints, f"the browser complains: {browser.complaints}")
        print("all well")
    finally:
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])

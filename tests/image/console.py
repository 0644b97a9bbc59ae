"""Types at the box's console and reads what it answers, as a person on a serial line does."""

import re

from machine import Trouble

PROMPT = r"tombolo> "


class Console:
    """The serial console of a guest."""

    def __init__(self, world, guest):
        self.world, self.guest = world, guest
        self.serial = guest.machine.serial

    def question(self, number, timeout):
        """Waits for that question of the first setup."""
        return self.guest.expect(rf"{number}/6 [^\r\n]*?> ", timeout)

    def ask(self, line, prompt=PROMPT, timeout=60):
        """Types a line and waits for the next prompt; gives what came in between."""
        self.serial.skip()
        begin = self.serial.position
        self.serial.send_slowly(line + "\r")
        found = self.guest.expect(r"(?:\r|\n)(?:" + prompt + ")", timeout)
        text = self.serial.text[begin : found.start()].replace("\r", "")
        return text

    def command(self, line, timeout=60):
        """A command that must end in `ok`; gives what it said."""
        text = self.ask(line, timeout=timeout)
        if not re.search(r"(?m)^ok$", text):
            raise Trouble(f"the console did not say ok to {line!r}: {text}")
        return text

    def refused(self, line, words="", timeout=60):
        """A command that must end in an error."""
        text = self.ask(line, timeout=timeout)
        self.world.check(
            re.search(r"(?m)^error: .*" + words, text.replace("\n  ", " ")), f"{line!r} is refused: {last(text)[:160]}"
        )
        return text

    def bad_answer(self, number, line):
        """An answer of the first setup that cannot be used: said so, and the same question again."""
        text = self.ask(line, rf"{number}/6 [^\r\n]*?> ")
        shown = line if len(line) < 40 else line[:30] + f"... ({len(line)} characters)"
        # Not at the begin of a line: what is pasted behind it is echoed at once.
        self.world.check("error: " in text, f"question {number} refuses {shown!r}: {last(text)[:160]}")

    def answer(self, number, line, following, timeout=60):
        """An answer that is taken; the question behind it comes."""
        text = self.ask(line, rf"{following}/6 [^\r\n]*?> ", timeout)
        if "error: " in text:
            raise Trouble(f"question {number} refuses {line!r}: {text}")
        return text


def last(text):
    """The error, or else the last line that says something."""
    if "error: " in text:
        return " ".join(text[text.rindex("error: ") :].split())
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"

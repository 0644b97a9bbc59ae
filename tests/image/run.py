"""Runs the scenarios of this folder: each in a process of its own, with a time limit; a table at the end.

A scenario is a file named after the sentence that it proves. It has `ABOUT` (one line), `NEEDS` (what must be built:
boards, `package`), `SECONDS` (what it took on two processors) and `run(world)`.
"""

import argparse
import importlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

from machine import PATIENCE, Trouble, die_with_parent  # noqa: E402
from world import Skipped, World, build  # noqa: E402

# In the order in which they are run: what tells the most comes first.
SCENARIOS = [
    "the_box_boots_to_flowing_on_virt",
    "the_led_tells_what_the_box_does",
    "a_blank_card_is_set_up_over_the_serial_line",
    "a_good_update_is_taken",
    "a_bad_update_rolls_back",
    "an_update_comes_by_stick_and_by_console",
    "a_power_cut_leaves_the_old_or_the_new",
    "the_debian_package_comes_and_goes",
    "the_box_boots_to_flowing_on_raspi",
    "the_box_boots_to_flowing_on_a_router",
    "a_router_rolls_back_too",
]
SKIPPED = 77


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/test-image", description="Tests the image in an emulator.")
    parser.add_argument("scenario", nargs="*", help="names, or parts of names; none = all")
    parser.add_argument("--list", action="store_true", help="show the scenarios and what they take, and end")
    parser.add_argument("--power-cuts", type=int, default=50, metavar="N", help="cuts of power in all [50]")
    parser.add_argument("--seed", type=int, help="repeat the random choices of an earlier run")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="machines at once [2]")
    parser.add_argument("--keep", action="store_true", help="keep disks and trees; transcripts always stay")
    parser.add_argument("--no-build", action="store_true", help="take images and packages as they are")
    parser.add_argument("--allow-skip", action="store_true", help="a scenario that cannot run here is no failure")
    parser.add_argument("--folder", type=Path, default=ROOT / "target/image-test", help=argparse.SUPPRESS)
    parser.add_argument("--alone", metavar="NAME", help=argparse.SUPPRESS)
    return parser.parse_args()


def load(name):
    return importlib.import_module(name)


def alone(options):
    """One scenario, in this process."""
    world = World(options.alone, options.folder / options.alone, options)
    try:
        load(options.alone).run(world)
    except Skipped as why:
        print(f"SKIPPED: {why}", flush=True)
        return SKIPPED
    except Trouble as why:
        place = traceback.extract_tb(why.__traceback__)
        steps = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(place))
        print(f"FAILED: {why}\n  at {steps}", flush=True)
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        world.tidy()
    return 0


class Runner:
    """Starts the scenarios, at most so many at once."""

    def __init__(self, options, names):
        self.options, self.waiting = options, list(names)
        self.results, self.lock = {}, threading.Lock()
        self.children = set()

    def run(self):
        workers = [threading.Thread(target=self._work, daemon=True) for _ in range(max(1, self.options.jobs))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def _work(self):
        while True:
            with self.lock:
                if not self.waiting:
                    return
                name = self.waiting.pop(0)
            self.results[name] = self._one(name)

    def _one(self, name):
        scenario, options = load(name), self.options
        folder = options.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        command = [sys.executable, "-B", __file__, "--alone", name, "--folder", str(options.folder)]
        command += ["--power-cuts", str(options.power_cuts), "--seed", str(options.seed), "--jobs", str(options.jobs)]
        command += ["--keep"] if options.keep else []
        seconds = scenario.SECONDS(options) if callable(scenario.SECONDS) else scenario.SECONDS
        limit = (60 + 4 * seconds) * PATIENCE
        print(f"== {name}", flush=True)
        begin = time.monotonic()
        with open(folder / "transcript.log", "w+b") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
            self.children.add(child)
            try:
                code = child.wait(limit)
            except subprocess.TimeoutExpired:
                log.write(f"FAILED: not done within {limit:.0f} s\n".encode())
                code = 1
            finally:
                end_group(child)
                self.children.discard(child)
            log.seek(0)
            text = log.read().decode(errors="replace")
        word = {0: "ok", SKIPPED: "SKIPPED"}.get(code, "FAILED")
        took = time.monotonic() - begin
        with self.lock:
            print(f"== {name}: {word} after {took:.0f} s", flush=True)
            if word != "ok":
                print(indented(text[-6000:]), flush=True)
                print(f"   transcripts: {folder}", flush=True)
        notes = [line[3:] for line in text.splitlines() if line.startswith("-- ")]
        return word, took, notes


def end_group(child):
    """Nothing that a scenario started outlives it."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def indented(text):
    return "\n".join("   | " + line for line in text.splitlines())


def chosen(options):
    if not options.scenario:
        return list(SCENARIOS)
    names = [name for name in SCENARIOS if any(part in name for part in options.scenario)]
    unknown = [part for part in options.scenario if not any(part in name for name in SCENARIOS)]
    if unknown or not names:
        sys.exit(f"scripts/test-image: no scenario is called {', '.join(unknown)}; --list shows them")
    return names


def show_list(options):
    total = 0
    for name in SCENARIOS:
        scenario = load(name)
        seconds = scenario.SECONDS(options) if callable(scenario.SECONDS) else scenario.SECONDS
        total += seconds
        print(f"{seconds:5.0f} s  {name}\n         {scenario.ABOUT}")
    print(f"{total:5.0f} s  one after the other, without building")


def main():
    options = arguments()
    if options.alone:
        return alone(options)
    if options.list:
        show_list(options)
        return 0
    names = chosen(options)
    # A scenario is a session of its own: what ends us ends it, through here.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(10**6)
    print(f"== seed {options.seed} (--seed {options.seed} repeats the random choices)", flush=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    table = build(options, sorted({need for name in names for need in load(name).NEEDS}))
    runner = Runner(options, names)
    if all(word == "ok" for _, word, _, _ in table):
        try:
            runner.run()
        except KeyboardInterrupt:
            return 130
        finally:
            for child in list(runner.children):
                end_group(child)
    for name in names:
        word, took, notes = runner.results.get(name, ("not run", 0.0, []))
        table.append((name, word, took, notes))
    print("== summary")
    for name, word, took, notes in table:
        print(f"{word:8} {took:7.1f} s  {name}")
        for note in notes:
            print(f"                    {note}")
    print(f"total    {time.monotonic() - begin:7.1f} s")
    fine = {"ok", "SKIPPED"} if options.allow_skip else {"ok"}
    return 0 if all(word in fine for _, word, _, _ in table) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Turns what was seen of the status LED back into the name of its pattern.

    from led_decode import decode, WINDOW_S
    word = decode([(time_s, level), ...])

The list holds samples or edges, in order of time: `time_s` in seconds of any origin, `level` true or 1 = lit. From one
entry to the next the LED keeps its level, so the last entry only ends what came before it: with a list of edges,
append a last entry with the time at which you stopped looking.

Words (the table is in src/led/pattern.rs):

    steady  wink  slow (1/1 s)  medium (0.3/0.3)  fast (0.1/0.1)  flicker (0.05/0.05)  double  off
    blinks_2 ... blinks_10   (blinks_10: nobody drives the LED any more)
    unknown                  (too short a look, or two patterns in one look)

Look for at least WINDOW_S seconds. Samples must be closer than half of the shortest step that is to be told: 20 ms see
everything, 40 ms all but `flicker`. The first and the last step are not trusted, for the look cut them. Single steps may
be up to twice as long as they should be (the daemon renews its lease on the LED), and all may be a third slow (a kernel
under emulation).

Standard library only. `python3 led_decode.py` tests itself; `python3 led_decode.py FILE` decodes lines of `time level`.
"""

import statistics
import sys

# Two whole groups of ten blinks, with their pauses, on a slow machine.
WINDOW_S = 20.0

# A LED that did not change for so long is steady or off; every other pattern has changed by then.
STILL_S = 4.5

# What is shorter is no step but a slip: two writers met at one edge.
SLIP_S = 0.02

# What is darker for longer than this, seconds, stands between two groups of pulses.
GAP_S = 0.75

# What the LED does: word -> steps of (lit, seconds), as src/led/pattern.rs has them.
PATTERNS = {
    "wink": [(1, 3.8), (0, 0.2)],
    "slow": [(1, 1.0), (0, 1.0)],
    "medium": [(1, 0.3), (0, 0.3)],
    "fast": [(1, 0.1), (0, 0.1)],
    "flicker": [(1, 0.05), (0, 0.05)],
    "double": [(1, 0.15), (0, 0.15), (1, 0.15), (0, 1.05)],
}
for _count in range(2, 11):
    PATTERNS[f"blinks_{_count}"] = [(1, 0.3), (0, 0.3)] * (_count - 1) + [(1, 0.3), (0, 1.5)]


def steps(seen):
    """Samples or edges as steps: [[lit, seconds], ...]."""
    raw = []
    for (time, level), (after, _) in zip(seen, seen[1:]):
        level = 1 if level else 0
        if raw and raw[-1][0] == level:
            raw[-1][1] += after - time
        else:
            raw.append([level, after - time])
    found = []
    for level, seconds in raw:
        if found and (seconds < SLIP_S or found[-1][0] == level):
            found[-1][1] += seconds
        else:
            found.append([level, seconds])
    return found


def decode(seen):
    """The word for what was seen; see the head of this file."""
    found = steps(list(seen))
    if not found:
        return "unknown"
    if len(found) == 1:
        lit, seconds = found[0]
        if seconds < STILL_S:
            return "unknown"
        return "steady" if lit else "off"
    whole = found[1:-1]
    lit = [seconds for level, seconds in whole if level]
    dark = [seconds for level, seconds in whole if not level]
    if _winks(found, lit, dark):
        return "wink"
    if len(lit) < 2 or len(dark) < 2:
        return "unknown"
    gaps = [seconds for seconds in dark if seconds > GAP_S]
    pulse = statistics.median(lit)
    if gaps and _near(pulse, 1.0):
        alike = all(_near(seconds, 1.0, most=2.2) for seconds in lit + dark)
        return "slow" if alike else "unknown"
    if gaps:
        return _groups(found, pulse)
    return _even(lit, dark)


def _near(seconds, wanted, most=1.4):
    return wanted * 0.7 <= seconds <= wanted * most


def _winks(found, lit, dark):
    """Dark for an instant, lit for ages; one whole wink is enough."""
    ends = [step for step in (found[0], found[-1])]
    return (
        len(dark) >= 1
        and all(0.1 <= seconds <= 0.4 for seconds in dark)
        and all(_near(seconds, 3.8) for seconds in lit)
        and all(level for level, _ in ends) == (len(found) % 2 == 1)
        and sum(seconds for level, seconds in found if level) > 2.0
        and (lit or all(level and seconds > 1.0 for level, seconds in ends))
    )


def _even(lit, dark):
    """Patterns whose steps are all alike: by the middle one, so that a few odd ones do not matter."""
    middle = statistics.median(lit + dark)
    limits = [("flicker", 0.02, 0.075), ("fast", 0.075, 0.2), ("medium", 0.2, 0.5)]
    for word, least, most in limits:
        if least <= middle < most:
            odd = [seconds for seconds in lit + dark if not least * 0.5 <= seconds < most * 1.5]
            return word if len(odd) * 5 <= len(lit + dark) else "unknown"
    return "unknown"


def _groups(found, pulse):
    """Pulses between two gaps, counted; three of four whole groups must say the same, for a machine under load may drop
    a pulse. A gap that the look cut is one still."""
    counts, count, inside = [], 0, False
    for level, seconds in found:
        if level:
            count += 1
        elif seconds > GAP_S:
            if inside:
                counts.append(count)
            count, inside = 0, True
    if not counts:
        return "unknown"
    count = statistics.mode(counts)
    if counts.count(count) < 0.75 * len(counts):
        return "unknown"
    if count == 2 and pulse < 0.225:
        return "double"
    if 2 <= count <= 10 and 0.2 <= pulse <= 0.5:
        return f"blinks_{count}"
    return "unknown"


def edges(word, seconds=WINDOW_S, start=0.0, slow=1.0, skip=0.0):
    """What a look of so many seconds at that pattern gives, beginning `skip` seconds into it. For tests."""
    if word in ("steady", "off"):
        level = int(word == "steady")
        return [(start, level), (start + seconds, level)]
    seen, time = [], -skip
    while time < seconds:
        for level, lasts in PATTERNS[word]:
            end = time + lasts * slow
            if end > 0 and time < seconds:
                seen.append((start + max(time, 0.0), level))
            time = end
    return seen + [(start + seconds, 1 - seen[-1][1])]


def sampled(seen, every):
    """The same look by a clock that samples."""
    samples, time, at = [], seen[0][0], 0
    while time <= seen[-1][0]:
        while at + 1 < len(seen) and seen[at + 1][0] <= time:
            at += 1
        samples.append((time, seen[at][1]))
        time += every
    return samples


def self_test():
    """Every pattern, from every moment of it, exact, slow and sampled, is told from all others."""
    words = ["steady", "off", *PATTERNS]
    for word in words:
        for slow in (1.0, 1.1, 1.3):
            for tenth in range(0, 100, 7):
                seen = edges(word, slow=slow, start=1e6, skip=tenth / 10)
                assert decode(seen) == word, (word, slow, tenth, decode(seen))
                every = 0.01 if word == "flicker" else 0.02
                got = decode(sampled(seen, every))
                assert got == word, (word, slow, tenth, "sampled", got)
    # A step that the renewal of the lease made longer, every two seconds.
    for word in ("fast", "flicker", "medium"):
        time, level, seen = 0.0, 1, []
        step, since = PATTERNS[word][0][1], 0.0
        while time < WINDOW_S:
            seen.append((time, level))
            longer = since > 2.0
            since = 0.0 if longer else since + step
            time, level = time + step * (1.9 if longer else 1.0), 1 - level
        assert decode(seen) == word, (word, decode(seen))
    # Two patterns in one look are no pattern.
    for one, other in (("slow", "fast"), ("blinks_4", "blinks_5"), ("medium", "slow")):
        first = edges(one, seconds=10)
        mixed = first[:-1] + edges(other, seconds=10, start=10.0)
        assert decode(mixed) == "unknown", (one, other, decode(mixed))
    for short in ([], [(0, 1)], [(0, 1), (1, 1)], [(0, 1), (1, 0), (2, 0)]):
        assert decode(short) == "unknown", short
    return len(words)


def main():
    """Tests itself, or decodes a file."""
    if len(sys.argv) > 1:
        with open(sys.argv[1], encoding="utf-8") as lines:
            seen = [(float(time), int(level)) for time, level in map(str.split, lines)]
        print(decode(seen))
    else:
        print(f"led_decode: {self_test()} patterns told apart")


if __name__ == "__main__":
    main()

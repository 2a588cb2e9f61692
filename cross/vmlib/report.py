"""PASS and FAIL lines, the transcript, and the limit for the whole run."""
import time


class Failed(Exception):
    """A check that did not see what it wanted; the text says what it saw."""


class Report:
    """Prints one line a check and keeps them for the table at the end."""

    def __init__(self, transcript, limit_s):
        self._file = open(transcript, "w", encoding="utf-8")  # Kept open for the whole run.
        self.rows, self._started, self._limit_s = [], time.monotonic(), limit_s
        self.failed = 0

    def note(self, text):
        """A line for the transcript and the screen."""
        print(text, flush=True)
        self.detail(text)

    def detail(self, text):
        """A line for the transcript alone."""
        self._file.write(text + "\n")
        self._file.flush()

    def left_s(self):
        """Seconds left of the whole run."""
        return self._limit_s - (time.monotonic() - self._started)

    def check(self, name, function, *arguments):
        """Runs one check. What it returns is what was seen. Returns whether it passed."""
        if self.left_s() <= 0:
            self._row("FAIL", name, f"not run: the whole is limited to {self._limit_s:.0f} s", 0.0)
            return False
        started = time.monotonic()
        try:
            seen, verdict = function(*arguments), "PASS"
        except Failed as error:
            seen, verdict = str(error), "FAIL"
        self._row(verdict, name, seen or "", time.monotonic() - started)
        return verdict == "PASS"

    def lost(self, why):
        """The machine is gone: nothing after this could be checked."""
        self._row("FAIL", "the machine answers", why, 0.0)

    def _row(self, verdict, name, seen, took_s):
        self.failed += verdict == "FAIL"
        seen = " ".join(str(seen).split())
        self.rows.append((verdict, name, seen, took_s))
        self.note(f"{verdict} {name}: {seen[:400]} ({took_s:.1f} s)")

    def table(self):
        """The summary, as Markdown."""
        lines = ["| check | seen | s |", "|---|---|---|"]
        for verdict, name, seen, took_s in self.rows:
            mark = "" if verdict == "PASS" else "**FAIL** "
            seen = seen.replace("|", "/")
            lines.append(f"| {mark}{name} | {seen[:160]} | {took_s:.1f} |")
        return "\n".join(lines)


def want(good, seen):
    """Fails the check with what was seen unless it is good; returns what was seen."""
    if not good:
        raise Failed(seen)
    return seen

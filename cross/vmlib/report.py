"""PASS, FAIL and SKIP lines, the transcript, and the summary."""
import time

from children import Lost


# Beginning of the names of checks that are commands of the documentation's pages.
PAGE = "docs: "


class Failed(Exception):
    """A check that did not see what it wanted; the text says what it saw."""


class Skipped(Exception):
    """A check that cannot be made here; the text says why."""


class Report:
    """Prints one line a check and keeps them for the table at the end."""

    def __init__(self, transcript):
        self._file = open(transcript, "w", encoding="utf-8")  # Kept open for the whole run.
        self.rows, self._started = [], time.monotonic()

    def note(self, text):
        """A line for the transcript and the screen."""
        print(text, flush=True)
        self.detail(text)

    def detail(self, text):
        """A line for the transcript alone."""
        self._file.write(text + "\n")
        self._file.flush()

    def check(self, name, function, *arguments):
        """Runs one check. What it returns is what was seen. Returns whether it passed. `Lost` ends the run."""
        started = time.monotonic()
        try:
            seen, verdict = function(*arguments), "PASS"
        except Failed as error:
            seen, verdict = str(error), "FAIL"
        except Skipped as error:
            seen, verdict = str(error), "SKIP"
        except Lost as error:
            self._row("FAIL", name, f"{error}; what comes after was not checked", time.monotonic() - started)
            raise
        self._row(verdict, name, seen or "", time.monotonic() - started)
        return verdict == "PASS"

    def lost(self, why):
        """The run ended before its end, outside a check or inside one that has said so."""
        if not (self.rows and self.rows[-1][0] == "FAIL" and self.rows[-1][2].startswith(why[:40])):
            self._row("FAIL", "the machine answers", why, 0.0)

    def count(self, verdict):
        """How many checks ended so."""
        return sum(row[0] == verdict for row in self.rows)

    def end(self, title):
        """Prints the summary, which fits into a page, and closes the transcript. Returns the exit code."""
        counts = f"{self.count('PASS')} passed, {self.count('FAIL')} failed, {self.count('SKIP')} not run"
        self.note(f"\n{title}: {counts}, in {(time.monotonic() - self._started) / 60:.0f} minutes.\n\n{self.table()}")
        self._file.close()
        return 1 if self.count("FAIL") else 0

    def _row(self, verdict, name, seen, took_s):
        seen = " ".join(str(seen).split())
        self.rows.append((verdict, name, seen, took_s))
        self.note(f"{verdict} {name}: {seen[:400]} ({took_s:.1f} s)")

    def table(self):
        """The summary, as Markdown. The commands of a page are one row, unless they failed or could not be run."""
        lines = ["| check | seen | s |", "|---|---|---|"]
        page = [row for row in self.rows if row[1].startswith(PAGE) and row[0] == "PASS"]
        for verdict, name, seen, took_s in self.rows:
            if page and (verdict, name, seen, took_s) in page:
                continue
            mark = "" if verdict == "PASS" else f"**{verdict}** "
            seen = seen.replace("|", "/")
            lines.append(f"| {mark}{name} | {seen if len(seen) <= 140 else seen[:139] + '…'} | {took_s:.1f} |")
        if page:
            lines.append(f"| {PAGE}{len(page)} commands as they stand there | each ended as it should | {sum(row[3] for row in page):.0f} |")
        return "\n".join(lines)


def want(good, seen):
    """Fails the check with what was seen unless it is good; returns what was seen."""
    if not good:
        raise Failed(seen)
    return seen

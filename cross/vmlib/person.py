"""A person at a terminal of a container: types lines, answers questions, reads the screen. Every line and key typed is counted."""
import codecs
import errno
import fcntl
import os
import pty
import re
import select
import struct
import termios
import time

import children
from report import Failed
from screen import Screen

PROMPT = "pi:~$ "
# Colours, cursor movements, and what a line was before it was written anew.
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\x1b[()][A-Z0-9]")
# The end of a line on which a question waits.
QUESTION = re.compile(r"[:?\])>] ?$")
QUIET_S = 1.0


def shown(text):
    """A terminal's output as lines of text, each as it was last written."""
    lines = ESCAPES.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rsplit("\r", 1)[-1] if line.rsplit("\r", 1)[-1].strip() else line.replace("\r", "") for line in lines)


class Person:
    """A shell in the container on a pseudo-terminal of 80 by 24 characters."""

    def __init__(self, init_pid, log, slow=1.0):
        self.inputs, self.slow, self._log, self._text = 0, slow, open(log, "w", encoding="utf-8"), ""  # Open as long as the shell is.
        self.screen = Screen()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        command = ["nsenter", "-t", str(init_pid), "-m", "-u", "-i", "-n", "-p", "-r", "-w", "env", "-i", "TERM=xterm-256color", "HOME=/root", "LANG=C.UTF-8",
                   "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", f"PS1={PROMPT}", "setsid", "-c", "bash", "--noprofile", "--norc", "-i"]
        self._process = children.start_at(command, slave)
        os.close(slave)
        self._fd = master
        os.set_blocking(master, False)
        self._until(lambda: self._text.endswith(PROMPT), 20, "a prompt")

    def _read(self, wait_s):
        ready, _, _ = select.select([self._fd], [], [], wait_s)
        if not ready:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError as error:
            if error.errno in (errno.EIO, errno.EAGAIN):
                return False
            raise
        text = self._decoder.decode(data)
        self._text += text
        self.screen.feed(text)
        self._log.write(text)
        self._log.flush()
        return bool(data)

    def _until(self, done, limit_s, what):
        deadline = time.monotonic() + limit_s * self.slow
        while not done():
            if time.monotonic() > deadline:
                raise Failed(f"{what} did not come within {limit_s * self.slow:.0f} s; on the screen: …{' / '.join(shown(self._text).strip().splitlines()[-6:])[-500:]}")
            self._read(0.1)

    def type(self, line):
        """Types a line and Enter. One input."""
        self.inputs += 1
        self._text = ""
        os.write(self._fd, line.encode() + b"\r")

    def interrupt(self, limit_s=20):
        """Presses Ctrl-C and waits for the prompt. One input."""
        self.inputs += 1
        os.write(self._fd, b"\x03")
        self._until(lambda: self._text.endswith(PROMPT), limit_s, "the end after Ctrl-C")

    def sees(self, pattern, limit_s):
        """Waits until this is on the screen, whether the program scrolls or draws in place. Returns the match."""
        found = []

        def look():
            match = re.search(pattern, self.screen.text()) or re.search(pattern, shown(self._text))
            found[:] = [match] if match else []
            return match

        self._until(look, limit_s, f"“{pattern}”")
        return found[0]

    def command(self, line, limit_s, answers=()):
        """Types a command and answers what it asks: (pattern of the question, answer or a function of the screen's text); anything else is
        answered by Enter, which takes what is offered. Returns what was on the screen."""
        self.type(line)
        whole, deadline, last = "", time.monotonic() + limit_s * self.slow, time.monotonic()
        while True:
            if self._read(0.1):
                last = time.monotonic()
            if self._text.endswith(PROMPT):
                return shown(whole + self._text[:-len(PROMPT)])
            if time.monotonic() > deadline:
                raise Failed(f"`{line}` did not end within {limit_s * self.slow:.0f} s; on the screen: …{shown(whole + self._text)[-500:]}")
            question = shown(self._text).rsplit("\n", 1)[-1]
            if time.monotonic() - last > QUIET_S and QUESTION.search(question) and question.strip():
                answer = next((answer for pattern, answer in answers if re.search(pattern, question)), "")
                whole += self._text
                self.type(answer(shown(whole)) if callable(answer) else answer)
                last = time.monotonic()

    def end(self):
        """Leaves."""
        children.end(self._process, 2)
        os.close(self._fd)
        self._log.close()

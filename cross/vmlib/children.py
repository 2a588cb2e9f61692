"""The processes that a run starts. All of them end with the run, however it ends: done, out of time, a signal, a fault of the script."""
import contextlib
import signal
import subprocess
import sys

_running, _waiting, _busy = [], [], [0]


class Lost(Exception):
    """The machine does not answer, did not come up in time, or the time for the whole run is over."""


def _signalled(number, _frame):
    # Between the start of a process and its entry in the list an exception would lose it.
    if _busy[0]:
        _waiting.append(number)
        return
    if number == signal.SIGALRM:
        raise Lost("the time for the whole run is over")
    sys.exit(128 + number)


@contextlib.contextmanager
def undisturbed():
    """Signals wait until the block is left."""
    _busy[0] += 1
    try:
        yield
    finally:
        _busy[0] -= 1
    if _waiting and not _busy[0]:
        _signalled(_waiting.pop(0), None)


def limit(seconds):
    """After so many seconds `Lost` is raised, wherever the run is; SIGTERM, SIGINT and SIGHUP leave by `SystemExit`."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, _signalled)
    # Again each 5 s, should the first have come where nothing could be left.
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), 5)


def start(command, **options):
    """Starts a process that is ended by `end`, by `end_all`, and by the kernel should this process be killed."""
    with undisturbed():
        process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *command], stdin=subprocess.DEVNULL, **options)
        _running.append(process)
    return process


def start_at(command, terminal):
    """As `start`, on the file descriptor of a terminal instead of nothing."""
    with undisturbed():
        process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *command], stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True)
        _running.append(process)
    return process


def end(process, wait_s=15):
    """SIGTERM, and SIGKILL when that does not end it within `wait_s` (0: at once)."""
    with undisturbed():
        if wait_s > 0:
            process.terminate()
            try:
                process.wait(wait_s)
            except subprocess.TimeoutExpired:
                pass
        if process.poll() is None:
            process.kill()
            process.wait()
        if process in _running:
            _running.remove(process)


def end_all():
    """Ends what still runs, the last started first. Nothing disturbs it any more."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    _busy[0] += 1
    while _running:
        end(_running[-1])

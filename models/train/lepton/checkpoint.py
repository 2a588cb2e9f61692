"""Files from which training goes on: whole or not there, and the last two of them are kept."""

import os
import pathlib
import pickle
import zipfile

import torch

KEPT = 2
VERSION = 1


class Mismatch(RuntimeError):
    """A checkpoint is of another run than the one that is to go on."""


class Store:
    """The checkpoints of one run in a directory. A file's name holds the number of its step."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def files(self):
        """Those that are there, the newest first."""
        return sorted(self.folder.glob("step-*.pt"), reverse=True)

    def save(self, step, state):
        """Writes the state of a step under another name, and renames it once it is on the disk."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # A name of each process: several may share a directory.
        scratch = self.folder / f".{os.getpid()}.tmp"
        try:
            with open(scratch, "wb") as file:
                torch.save({"version": VERSION, "step": step, **state}, file)
                file.flush()
                os.fsync(file.fileno())
            scratch.rename(self.folder / f"step-{step:09}.pt")
        finally:
            scratch.unlink(missing_ok=True)
        for old in self.files()[KEPT:]:
            old.unlink(missing_ok=True)

    def load(self, tell=print):
        """The newest state that can be read, or None. A damaged file is named and passed over."""
        for path in self.files():
            try:
                state = torch.load(path, weights_only=True)
                if state.get("version") == VERSION:
                    return state
                tell(f"{path} is of another version of this program and is passed over")
            except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, zipfile.BadZipFile, AttributeError) as error:
                tell(f"{path} cannot be read and is passed over: {_reason(error)}")
        return None

    def clear(self):
        """Removes them all."""
        for path in self.files():
            path.unlink(missing_ok=True)


def _reason(error):
    """One line of an error, or its kind where it has no words."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def newest(store, group, settings, tell=print):
    """The state from which all processes go on, or None: that of the process which has the newest, for each host keeps its own.

    Raises `Mismatch` where it was saved by a run with other settings."""
    state = store.load(tell)
    steps = group.gather(-1 if state is None else state["step"])
    best = max(range(len(steps)), key=lambda rank: steps[rank])
    if steps[best] < 0:
        return None
    if len(set(steps)) > 1:
        state = group.share(state, best)
    for key, value in settings.items():
        if state["settings"].get(key) != value:
            raise Mismatch(
                f"{store.folder} holds a run with {key} = {state['settings'].get(key)!r}, not {value!r}: "
                "go on with the same settings, or begin anew with --again"
            )
    return state

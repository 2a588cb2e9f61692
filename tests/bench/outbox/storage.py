#!/usr/bin/env python3
"""Bytes written per event by a segment log and by SQLite in WAL mode: `storage.py [DIRECTORY]`.

Events of 300 bytes are committed (with fsync) as the outbox commits them: every 5 s or at 256 records. Bytes are `write_bytes` of
/proc/self/io, what the kernel hands to the disk for this process; the file system's own journal comes on top of both. Each
outage is followed by a drain in which every record is removed, with a commit every 5 s at 5000 events a second.
"""
import os
import shutil
import sqlite3
import struct
import sys
import tempfile
import zlib

PAYLOAD = b"x" * 300
TOPIC = b"leptond/attic/door/event"
SEGMENT = 1 << 20


def written():
    with open("/proc/self/io") as io:
        return next(int(line.split()[1]) for line in io if line.startswith("write_bytes"))


class Log:
    """Append-only segments; each record has length and CRC, each commit ends with the acknowledged position."""

    def __init__(self, where):
        self.where, self.file, self.number, self.segments = where, None, 0, []

    def append(self, body):
        return struct.pack("<II", len(body), zlib.crc32(body)) + body

    def commit(self, records, cursor):
        if self.file is None or self.file.tell() >= SEGMENT:
            if self.file:
                self.file.close()
            path = os.path.join(self.where, f"{self.number:016x}.log")
            self.file = open(path, "wb", buffering=0)
            self.file.write(b"LPTNOUT1" + bytes(8))
            self.segments.append((path, self.number))
        data = bytearray()
        for _ in range(records):
            self.number += 1
            data += self.append(struct.pack("<BQIIH", 1, self.number, 0, 0, len(TOPIC)) + TOPIC + PAYLOAD)
        data += self.append(struct.pack("<BQIQ", 2, cursor, 0, 0))
        self.file.write(data)
        os.fdatasync(self.file.fileno())

    def remove(self, upto):
        self.commit(0, upto)
        while len(self.segments) > 1 and self.segments[1][1] <= upto:
            os.remove(self.segments.pop(0)[0])


class Sqlite:
    """One table in WAL mode with synchronous=FULL, a transaction a commit; SQLite's own checkpoints."""

    def __init__(self, where):
        self.db = sqlite3.connect(os.path.join(where, "outbox.db"), isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=FULL")
        self.db.execute("CREATE TABLE event (id INTEGER PRIMARY KEY, wall INTEGER, topic TEXT, payload BLOB)")

    def commit(self, records, _cursor):
        self.db.execute("BEGIN")
        self.db.executemany("INSERT INTO event (wall, topic, payload) VALUES (0, ?, ?)", [(TOPIC, PAYLOAD)] * records)
        self.db.execute("COMMIT")

    def remove(self, upto):
        self.db.execute("DELETE FROM event WHERE id <= ?", (upto,))


def main():
    base = sys.argv[1] if len(sys.argv) > 1 else "."
    print("| storage | events a second | commits | bytes written per event | bytes stored per event | for an outage of 24 h | drained |")
    print("|---|---|---|---|---|---|---|")
    for rate, commits in ((1, 720), (20, 360)):
        for kind in (Log, Sqlite):
            where = tempfile.mkdtemp(dir=base)
            store, records = kind(where), rate * 5
            before = written()
            for _ in range(commits):
                store.commit(records, 0)
            during = written() - before
            size = sum(os.path.getsize(os.path.join(where, name)) for name in os.listdir(where))
            events = records * commits
            for upto in range(25_000, events + 25_000, 25_000):
                store.remove(min(upto, events))
            drain = written() - before - during
            each = during / events
            print(f"| {'segment log' if kind is Log else 'SQLite, WAL'} | {rate} | {commits} | {each:.0f} | {size / events:.0f} "
                  f"| {each * rate * 86400 / 1e6:.0f} MB | {drain / 1e6:.2f} MB |", flush=True)
            shutil.rmtree(where)


main()

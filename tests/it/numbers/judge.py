"""Reads files as CSV or JSON Lines with Python's own readers: which value may stand under which name, row by row."""

import csv
import json
import math
import re
import struct
import sys

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z")


def single(number):
    """As an f32, or None where it is none."""
    try:
        held = struct.unpack("f", struct.pack("f", number))[0]
    except (OverflowError, struct.error):
        return None
    return held if math.isfinite(held) else None


def number(text, comma=False):
    text = text.strip()
    if comma:
        if "." in text:
            return None
        text = text.replace(",", ".")
    return single(float(text)) if NUMBER.match(text) else None


def of_csv(raw, delimiter, comma):
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    rows, header = [], None
    reader = csv.reader(text.replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", " ").split("\n"), delimiter=delimiter)
    for cells in reader:
        cells = [c.strip("\r \t\ufeff") if delimiter != "\t" else c.strip("\r \ufeff") for c in cells]
        if not any(cells):
            continue
        while header and len(cells) > len(header) and not cells[-1]:
            cells.pop()
        words = not any(number(c, comma) is not None for c in cells)
        known = sum(c != "" and c in header for c in cells) if header else 0
        if header is None or known > 1 or (words and known):
            header = cells
            while len(header) > 1 and not header[-1]:
                header.pop()
            continue
        if len(cells) == len(header):
            row = {n: number(c, comma) for n, c in zip(header, cells) if n and header.count(n) == 1}
            rows.append({n: v for n, v in row.items() if v is not None})
    return rows


class Twice(Exception):
    pass


def once(pairs):
    if len({k for k, _ in pairs}) != len(pairs):
        raise Twice
    return dict(pairs)


def flatten(value, path, out):
    if isinstance(value, dict):
        for key, inner in value.items():
            flatten(inner, path + [key], out)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            flatten(inner, path + [str(i)], out)
    else:
        if isinstance(value, bool):
            value = float(value)
        elif isinstance(value, (int, float)):
            value = single(value)
        elif isinstance(value, str):
            value = number(value)
        out.setdefault(".".join(path), []).append(value)


def of_json(raw):
    rows = []
    for line in raw.split(b"\n"):
        try:
            value = json.loads(line.decode("utf-8-sig"), object_pairs_hook=once)
        except (ValueError, Twice, RecursionError):
            continue
        if isinstance(value, (dict, list)):
            out = {}
            flatten(value, [], out)
            rows.append({n: v[0] for n, v in out.items() if len(v) == 1 and v[0] is not None and v[0] == v[0]})
    return rows


for line in sys.stdin:
    path, kind, delimiter, comma = line.rstrip("\n").split("|")
    with open(path, "rb") as file:
        raw = file.read()
    delimiter = {"comma": ",", "semicolon": ";", "tab": "\t"}[delimiter]
    print(json.dumps(of_csv(raw, delimiter, comma == "1") if kind == "csv" else of_json(raw), allow_nan=False))

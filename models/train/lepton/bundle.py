"""The files of a model bundle: `model.toml` with hashes and figures."""

import hashlib
import json


def sha256(path):
    """64 hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def write_manifest(path, top, tables, lists):
    """Writes `model.toml`: `top` keys, then `tables` by name, then `lists` of tables by name. A None is left out."""
    lines = [f"{key} = {_toml(value)}" for key, value in top.items() if value is not None]
    sections = [(f"[{name}]", table) for name, table in tables.items()]
    sections += [(f"[[{name}]]", table) for name, items in lists.items() for table in items]
    for title, table in sections:
        lines += ["", title] + [f"{key} = {_toml(value)}" for key, value in table.items() if value is not None]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

#!/usr/bin/env python3
"""Draws what a command prints at a terminal as an SVG, the command itself in the first line.

    tests/tools/terminal_svg.py OUT.svg [--columns N] [--first N] [--last N] [--shown TEXT] -- COMMAND…

--first and --last keep that many lines of the beginning and of the end, and mark the gap; --shown is the command as a reader types it.
A screen, caught by tmux (tmux new-session -x 92 -y 30, then tmux capture-pane -e -p >screen):
    tests/tools/terminal_svg.py docs/watch.svg --columns 92 --shown "leptond watch" -- cat screen
README's picture, of 80 by 24: tests/tools/terminal_svg.py docs/demo.svg --columns 80 --shown "leptond demo" -- cat screen
"""
import argparse
import fcntl
import html
import os
import pty
import re
import struct
import sys
import termios

CELL, LINE, SIZE, EDGE = 7.8, 18, 13, 14
COLOURS = {30: "#6e7681", 31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 34: "#79c0ff", 35: "#d2a8ff", 36: "#76e3ea", 37: "#e6edf3"}
# Top and height of each block, in lines.
LEVELS = (0, 95, 135, 175, 215, 255)
BLOCKS = {"█": (0, 1), "▀": (0, 0.5)} | {chr(0x2580 + n): (1 - n / 8, n / 8) for n in range(1, 8)}
TEXT, DIM, BACK = "#e6edf3", "#8b949e", "#0d1117"


def output_of(command, columns):
    """What `command` writes to a terminal of this width, and its exit code."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm-256color"
        try:
            os.execvp(command[0], command)
        except OSError as error:
            os.write(2, f"{command[0]}: {error.strerror}\n".encode())
            os._exit(127)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    read = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError: # Linux's end of a terminal
            part = b""
        if not part:
            break
        read += part
    return read.decode("utf-8", "replace"), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def colour_of(index):
    """One of the 256 colours: sixteen of the terminal's own, a cube of six steps a side, 24 greys."""
    if index < 16:
        return COLOURS[30 + index % 8]
    if index >= 232:
        return "#" + 3 * f"{8 + 10 * (index - 232):02x}"
    cube = index - 16
    return "#" + "".join(f"{LEVELS[step]:02x}" for step in (cube // 36, cube // 6 % 6, cube % 6))


def lines_of(text):
    """Lines of `(text, colour, bold, background)` runs. A line that was written over by a carriage return is what was written last."""
    lines, colour, bold, back = [], TEXT, False, None
    for line in text.replace("\r\n", "\n").rstrip("\n").split("\n"):
        runs = []
        for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z])", line.rsplit("\r", 1)[-1]):
            style = re.fullmatch(r"\x1b\[([0-9;]*)m", part)
            if style:
                codes = [int(code or 0) for code in style[1].split(";")]
                while codes:
                    code = codes.pop(0)
                    if code in (38, 48) and codes[:1] == [5]:
                        shade, codes = colour_of(codes[1]), codes[2:]
                        if code == 38: colour = shade
                        else: back = shade
                    elif code == 0: colour, bold, back = TEXT, False, None
                    elif code == 1: bold = True
                    elif code == 7: colour, back = BACK, colour
                    elif code == 27: colour, back = back or TEXT, None
                    elif code == 49: back = None
                    elif code == 2: colour = DIM
                    elif code in (22, 39): colour, bold = TEXT, bold and code != 22
                    elif code in COLOURS: colour = COLOURS[code]
                    elif code - 60 in COLOURS: colour = COLOURS[code - 60]
            elif part and not part.startswith("\x1b"):
                runs.append((part, colour, bold, back))
        lines.append(runs)
    return lines


def svg(lines, columns):
    width, height = round(columns * CELL + 2 * EDGE), len(lines) * LINE + 2 * EDGE
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
           f'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="{SIZE}">',
           f'<rect width="{width}" height="{height}" rx="8" fill="{BACK}"/>']
    for number, runs in enumerate(lines):
        at, y = 0, EDGE + number * LINE + SIZE
        for text, colour, bold, back in runs:
            # Each run at its own column and of its own width, so that another font's widths do not add up.
            shown = text[:max(0, columns - at)]
            if back:
                out.append(f'<rect x="{EDGE + at * CELL:.1f}" y="{y - SIZE}" width="{len(shown) * CELL:.1f}" height="{LINE}" fill="{back}"/>')
            # Blocks as rectangles, so that those of two lines meet.
            for column, char in enumerate(shown):
                part = BLOCKS.get(char)
                if part:
                    top, height = part
                    out.append(f'<rect x="{EDGE + (at + column) * CELL:.1f}" y="{y - SIZE + top * LINE:.1f}" width="{CELL}" '
                               f'height="{height * LINE:.1f}" fill="{colour}"/>')
            shown = "".join(" " if char in BLOCKS else char for char in shown)
            if shown.strip():
                weight = ' font-weight="bold"' if bold else ""
                out.append(f'<text xml:space="preserve" x="{EDGE + at * CELL:.1f}" y="{y}" fill="{colour}"{weight} '
                           f'textLength="{len(shown) * CELL:.1f}" lengthAdjust="spacingAndGlyphs">{html.escape(shown)}</text>')
            at += len(text)
    return "\n".join([*out, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--first", type=int)
    parser.add_argument("--last", type=int, default=0)
    parser.add_argument("--shown")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    text, code = output_of(args.command, args.columns)
    lines = lines_of(text)
    if code != 0:
        sys.exit(f"{args.command[0]} ended with {code}; nothing drawn:\n{text[-2000:]}")
    if args.first is not None and len(lines) > args.first + args.last:
        lines = lines[:args.first] + [[("…", DIM, False, None)]] + lines[len(lines) - args.last:]
    prompt = [("$ ", DIM, False, None), (args.shown or " ".join(args.command), TEXT, True, None)]
    with open(args.out, "w", encoding="utf-8") as file:
        file.write(svg([prompt, *lines], args.columns))


if __name__ == "__main__":
    main()

"""Measures the catalog's reader of text on lines that it draws itself: how many are read, read wrong, and left unread.

    python3 tests/tools/text_lines.py LEPTOND BUNDLE [--lines 400] [--seed 7] [--out DIR]

LEPTOND is the program, BUNDLE the installed model (`leptond model add ppocr-text`). Each line is plates, times, prices, serial numbers
or words in a DejaVu font, slightly turned, blurred, noisy and in poor contrast, and every tenth picture has no text at all. The rest of
a picture is what a crop of a camera shows around a line. Needs Pillow and numpy.
"""

import argparse
import json
import pathlib
import random
import subprocess
import tempfile

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FONTS = sorted(p for p in pathlib.Path("/usr/share/fonts/truetype/dejavu").glob("*.ttf") if "Math" not in p.name)
WORDS = "open closed exit delivery parking street office water energy meter pressure volt station platform please knock ring".split()


def text(rng):
    letters = lambda n: "".join(rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(n))
    digits = lambda n: "".join(rng.choice("0123456789") for _ in range(n))
    return rng.choice([
        lambda: f"{letters(rng.randint(1, 2))}-{letters(2)} {digits(rng.randint(2, 4))}",
        lambda: f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}",
        lambda: f"{rng.randint(0, 999)}.{digits(2)} kWh",
        lambda: f"SN {digits(8)}",
        lambda: " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 3))),
        lambda: rng.choice(WORDS).upper() + " " + digits(2),
    ])()


def picture(rng, line):
    ink, paper = rng.choice([(30, 220), (220, 40), (90, 170), (150, 80)])
    font = ImageFont.truetype(str(rng.choice(FONTS)), rng.randint(18, 40))
    box = font.getbbox(line) if line else (0, 0, 200, 30)
    width, height = box[2] - box[0], box[3] - box[1]
    margin = int(height * rng.uniform(0.15, 0.5)) + 2
    image = Image.new("L", (width + 2 * margin, height + 2 * margin), paper)
    if line:
        ImageDraw.Draw(image).text((margin - box[0], margin - box[1]), line, font=font, fill=ink)
    else:
        draw = ImageDraw.Draw(image)
        for _ in range(rng.randint(0, 4)):
            draw.line([rng.randint(0, image.width) for _ in range(2)] + [rng.randint(0, image.width) for _ in range(2)], fill=ink, width=rng.randint(1, 6))
    image = image.rotate(rng.uniform(-3, 3), Image.BICUBIC, fillcolor=paper).filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.4)))
    noise = np.random.default_rng(rng.randint(0, 1 << 30)).normal(0, rng.uniform(1, 14), (image.height, image.width))
    return Image.fromarray((np.asarray(image, np.float64) + noise).clip(0, 255).astype(np.uint8)).convert("RGB")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("leptond")
    parser.add_argument("bundle")
    parser.add_argument("--lines", type=int, default=400)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as scratch:
        out = args.out or pathlib.Path(scratch)
        out.mkdir(parents=True, exist_ok=True)
        wanted = {}
        for i in range(args.lines):
            line = "" if i % 10 == 9 else text(rng)
            path = out / f"{i:04}.png"
            picture(rng, line).save(path)
            wanted[str(path)] = line
        ran = subprocess.run([args.leptond, "infer", args.bundle, "--json", *wanted], capture_output=True, text=True, check=True)
    results = [json.loads(line) for line in ran.stdout.splitlines()]
    right = wrong = unread = false = none = 0
    for result in results:
        line, read = wanted[result["input"]], result["text"]
        if not line:
            none += 1
            false += read is not None
        elif read is None:
            unread += 1
        elif read == line or read.replace(" ", "") == line.replace(" ", ""):
            right += 1
        else:
            wrong += 1
            print(f"wrong: {line!r} read as {read!r} ({result['score']:.3f})")
    lines = right + wrong + unread
    print(f"{lines} lines: {right / lines:.3f} right, {wrong / lines:.3f} wrong, {unread / lines:.3f} left unread; {false} of {none} pictures without text are read")


if __name__ == "__main__":
    main()

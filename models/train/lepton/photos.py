"""Photographs of counters as a cheap camera takes them, cut out at one digit, with the right answer.

Everything is drawn in luminance, with the distances in digit heights: a row of drums or a display behind a window, seen
a little from the side, unevenly lit, blurred, noisy, compressed, and scaled to the model's size as leptond does it.

The answer is soft: a share of it goes to "none" where the digit cannot be told from a half-rolled or hidden one.

| the digit | answer |
|---|---|
| rolled by up to `ROLLED[0]` of the way to the next one | the digit |
| rolled by `ROLLED[1]` or more | none |
| of its height and width, `VISIBLE[1]` or more in the region and the window | the digit |
| `VISIBLE[0]` or less | none |
| lighter or darker than its ground by `CONTRAST[1]` of 255 or more | the digit |
| `CONTRAST[0]` or less | none |

In between, the share of "none" goes up linearly. A second answer is where the drum stands, whatever it is between: 3.4 where the three is
rolled by two fifths of the way to the four; its "none" follows all rows but the first two.
"""

import io
import multiprocessing

import numpy
from PIL import Image, ImageFilter

from . import glyphs
from .fillers import Fillers
from .lens import Lens, share

NONE = 10
ROLLED = (0.18, 0.40)
VISIBLE = (0.60, 0.85)
# Blur (standard deviation in digit heights) and share of the ink that is covered: readable up to the first, none from the second on.
BLURRED = (0.11, 0.19)
COVERED = (0.25, 0.50)
# Luminance between ink and ground in the picture, 0 to 255.
CONTRAST = (7.0, 14.0)

# Kinds of pictures by their share. A kind that starts with "held-" is never drawn for training.
DIGIT_KINDS = {"digit": 0.72, "rolled": 0.28}
NONE_KINDS = {
    "between": 0.40, "cut": 0.13, "gap": 0.05, "blank": 0.07, "flat": 0.05, "defocus": 0.05, "covered": 0.06, "glare": 0.05,
    "letter": 0.05, "text": 0.04, "housing": 0.05,
}
HELD_OUT_KINDS = ["held-smear", "held-droplets", "held-barcode", "held-dial", "held-many"]


class Photos:
    """Draws pictures from one set of fonts with one seed."""

    def __init__(self, seed, held_out=False, size=(32, 24)):
        self.chance = numpy.random.default_rng(seed)
        self.plain, self.lcd = glyphs.faces(held_out)
        self.dots = glyphs.Dots()
        self.lens = Lens(self.chance)
        self.size = size
    def draw(self, kind):
        """One picture of a kind: uint8 `[H, W]`, the digit (or 10), the share of "none" in the answer, where the drum stands, and the
        share of "none" in that."""
        scene = Scene(self, kind)
        return scene.picture()


class Scene(Fillers):
    """One picture in the making."""

    def __init__(self, photos, kind):
        self.photos, self.kind, self.chance = photos, kind, photos.chance
        c = self.chance
        self.is_lcd = c.random() < (0.06 if kind in ("between", "rolled", "held-smear") else 0.16)
        faces = photos.lcd if self.is_lcd else photos.plain
        if self.is_lcd and kind in ("between", "rolled", "held-smear"):
            # Drums with segments do not exist, but digits like them do.
            self.is_lcd = False
        self.face = faces[c.integers(len(faces))]
        self.writing = photos.plain[c.integers(len(photos.plain))]
        if self.is_lcd and c.random() < 0.12 and kind != "letter":
            self.face = photos.dots
        self.masks = self.face.digits if self.is_lcd else self.face.worn(c)
        self.digit = int(c.integers(10))
        self.none = self.hidden = 0.0
        # Pixels of the camera for one digit height.
        low, high = (13, 70) if c.random() < 0.75 else (10, 22)
        self.scale = photos.lens.spread(low, high)
        self.stretch = float(numpy.clip(c.normal(1.0, 0.14), 0.7, 1.4))
        self.cell = self.face.width / glyphs.HEIGHT * self.stretch
        self._region()
        self._row()
        self._pose()

    def _doubt(self, amount):
        """A share of "none" in both answers."""
        self.none, self.hidden = max(self.none, amount), max(self.hidden, amount)

    def _region(self):
        """How large the region is and where the digit stands in it."""
        c = self.chance
        filled = c.uniform(0.5, 0.95) if c.random() < 0.75 else c.uniform(0.72, 1.06)
        self.height = 1.0 / filled
        if self.kind == "held-many":
            self.height = c.uniform(2.6, 5.0)
        wide = max(self.cell * c.uniform(0.98, 1.7), 0.35)
        self.width = float(numpy.clip(self.height * c.uniform(0.5, 0.9), 0.9 * self.cell, 2.2)) if c.random() < 0.5 else wide
        if c.random() < 0.2:
            # As wide as a drum or more: edges of the neighbours show.
            self.width = self.cell * c.uniform(1.3, 2.3)
        spare_y, spare_x = max(self.height - 1.0, 0.0), max(self.width - self.cell, 0.0)
        self.at = [float(numpy.clip(c.normal(0, 0.28), -0.6, 0.6)) * spare_x + c.normal(0, 0.015),
                   float(numpy.clip(c.normal(0, 0.25), -0.6, 0.6)) * spare_y + c.normal(0, 0.015)]
        if c.random() < 0.2:
            self.at[0] += c.uniform(-0.15, 0.15) * self.width
            self.at[1] += c.uniform(-0.12, 0.12) * self.height
        if self.kind == "held-many":
            self.width = self.height * c.uniform(0.7, 1.3)

    def _row(self):
        """Drums: distances, window, roll, colours."""
        c = self.chance
        self.pitch = max(self.cell + c.uniform(0.06, 0.25), self.cell * c.uniform(1.05, 1.9))
        self.step = c.uniform(1.12, 1.75) if c.random() < 0.8 else c.uniform(1.05, 1.2)
        self.window = c.uniform(1.04, 1.75)
        self.radius = c.uniform(0.9, 3.0) if c.random() < 0.7 else 50.0
        self.gap = c.uniform(0.0, 0.07) if c.random() < 0.7 else 0.0
        self.digits = c.integers(0, 10, size=5)
        self.digits[2] = self.digit
        rolls = c.normal(0, 0.03, size=5)
        loose = c.random(5) < 0.25
        rolls[loose] = c.uniform(-0.5, 0.5, size=5)[loose]
        kind = self.kind
        if kind == "between":
            low = c.uniform(*ROLLED)
            rolls[2] = c.uniform(low, 1.0 - low)
        elif kind == "rolled":
            rolls[2] = c.uniform(-0.27, 0.27)
        elif kind == "held-smear":
            rolls[2] = 0.0
        else:
            rolls[2] = c.normal(0, 0.045)
        self.rolls = numpy.zeros(5) if self.is_lcd else rolls
        self.middle = None
        self._colours()

    def _colours(self):
        c = self.chance
        style = c.random()
        self.glow = 0.0
        if self.is_lcd and (c.random() < 0.25 or self.face is self.photos.dots and c.random() < 0.6):
            # Lit segments on dark.
            self.body = c.uniform(2, 60)
            self.ink = self.body + c.uniform(60, 230)
            self.glow = c.uniform(0.0, 0.8)
        elif self.is_lcd:
            self.body = c.uniform(90, 210)
            self.ink = self.body - c.uniform(35, 150) if c.random() < 0.8 else self.body + c.uniform(35, 140)
        elif style < 0.55:
            self.body = c.uniform(10, 80)
            self.ink = self.body + c.uniform(60, 190)
        elif style < 0.85:
            self.body = c.uniform(120, 245)
            self.ink = self.body - c.uniform(60, 210)
        else:
            self.body = c.uniform(50, 130)
            self.ink = self.body + c.uniform(45, 130)
        self.housing = c.uniform(10, 245) if c.random() < 0.6 else self.body + c.normal(0, 20)
        self.slit = self.body * c.uniform(0.1, 0.9)

    def _pose(self):
        c = self.chance
        tilt = c.normal(0, 2.0) if c.random() < 0.8 else c.uniform(-8, 8)
        self.turn = numpy.radians(tilt)
        self.shear = c.normal(0, 0.05)
        self.recede = c.normal(0, 0.03, size=2)
        if self.kind == "cut":
            visible = c.uniform(0.15, VISIBLE[0] + 0.05)
            if c.random() < 0.75:
                self.at[1] = (self.height / 2 + 0.5 - visible) * c.choice([-1, 1])
                self.rolls[2] = c.normal(0, 0.03)
                self.window = c.uniform(1.1, 1.75)
                self.step = max(self.step, 1.3)
            else:
                ink = max(self.face.ink[self.digit] * self.stretch, 0.1)
                self.at[0] = (self.width / 2 + ink / 2 - visible * ink) * c.choice([-1, 1])
        elif self.kind == "gap":
            # In the middle between two drums.
            self.at[0] = self.pitch * c.uniform(0.42, 0.58) * c.choice([-1, 1])
            self.width = min(self.width, max(self.pitch * 1.15, 0.4))

    def picture(self):
        """Draws it: pixels, digit, share of "none"."""
        kind, c = self.kind, self.chance
        h, w = max(int(round(self.height * self.scale)), 9), max(int(round(self.width * self.scale)), 7)
        if kind == "flat":
            light = self._flat(h, w)
            self._doubt(1.0)
        elif kind in ("text", "housing", "blank", "held-barcode", "held-dial") and (kind != "blank" or c.random() < 0.3):
            light = getattr(self, "_" + kind.replace("held-", ""))(h, w)
            self._doubt(1.0)
        else:
            light = self._counter(h, w)
        light = self._lit(light)
        if c.random() < 0.5:
            pixels = self._seen(light)
        else:
            h, w = self.photos.size
            pixels = numpy.asarray(Image.fromarray(self._camera(light)).resize((w, h), Image.BILINEAR))
        position = (self.digit + float(self.rolls[2])) % 10
        return pixels, (NONE if self.none >= 1.0 else self.answer()), self.none, position, self.hidden

    def _seen(self, light):
        """Dirt, drops and glare on the glass, the lens, the sensor and the file as for the dials; uint8 of the model's size."""
        c, lens = self.chance, self.photos.lens
        picture = numpy.repeat(light.astype(numpy.float32)[..., None], 3, 2)
        if c.random() < 0.5:
            picture, lost = lens.covered(picture, 0.2)
            total = float(self.middle.sum()) if self.middle is not None else 0.0
            if total > 0:
                self._doubt(share(float((self.middle * lost).sum()) / total, *COVERED))
        blur = self._blur()
        noisy = None if self.kind != "flat" or c.random() < 0.7 else c.uniform(5, 60)
        pixels = lens.seen(picture, light.shape[1], self.photos.size, blur * self.scale / light.shape[1], noisy)
        return numpy.asarray(Image.fromarray(pixels).convert("L"))

    def _blur(self):
        c = self.chance
        blur = abs(c.normal(0, 0.035)) if c.random() < 0.85 else c.uniform(0.03, BLURRED[0])
        if self.kind == "defocus":
            blur = c.uniform(BLURRED[1] - 0.02, 0.5)
        self._doubt(share(blur, *BLURRED))
        return blur

    def answer(self):
        """The digit that shows most."""
        return int(self.digit + round(float(self.rolls[2]))) % 10

    def _counter(self, h, w):
        c, kind = self.chance, self.kind
        y, x = numpy.mgrid[0:h, 0:w].astype(numpy.float32)
        x = (x + 0.5) / self.scale - w / self.scale / 2 - numpy.float32(self.at[0])
        y = (y + 0.5) / self.scale - h / self.scale / 2 - numpy.float32(self.at[1])
        away = 1 + self.recede[0] * x + self.recede[1] * y
        cos, sin = numpy.cos(self.turn), numpy.sin(self.turn)
        x, y = ((x * cos + y * sin) / away).astype(numpy.float32), ((y * cos - x * sin) / away).astype(numpy.float32)
        x = x + numpy.float32(self.shear) * y
        drum = numpy.clip(numpy.round(x / self.pitch), -2, 2).astype(int) + 2
        across = x - (drum - 2) * numpy.float32(self.pitch)
        if self.is_lcd:
            along, angle = y, numpy.zeros_like(y)
        else:
            angle = numpy.arcsin(numpy.clip(y / self.radius, -0.98, 0.98))
            along = angle * self.radius
        # The strip moves up as the counter counts, or down.
        way = 1.0 if c.random() < 0.8 else -1.0
        position = along * way / self.step + self.rolls[drum].astype(numpy.float32)
        slot = numpy.round(position) if not self.is_lcd else numpy.zeros_like(position)
        local = (position - slot) * self.step * way if not self.is_lcd else along
        digit = (self.digits[drum] + slot.astype(int)) % 10
        ink = self._ink(digit, across, local, drum, slot)
        if self.is_lcd and c.random() < 0.5:
            ink = numpy.maximum(ink, self._ink(numpy.full_like(digit, 8), across, local, drum, slot) * c.uniform(0.02, 0.14))
        if kind == "blank":
            ink = numpy.where(drum == 2, 0.0, ink)
            self._doubt(1.0)
        if c.random() < 0.12:
            # A decimal point beside the digit.
            dot = numpy.hypot(x - self.pitch / 2 * c.choice([-1, 1]), y - 0.45) < c.uniform(0.05, 0.09)
            ink = numpy.maximum(ink, dot)
        bodies = numpy.full(5, self.body)
        inks = numpy.full(5, self.ink)
        if c.random() < 0.2:
            other = c.integers(0, 5)
            bodies[other:], inks[other:] = (self.ink, self.body) if c.random() < 0.3 else (self.body * 0.7 + 20, self.ink)
        if c.random() < 0.08:
            # Paint that is worn off.
            ink = ink * (self.photos.lens.texture((h, w)) * c.uniform(0.2, 0.6) + c.uniform(0.8, 1.3)).clip(0, 1)
        shown = ink
        if self.glow > 0:
            halo = Image.fromarray((ink * 255).astype(numpy.uint8)).filter(ImageFilter.GaussianBlur(c.uniform(0.04, 0.15) * self.scale))
            shown = numpy.maximum(ink, numpy.asarray(halo, numpy.float32) / 255 * self.glow)
        light = bodies[drum] + (inks[drum] - bodies[drum]) * shown
        if not self.is_lcd and c.random() < 0.1:
            # Embossed or cut digits: one edge is lit.
            deep = max(int(round(0.03 * self.scale)), 1)
            light = light + (numpy.roll(ink, deep, c.integers(2)) - ink) * c.normal(0, 45)
        if not self.is_lcd:
            light = light * (numpy.cos(angle) * c.uniform(0.3, 1.0) + (1 - c.uniform(0.3, 1.0)) + 0.2).clip(0.3, 1.15)
            light = numpy.where(numpy.abs(across) > self.pitch / 2 - self.gap, self.slit, light)
            if c.random() < 0.2:
                # The rim of a drum in another light.
                rim = numpy.abs(numpy.abs(across) - self.pitch / 2 + self.gap + 0.02) < c.uniform(0.015, 0.05)
                light = numpy.where(rim, light + c.normal(0, 50), light)
            if c.random() < 0.25:
                # The window's upper edge throws its shadow on the drums.
                band = -self.window / 2 + c.uniform(0.1, 0.6)
                light = light * (1 - c.uniform(0.2, 0.7) / (1 + numpy.exp(((y - band) / c.uniform(0.01, 0.12)).clip(-30, 30))))
            inside = self.window / 2 - numpy.abs(y)
            if c.random() < 0.6:
                light = light * (0.5 + 0.5 * numpy.clip(inside / c.uniform(0.05, 0.3), 0, 1))
            if c.random() < 0.75:
                frame = self.housing + 8 * self.photos.lens.texture((h, w))
                light = numpy.where(inside < 0, frame, light)
                edge = c.uniform(0.0, 0.05)
                light = numpy.where(numpy.abs(inside) < edge, c.uniform(0, 255), light)
            else:
                self.window = 9.0
            side = self.pitch / 2 + self.gap
            if c.random() < 0.25:
                # A window of its own for each digit.
                light = numpy.where(numpy.abs(across) > side - c.uniform(0.01, 0.12), self.housing, light)
        light = light + c.uniform(0, 6) * self.photos.lens.texture((h, w))
        self._judge()
        return self._hide(light, ink, x, y)

    def _ink(self, digit, across, local, drum, slot):
        """Coverage 0 to 1 of the masks at places in digit heights, between the pixels of the mask."""
        masks = self.masks
        if self.kind == "letter":
            masks = numpy.concatenate([masks, self.face.letter(self.chance)[None]])
            digit = numpy.where((drum == 2) & (slot == 0), 10, digit)
            self._doubt(1.0)
        size, width = glyphs.HEIGHT, self.face.width
        v = (local + 0.5) * size - 0.5
        u = across / self.stretch * size + width / 2 - 0.5
        out = numpy.zeros(v.shape, numpy.float32)
        iv, iu = numpy.floor(v).astype(int), numpy.floor(u).astype(int)
        tv, tu = (v - iv).astype(numpy.float32), (u - iu).astype(numpy.float32)
        for dv, wv in ((0, 1 - tv), (1, tv)):
            for du, wu in ((0, 1 - tu), (1, tu)):
                a, b = iv + dv, iu + du
                inside = (a >= 0) & (a < size) & (b >= 0) & (b < width)
                value = masks[digit, a.clip(0, size - 1), b.clip(0, width - 1)]
                out += numpy.where(inside, value, 0) * (wv * wu)
        if self.kind == "held-smear" and slot is not None:
            out = self._moved(out, digit, across, local, drum)
        return out / 255.0

    def _moved(self, ink, digit, across, local, drum):
        """The middle drum as it turns by a digit during the exposure."""
        self.kind, parts = "moving", []
        for place in numpy.linspace(0, 1, 7):
            position = local / self.step + place
            slot = numpy.round(position)
            parts.append(self._ink((digit + slot.astype(int)) % 10, across, (position - slot) * self.step, drum, None) * 255)
        self.kind = "held-smear"
        self._doubt(1.0)
        return numpy.where(drum == 2, numpy.mean(parts, axis=0), ink)

    def _judge(self):
        """Adds what position and roll make of the answer."""
        roll = abs(self.rolls[2] - round(float(self.rolls[2])))
        self.none = max(self.none, share(roll, *ROLLED))
        ink = max(self.face.ink[self.digit] * self.stretch, 0.1)
        shift = (self.rolls[2] - round(float(self.rolls[2]))) * self.step if not self.is_lcd else 0.0
        top = max(-0.5 - abs(shift), -self.window / 2, -self.height / 2 - self.at[1])
        bottom = min(0.5 - abs(shift), self.window / 2, self.height / 2 - self.at[1])
        other = max(-0.5 + abs(shift), -self.window / 2, -self.height / 2 - self.at[1]), min(
            0.5 + abs(shift), self.window / 2, self.height / 2 - self.at[1])
        tall = min(bottom - top, other[1] - other[0])
        wide = min(ink / 2, self.width / 2 - self.at[0]) - max(-ink / 2, -self.width / 2 - self.at[0])
        visible = max(tall, 0.0) * max(wide / ink, 0.0)
        self.none = max(self.none, 1 - share(visible, *VISIBLE))
        # Where the drum stands is seen of both digits.
        place = min(0.5, self.window / 2, self.height / 2 - self.at[1]) - max(-0.5, -self.window / 2, -self.height / 2 - self.at[1])
        self.hidden = max(self.hidden, 1 - share(max(place, 0.0) * max(wide / ink, 0.0), *VISIBLE))
        if self.kind in ("gap", "held-many"):
            self._doubt(1.0)

    def _hide(self, light, ink, x, y):
        """What lies over the digit: a cover, dirt, scratches, drops."""
        c, kind = self.chance, self.kind
        h, w = light.shape
        digit = (numpy.abs(x) < self.cell / 2) & (numpy.abs(y) < 0.5)
        self.middle = ink * digit
        total = max(float(self.middle.sum()), 1e-3)
        if kind == "covered" or c.random() < 0.08:
            angle, level = c.uniform(0, 2 * numpy.pi), (0.9 if kind != "covered" else 0.1)
            along = x * numpy.cos(angle) / max(self.width, 0.1) + y * numpy.sin(angle)
            at = c.uniform(0.35, 0.6) if level > 0.5 else c.uniform(-0.45, 0.15)
            cover = along > at
            if c.random() < 0.5:
                cover = cover | (numpy.hypot(x - c.normal(0, 0.3), y - c.normal(0, 0.4)) < (0.08 if level > 0.5 else c.uniform(0.2, 0.6)))
            tone = c.uniform(0, 255) + c.uniform(0, 15) * self.photos.lens.texture((h, w))
            light = numpy.where(cover, tone, light)
            self._doubt(share(float((ink * digit * cover).sum()) / total, *COVERED))
        if kind == "held-droplets":
            for _ in range(c.integers(25, 60)):
                r, cx, cy = c.uniform(0.05, 0.22), c.uniform(-0.7, 0.7), c.uniform(-0.8, 0.8)
                d = numpy.hypot(x - cx, y - cy) / r
                light = numpy.where(d < 1, light.mean() + 60 * (0.6 - d) + 0.2 * (light - light.mean()), light)
            self._doubt(1.0)
        if c.random() < 0.3:
            for _ in range(c.integers(1, 5)):
                # Scratches and dust.
                angle, at, thin = c.uniform(0, numpy.pi), c.uniform(-0.7, 0.7), c.uniform(0.008, 0.035)
                line = numpy.abs(x * numpy.cos(angle) + y * numpy.sin(angle) - at) < thin
                spot = numpy.hypot(x - c.uniform(-0.6, 0.6), y - c.uniform(-0.8, 0.8)) < c.uniform(0.02, 0.09)
                light = numpy.where(line if c.random() < 0.5 else spot, light + c.normal(0, 45), light)
        if c.random() < 0.15:
            light = light + c.uniform(5, 22) * self.photos.lens.texture((h, w))
        # Glare: a spot that saturates.
        strong = kind == "glare"
        if strong or c.random() < 0.15:
            cx, cy = (c.normal(0, 0.15, 2)) if strong else (c.uniform(-1, 1), c.uniform(-1, 1))
            rx, ry = (c.uniform(0.4, 1.2, 2)) if strong else (c.uniform(0.1, 0.7), c.uniform(0.1, 0.5))
            spot = numpy.exp(-((((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2) ** c.uniform(1.0, 2.5)))
            power = c.uniform(300, 700) if strong else c.uniform(20, 160)
            washed = ((light + spot * power) > 250) & (spot * power > abs(self.ink - self.body) * 0.6)
            light = light + spot * power
            self._doubt(share(float((ink * digit * washed).sum()) / total, *COVERED))
        return light

    def _lit(self, light):
        c = self.chance
        h, w = light.shape
        y, x = numpy.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
        gain = c.uniform(0.5, 1.15) if c.random() < 0.9 else c.uniform(0.2, 0.5)
        slope = c.normal(0, 0.18, 2)
        light = light * gain * (1 + slope[0] * x + slope[1] * y).clip(0.3, 1.8) + max(c.normal(0, 14), 0)
        contrast = abs(self.ink - self.body) * gain
        if c.random() < 0.12:
            # A veil of fog or dust on the glass takes contrast away.
            veil = c.uniform(0.2, 0.6)
            light, contrast = light * (1 - veil) + c.uniform(90, 210) * veil, contrast * (1 - veil)
        self._doubt(1 - share(contrast, *CONTRAST))
        return light

    def _camera(self, light):
        """Blur, sharpening, noise and JPEG; uint8."""
        c = self.chance
        blur = self._blur()
        image = Image.fromarray(light.clip(0, 255).astype(numpy.uint8))
        image = image.filter(ImageFilter.GaussianBlur(blur * self.scale + c.uniform(0.2, 0.7)))
        if c.random() < 0.06:
            reach = max(int(c.uniform(0.03, 0.12) * self.scale), 1)
            rows = numpy.asarray(image, numpy.float32)
            axis = int(c.integers(0, 2))
            padded = numpy.pad(rows, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
            moved = [numpy.roll(padded, s, axis) for s in range(-(reach // 2), reach // 2 + 1)]
            moved = numpy.mean(moved, axis=0)
            cut = [slice(reach, -reach) if a == axis else slice(None) for a in (0, 1)]
            image = Image.fromarray(moved[tuple(cut)].clip(0, 255).astype(numpy.uint8))
        if c.random() < 0.3:
            image = image.filter(ImageFilter.UnsharpMask(radius=c.uniform(1, 3), percent=int(c.uniform(40, 200)), threshold=0))
        light = numpy.asarray(image, numpy.float32)
        noise = c.gamma(1.5, 1.8) if self.kind != "flat" or c.random() < 0.7 else c.uniform(5, 60)
        grain = c.normal(0, noise, light.shape)
        light = (light + grain).clip(0, 255).astype(numpy.uint8)
        if c.random() < 0.75:
            buffer = io.BytesIO()
            h, w = light.shape
            top, left = c.integers(0, 8, 2)
            padded = numpy.pad(light, ((top, 0), (left, 0)), mode="edge")
            Image.fromarray(padded).save(buffer, "JPEG", quality=int(c.uniform(25, 95)))
            light = numpy.asarray(Image.open(buffer))[top:, left:]
        return numpy.ascontiguousarray(light)


def _part(task):
    count, seed, kinds, held_out, size = task
    photos = Photos(seed, held_out, size)
    names = list(kinds)
    shares = numpy.array([kinds[n] for n in names])
    picks = photos.chance.choice(len(names), size=count, p=shares / shares.sum())
    pixels, digits, nones, positions, hidden = zip(*(photos.draw(names[pick]) for pick in picks))
    return {
        "pixels": numpy.stack(pixels)[:, None], "digits": numpy.array(digits, numpy.int64), "nones": numpy.array(nones, numpy.float32),
        "positions": numpy.array(positions, numpy.float32), "hidden": numpy.array(hidden, numpy.float32),
        "kinds": numpy.array([names[p] for p in picks]),
    }


def photographs(count, seed, kinds, held_out=False, size=(32, 24), processes=2, progress=False):
    """`count` pictures of `kinds` (name to share): `pixels` uint8 `[N, 1, H, W]`, `digits` int64 `[N]` (10 = none), shares of "none"
    `nones` float32 `[N]`, `positions` of the drums, shares of "none" in those `hidden`, and the names of the `kinds`. Drawn in parts of
    8000, each with a seed of its own: how many processes draw changes nothing."""
    tasks = [(min(8000, count - i), seed * 1_000_000 + i, kinds, held_out, size) for i in range(0, count, 8000)]
    parts = []
    with multiprocessing.Pool(processes) as pool:
        for part in pool.imap(_part, tasks):
            parts.append(part)
            if progress and len(parts) % 5 == 0:
                print(f"{8000 * len(parts)} photographs", flush=True)
    return {key: numpy.concatenate([part[key] for part in parts]) for key in parts[0]}

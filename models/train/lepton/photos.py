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

In between, the share of "none" goes up linearly.
"""

import io

import numpy
from PIL import Image, ImageDraw, ImageFilter

from . import glyphs

NONE = 10
ROLLED = (0.18, 0.40)
VISIBLE = (0.60, 0.85)
# Blur (standard deviation in digit heights) and share of the ink that is covered: readable up to the first, none from the second on.
BLURRED = (0.11, 0.19)
COVERED = (0.25, 0.50)
# Luminance between ink and ground in the picture, 0 to 255.
CONTRAST = (7.0, 14.0)

# Kinds of pictures by their share. A kind that starts with "held-" is never drawn for training.
DIGIT_KINDS = {"digit": 0.80, "rolled": 0.20}
NONE_KINDS = {
    "between": 0.40, "cut": 0.13, "gap": 0.05, "blank": 0.07, "flat": 0.05, "defocus": 0.05, "covered": 0.06, "glare": 0.05,
    "letter": 0.05, "text": 0.04, "housing": 0.05,
}
HELD_OUT_KINDS = ["held-smear", "held-droplets", "held-barcode", "held-dial", "held-many"]


def share(value, low, high):
    """0 up to `low`, 1 from `high` on, a straight line between."""
    return float(min(max((value - low) / (high - low), 0.0), 1.0))


class Photos:
    """Draws pictures from one set of fonts with one seed."""

    def __init__(self, seed, held_out=False, size=(32, 24)):
        self.chance = numpy.random.default_rng(seed)
        self.plain, self.lcd = glyphs.faces(held_out)
        self.size = size
        self.textures = [self._texture(n) for n in (4, 6, 10, 18, 40) for _ in range(12)]

    def draw(self, kind):
        """One picture of a kind: uint8 `[H, W]`, the digit (or 10) and the share of "none" in the answer."""
        scene = Scene(self, kind)
        return scene.picture()

    def _texture(self, cells):
        grid = self.chance.normal(size=(cells, cells)).astype(numpy.float32)
        return numpy.asarray(Image.fromarray(grid).resize((256, 256), Image.BICUBIC))

    def texture(self, shape):
        """A smooth pattern with mean 0 and standard deviation near 1, float32 `[H, W]`."""
        whole = self.textures[self.chance.integers(len(self.textures))]
        y, x = (self.chance.integers(0, 256 - min(s, 255)) for s in shape)
        return numpy.resize(whole[y : y + shape[0], x : x + shape[1]], shape)


class Scene:
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
        self.digit = int(c.integers(10))
        self.none = 0.0
        # Pixels of the camera for one digit height.
        self.scale = float(numpy.exp(c.uniform(numpy.log(13), numpy.log(70))))
        self.stretch = float(numpy.clip(c.normal(1.0, 0.14), 0.7, 1.4))
        self.cell = self.face.width / glyphs.HEIGHT * self.stretch
        self._region()
        self._row()
        self._pose()

    def _region(self):
        """How large the region is and where the digit stands in it."""
        c = self.chance
        filled = c.uniform(0.5, 0.95) if c.random() < 0.8 else c.uniform(0.72, 1.0)
        self.height = 1.0 / filled
        if self.kind == "held-many":
            self.height = c.uniform(2.6, 5.0)
        wide = max(self.cell * c.uniform(0.98, 1.7), 0.35)
        self.width = float(numpy.clip(self.height * c.uniform(0.5, 0.9), 0.9 * self.cell, 2.2)) if c.random() < 0.5 else wide
        spare_y, spare_x = max(self.height - 1.0, 0.0), max(self.width - self.cell, 0.0)
        self.at = [float(numpy.clip(c.normal(0, 0.28), -0.6, 0.6)) * spare_x + c.normal(0, 0.015),
                   float(numpy.clip(c.normal(0, 0.25), -0.6, 0.6)) * spare_y + c.normal(0, 0.015)]
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
            rolls[2] = c.normal(0, 0.03)
        self.rolls = numpy.zeros(5) if self.is_lcd else rolls
        self._colours()

    def _colours(self):
        c = self.chance
        style = c.random()
        if self.is_lcd:
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
            self.none = 1.0
        elif kind in ("text", "housing", "blank", "held-barcode", "held-dial") and (kind != "blank" or c.random() < 0.3):
            light = getattr(self, "_" + kind.replace("held-", ""))(h, w)
            self.none = 1.0
        else:
            light = self._counter(h, w)
        light = self._lit(light)
        light = self._camera(light)
        h, w = self.photos.size
        pixels = numpy.asarray(Image.fromarray(light).resize((w, h), Image.BILINEAR))
        return pixels, (NONE if self.none >= 1.0 else self.answer()), self.none

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
            self.none = 1.0
        if c.random() < 0.12:
            # A decimal point beside the digit.
            dot = numpy.hypot(x - self.pitch / 2 * c.choice([-1, 1]), y - 0.45) < c.uniform(0.05, 0.09)
            ink = numpy.maximum(ink, dot)
        bodies = numpy.full(5, self.body)
        inks = numpy.full(5, self.ink)
        if c.random() < 0.2:
            other = c.integers(0, 5)
            bodies[other:], inks[other:] = (self.ink, self.body) if c.random() < 0.3 else (self.body * 0.7 + 20, self.ink)
        light = bodies[drum] + (inks[drum] - bodies[drum]) * ink
        if not self.is_lcd:
            light = light * (numpy.cos(angle) * c.uniform(0.3, 1.0) + (1 - c.uniform(0.3, 1.0)) + 0.2).clip(0.3, 1.15)
            light = numpy.where(numpy.abs(across) > self.pitch / 2 - self.gap, self.slit, light)
            inside = self.window / 2 - numpy.abs(y)
            if c.random() < 0.6:
                light = light * (0.5 + 0.5 * numpy.clip(inside / c.uniform(0.05, 0.3), 0, 1))
            if c.random() < 0.75:
                frame = self.housing + 8 * self.photos.texture((h, w))
                light = numpy.where(inside < 0, frame, light)
                edge = c.uniform(0.0, 0.05)
                light = numpy.where(numpy.abs(inside) < edge, c.uniform(0, 255), light)
            else:
                self.window = 9.0
            side = self.pitch / 2 + self.gap
            if c.random() < 0.25:
                # A window of its own for each digit.
                light = numpy.where(numpy.abs(across) > side - c.uniform(0.01, 0.12), self.housing, light)
        light = light + c.uniform(0, 6) * self.photos.texture((h, w))
        self._judge()
        return self._hide(light, ink, x, y)

    def _ink(self, digit, across, local, drum, slot):
        """Coverage 0 to 1 of the masks at places in digit heights, between the pixels of the mask."""
        masks = self.face.digits
        if self.kind == "letter":
            masks = numpy.concatenate([masks, self.face.letter(self.chance)[None]])
            digit = numpy.where((drum == 2) & (slot == 0), 10, digit)
            self.none = 1.0
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
        self.kind, self.none = "held-smear", 1.0
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
        if self.kind in ("gap", "held-many"):
            self.none = 1.0

    def _hide(self, light, ink, x, y):
        """What lies over the digit: a cover, dirt, scratches, drops."""
        c, kind = self.chance, self.kind
        h, w = light.shape
        digit = (numpy.abs(x) < self.cell / 2) & (numpy.abs(y) < 0.5)
        total = max(float((ink * digit).sum()), 1e-3)
        if kind == "covered" or c.random() < 0.08:
            angle, level = c.uniform(0, 2 * numpy.pi), (0.9 if kind != "covered" else 0.1)
            along = x * numpy.cos(angle) / max(self.width, 0.1) + y * numpy.sin(angle)
            at = c.uniform(0.35, 0.6) if level > 0.5 else c.uniform(-0.45, 0.15)
            cover = along > at
            if c.random() < 0.5:
                cover = cover | (numpy.hypot(x - c.normal(0, 0.3), y - c.normal(0, 0.4)) < (0.08 if level > 0.5 else c.uniform(0.2, 0.6)))
            tone = c.uniform(0, 255) + c.uniform(0, 15) * self.photos.texture((h, w))
            light = numpy.where(cover, tone, light)
            self.none = max(self.none, share(float((ink * digit * cover).sum()) / total, *COVERED))
        if kind == "held-droplets":
            for _ in range(c.integers(25, 60)):
                r, cx, cy = c.uniform(0.05, 0.22), c.uniform(-0.7, 0.7), c.uniform(-0.8, 0.8)
                d = numpy.hypot(x - cx, y - cy) / r
                light = numpy.where(d < 1, light.mean() + 60 * (0.6 - d) + 0.2 * (light - light.mean()), light)
            self.none = 1.0
        if c.random() < 0.3:
            for _ in range(c.integers(1, 5)):
                # Scratches and dust.
                angle, at, thin = c.uniform(0, numpy.pi), c.uniform(-0.7, 0.7), c.uniform(0.008, 0.035)
                line = numpy.abs(x * numpy.cos(angle) + y * numpy.sin(angle) - at) < thin
                spot = numpy.hypot(x - c.uniform(-0.6, 0.6), y - c.uniform(-0.8, 0.8)) < c.uniform(0.02, 0.09)
                light = numpy.where(line if c.random() < 0.5 else spot, light + c.normal(0, 45), light)
        if c.random() < 0.15:
            light = light + c.uniform(5, 22) * self.photos.texture((h, w))
        # Glare: a spot that saturates.
        strong = kind == "glare"
        if strong or c.random() < 0.15:
            cx, cy = (c.normal(0, 0.15, 2)) if strong else (c.uniform(-1, 1), c.uniform(-1, 1))
            rx, ry = (c.uniform(0.4, 1.2, 2)) if strong else (c.uniform(0.1, 0.7), c.uniform(0.1, 0.5))
            spot = numpy.exp(-((((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2) ** c.uniform(1.0, 2.5)))
            power = c.uniform(300, 700) if strong else c.uniform(20, 160)
            washed = ((light + spot * power) > 250) & (spot * power > abs(self.ink - self.body) * 0.6)
            light = light + spot * power
            self.none = max(self.none, share(float((ink * digit * washed).sum()) / total, *COVERED))
        return light

    def _flat(self, h, w):
        """No structure: dark, white, fog, a gradient."""
        c = self.chance
        level = c.choice([c.uniform(0, 30), c.uniform(225, 255), c.uniform(30, 225)])
        y, x = numpy.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
        light = level + c.normal(0, 25) * x + c.normal(0, 25) * y + c.normal(0, 12) * (x * x + y * y)
        return light + c.uniform(0, 6) * self.photos.texture((h, w))

    def _blank(self, h, w):
        """A wall or a cover with a texture."""
        c = self.chance
        return c.uniform(30, 220) + c.uniform(3, 45) * self.photos.texture((h, w)) + c.uniform(0, 20) * self.photos.texture((h, w))

    def _text(self, h, w):
        """Lettering, smaller than a digit and more than one sign."""
        c = self.chance
        light = numpy.full((h, w), self.body) + 5 * self.photos.texture((h, w))
        image = Image.new("L", (w, h), 0)
        draw = ImageDraw.Draw(image)
        size = max(int(h * c.uniform(0.16, 0.42)), 5)
        font = self.face.font.font_variant(size=size)
        text = lambda: "".join(c.choice(list("abcdefghkmnprstuvwxyzACDEFGHKLMNPRTUVW0123456789 .³")) for _ in range(8))
        top = c.uniform(-0.3, 0.5) * size
        while top < h:
            draw.text((c.uniform(-1.5, 0.2) * size, top), text(), fill=255, font=font)
            top += size * c.uniform(1.1, 2.5)
        ink = numpy.asarray(image, numpy.float32) / 255
        return light + (self.ink - self.body) * ink

    def _housing(self, h, w):
        """Edges, frames and screws."""
        c = self.chance
        light = numpy.full((h, w), c.uniform(10, 245))
        y, x = numpy.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
        for _ in range(c.integers(1, 4)):
            angle = c.choice([0, numpy.pi / 2, c.uniform(0, numpy.pi)]) + c.normal(0, 0.05)
            along = x * numpy.cos(angle) + y * numpy.sin(angle) - c.uniform(-0.8, 0.8)
            shape = c.random()
            if shape < 0.5:
                light = numpy.where(along > 0, c.uniform(0, 255), light)
            elif shape < 0.8:
                light = numpy.where(numpy.abs(along) < c.uniform(0.03, 0.3), c.uniform(0, 255), light)
            else:
                ring = numpy.hypot(x - c.uniform(-1.2, 1.2), y - c.uniform(-1.2, 1.2))
                light = numpy.where(ring < c.uniform(0.3, 1.3), c.uniform(0, 255), light)
        return light + c.uniform(1, 15) * self.photos.texture((h, w))

    def _barcode(self, h, w):
        c = self.chance
        bars = numpy.repeat(c.random(64) < 0.5, c.integers(1, 4, 64))
        start = c.integers(0, 20)
        return numpy.broadcast_to(numpy.where(numpy.resize(bars[start:], w), self.ink, self.body), (h, w)).astype(float)

    def _dial(self, h, w):
        """A small pointer dial."""
        c = self.chance
        y, x = numpy.mgrid[-1.2 : 1.2 : h * 1j, -1.2 : 1.2 : w * 1j]
        r, angle = numpy.hypot(x, y), numpy.arctan2(y, x)
        light = numpy.full((h, w), self.body)
        ticks = (numpy.abs((angle * 5 / numpy.pi) % 1 - 0.5) > 0.42) & (r > 0.8) & (r < 1.0)
        turn = c.uniform(0, 2 * numpy.pi)
        u, v = x * numpy.cos(turn) + y * numpy.sin(turn), y * numpy.cos(turn) - x * numpy.sin(turn)
        pointer = (u > -0.25) & (u < 0.85) & (numpy.abs(v) < 0.12 * (1 - u))
        return numpy.where(ticks | pointer | (r < 0.12), self.ink, light)

    def _lit(self, light):
        c = self.chance
        h, w = light.shape
        y, x = numpy.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
        gain = c.uniform(0.5, 1.15) if c.random() < 0.85 else c.uniform(0.2, 0.5)
        slope = c.normal(0, 0.18, 2)
        light = light * gain * (1 + slope[0] * x + slope[1] * y).clip(0.3, 1.8) + max(c.normal(0, 14), 0)
        contrast = abs(self.ink - self.body) * gain
        if c.random() < 0.12:
            # A veil of fog or dust on the glass takes contrast away.
            veil = c.uniform(0.2, 0.6)
            light, contrast = light * (1 - veil) + c.uniform(90, 210) * veil, contrast * (1 - veil)
        self.none = max(self.none, 1 - share(contrast, *CONTRAST))
        return light

    def _camera(self, light):
        """Blur, sharpening, noise and JPEG; uint8."""
        c = self.chance
        blur = abs(c.normal(0, 0.035)) if c.random() < 0.85 else c.uniform(0.03, BLURRED[0])
        if self.kind == "defocus":
            blur = c.uniform(BLURRED[1] - 0.02, 0.5)
        self.none = max(self.none, share(blur, *BLURRED))
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


def photographs(count, seed, kinds, held_out=False, size=(32, 24), progress=False):
    """`count` pictures of `kinds` (name to share): uint8 `[N, 1, H, W]`, digits int64 `[N]` (10 = none), shares of "none" float32
    `[N]`, and the kinds' names `[N]`."""
    photos = Photos(seed, held_out, size)
    names = list(kinds)
    shares = numpy.array([kinds[n] for n in names])
    picks = photos.chance.choice(len(names), size=count, p=shares / shares.sum())
    pixels = numpy.empty((count, 1, *size), numpy.uint8)
    digits, nones = numpy.empty(count, numpy.int64), numpy.empty(count, numpy.float32)
    for i, pick in enumerate(picks):
        pixels[i, 0], digits[i], nones[i] = photos.draw(names[pick])
        if progress and (i + 1) % 20000 == 0:
            print(f"{i + 1} photographs", flush=True)
    return pixels, digits, nones, numpy.array([names[p] for p in picks])

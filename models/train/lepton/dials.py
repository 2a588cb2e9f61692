"""Photographs of small round dials with a pointer, as a cheap camera takes them, cut out at one dial, with the right answer.

The answer is where the pointer's tip is in the picture, seen from the point that the pointer turns about: 0 at the top, clockwise, ten
units a turn, whatever the numerals say. Where the dial is seen at a slant, that is not the angle in the dial's own plane. And a share of
"none" that grows with what keeps the pointer from being seen:

| the pointer | answer |
|---|---|
| of its outer half, `VISIBLE[1]` or more seen | the position |
| `VISIBLE[0]` or less | none |
| its colour away from the ground's by `CONTRAST[1]` of 255 or more | the position |
| `CONTRAST[0]` or less | none |
| blurred by up to `BLURRED[0]` of the dial's radius | the position |
| by `BLURRED[1]` or more | none |

In between, the share of "none" goes up linearly.
"""

import multiprocessing

import numpy
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from . import glyphs, pointers
from .lens import Lens, share
from .plates import VIEW, Plates, rgb

VISIBLE = (0.30, 0.65)
CONTRAST = (6.0, 16.0)
BLURRED = (0.22, 0.38)
# Kinds of pictures by their share.
DIAL_KINDS = {"dial": 1.0}
NONE_KINDS = {
    "still": 0.2, "plate": 0.12, "drums": 0.12, "letters": 0.08, "half": 0.12, "flat": 0.1, "covered": 0.12, "defocus": 0.06,
    "star": 0.08,
}
# Share of pictures that show the usual dial of a water meter: red pointer with a round hub, white face, black numerals around it.
USUAL = 0.3
# Side of the canvas, in pixels.
CANVAS = 168
UNITS = 10.0


class Dials:
    """Draws pictures with one seed, from what is trained on or from what is held out."""

    def __init__(self, seed, held_out=False, size=(32, 32)):
        self.chance = numpy.random.default_rng(seed)
        self.lens = Lens(self.chance)
        self.held_out, self.size = held_out, size
        self.paths, self.fonts = glyphs.paths(held_out), {}
        self.forms = [pointers.HELD_OUT_FORMS] * 2 if held_out else [pointers.FORMS, pointers.USUAL_FORMS]

    def form(self, usual):
        """A form of pointers."""
        forms = self.forms[usual]
        shares = numpy.array(list(forms.values()))
        return list(forms)[self.chance.choice(len(forms), p=shares / shares.sum())]

    def font(self, size):
        """A font of about that height in pixels."""
        key = self.paths[self.chance.integers(len(self.paths))], max(int(size), 5)
        if key not in self.fonts:
            if len(self.fonts) > 3000:
                self.fonts.clear()
            self.fonts[key] = ImageFont.truetype(str(key[0]), key[1])
        return self.fonts[key]

    def draw(self, kind):
        """One picture of a kind: uint8 `[3, H, W]`, the position 0 to 10 and the share of "none" in the answer."""
        return Scene(self, kind).picture()


class Scene(Plates):
    """One picture in the making. The dial's plane has its middle at 0 and the dial's radius as its unit."""

    def __init__(self, dials, kind):
        self.dials, self.kind, self.chance = dials, kind, dials.chance
        c = self.chance
        self.usual = bool(c.random() < USUAL)
        self.none = 0.0
        # In the dial's plane, until `_viewed` says where the tip came to lie in the picture.
        self.position = float(c.uniform(0, UNITS))
        self.angle = self.position * 2 * numpy.pi / UNITS
        # Half the region's side, and where the dial's middle is in it.
        self.half = c.uniform(0.82, 1.12) if c.random() < 0.55 else c.uniform(1.0, 1.5)
        reach = 0.12 if c.random() < 0.5 else 0.05
        self.at = c.uniform(-reach, reach, 2) * 2
        if kind == "half":
            way = c.uniform(0, 2 * numpy.pi)
            self.at = numpy.array([numpy.cos(way), numpy.sin(way)]) * c.uniform(0.95, 1.7)
            self.none = 1.0
        self.reach = self.half * 1.25 + float(numpy.abs(self.at).max())
        # Turn of the dial against the picture: the numerals follow it, the answer does not.
        self.turn = numpy.radians(c.normal(0, 3) if c.random() < 0.6 else c.uniform(-8, 8))
        if c.random() < 0.1:
            self.turn = c.uniform(-numpy.pi, numpy.pi)
        self.grey = c.random()
        self._colours()

    def _colours(self):
        c = self.chance
        if self.usual:
            self._usual_colours()
            return
        style = c.random()
        if style < 0.62:
            base, tint = c.uniform(165, 250), c.normal(0, 4, 3)
        elif style < 0.74:
            base, tint = c.uniform(140, 230), numpy.array([12, 2, -c.uniform(15, 60)])
        elif style < 0.86:
            base, tint = c.uniform(80, 170), c.normal(0, 10, 3)
        elif style < 0.97:
            base, tint = c.uniform(8, 60), c.normal(0, 5, 3)
        else:
            base, tint = c.uniform(60, 180), c.normal(0, 45, 3)
        self.face = (base + tint).clip(0, 255)
        self.plate = self.face + c.normal(0, 6, 3) if c.random() < 0.6 else (c.uniform(20, 240) + c.normal(0, 12, 3))
        self.dark = self.face.mean() < 110
        self.print = self._away(self.face, c.uniform(60, 230), colour=0.25 if c.random() < 0.15 else 0.03)
        self.needle = self._pointer_colour()

    def _usual_colours(self):
        c = self.chance
        self.face = (c.uniform(165, 252) + c.normal(0, 4, 3) - numpy.array([0, 0, c.exponential(5)])).clip(0, 255)
        self.plate = self.face + c.normal(0, 4, 3) if c.random() < 0.8 else c.uniform(20, 240) + c.normal(0, 8, 3)
        self.dark = False
        self.print = self._away(self.face, c.uniform(110, 235), 0.02)
        red = numpy.array([c.uniform(140, 250), c.uniform(5, 80), c.uniform(5, 75)])
        self.needle = red.clip(0, 255) if c.random() < 0.88 else self._pointer_colour()

    def _away(self, ground, distance, colour):
        """A paint lighter or darker than the ground."""
        c = self.chance
        sign = 1 if ground.mean() < 110 else -1
        paint = ground.mean() + sign * distance + c.normal(0, 12)
        return (paint + c.normal(0, 255 * colour, 3)).clip(2, 253)

    def _pointer_colour(self):
        c = self.chance
        kind = c.random()
        if kind < 0.58:
            # Reds, from orange to wine.
            paint = numpy.array([c.uniform(120, 250), c.uniform(5, 95), c.uniform(5, 85)])
        elif kind < 0.66:
            paint = numpy.array([c.uniform(190, 255), c.uniform(90, 180), c.uniform(0, 60)])
        elif kind < 0.72:
            paint = numpy.array([c.uniform(5, 80), c.uniform(30, 130), c.uniform(110, 230)])
        elif kind < 0.74:
            paint = numpy.array([c.uniform(5, 80), c.uniform(90, 180), c.uniform(20, 110)])
        else:
            paint = self._away(self.face, c.uniform(70, 240), 0.02)
        return paint.clip(0, 255)

    def picture(self):
        """Draws it: pixels, position, share of "none"."""
        c, kind, lens = self.chance, self.kind, self.dials.lens
        tip = None
        if kind == "flat":
            picture = self._flat()
            self.none = 1.0
        else:
            self._canvas()
            if kind in ("plate", "drums", "letters"):
                getattr(self, "_" + kind)()
                self.none = 1.0
            else:
                self._dial()
            if kind in ("dial", "covered", "defocus", "half"):
                tip = self._pointer()
            elif kind == "star":
                self._star()
                self.none = 1.0
            elif kind == "still":
                self._hub_alone()
                self.none = 1.0
            picture, tip = self._viewed(tip)
        picture, gain, coloured = lens.lit(picture)
        picture, lost = lens.covered(picture, 1.0 if kind == "covered" else 0.2)
        if self.usual and c.random() < 0.2:
            picture, lost = lens.glare(picture, lost, False)
        across = lens.spread(22, 120) * self.half if c.random() < 0.8 else lens.spread(14, 30) * self.half
        radius = 0.5 / self.half
        blur = abs(c.normal(0, 0.04)) if c.random() < 0.88 else c.uniform(0.04, BLURRED[0])
        if self.usual and c.random() < 0.85:
            across, blur = lens.spread(26, 64) * self.half, abs(c.normal(0, 0.06))
        if kind == "defocus":
            blur = c.uniform(BLURRED[1] - 0.06, 0.7)
        if tip is not None and self.none < 1.0:
            left = float((tip * (1 - lost)).sum())
            contrast = self.contrast[0 if coloured else 1] * gain * left / max(float(tip.sum()), 1.0)
            spread = float(numpy.hypot(blur, 0.6 / (across * radius)))
            self.none = max(
                self.none, 1 - share(left / max(self.tip_area, 1.0), *VISIBLE), 1 - share(contrast, *CONTRAST), share(spread, *BLURRED)
            )
        noisy = None if kind != "flat" or c.random() < 0.7 else c.uniform(5, 60)
        pixels = lens.seen(picture, across, self.dials.size, blur * radius, noisy)
        return pixels.transpose(2, 0, 1), self.position, self.none

    # The canvas: drawn flat, seen later.

    def _canvas(self):
        c = self.chance
        self.unit = CANVAS / 2 / self.reach
        image = numpy.empty((CANVAS, CANVAS, 3), numpy.float32)
        image[:] = self.plate
        if c.random() < 0.4:
            image += (c.uniform(1, 10) * self.dials.lens.texture((CANVAS, CANVAS)))[..., None]
        self.image = Image.fromarray(image.clip(0, 255).astype(numpy.uint8))
        self.pen = ImageDraw.Draw(self.image)

    def _place(self, points):
        """From the dial's plane (x to the right, y down) to the canvas."""
        return [(CANVAS / 2 + x * self.unit, CANVAS / 2 + y * self.unit) for x, y in points]

    @staticmethod
    def _polar(radius, angle):
        """A place by its angle from the top, clockwise."""
        return radius * numpy.sin(angle), -radius * numpy.cos(angle)

    def _ring(self, x, y, radius, colour, width=0.0, fill=None):
        (cx, cy), r = self._place([(x, y)])[0], radius * self.unit
        pen = max(int(round(width * self.unit)), 1) if width > 0 else 0
        self.pen.ellipse([cx - r, cy - r, cx + r, cy + r], fill=fill, outline=rgb(colour) if pen else None, width=max(pen, 1))

    def _dial(self):
        """Surroundings, face, rings, ticks, numerals, texts."""
        c = self.chance
        if c.random() < 0.55:
            self._around()
        if c.random() < (0.2 if self.usual else 0.6):
            # A face of its own, sunk or framed.
            r = c.uniform(0.98, 1.3)
            self._ring(0, 0, r, self.face, fill=rgb(self.face))
            if c.random() < 0.5:
                self._ring(0, 0, r, self.face * c.uniform(0.3, 0.9), c.uniform(0.02, 0.12))
            if c.random() < 0.3:
                self._soft_edge(r)
        elif c.random() < 0.2:
            self._ring(0, 0, c.uniform(0.4, 0.8), self.face, fill=rgb(self._away(self.face, c.uniform(10, 80), 0.03)))
        rim = c.uniform(0.72, 1.0)
        ringed = c.random()
        if self.usual:
            if ringed < 0.5:
                self._ring(0, 0, rim, self.print if c.random() < 0.8 else self.needle, c.uniform(0.01, 0.05))
        elif ringed < 0.6:
            self._ring(0, 0, rim, self.print if c.random() < 0.8 else self.needle, c.choice([c.uniform(0.01, 0.05), c.uniform(0.05, 0.2)]))
            if ringed < 0.15:
                self._ring(0, 0, rim * c.uniform(0.6, 0.9), self.print, c.uniform(0.01, 0.05))
        self._ticks(rim)
        if c.random() < (0.95 if self.usual else 0.75):
            self._numerals(rim)
        if c.random() < 0.3:
            self._label(c.uniform(-0.5, 0.5), c.choice([-1, 1]) * c.uniform(0.25, 0.55), c.uniform(0.12, 0.3), self._factor())
        if c.random() < 0.12:
            self._little_arrow()

    def _soft_edge(self, r):
        """The shade at the wall of a sunk face."""
        c = self.chance
        y, x = self.dials.lens.grid((CANVAS, CANVAS))
        d = numpy.hypot(x * self.reach - c.uniform(-0.1, 0.1), y * self.reach - c.uniform(-0.1, 0.1))
        shade = 1 - c.uniform(0.1, 0.6) * numpy.exp(-(((d - r) / c.uniform(0.03, 0.2)) ** 2))
        self.image = Image.fromarray((numpy.asarray(self.image) * shade[..., None]).clip(0, 255).astype(numpy.uint8))
        self.pen = ImageDraw.Draw(self.image)

    def _ticks(self, rim):
        c = self.chance
        kind = c.uniform(0.3, 0.9) if self.usual and c.random() < 0.8 else c.random()
        if kind < 0.07:
            return
        paint = self.print if c.random() < 0.85 else self.needle
        inward = c.random() < 0.6
        long = c.uniform(0.08, 0.3)
        wide = c.uniform(0.015, 0.07)
        fine = c.choice([1, 2, 5, 10], p=[0.5, 0.25, 0.15, 0.1])
        for i in range(10 * fine):
            angle = self.turn + i * 2 * numpy.pi / (10 * fine)
            main = i % fine == 0
            reach = long if main else long * 0.55
            near, far = (rim - reach, rim) if inward else (rim, rim + reach)
            if kind < 0.16:
                self._ring(*self._polar(near, angle), wide * (1.1 if main else 0.7), paint, fill=rgb(paint))
            elif kind < 0.3:
                side = wide * c.uniform(1.2, 1.3) if main else wide * 0.6
                ends = [self._polar(far if inward else near, angle - side), self._polar(far if inward else near, angle + side)]
                self.pen.polygon(self._place([*ends, self._polar(near if inward else far, angle)]), fill=rgb(paint))
            else:
                width = max(int(round((wide if main else wide * 0.5) * self.unit)), 1)
                self.pen.line(self._place([self._polar(near, angle), self._polar(far, angle)]), fill=rgb(paint), width=width)
            if kind > 0.9 and main and i % (2 * fine) == 0:
                ends = [self._polar(near, angle), self._polar(near, angle + 0.6283), self._polar(far, angle + 0.6283), self._polar(far, angle)]
                self.pen.polygon(self._place(ends), fill=rgb(paint))

    def _numerals(self, rim):
        c = self.chance
        inside = c.random() < (0.15 if self.usual else 0.55)
        size = c.uniform(0.16, 0.36)
        radius = rim - c.uniform(0.12, 0.3) - size / 2 if inside else rim + c.uniform(0.05, 0.3) + size / 2
        font = self.dials.font(size * self.unit * 1.4)
        way = 1 if c.random() < 0.75 else -1
        first = 0 if c.random() < 0.9 else int(c.integers(10))
        paint = self.print if self.usual or c.random() < 0.9 else self.needle
        steps = 1 if c.random() < 0.85 else (2 if c.random() < 0.5 else 5)
        radial = c.random() < (0.9 if self.dials.held_out else 0.25)
        for i in range(0, 10, steps):
            angle = self.turn + way * i * 2 * numpy.pi / 10
            x, y = self._place([self._polar(radius, angle)])[0]
            text = str((i + first) % 10)
            if not radial and abs(self.turn) < 0.2:
                self.pen.text((x, y), text, font=font, fill=rgb(paint), anchor="mm")
            else:
                self._pasted(x, y, text, font, angle if radial else self.turn, paint)

    def _pasted(self, x, y, text, font, angle, paint):
        """Text at any angle."""
        box = font.getbbox(text, anchor="mm")
        side = int(max(box[2] - box[0], box[3] - box[1]) * 1.5) + 4
        mask = Image.new("L", (side, side), 0)
        ImageDraw.Draw(mask).text((side / 2, side / 2), text, font=font, fill=255, anchor="mm")
        mask = mask.rotate(-numpy.degrees(angle), Image.BILINEAR)
        self.image.paste(rgb(paint), (int(x - side / 2), int(y - side / 2)), mask)

    def _little_arrow(self):
        """The way in which the pointer turns."""
        c = self.chance
        r, a, long = c.uniform(0.3, 1.15), c.uniform(0, 2 * numpy.pi), c.uniform(0.3, 1.2)
        way = c.choice([-1, 1])
        bow = [self._polar(r, a + way * long * i / 8) for i in range(9)]
        self.pen.line(self._place(bow), fill=rgb(self.print), width=max(int(0.03 * self.unit), 1))
        end = a + way * long
        head = [self._polar(r - 0.07, end), self._polar(r + 0.07, end), self._polar(r, end + way * 0.15 / r)]
        self.pen.polygon(self._place(head), fill=rgb(self.print))

    # The pointer.

    def _polygon(self, points, angle, hub):
        """From the pointer's way to the canvas."""
        u, v = points[:, 0], points[:, 1]
        sin, cos = numpy.sin(angle), numpy.cos(angle)
        return self._place(zip(hub[0] + u * sin + v * cos, hub[1] - u * cos + v * sin))

    def _mask(self, shapes, angle, hub, radius=0.0):
        mask = Image.new("L", (CANVAS, CANVAS), 0)
        pen = ImageDraw.Draw(mask)
        for shape in shapes:
            pen.polygon(self._polygon(shape, angle, hub), fill=255)
        if radius > 0:
            pen.polygon(self._polygon(pointers.disc(0, radius), angle, hub), fill=255)
        return mask

    def _pointer(self):
        """Shadow, pointer, hub; returns the mask of the outer half."""
        c, dials = self.chance, self.dials
        form = dials.form(self.usual)
        long = c.uniform(0.6, 1.02)
        shapes, hub_radius = form(c, long)
        # A pointer stands above its face: seen from the side it does not turn about the dial's middle.
        hub = self.pivot = c.normal(0, 0.035, 2)
        body_of = shapes if c.random() < 0.75 else shapes[:1]
        mask = self._mask(body_of, self.angle, hub, hub_radius)
        if c.random() < 0.6:
            shift, deep = c.normal(0, 0.07, 2), c.uniform(0.15, 0.7)
            shadow = self._mask(body_of, self.angle, (hub[0] + shift[0], hub[1] + shift[1]), hub_radius)
            self.image.paste((0, 0, 0), mask=shadow.filter(ImageFilter.GaussianBlur(c.uniform(0.3, 5))).point(lambda v: int(v * deep)))
        if form is pointers.plate:
            disc = self._mask([pointers.disc(0, long * 1.02)], self.angle, hub)
            self.image.paste(rgb(self._away(self.face, c.uniform(0, 90), 0.03)), mask=disc)
        ground = self.image.copy()
        self.image.paste(self._body(), mask=mask)
        self.pen = ImageDraw.Draw(self.image)
        self._hub(hub, hub_radius)
        y, x = dials.lens.grid((CANVAS, CANVAS))
        along = (x - float(hub[0] / self.reach)) * float(numpy.sin(self.angle)) - (y - float(hub[1] / self.reach)) * float(numpy.cos(self.angle))
        tip = numpy.where(along > long * 0.45 / self.reach, numpy.asarray(mask), 0).astype(numpy.uint8)
        where = tip > 127
        weight = int(where.sum())
        away = numpy.asarray(self.image)[where].astype(int) - numpy.asarray(ground)[where] if weight else numpy.zeros((1, 3))
        # In colours, and where the picture has none.
        self.contrast = float(numpy.abs(away).max(1).mean()), float(numpy.abs(away.mean(1)).mean())
        self.tip_area = weight * (VIEW / (2 * self.half) / self.unit) ** 2
        return Image.fromarray(tip)

    def _body(self):
        """The pointer's paint: one colour, or a picture."""
        c = self.chance
        kind = c.random()
        if kind < 0.5:
            return rgb(self.needle)
        y, x = self.dials.lens.grid((CANVAS, CANVAS))
        sin, cos = float(numpy.sin(self.angle)), float(numpy.cos(self.angle))
        if kind < 0.75:
            # A ridge: one side lies in the light.
            gain = 1 + c.uniform(-0.35, 0.35) * numpy.sign(x * cos + y * sin)
        else:
            gain = 1 + c.uniform(-0.5, 0.5) * (x * float(c.normal()) + y * float(c.normal()))
        body = self.needle.astype(numpy.float32) * gain[..., None]
        if kind > 0.95:
            # The tail or the tip of another colour.
            other = self._away(self.face, c.uniform(60, 200), 0.1).astype(numpy.float32)
            body = numpy.where(((x * sin - y * cos) * self.reach < c.uniform(-0.1, 0.1))[..., None], other, body)
        return Image.fromarray(body.clip(0, 255).astype(numpy.uint8))

    def _hub(self, hub, radius):
        c = self.chance
        paints = [self.needle * c.uniform(0.5, 1.3), self._away(self.face, c.uniform(40, 220), 0.02), numpy.full(3, c.uniform(5, 250)),
                  numpy.array([200, 165, 90]) * c.uniform(0.5, 1.2), self.face]
        paint = paints[0 if self.usual and c.random() < 0.6 else c.integers(len(paints))]
        kind = c.random()
        if kind < 0.2:
            return
        r = radius * c.uniform(0.35, 1.15) if kind < 0.75 else c.uniform(0.04, 0.14)
        if self.dials.held_out and kind > 0.6 or kind > 0.95:
            turn = c.uniform(0, 1)
            self.pen.polygon(self._polygon(pointers.star(max(r, 0.12), int(c.integers(5, 16)), c.uniform(0.5, 0.9)), turn, hub), fill=rgb(paint))
            r *= 0.5
        self._ring(*hub, r, paint, fill=rgb(paint))
        if c.random() < 0.3:
            self._ring(*hub, r, paint * c.uniform(0.3, 0.8), c.uniform(0.01, 0.05))
        if c.random() < 0.25:
            slit = c.uniform(0, numpy.pi)
            (a, b) = self._polar(r * 0.8, slit)
            width = max(int(c.uniform(0.1, 0.35) * r * self.unit), 1)
            self.pen.line(self._place([(hub[0] - a, hub[1] - b), (hub[0] + a, hub[1] + b)]), fill=rgb(paint * c.uniform(0.2, 0.7)), width=width)
        if c.random() < 0.25:
            self._ring(hub[0] - r * 0.3, hub[1] - r * 0.3, r * c.uniform(0.1, 0.35), paint, fill=rgb(paint + c.uniform(60, 200)))

    def _viewed(self, tip):
        """The canvas seen by the camera: the region, a little from the side and stretched."""
        c = self.chance
        skew, lean = c.normal(0, 0.03, 2) if c.random() < 0.7 else c.normal(0, 0.09, 2), c.normal(0, 0.03, 2)
        wide = 1 + (c.normal(0, 0.03) if c.random() < 0.7 else c.uniform(-0.18, 0.18))
        # From a pixel of the view to the canvas: x' = (a x + b y + c) / (g x + h y + 1).
        s = 2 * self.half * self.unit / VIEW
        middle = CANVAS / 2 + numpy.array([self.at[0], self.at[1]]) * self.unit
        a, b, d, e = s * wide, s * skew[0], s * skew[1], s / wide
        g, h = lean * 2 / VIEW
        x0, y0 = middle[0] - VIEW / 2 * (a + b), middle[1] - VIEW / 2 * (d + e)
        way = (a, b, x0, d, e, y0, g, h)
        shift = 1 + (g + h) * VIEW / 2
        way = (a * shift, b * shift, x0 * shift, d * shift, e * shift, y0 * shift, g, h)
        if tip is not None:
            self.position = seen_position(self.position, self._place([self.pivot])[0], way)
        seen = lambda image: numpy.asarray(image.transform((VIEW, VIEW), Image.PERSPECTIVE, way, Image.BILINEAR), numpy.float32)
        return seen(self.image), None if tip is None else seen(tip) / 255


def seen_position(position, pivot, way):
    """Where a tip is in the view that stands at `position` about `pivot` on the canvas. `way` is from the view to the canvas, as
    `Image.PERSPECTIVE` takes it: straight lines stay straight, so that it does not matter how long the pointer is."""
    a, b, c, d, e, f, g, h = way
    # Its inverse, but for a factor: from the canvas to the view.
    back = numpy.linalg.inv(numpy.array([[a, b, c], [d, e, f], [g, h, 1]]))
    angle = position * 2 * numpy.pi / UNITS
    ends = numpy.array([[*pivot, 1], [pivot[0] + numpy.sin(angle), pivot[1] - numpy.cos(angle), 1]]) @ back.T
    (x0, y0), (x1, y1) = ends[:, :2] / ends[:, 2:]
    return float(numpy.arctan2(x1 - x0, y0 - y1) * UNITS / (2 * numpy.pi) % UNITS)


def _part(task):
    count, seed, kinds, held_out, size = task
    dials = Dials(seed, held_out, size)
    names = list(kinds)
    shares = numpy.array([kinds[n] for n in names])
    picks = dials.chance.choice(len(names), size=count, p=shares / shares.sum())
    drawn = [dials.draw(names[pick]) for pick in picks]
    pixels, positions, nones = zip(*drawn)
    return numpy.stack(pixels), numpy.array(positions, numpy.float32), numpy.array(nones, numpy.float32), numpy.array([names[p] for p in picks])


def dials(count, seed, kinds, held_out=False, size=(32, 32), processes=2, progress=False):
    """`count` pictures of `kinds` (name to share): uint8 `[N, 3, H, W]`, positions float32 `[N]`, shares of "none" float32 `[N]`,
    and the kinds' names. Drawn in parts of 2000, each with a seed of its own: how many processes draw changes nothing."""
    tasks = [(min(2000, count - i), seed * 100_000 + i, kinds, held_out, size) for i in range(0, count, 2000)]
    parts = []
    with multiprocessing.Pool(processes) as pool:
        for part in pool.imap(_part, tasks):
            parts.append(part)
            if progress and len(parts) % 5 == 0:
                print(f"{2000 * len(parts)} dials", flush=True)
    return tuple(numpy.concatenate([part[i] for part in parts]) for i in range(4))

"""Pictures of regions without a digit."""

import numpy
from PIL import Image, ImageDraw


class Fillers:
    """Drawers of such pictures, for a scene: float32 `[H, W]`, 0 to 255."""

    def _flat(self, h, w):
        """No structure: dark, white, fog, a gradient."""
        c = self.chance
        level = c.choice([c.uniform(0, 30), c.uniform(225, 255), c.uniform(30, 225)])
        y, x = numpy.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
        light = level + c.normal(0, 25) * x + c.normal(0, 25) * y + c.normal(0, 12) * (x * x + y * y)
        return light + c.uniform(0, 6) * self.photos.lens.texture((h, w))

    def _blank(self, h, w):
        """A wall or a cover with a texture."""
        c = self.chance
        return c.uniform(30, 220) + c.uniform(3, 45) * self.photos.lens.texture((h, w)) + c.uniform(0, 20) * self.photos.lens.texture((h, w))

    def _text(self, h, w):
        """Lettering, smaller than a digit and more than one sign."""
        c = self.chance
        light = numpy.full((h, w), self.body) + 5 * self.photos.lens.texture((h, w))
        image = Image.new("L", (w, h), 0)
        draw = ImageDraw.Draw(image)
        size = max(int(h * c.uniform(0.16, 0.42)), 5)
        font = self.writing.font.font_variant(size=size)
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
        return light + c.uniform(1, 15) * self.photos.lens.texture((h, w))

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

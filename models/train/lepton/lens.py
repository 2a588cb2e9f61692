"""Things between a meter and the file of its picture: light, glass, dirt, lens, sensor, compression.

Pictures are float32 `[H, W, 3]`, 0 to 255, of one square region; distances are in half of its sides, with the middle at 0."""

import io

import numpy
from PIL import Image, ImageFilter


def share(value, low, high):
    """0 up to `low`, 1 from `high` on, a straight line between."""
    return float(min(max((value - low) / (high - low), 0.0), 1.0))


class Lens:
    """Spoils pictures with one source of chance."""

    def __init__(self, chance):
        self.chance = chance
        self.textures = [self._texture(n) for n in (4, 6, 10, 18, 40, 90) for _ in range(10)]
        self.places = {}

    def _texture(self, cells):
        grid = self.chance.normal(size=(cells, cells)).astype(numpy.float32)
        return numpy.asarray(Image.fromarray(grid).resize((256, 256), Image.BICUBIC))

    def texture(self, shape):
        """A smooth pattern with mean 0 and standard deviation near 1, float32 `[H, W]`."""
        whole = self.textures[self.chance.integers(len(self.textures))]
        y, x = (self.chance.integers(0, 257 - min(s, 256)) for s in shape)
        part = whole[y : y + shape[0], x : x + shape[1]]
        return part if part.shape == shape else numpy.resize(part, shape)

    def grid(self, shape):
        """Places of the pixels: y and x, float32."""
        if shape not in self.places:
            y, x = numpy.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j].astype(numpy.float32)
            self.places[shape] = y, x
        return self.places[shape]

    def spread(self, low, high):
        """A number between both, evenly by its logarithm."""
        return float(numpy.exp(self.chance.uniform(numpy.log(low), numpy.log(high))))

    def lit(self, picture):
        """Uneven light, shadows of the housing, a cast of colour; returns the picture, its mean gain, and whether it has colours."""
        c = self.chance
        h, w = picture.shape[:2]
        y, x = self.grid((h, w))
        gain = c.uniform(0.6, 1.2) if c.random() < 0.88 else c.uniform(0.22, 0.6)
        slope = [float(v) for v in c.normal(0, 0.16, 2)]
        light = (1 + slope[0] * x + slope[1] * y).clip(0.3, 1.8)
        if c.random() < 0.2:
            # The edge of a shadow.
            angle, soft = c.uniform(0, 2 * numpy.pi), self.spread(0.02, 0.5)
            side = (x * float(numpy.cos(angle)) + y * float(numpy.sin(angle)) - c.uniform(-0.8, 0.8)) / soft
            light = light * (1 - c.uniform(0.15, 0.65) / (1 + numpy.exp(-side.clip(-20, 20))))
        if c.random() < 0.15:
            light = light * (1 - c.uniform(0.1, 0.5) * (x * x + y * y) / 2)
        tints = 1 + c.normal(0, 0.05, 3)
        if c.random() < 0.3:
            # A warm lamp, a blue or green LED, a wrong white balance.
            tint = [(0.15, 0.0, -0.25), (-0.2, 0.0, 0.2), (-0.15, 0.12, -0.1), (0.1, -0.12, 0.12)][c.integers(4)]
            tints = (1 + numpy.array(tint) * c.uniform(0.3, 1.6)).clip(0.2, 2)
        picture = picture * (light[..., None] * (gain * tints).astype(numpy.float32)) + float(max(c.normal(0, 12), 0))
        grey = picture @ numpy.full((3, 1), 1 / 3, numpy.float32)
        colour = c.random()
        if colour < 0.08:
            # Infrared at night: no colours, and some paints become light.
            weights = c.dirichlet([1.5, 1.0, 0.7]).astype(numpy.float32)
            picture = numpy.repeat((picture @ weights)[..., None], 3, 2)
        elif colour < 0.6:
            picture = grey + (picture - grey) * c.uniform(0.25, 1.6)
        return picture.astype(numpy.float32), gain, colour >= 0.08

    def covered(self, picture, strength):
        """Things that hide parts: a cover, dirt, drops, fog, bubbles, glare. `strength` 0 to 1 makes it rare and small, or heavy.
        Returns the picture and how much of each pixel's contrast is lost, float32 `[H, W]`, 0 to 1."""
        c = self.chance
        h, w = picture.shape[:2]
        y, x = self.grid((h, w))
        lost = numpy.zeros((h, w), numpy.float32)

        def veil(amount, tone):
            nonlocal picture, lost
            picture = picture * (1 - amount[..., None]) + numpy.asarray(tone, numpy.float32) * amount[..., None]
            lost = numpy.maximum(lost, amount)

        heavy = strength > 0.5
        if c.random() < (0.5 if heavy else 0.04):
            # A finger, a cable, the edge of the housing.
            angle = c.uniform(0, 2 * numpy.pi)
            along = x * numpy.cos(angle) + y * numpy.sin(angle)
            at = c.uniform(-0.6, 0.2) if heavy else c.uniform(0.6, 1.1)
            cover = along > at
            if c.random() < 0.4:
                cover = numpy.abs(along - at) < (c.uniform(0.3, 0.9) if heavy else c.uniform(0.02, 0.12))
            tone = c.uniform(0, 255) + c.uniform(-20, 20, 3) + c.uniform(0, 12) * self.texture((h, w))[..., None]
            veil(cover.astype(numpy.float32), tone)
        if c.random() < 0.12 or heavy and c.random() < 0.4:
            # Breath and dust on the glass.
            cloud = (self.texture((h, w)) * c.uniform(0.1, 0.5) + 0.5).clip(0, 1)
            veil(cloud * (c.uniform(0.6, 1.0) if heavy else c.uniform(0.1, 0.55)), c.uniform(80, 220) + c.uniform(-12, 12, 3))
        if c.random() < 0.1:
            # Drops and bubbles: a dark rim, a light spot, inside the picture a little moved.
            for _ in range(c.integers(1, 25 if c.random() < 0.3 else 5)):
                r, cx, cy = self.spread(0.03, 0.35 if heavy else 0.2), c.uniform(-1, 1), c.uniform(-1, 1)
                d = numpy.hypot(x - cx, y - cy) / r
                inside = d < 1
                if c.random() < 0.5:
                    moved = numpy.roll(picture, c.integers(-6, 7, 2), (0, 1))
                    picture = numpy.where(inside[..., None], moved * c.uniform(0.8, 1.15), picture)
                rim = numpy.exp(-(((d - 0.92) / c.uniform(0.06, 0.25)) ** 2)) * c.uniform(-90, 40)
                spot = numpy.exp(-(((x - cx + 0.4 * r) ** 2 + (y - cy + 0.4 * r) ** 2) / (0.06 * r * r))) * c.uniform(0, 160)
                picture = picture + (rim + spot)[..., None]
        if c.random() < 0.25:
            for _ in range(c.integers(1, 6)):
                # Scratches, dust, hairs.
                if c.random() < 0.5:
                    angle, at, thin = c.uniform(0, numpy.pi), c.uniform(-0.9, 0.9), c.uniform(0.005, 0.025)
                    bend = c.normal(0, 0.2)
                    u, v = x * numpy.cos(angle) + y * numpy.sin(angle), y * numpy.cos(angle) - x * numpy.sin(angle)
                    mark = (numpy.abs(u + bend * v * v - at) < thin) & (numpy.abs(v - c.uniform(-1, 1)) < c.uniform(0.1, 1.5))
                else:
                    mark = numpy.hypot(x - c.uniform(-1, 1), y - c.uniform(-1, 1)) < self.spread(0.015, 0.09)
                picture = picture + (mark * c.normal(0, 50))[..., None]
        if c.random() < 0.2:
            picture = picture + (c.uniform(3, 18) * self.texture((h, w)))[..., None]
        glares = c.integers(1, 4) if c.random() < (0.7 if heavy else 0.28) else 0
        for _ in range(glares):
            picture, lost = self.glare(picture, lost, heavy)
        return picture, lost

    def glare(self, picture, lost, heavy):
        """A reflection: a spot, a bar, a ring or the dots of a lamp."""
        c = self.chance
        y, x = self.grid(picture.shape[:2])
        kind = c.random()
        cx, cy = c.normal(0, 0.3, 2) if heavy else c.uniform(-1.1, 1.1, 2)
        if kind < 0.55:
            rx, ry = (c.uniform(0.4, 1.2), c.uniform(0.3, 1.2)) if heavy else (self.spread(0.05, 0.6), self.spread(0.05, 0.6))
            field = numpy.exp(-((((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2) ** c.uniform(0.8, 3)))
        elif kind < 0.75:
            angle = c.uniform(0, numpy.pi)
            along = x * numpy.cos(angle) + y * numpy.sin(angle) - c.uniform(-0.8, 0.8)
            field = numpy.exp(-(numpy.abs(along / (c.uniform(0.3, 0.8) if heavy else c.uniform(0.03, 0.3))) ** c.uniform(2, 6)))
        elif kind < 0.88:
            d = numpy.hypot(x - cx, y - cy)
            field = numpy.exp(-(((d - c.uniform(0.2, 1.2)) / c.uniform(0.02, 0.12)) ** 2))
        else:
            field, r, gap, angle = numpy.zeros_like(x), c.uniform(0.02, 0.09), c.uniform(0.12, 0.4), c.uniform(0, numpy.pi)
            for i in range(c.integers(2, 6)):
                px, py = cx + i * gap * numpy.cos(angle), cy + i * gap * numpy.sin(angle)
                field = numpy.maximum(field, numpy.exp(-((numpy.hypot(x - px, y - py) / r) ** 4)))
        power = c.uniform(300, 700) if heavy else self.spread(25, 400)
        picture = picture + (field * power)[..., None] * (1 + c.normal(0, 0.06, 3))
        washed = ((numpy.minimum(numpy.minimum(picture[..., 0], picture[..., 1]), picture[..., 2]) - 235) / 40).clip(0, 1)
        return picture, numpy.maximum(lost, washed)

    def seen(self, picture, across, size, blur, noisy=None):
        """The picture through lens, sensor and file: `across` pixels wide, blurred by `blur` (standard deviation in widths),
        then brought to `size` (height, width); uint8 `[H, W, 3]`."""
        c = self.chance
        height = max(int(round(across * picture.shape[0] / picture.shape[1])), 6)
        across = max(int(across), 6)
        image = Image.fromarray(picture.clip(0, 255).astype(numpy.uint8))
        if across < image.width:
            image = image.resize((across, height), Image.BOX if c.random() < 0.3 else Image.BILINEAR)
        else:
            image = image.resize((across, height), Image.BICUBIC)
        image = image.filter(ImageFilter.GaussianBlur(blur * across + c.uniform(0.15, 0.65)))
        if c.random() < 0.07:
            image = _moved(image, max(int(c.uniform(0.02, 0.10) * across), 1), int(c.integers(0, 2)))
        if c.random() < 0.35:
            image = image.filter(ImageFilter.UnsharpMask(radius=c.uniform(0.7, 3), percent=int(c.uniform(40, 250)), threshold=0))
        light = numpy.asarray(image, numpy.float32)
        noise = c.gamma(1.4, 1.8) if noisy is None else noisy
        grain = c.standard_normal(light.shape[:2], numpy.float32)[..., None] * float(noise)
        light = light + grain + c.standard_normal(light.shape, numpy.float32) * float(noise * c.uniform(0, 0.7))
        if c.random() < 0.3:
            # A camera's curve of contrast.
            light = 255 * (light.clip(0, 255) / 255) ** self.spread(0.6, 1.5)
        light = light.clip(0, 255).astype(numpy.uint8)
        for _ in range(c.choice([0, 1, 2], p=[0.2, 0.7, 0.1])):
            # The blocks of a file do not begin where the region does.
            top, left = c.integers(0, 16, 2)
            buffer = io.BytesIO()
            padded = numpy.pad(light, ((top, 8), (left, 8), (0, 0)), mode="edge")
            quality = int(c.uniform(20, 60)) if c.random() < 0.4 else int(c.uniform(55, 96))
            Image.fromarray(padded).save(buffer, "JPEG", quality=quality, subsampling=2 if c.random() < 0.6 else 0)
            light = numpy.asarray(Image.open(buffer))[top : top + light.shape[0], left : left + light.shape[1]]
        image = Image.fromarray(numpy.ascontiguousarray(light))
        if c.random() < 0.15:
            # A region that somebody had scaled before.
            image = image.resize((max(int(size[1] * c.uniform(0.8, 1.3)), 8), max(int(size[0] * c.uniform(0.8, 1.3)), 8)), Image.BILINEAR)
        return numpy.asarray(image.resize((size[1], size[0]), Image.BILINEAR))


def _moved(image, reach, axis):
    """Smeared along one axis."""
    rows = numpy.asarray(image, numpy.float32)
    padded = numpy.pad(rows, [(reach, reach) if a == axis else (0, 0) for a in (0, 1, 2)], mode="edge")
    mean = numpy.mean([numpy.roll(padded, s, axis) for s in range(-(reach // 2), reach // 2 + 1)], axis=0)
    cut = tuple(slice(reach, -reach) if a == axis else slice(None) for a in (0, 1, 2))
    return Image.fromarray(mean[cut].clip(0, 255).astype(numpy.uint8))

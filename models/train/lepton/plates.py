"""Things on a plate beside its dials, and plates without one."""

import numpy

from . import pointers

# Side of the picture before the lens, in pixels.
VIEW = 104


def rgb(colour):
    """A paint as the drawing functions want it."""
    return tuple(min(max(int(v), 0), 255) for v in (colour if numpy.ndim(colour) else [colour] * 3))


class Plates:
    """Drawers for a scene, on its canvas."""

    def _around(self):
        """Neighbours: other dials, the window of the drums, texts, lines, the round edge of the meter."""
        c = self.chance
        for _ in range(c.integers(1, 4)):
            kind, away = c.random(), c.uniform(0, 2 * numpy.pi)
            distance = c.uniform(2.0, 2.9)
            x, y = self._polar(distance, away)
            if kind < 0.5:
                self._ring(x, y, c.uniform(0.9, 1.15), self.print, c.uniform(0.01, 0.12), fill=rgb(self.face))
                turn = c.uniform(0, 2 * numpy.pi)
                (dx, dy), (sx, sy) = self._polar(c.uniform(0.6, 1), turn), self._polar(0.15, turn + numpy.pi / 2)
                self.pen.polygon(self._place([(x + dx, y + dy), (x + sx, y + sy), (x - sx, y - sy)]), fill=rgb(self.needle))
                for i in range(10):
                    a, b = self._polar(0.85, i * 0.628), self._polar(1.0, i * 0.628)
                    self.pen.line(self._place([(x + a[0], y + a[1]), (x + b[0], y + b[1])]), fill=rgb(self.print), width=2)
            elif kind < 0.68:
                tone = c.choice([c.uniform(5, 60), c.uniform(150, 250)])
                side = c.choice([-1, 1]) * c.uniform(1.15, 1.8)
                box = self._place([(-3, side), (c.uniform(-0.5, 3), side + 2)]) if c.random() < 0.6 else self._place([(side, -3), (side + 2, 3)])
                self.pen.rectangle([*box[0], *box[1]], fill=rgb(tone + c.normal(0, 6, 3)))
            elif kind < 0.85:
                self._label(*self._polar(c.uniform(1.15, 1.6), away), c.uniform(0.2, 0.45), self._factor())
            else:
                r = c.uniform(3, 8)
                x, y = self._polar(r + c.choice([-1, 1]) * c.uniform(1.05, 1.6) - (0 if c.random() < 0.5 else 2 * r), away)
                self._ring(x, y, r, self._away(self.plate, c.uniform(20, 160), 0.05), c.uniform(0.03, 0.4))

    def _factor(self):
        c = self.chance
        factor = c.choice(["0,1", "0.1", "0,01", "0.01", "0,001", "0.001", "0,0001", "0.0001", "10", "100", "1/10", "1"])
        return c.choice(["x", "×", "x ", "", "X"]) + factor if c.random() < 0.6 else c.choice(["m³", "L", "Litre", "kWh", "CF", "l", "1000", "CL.B", "Qn 2,5", "ft³", "EIN", "R160"])

    def _label(self, x, y, size, text):
        font = self.dials.font(size * self.unit * 1.2)
        self._pasted(*self._place([(x, y)])[0], text, font, self.turn, self.print)

    def _hub_alone(self):
        """A dial without a pointer, with or without its axle."""
        if self.chance.random() < 0.6:
            self._hub(self.chance.normal(0, 0.04, 2), self.chance.uniform(0.05, 0.35))

    def _star(self):
        """The wheel that shows that water flows: it turns, but points nowhere."""
        c = self.chance
        hub = c.normal(0, 0.04, 2)
        shape = pointers.star(c.uniform(0.4, 1.0), int(c.integers(3, 17)), c.uniform(0.25, 0.75))
        self.pen.polygon(self._polygon(shape, self.angle, hub), fill=rgb(self.needle))
        self._hub(hub, c.uniform(0.1, 0.3))

    def _plate(self):
        c = self.chance
        for _ in range(c.integers(0, 3)):
            self._around()
        for _ in range(c.integers(0, 3)):
            x, y = c.uniform(-1, 1, 2)
            box = sorted(self._place([(x, y)])[0] + self._place([(x + c.uniform(0.1, 2), y + c.uniform(0.1, 2))])[0])
            self.pen.rectangle([box[0], box[1], box[2], box[3]], outline=rgb(self.print), width=int(c.integers(1, 6)))

    def _letters(self):
        c = self.chance
        size = c.uniform(0.2, 1.1)
        y = -self.reach
        while y < self.reach:
            text = "".join(c.choice(list("ABCDEFGHKLMNPRSTUVWXYZabcdefghkmnoprstuvwxyz0123456789.- ³")) for _ in range(12))
            x, py = self._place([(c.uniform(-2, -0.5), y)])[0]
            self.pen.text((x, py), text, font=self.dials.font(size * self.unit), fill=rgb(self.print), anchor="ls")
            y += size * c.uniform(1.1, 2.0)

    def _drums(self):
        c = self.chance
        size, pitch = c.uniform(0.8, 1.9), c.uniform(0.8, 1.6)
        body = c.uniform(5, 80) + c.normal(0, 4, 3)
        ink = self._away(body, c.uniform(80, 200), 0.02)
        if c.random() < 0.35:
            body, ink = ink, body
        if c.random() < 0.2:
            body = numpy.array([c.uniform(130, 220), 30, 30])
        font = self.dials.font(size * self.unit)
        shift, roll = c.uniform(-0.5, 0.5) * pitch, c.uniform(-0.5, 0.5)
        for i in range(-3, 4):
            x = shift + i * pitch
            box = self._place([(x - pitch * 0.45, -size * 0.7), (x + pitch * 0.45, size * 0.7)])
            self.pen.rectangle([*box[0], *box[1]], fill=rgb(body))
            digit = int(c.integers(10))
            for step in (-1, 0, 1):
                at = self._place([(x, (step + (roll if i == 0 else 0)) * size * 1.3)])[0]
                if abs(step + roll) < 0.8:
                    self.pen.text(at, str((digit + step) % 10), font=font, fill=rgb(ink), anchor="mm")

    def _flat(self):
        """No structure: dark, white, fog, a gradient."""
        c = self.chance
        level = c.choice([c.uniform(0, 30), c.uniform(225, 255), c.uniform(30, 225)])
        y, x = self.dials.lens.grid((VIEW, VIEW))
        light = level + c.normal(0, 25) * x + c.normal(0, 25) * y + c.uniform(0, 8) * self.dials.lens.texture((VIEW, VIEW))
        return light[..., None] + c.normal(0, 6, 3)

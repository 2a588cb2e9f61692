"""Forms of the pointers of small dials, as polygons: along the pointer's way `u` and to its right `v`, the dial's radius is 1."""

import numpy


def _outline(us, vs):
    """A polygon that is the same on both sides of the pointer's way."""
    us, vs = numpy.asarray(us, float), numpy.asarray(vs, float)
    return numpy.stack([numpy.concatenate([us, us[::-1]]), numpy.concatenate([vs, -vs[::-1]])], 1)


def disc(u, r, n=28):
    """A disc on the pointer's way."""
    a = numpy.linspace(0, 2 * numpy.pi, n, endpoint=False)
    return numpy.stack([u + r * numpy.cos(a), r * numpy.sin(a)], 1)


def _tail(c, wide):
    """Tail behind the hub, or nothing: always blunter or shorter than the tip."""
    kind = c.random()
    if kind < 0.4:
        return []
    long = c.uniform(0.15, 0.55)
    if kind < 0.6:
        return [_outline([0, -long], [wide * c.uniform(0.3, 1), wide * c.uniform(0.8, 2.0)])]
    if kind < 0.75:
        return [_outline([0, -long], [wide * 0.5, wide * 0.5]), disc(-long, c.uniform(0.07, 0.18))]
    if kind < 0.9:
        return [_outline([0, -long], [wide * 0.5, wide * c.uniform(0.2, 0.6)])]
    return [_outline([0, -long * 0.6, -long], [wide * 0.4, wide * c.uniform(1.0, 1.6), wide * 0.3])]


def needle(c, long):
    """Thin, nearly of one width."""
    wide = c.uniform(0.025, 0.08)
    hub = c.uniform(0.08, 0.26)
    return [_outline([0, long * 0.9, long], [wide, wide * c.uniform(0.4, 1.0), wide * c.uniform(0.1, 0.8)]), *_tail(c, wide * 1.6)], hub


def wedge(c, long):
    """A triangle from the hub to the tip."""
    wide = c.uniform(0.08, 0.26)
    hub = wide * c.uniform(0.7, 1.3)
    return [_outline([0, long], [wide, c.uniform(0, 0.02)]), *_tail(c, wide)], hub


def arrow(c, long):
    """A shaft with a head."""
    wide, head = c.uniform(0.03, 0.09), c.uniform(0.12, 0.3)
    back = c.uniform(-0.08, 0.06)
    shape = [_outline([0, long - head], [wide, wide]), _outline([long - head + back, long - head, long], [0, head * c.uniform(0.35, 0.8), 0])]
    return [*shape, *_tail(c, wide * 1.5)], c.uniform(0.08, 0.3)


def counterweight(c, long):
    """A long triangle whose blunt end lies behind the hub."""
    back, wide = c.uniform(0.2, 0.6), c.uniform(0.1, 0.28)
    return [_outline([-back, long], [wide, c.uniform(0, 0.02)])], c.uniform(0.08, 0.2)


def teardrop(c, long):
    """A round body that runs out into a tip."""
    r = c.uniform(0.16, 0.4)
    angle = numpy.arccos(min(r / long, 0.95))
    a = numpy.linspace(angle, 2 * numpy.pi - angle, 24)
    body = numpy.stack([numpy.concatenate([r * numpy.cos(a), [long]]), numpy.concatenate([r * numpy.sin(a), [0]])], 1)
    return [body], r * c.uniform(0.3, 0.8)


def stub(c, long):
    """A thick hub over much of the dial with a short tip."""
    r = c.uniform(0.32, 0.55)
    long = max(long, r + 0.22)
    wide = r * c.uniform(0.25, 0.75)
    return [_outline([0, r * 0.8, long], [wide, wide, c.uniform(0, 0.06)]), *_tail(c, wide * 0.6)], r


def blade(c, long):
    """Narrow at the hub, widest on the way, then a tip."""
    wide = c.uniform(0.06, 0.16)
    at = c.uniform(0.3, 0.75)
    return [_outline([0, long * at, long], [wide * c.uniform(0.3, 0.8), wide, 0]), *_tail(c, wide * 0.8)], c.uniform(0.08, 0.24)


def lance(c, long):
    """A needle with a wide first part."""
    wide = c.uniform(0.08, 0.2)
    at = c.uniform(0.3, 0.6)
    thin = c.uniform(0.02, 0.045)
    return [_outline([-0.05, long * at, long * at, long], [wide, wide * c.uniform(0.3, 1), thin, thin * 0.5]), *_tail(c, wide)], wide * c.uniform(0.8, 1.6)


def tailed(c, long):
    """A round hub between a tip that narrows and a short blunt tail."""
    r = c.uniform(0.14, 0.32)
    wide = r * c.uniform(0.45, 0.95)
    shapes = [_outline([0, long], [wide, c.uniform(0, 0.05)])]
    if c.random() < 0.85:
        blunt = wide * c.uniform(0.5, 0.95)
        shapes.append(_outline([0, -r - c.uniform(0.04, 0.3)], [blunt, blunt * c.uniform(0.7, 1.1)]))
    return shapes, r


def plate(c, long):
    """A turning disc with a mark at its edge."""
    r = min(long, c.uniform(0.55, 0.95))
    inner = r * c.uniform(0.1, 0.55)
    return [_outline([inner, r], [c.uniform(0.05, 0.18), c.uniform(0, 0.03)])], c.uniform(0.0, 0.15)


def kite(c, long):
    """A long lozenge: narrow at both ends, short behind the hub."""
    back, wide = long * c.uniform(0.25, 0.5), c.uniform(0.08, 0.2)
    return [_outline([-back, 0, long], [0, wide, 0])], c.uniform(0.06, 0.2)


def spade(c, long):
    """A thin shaft with a leaf before its end."""
    thin, r = c.uniform(0.025, 0.05), c.uniform(0.09, 0.17)
    at = long - c.uniform(0.2, 0.35)
    tip = _outline([at, at + r * 0.5, long], [r * 0.95, r * 0.85, 0])
    return [_outline([0, at], [thin, thin]), disc(at, r), tip, *_tail(c, thin * 2)], c.uniform(0.08, 0.25)


def fork(c, long):
    """A needle with a moon as its tail."""
    wide, r = c.uniform(0.04, 0.1), c.uniform(0.12, 0.24)
    a = numpy.linspace(-2.2, 2.2, 20)
    outer = numpy.stack([-0.3 - r + r * numpy.cos(a + numpy.pi), r * numpy.sin(a + numpy.pi)], 1)
    inner = numpy.stack([-0.3 - 1.35 * r + 0.75 * r * numpy.cos(a[::-1] + numpy.pi), 0.75 * r * numpy.sin(a[::-1] + numpy.pi)], 1)
    return [_outline([0, long], [wide, wide * 0.2]), _outline([0, -0.32], [wide, wide]), numpy.concatenate([outer, inner])], c.uniform(0.1, 0.22)


FORMS = {
    needle: 0.13, wedge: 0.2, arrow: 0.1, counterweight: 0.14, teardrop: 0.1, stub: 0.1, blade: 0.09, lance: 0.09, tailed: 0.06, plate: 0.05,
}
"""Kinds that are trained on, by their shares."""
USUAL_FORMS = {tailed: 0.55, stub: 0.1, teardrop: 0.13, wedge: 0.12, counterweight: 0.1}
"""Those of the usual water meter, by their shares."""
HELD_OUT_FORMS = {kite: 1.0, spade: 1.0, fork: 1.0}


def star(r, points, depth, turn=0.0):
    """A star or toothed wheel about the hub."""
    a = turn + numpy.linspace(0, 2 * numpy.pi, 2 * points, endpoint=False)
    rs = numpy.where(numpy.arange(2 * points) % 2 == 0, r, r * depth)
    return numpy.stack([rs * numpy.cos(a), rs * numpy.sin(a)], 1)

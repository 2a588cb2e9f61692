"""Digits and letters of free fonts as coverage masks, normalised to one digit height.

The fonts come from Debian packages (`PACKAGES`); all are under the SIL Open Font License, the Apache License, the GUST Font
License, the Bitstream Vera licence, BSD, the GPL or AGPL with the exception for fonts, or in the public domain. Only weights trained on their pictures are kept.
"""

import pathlib

import numpy
from PIL import Image, ImageDraw, ImageFilter, ImageFont

PACKAGES = """
    fonts-allerta fonts-b612 fonts-bebas-neue fonts-cabin fonts-cantarell fonts-clear-sans fonts-comfortaa fonts-dejavu-core
    fonts-dejavu-extra fonts-dosis fonts-dseg fonts-firacode fonts-go fonts-hack fonts-inconsolata fonts-inter fonts-jura fonts-karla
    fonts-lato fonts-league-spartan fonts-liberation fonts-manrope fonts-national-park fonts-open-sans fonts-opendin fonts-oxygen
    fonts-paratype fonts-play fonts-quicksand fonts-roboto-slab fonts-roboto-unhinted fonts-routed-gothic fonts-texgyre fonts-tuffy
    fonts-yanone-kaffeesatz fonts-adf-gillius fonts-adf-universalis fonts-adf-switzera fonts-averia-sans-gwf fonts-courier-prime
    fonts-crosextra-carlito fonts-gemunu-libre fonts-hermit fonts-jetbrains-mono fonts-junction fonts-league-mono fonts-mononoki
    fonts-noto-core fonts-noto-mono fonts-oldstandard fonts-osifont fonts-quattrocento fonts-sora fonts-urw-base35
""".split()

# File names without their ending. None of `HELD_OUT` is drawn for training.
TRAIN = """
    allerta_medium allerta_stencil BebasNeue-Bold BebasNeue-Book BebasNeue-Regular Cabin-Bold Cabin-Medium Cabin-Regular
    Cantarell-Bold Cantarell-Regular ClearSans-Bold ClearSans-Medium ClearSans-Regular Comfortaa-Bold DejaVuSans
    DejaVuSans-Bold DejaVuSansCondensed DejaVuSansCondensed-Bold DejaVuSansMono-Bold DejaVuSerif DejaVuSerif-Bold
    DejaVuSerifCondensed-Bold Dosis-Bold Dosis-Medium Go-Bold Go-Medium Go-Mono-Bold Go-Regular
    Hack-Bold Hack-Regular Inconsolata InterDisplay-Bold InterDisplay-Medium Inter-Regular Inter-SemiBold Inter-Black
    Jura-Bold Jura-Regular Karla-Bold Karla-Regular Lato-Bold Lato-Black Lato-Regular LeagueSpartan-Bold LeagueSpartan-Regular
    LiberationMono-Bold LiberationMono-Regular LiberationSans-Bold LiberationSans-Regular LiberationSans-BoldItalic
    LiberationSansNarrow-Bold LiberationSansNarrow-Regular LiberationSerif-Bold LiberationSerif-Regular Manrope-Bold Manrope-Medium
    NationalPark-Heavy NationalPark-Regular OpenSans-Bold OpenSans-CondBold OpenSans-CondLight OpenSans-Regular Oxygen-Sans
    Oxygen-Sans-Bold Quicksand-Bold Quicksand-Medium RobotoCondensed-Bold RobotoCondensed-Regular Roboto-Black
    Roboto-Bold Roboto-Regular RobotoSlab-Bold RobotoSlab-Regular routed-gothic routed-gothic-narrow routed-gothic-wide
    texgyreadventor-bold texgyreadventor-regular texgyrebonum-bold texgyrecursor-bold texgyreschola-bold texgyreschola-regular
    texgyretermes-bold Tuffy Tuffy_Bold YanoneKaffeesatz-Bold YanoneKaffeesatz-Regular OSP-DIN
    texgyreheros-bold texgyreheros-regular
    GilliusADF-Bold GilliusADF-BoldCond GilliusADF-Cond GilliusADF-Regular GilliusADFNo2-Bold UniversalisADFStd-Bold
    UniversalisADFStd-BoldCond UniversalisADFStd-Regular SwitzeraADF-Bold SwitzeraADF-BoldCond SwitzeraADF-BoldExt SwitzeraADF-DemiBold
    SwitzeraADF-Regular AveriaSansGWF-Bold AveriaSansGWF-Regular Carlito-Bold Carlito-Regular GemunuLibre-Bold GemunuLibre-Medium
    Hermit-bold Hermit-medium JetBrainsMono-Bold JetBrainsMono-Regular Junction LeagueMono-Bold LeagueMono-CondensedBold mononoki-Bold
    NotoSans-Bold NotoSans-Regular NotoSansDisplay-Bold NotoSansMono-Bold NotoSansMono-Regular OldStandard-Bold osifont
    Quattrocento-Regular Sora-Bold Sora-Regular C059-Bold NimbusMonoPS-Bold NimbusRoman-Bold NimbusSans-Bold NimbusSans-Regular
    NimbusSansNarrow-Bold URWGothic-Book URWGothic-Demi URWBookman-Demi P052-Bold
""".split()
TRAIN_LCD = """
    DSEG7Classic-Bold DSEG7Classic-BoldItalic DSEG7Classic-Italic DSEG7Classic-Light DSEG7Classic-Regular DSEG7ClassicMini-Bold
    DSEG7ClassicMini-Italic DSEG7ClassicMini-Regular DSEG14Classic-Regular DSEG14Classic-BoldItalic
""".split()
HELD_OUT = """
    B612-Bold B612-Regular B612Mono-Bold FiraCode-Bold FiraCode-Regular texgyreheroscn-bold texgyreheroscn-regular PTS55F PTS75F PTN77F
    PTM75F PTF75F Play-Bold Play-Regular
""".split()
HELD_OUT_LCD = "DSEG7Modern-Bold DSEG7Modern-Regular DSEG7Modern-Italic DSEG7ModernMini-Regular".split()

HEIGHT = 72
"""Height of a digit's mask in pixels."""
LETTERS = "ACEFHKLMNPRTUVWXacdefhkmnprtuvwx%&#@?/+="
"""Letters and signs that no digit looks like."""


class Face:
    """One font: `digits` and `letters` as uint8 masks `[HEIGHT, W]`, all digits of one width and on their common middle."""

    def __init__(self, path, lcd):
        font = ImageFont.truetype(str(path), 200)
        boxes = [font.getbbox(str(d), anchor="ls") for d in range(10)]
        top, bottom = min(b[1] for b in boxes), max(b[3] for b in boxes)
        size = 200 * HEIGHT / (bottom - top)
        self.name, self.lcd, self.path = path.stem, lcd, path
        self.font = ImageFont.truetype(str(path), size)
        boxes = [self.font.getbbox(str(d), anchor="ls") for d in range(10)]
        self.top = min(b[1] for b in boxes)
        # A one stands in its advance width as the others do, not in the middle of its own ink, where the font says so.
        advance = max(self.font.getlength(str(d)) for d in range(10))
        self.width = int(max(max(b[2] - b[0] for b in boxes), 1)) + 4
        self.digits, self.ink = [], []
        for digit, box in enumerate(boxes):
            middle = (box[0] + box[2]) / 2
            even = self.font.getlength(str(digit)) / 2
            at = self.width / 2 - (even if lcd and advance - 2 * even < 1 else middle)
            self.digits.append(self._mask(str(digit), at, self.width))
            self.ink.append((box[2] - box[0]) / HEIGHT)
        self.digits = numpy.stack(self.digits)
        self.letters = None
        self.forms = {0: self.digits}

    def _mask(self, text, at, width):
        image = Image.new("L", (width, HEIGHT), 0)
        ImageDraw.Draw(image).text((at, -self.top), text, fill=255, font=self.font, anchor="ls")
        return numpy.asarray(image)

    def worn(self, chance):
        """The digits as they are, or with thinner or thicker strokes."""
        form = int(chance.choice([0, -3, 3, 5], p=[0.55, 0.12, 0.2, 0.13]))
        if form not in self.forms:
            change = ImageFilter.MaxFilter(form) if form > 0 else ImageFilter.MinFilter(-form)
            self.forms[form] = numpy.stack([numpy.asarray(Image.fromarray(digit).filter(change)) for digit in self.digits])
        return self.forms[form]

    def letter(self, chance):
        """A letter's mask in the place of a digit."""
        if self.letters is None:
            self.letters = []
            for sign in LETTERS:
                box = self.font.getbbox(sign, anchor="ls")
                self.letters.append(self._mask(sign, self.width / 2 - (box[0] + box[2]) / 2, self.width))
        return self.letters[chance.integers(len(self.letters))]


# A matrix of 5x7 dots, a row of bits for each.
_DOTS = """
    0e11131519110e 040c040404040e 0e11010204081f 1f02040201110e 02060a121f0202 1f101e0101110e 0608101e11110e 1f010204080808
    0e11110e11110e 0e11110f01020c
""".split()


class Dots:
    """Digits of a display that is made of dots, with what `Face` has of them."""

    def __init__(self):
        self.name, self.lcd, self.width = "dots", True, 54
        self.digits, self.ink = [], [0.68] * 10
        for rows in _DOTS:
            image = Image.new("L", (self.width, HEIGHT), 0)
            pen = ImageDraw.Draw(image)
            for y, row in enumerate(bytes.fromhex(rows)):
                for x in range(5):
                    if row >> (4 - x) & 1:
                        pen.ellipse([2 + x * 10.2, 0.5 + y * 10.2, 10.5 + x * 10.2, 9 + y * 10.2], fill=255)
            self.digits.append(numpy.asarray(image))
        self.digits = numpy.stack(self.digits)


def _found(names):
    """Files of fonts by their names.

    Raises `FileNotFoundError` that names a font which is not installed, with the packages to install.
    """
    found = {}
    for folder in ("/usr/share/fonts", "/usr/share/texmf/fonts"):
        for path in sorted(pathlib.Path(folder).rglob("*.[to]tf")):
            found.setdefault(path.stem, path)
    missing = [name for name in names if name not in found]
    if missing:
        packages = " ".join(PACKAGES)
        raise FileNotFoundError(f"fonts are missing ({', '.join(missing)}): apt install --no-install-recommends {packages}")
    return [found[name] for name in names]


def paths(held_out):
    """Files of the drum fonts of one of the two sets."""
    return _found(HELD_OUT if held_out else TRAIN)


def faces(held_out):
    """The fonts of one of the two sets: drum fonts and display fonts."""
    plain, lcd = (HELD_OUT, HELD_OUT_LCD) if held_out else (TRAIN, TRAIN_LCD)
    return [Face(path, False) for path in _found(plain)], [Face(path, True) for path in _found(lcd)]

"""A terminal's screen as a person sees it: what was written, where the cursor was put, what was erased. Colours are left out."""
import re

# A control sequence (its parameters and its last letter), a title, another escape, or one character.
TOKEN = re.compile(r"\x1b\[([0-9;?<>=]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b(.)|(.)", re.S)
# Not whole yet: the beginning of one of these at the end of what was read.
UNFINISHED = re.compile(r"\x1b(?:\[[0-9;?<>= -/]*|\][^\x07\x1b]*|[()])?\Z")


class Screen:
    """Rows and columns of characters. What programs for terminals use of ECMA-48 is understood; the rest is passed over."""

    def __init__(self, columns=80, rows=24):
        self.columns, self.rows, self._rest, self._saved = columns, rows, "", (0, 0)
        self._clear()

    def _clear(self):
        self._cells = [[" "] * self.columns for _ in range(self.rows)]
        self._row = self._column = 0

    def text(self):
        """The rows, without spaces at their ends."""
        return "\n".join("".join(row).rstrip() for row in self._cells)

    def feed(self, text):
        """Takes what a program wrote."""
        text = self._rest + text
        unfinished = UNFINISHED.search(text)
        self._rest = text[unfinished.start():] if unfinished else ""
        for match in TOKEN.finditer(text[:len(text) - len(self._rest)]):
            if match.group(2):
                self._control(match.group(1), match.group(2))
            elif match.group(3):
                self._escape(match.group(3))
            elif match.group(4):
                self._character(match.group(4))

    def _character(self, character):
        if character == "\n":
            self._down()
        elif character == "\r":
            self._column = 0
        elif character == "\b":
            self._column = max(0, self._column - 1)
        elif character == "\t":
            self._column = min(self.columns - 1, self._column // 8 * 8 + 8)
        elif character >= " ":
            if self._column == self.columns:
                self._column = 0
                self._down()
            self._cells[self._row][self._column] = character
            self._column += 1

    def _down(self):
        if self._row + 1 < self.rows:
            self._row += 1
        else:
            self._cells = self._cells[1:] + [[" "] * self.columns]

    def _escape(self, letter):
        if letter == "7":
            self._saved = (self._row, self._column)
        elif letter == "8":
            self._row, self._column = self._saved

    def _control(self, parameters, letter):
        if parameters.startswith("?"):
            # Another screen, or back from it: empty either way.
            if "1049" in parameters:
                self._clear()
            return
        numbers = [int(number) if number.isdigit() else 0 for number in parameters.split(";")]
        first = numbers[0] or 1
        column = min(self._column, self.columns - 1)
        if letter in "Hf":
            self._row = min(first, self.rows) - 1
            self._column = min((numbers[1] if len(numbers) > 1 else 1) or 1, self.columns) - 1
        elif letter == "A":
            self._row = max(0, self._row - first)
        elif letter in "BE":
            self._row = min(self.rows - 1, self._row + first)
        elif letter == "C":
            self._column = min(self.columns - 1, column + first)
        elif letter == "D":
            self._column = max(0, column - first)
        elif letter == "G":
            self._column = min(first, self.columns) - 1
        elif letter == "d":
            self._row = min(first, self.rows) - 1
        elif letter == "K":
            from_column, to_column = {0: (column, self.columns), 1: (0, column + 1)}.get(numbers[0], (0, self.columns))
            self._cells[self._row][from_column:to_column] = [" "] * (to_column - from_column)
        elif letter == "J":
            rows = {0: range(self._row + 1, self.rows), 1: range(self._row)}.get(numbers[0], range(self.rows))
            for row in rows:
                self._cells[row] = [" "] * self.columns
            if numbers[0] in (0, 1):
                self._control(parameters, "K")

"""Floats: what stands at the left and right, with lines of text beside it (CSS 2.2, section 9.5)."""

from __future__ import annotations

#: More floats on a screen are not seen.
_MOST = 500


class Floats:
    """The floats of a block formatting context. Positions are of the page."""

    def __init__(self) -> None:
        # side, edge towards the text, bottom
        self._all: list[tuple[str, float, float]] = []
        self._under_way: list[tuple[str, float]] = []

    def __bool__(self) -> bool:
        return bool(self._all)

    def begin(self, side: str, left: float, right: float) -> None:
        """Add a float whose height is not yet known."""
        self._under_way.append((side, right if side == "left" else left))

    def end(self, bottom: float) -> None:
        """Set the height of the last one."""
        side, edge = self._under_way.pop()
        if len(self._all) < _MOST:
            self._all.append((side, edge, bottom))

    def room(self, y: float, left: float, right: float) -> tuple[float, float]:
        """Return the left and right end of a line, of these at most, between the floats."""
        for side, edge, bottom in self._all:
            if bottom > y:
                if side == "left":
                    left = max(left, edge)
                else:
                    right = min(right, edge)
        return left, right

    def bottom(self, sides: str) -> float:
        """Return where the floats of a side (`both`: of any) end."""
        return max((bottom for side, _, bottom in self._all if sides in {side, "both"}), default=0.0)

    def next_bottom(self, y: float) -> float:
        """Return where the first float ends that is beside this line."""
        return min((bottom for _, _, bottom in self._all if bottom > y), default=y)

    def place(self, side: str, width: float, y: float, left: float, right: float) -> tuple[float, float]:
        """Return where a float of this width finds room."""
        while True:
            start, end = self.room(y, left, right)
            if width <= end - start + 0.5 or (start, end) == (left, right):
                return (start if side == "left" else end - width), y
            y = self.next_bottom(y)

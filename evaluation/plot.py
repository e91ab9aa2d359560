"""Pictures of results as SVG text, written by hand: no plotting package.

Two kinds: `lines`, such as the paper's Figure 4 (a score at each level of noise), and `rows`, such
as an ablation (an effect and its interval for each choice). A series has its own colour, dash and
marker, so that it can be told from others in print; colours follow the reader's light or dark mode.
Every mark has a <title> with its numbers, which browsers show under the pointer.
"""

import math
from itertools import chain
from xml.sax.saxutils import escape

MARKERS = ("M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0Z", "M-3.5,-3.5h7v7h-7Z", "M0,-4.5L4.5,3.5H-4.5Z",
           "M0,-5L5,0L0,5L-5,0Z", "M0,4.5L4.5,-3.5H-4.5Z", "M-4.5,-1.5h9v3h-9Z")
DASHES = ("none", "7 3", "2 3", "9 3 2 3", "12 4", "4 2 1 2")
# Of the palette of Okabe and Ito, for readers who do not see all colours; darker or lighter than
# theirs where the contrast with the background needs it.
LIGHT = ("#0060a8", "#b84a00", "#007a5a", "#9a3f7c", "#6b5d00", "#333333")
DARK = ("#6cb8f0", "#f0a050", "#4fd0a8", "#e09ac8", "#e8dc60", "#d8d8d8")
PLOT_WIDTH = 400  # pixels between the axes, as are all lengths here
PLOT_HEIGHT = 240
LINE = 18  # a line of text
TEXT_SIZE = 12
MARGIN = 12


def lines(series, labels, title, unit):
    """A picture with a line for each series over the same labels; an <svg> element as text.

    `series` is {name: [(mean, low, high) or None, ...]}, one entry for each of `labels`; low and
    high are the ends of the interval, and None (not measured) leaves a gap. `unit` is written at
    the value axis. Raises ValueError for a series of another length, or if there is no value.
    """
    for name, points in series.items():
        if len(points) != len(labels):
            raise ValueError(f"{name}: {len(points)} values for {len(labels)} labels")
    ticks = choose_ticks(filter(None, chain.from_iterable(series.values())))
    left = MARGIN + LINE + max(_text_width(_number(tick)) for tick in ticks)
    top = MARGIN + 2 * LINE
    bottom = top + PLOT_HEIGHT
    parts = [_text(left, MARGIN + TEXT_SIZE, title, "title"),
             _text(MARGIN + TEXT_SIZE, top + PLOT_HEIGHT / 2, unit, "unit", turned=True)]
    for tick in ticks:
        y = bottom - PLOT_HEIGHT * _share(tick, ticks)
        parts.append(_rule(left, y, left + PLOT_WIDTH, y, "grid"))
        parts.append(_text(left - 6, y + 4, _number(tick), "value"))
    step = PLOT_WIDTH / len(labels)
    for i, label in enumerate(labels):
        parts.append(_text(left + (i + 0.5) * step, bottom + LINE, label, "label"))
    apart = min(8, step / (len(series) + 1))
    for number, (name, points) in enumerate(series.items()):
        shift = (number - (len(series) - 1) / 2) * apart  # so that intervals do not hide others
        marks = []
        for i, point in enumerate(points):
            if point:
                x = left + (i + 0.5) * step + shift
                ys = [bottom - PLOT_HEIGHT * _share(value, ticks) for value in point]
                marks.append((x, ys, f"{name}, {labels[i]}: {_described(point)}"))
            else:
                marks.append(None)
        parts += _line_of(marks, number)
    parts += _legend(list(series), left, bottom + 2 * LINE)
    width = left + max(PLOT_WIDTH, _text_width(title), *(_text_width(n) + 40 for n in series))
    return _picture(parts, width + MARGIN, bottom + (2 + len(series)) * LINE + MARGIN, title)


def rows(values, title, unit):
    """A picture with a row for each name: dots with horizontal intervals; an <svg> element as text.

    `values` is {row: {group: (mean, low, high)}}; a group has the same colour and marker in every
    row and may be missing from some. A line stands at zero where the axis reaches it. `unit` is
    written at the value axis. Raises ValueError if there is no value.
    """
    ticks = choose_ticks(chain.from_iterable(groups.values() for groups in values.values()))
    names = list(dict.fromkeys(chain.from_iterable(values.values())))
    left = MARGIN + 8 + max(_text_width(name) for name in values)
    top = MARGIN + 2 * LINE
    height = LINE * max(len(names), 1) + 8  # of one row
    bottom = top + height * len(values)
    parts = [_text(MARGIN, MARGIN + TEXT_SIZE, title, "title"),
             _text(left + PLOT_WIDTH / 2, bottom + 2 * LINE, unit, "label")]
    for tick in ticks:
        x = left + PLOT_WIDTH * _share(tick, ticks)
        parts.append(_rule(x, top, x, bottom, "grid" if tick else "zero"))
        parts.append(_text(x, bottom + LINE, _number(tick), "label"))
    for i, (row, groups) in enumerate(values.items()):
        above = top + i * height
        parts.append(_text(left - 8, above + height / 2 + 4, row, "value"))
        parts.append(_rule(left, above, left + PLOT_WIDTH, above, "grid"))
        for group, point in groups.items():
            number = names.index(group)
            y = above + 4 + (number + 0.5) * LINE
            xs = [left + PLOT_WIDTH * _share(value, ticks) for value in point]
            interval = _rule(xs[1], y, xs[2], y, "interval")
            mark = _mark(xs[0], y, number, f"{row}, {group}: {_described(point)}")
            parts.append(_series(number, [interval, mark]))
    parts += _legend(names, left, bottom + 3 * LINE)
    width = max(left + PLOT_WIDTH, MARGIN + _text_width(title),
                *(left + _text_width(name) + 40 for name in names))
    return _picture(parts, width + MARGIN, bottom + (3 + len(names)) * LINE + MARGIN, title)


def stack(pictures, title):
    """Several pictures of this file under one another as one; an <svg> element as text."""
    sizes = [_size_of(picture) for picture in pictures]
    parts = []
    y = 0
    for picture, (_, height) in zip(pictures, sizes, strict=True):
        parts.append(picture.replace("<svg ", f'<svg y="{y}" ', 1))
        y += height
    return _picture(parts, max(width for width, _ in sizes), y, title)


def choose_ticks(points, about=5):
    """The values at which the axis of (mean, low, high) points is marked; all points lie within.

    Steps are 1, 2 or 5 times a power of ten, about `about` of them. Raises ValueError if there is
    no point, or a value that is not finite.

    >>> choose_ticks([(0.4, 0.1, 0.9), (0.5, 0.5, 0.5)])
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    values = list(chain.from_iterable(points))
    if not values or not all(map(math.isfinite, values)):
        raise ValueError("a picture needs at least one value, and finite values")
    low, high = min(values), max(values)
    # Of values that hardly differ, or not at all, the axis shows a hundredth of their size.
    span = max(high - low, 0.01 * max(abs(low), abs(high)), 1e-9)
    power = 10.0 ** math.floor(math.log10(span / about))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= span / about * 0.999)
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    # Rounding takes off the last bits of 3 * 0.1, which labels would show.
    digits = max(0, -math.floor(math.log10(step)))
    return [round(i * step, digits) for i in range(first, last + 1)]


def _share(value, ticks):
    """How far along the axis a value stands: 0 at the first tick, 1 at the last."""
    return (value - ticks[0]) / (ticks[-1] - ticks[0])


def _line_of(marks, number):
    """One series: lines between neighbours that are both there, intervals, markers."""
    parts = []
    for one, other in zip(marks, marks[1:], strict=False):
        if one and other:
            parts.append(_rule(one[0], one[1][0], other[0], other[1][0], "line"))
    for mark in filter(None, marks):
        x, (y, low, high), words = mark
        parts.append(_rule(x, low, x, high, "interval"))
        parts.append(_mark(x, y, number, words))
    return [_series(number, parts)]


def _legend(names, x, y):
    """A line for each series: its marker on its dash, and its name."""
    parts = []
    for number, name in enumerate(names):
        middle = y + number * LINE
        sample = [_rule(x, middle, x + 30, middle, "line"), _mark(x + 15, middle, number, name)]
        parts.append(_series(number, sample))
        parts.append(_text(x + 36, middle + 4, name, "name"))
    return parts


def _series(number, parts):
    return f'<g class="s{number % len(LIGHT)}">{"".join(parts)}</g>'


def _mark(x, y, number, words):
    path = MARKERS[number % len(MARKERS)]
    return (f'<path class="mark" d="{path}" transform="translate({x:.2f},{y:.2f})">'
            f"<title>{_escaped(words)}</title></path>")


def _rule(x1, y1, x2, y2, kind):
    return f'<line class="{kind}" x1="{x1:.2f}" y1="{y1:.2f}" x2="{x2:.2f}" y2="{y2:.2f}"/>'


def _text(x, y, words, kind, turned=False):
    turn = f' transform="rotate(-90 {x:.2f} {y:.2f})"' if turned else ""
    return f'<text class="{kind}" x="{x:.2f}" y="{y:.2f}"{turn}>{_escaped(words)}</text>'


def _escaped(words):
    """Text that XML may hold: no control character, no half of a surrogate pair."""
    return escape("".join(c if c.isprintable() else "\ufffd" for c in words))


def _text_width(words):
    """About how wide a text is; fonts differ, so it is a generous guess."""
    return 0.62 * TEXT_SIZE * len(words)


def _number(value):
    """A number as on an axis: no zeros at its end."""
    return f"{value:g}"


def _described(point):
    mean, low, high = point
    return f"{mean:.4g} ({low:.4g} to {high:.4g})"


def _size_of(picture):
    """(width, height) of a picture made here."""
    box = picture.split('viewBox="0 0 ', 1)[1].split('"', 1)[0]
    width, height = map(int, box.split())
    return width, height


def _picture(parts, width, height, title):
    """The <svg> element around the parts, with its style and its background."""
    width, height = math.ceil(width), math.ceil(height)
    body = "\n".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img">\n<title>{_escaped(title)}</title>\n'
            f"<style>{_style()}</style>\n"
            f'<rect class="paper" width="{width}" height="{height}"/>\n{body}\n</svg>\n')


def _style():
    """The rules that make a picture legible on white and on black."""
    return " ".join([
        f"text {{ font: {TEXT_SIZE}px sans-serif; }} .title {{ font-weight: bold; }}",
        ".label, .unit { text-anchor: middle; } .value { text-anchor: end; }",
        ".line { fill: none; stroke-width: 1.5; } .interval { stroke-width: 1.5; }",
        *(f".s{i} .line {{ stroke-dasharray: {dash}; }}" for i, dash in enumerate(DASHES)),
        _colours("#ffffff", "#1f1f1f", "#d8d8d8", LIGHT),
        "@media (prefers-color-scheme: dark) {",
        _colours("#14171a", "#e6e6e6", "#3c4248", DARK), "}"])


def _colours(paper, ink, grid, palette):
    rules = [f".paper {{ fill: {paper}; }} text {{ fill: {ink}; }} .grid {{ stroke: {grid}; }}",
             f".zero {{ stroke: {ink}; }}"]
    rules += [f".s{i} line {{ stroke: {colour}; }} .s{i} path {{ fill: {colour}; }}"
              for i, colour in enumerate(palette)]
    return " ".join(rules)

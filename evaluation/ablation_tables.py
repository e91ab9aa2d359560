"""The ablation's tables and figures: the papers' claims, the dose, Table 5 beside ours.

`found` is that of evaluation/effects.py; titles: {row: its title}, in the order of the tables.
"""

from evaluation import effects, plot
from evaluation.effects import Claim

PAPER = {  # Table 5: TS, PI, CF of ToolAlpaca and of RoTBench; DE, CE, VA of ToolEyes
    "none": (74.56, 70.18, 42.98, 76.19, 55.24, 38.10, 0.72, 9.08, 59.32),
    "mae": (73.68, 64.91, 43.68, 78.10, 57.14, 40.95, 1.22, 5.53, 68.85),
    "pkt": (77.78, 71.72, 43.86, 82.86, 63.81, 48.57, 1.07, 7.52, 63.61),
    "irm": (88.60, 84.21, 57.02, 79.05, 59.05, 44.76, 0.65, 6.80, 57.33),
    "mae-pkt": (73.68, 64.91, 43.86, 80.95, 56.19, 40.00, 0.71, 10.07, 75.13),
    "mae-irm": (87.72, 78.95, 57.89, 82.86, 56.19, 45.71, 0.96, 5.03, 71.20),
    "pkt-irm": (86.84, 79.82, 57.02, 82.86, 63.81, 48.57, 0.88, 7.11, 65.18),
    "mae-pkt-irm": (87.72, 78.07, 57.89, 83.81, 54.29, 42.86, 0.82, 4.84, 77.75),
}
PARTS = {  # part -> the pairs of the eight rows without and with it: all ways to combine the others
    "MAE": (("none", "mae"), ("pkt", "mae-pkt"), ("irm", "mae-irm"), ("pkt-irm", "mae-pkt-irm")),
    "PKT": (("none", "pkt"), ("mae", "mae-pkt"), ("irm", "pkt-irm"), ("mae-irm", "mae-pkt-irm")),
    "IRM": (("none", "irm"), ("mae", "mae-irm"), ("pkt", "pkt-irm"), ("mae-pkt", "mae-pkt-irm")),
}
DOSES = {  # erroneous trajectories in % -> the rows without and with MAE
    0: ("errors0", "errors0"),
    17: ("none", "mae"),
    35: ("errors35", "mae-errors35"),
    60: ("errors60", "mae-errors60"),
}
DOSED = ("DE", "CE", "DE + CE", "errors of first calls", "errors of retries")
DOSE_PICTURES = {  # file -> (measure, title, what it is in % of)
    "dose.svg": ("DE + CE", "Errors in dialogues by erroneous trajectories in the training data",
                 "errors, % of calls"),
    "dose-first.svg": ("errors of first calls",
                       "Errors of first calls by erroneous trajectories in the training data",
                       "first calls that err, %"),
}
PREFIX_PAIRS = (("none", "pkt"), ("mae", "mae-pkt"))  # rows without and with PKT
MANY_TOKENS = 4  # of a shared prefix; longer ones are counted together
ERROR_PAIRS = (  # rows before and after IRM or TTPA
    ("none", "irm"),
    ("mae-pkt", "mae-pkt-irm"),
    ("mae-pkt", "mae-pkt-ttpa"),
    ("mae-pkt-irm", "mae-pkt-irm-ttpa"),
)
PICTURED = {"CF": "CF of single calls", "VA": "VA of dialogues"}  # measure -> its name in rows.svg
MAE = {"mae": 1, "none": -1}
PKT = {"pkt": 1, "none": -1}
IRM = {"irm": 1, "none": -1}
ALL = {"mae-pkt-irm": 1, "none": -1}
CLAIMS = (  # TL-Training, section 5.2 and appendix A; TTPA, abstract
    Claim("MAE lowers the errors in dialogues", MAE, "DE + CE", -1),
    Claim("MAE brings more valid answers", MAE, "VA", 1),
    Claim("MAE with IRM improves single calls", {"mae-irm": 1, "none": -1}, "CF", 1),
    Claim("MAE helps more where more trajectories hold errors: at 60% more than at 17%",
          {"mae-errors60": 1, "errors60": -1, "mae": -1, "none": 1}, "DE + CE", -1),
    Claim("errors in the data teach errors: 60% against none", {"errors60": 1, "errors0": -1},
          "DE + CE", 1),
    Claim("PKT improves tool selection", PKT, "TS", 1),
    Claim("PKT helps to choose among tools with similar names", PKT, "TS, shared prefix", 1),
    Claim("PKT improves calls as a whole", PKT, "CF", 1),
    Claim("IRM improves tool selection", IRM, "TS", 1),
    Claim("IRM improves calls as a whole", IRM, "CF", 1),
    Claim("IRM lowers the errors in dialogues", IRM, "DE + CE", -1),
    Claim("all parts improve single calls", ALL, "CF", 1),
    Claim("all parts lower the errors in dialogues", ALL, "DE + CE", -1),
    Claim("all parts bring more valid answers", ALL, "VA", 1),
    Claim("all parts are better than IRM alone", {"mae-pkt-irm": 1, "irm": -1}, "CF", 1),
    Claim("all parts are better than MAE and PKT", {"mae-pkt-irm": 1, "mae-pkt": -1}, "CF", 1),
    Claim("TTPA improves calls after MAE and PKT", {"mae-pkt-ttpa": 1, "mae-pkt": -1}, "CF", 1),
    Claim("TTPA improves calls after all parts",
          {"mae-pkt-irm-ttpa": 1, "mae-pkt-irm": -1}, "CF", 1),
)


# ----------------------------------------------------------------------------------------- tables

def tables(found, titles):
    """Lines of all tables, with a heading each."""
    measures = effects.measures_of(found)
    shown = {row: title for row, title in titles.items() if row in found and "errors" not in row}
    yield "Mean ± standard deviation over seeds, in %, except the reward:\n"
    yield from effects.value_table(found, shown)
    if "none" in found and len(shown) > 1:
        yield "\nDifference to none ± standard error over items and seeds; * outside 95%:\n"
        yield from effects.difference_table(found, shown, "none")
    if found.keys() >= set(PAPER):
        yield "\nEach part, a mean over the four pairs of rows without and with it:\n"
        sums = {part: effects.main_effect(pairs) for part, pairs in PARTS.items()}
        yield from effects.effect_table(found, sums)
    yield "\nThe papers' claims:\n"
    yield from effects.claim_table(found, CLAIMS)
    calls = calls_bench(found)
    pairs = there(found, PREFIX_PAIRS)
    if calls and pairs:
        yield "\nTool selection by the tokens that the right name shares with another's, in %:\n"
        yield from effects.pair_table(found, pairs, prefix_measures(found, calls), titles)
    pairs = there(found, ERROR_PAIRS)
    if calls and pairs:
        yield "\nNamed errors of single calls, as a number of all of them:\n"
        yield from effects.pair_table(found, pairs, effects.error_measures(found, calls), titles)
    doses = there(found, DOSES.values())
    if "DE + CE" in measures and doses:
        names = {**titles, **{rows[0]: f"{dose}%" for dose, rows in DOSES.items()}}
        yield "\nErrors in dialogues, in % of calls, by the share of erroneous trajectories:\n"
        yield from effects.pair_table(found, doses, [measures[name] for name in DOSED], names)


def there(found, pairs):
    """The pairs (before, after) of rows that are both there."""
    return [pair for pair in pairs if found.keys() >= set(pair)]


def first_cell(found):
    """The outcomes of any one cell: all have the same benchmarks."""
    seeds = next(iter(found.values()))
    return next(iter(seeds.values()))


def calls_bench(found):
    """The first benchmark of single calls whose named errors are known, or None."""
    cell = first_cell(found)
    benches = [bench for bench, table in cell.items() if "errors" in table and bench != "no_tool"]
    return benches[0] if benches else None


def prefix_measures(found, bench):
    """TS by the length of the shared prefix, a Measure for each length; the longest in one."""
    cell = first_cell(found)
    lengths = sorted(set(cell[bench]["prefix"]))
    few = [length for length in lengths if length < MANY_TOKENS]
    many = tuple(length for length in lengths if length >= MANY_TOKENS)
    kinds = {str(length): (length,) for length in few}
    if many:
        kinds[f"{MANY_TOKENS} or more"] = many
    return [effects.Measure(f"{title} tokens", bench, ("TS",), only=("prefix", values))
            for title, values in kinds.items()]


def paper_table(found, titles):
    """Lines: the eight rows of the paper's Table 5, and ours beside them."""
    measures = effects.measures_of(found)
    ours = [name for name in ("TS seen", "PI seen", "CF seen", "TS unseen", "PI unseen",
                              "CF unseen", "TS", "PI", "CF", "DE", "CE", "VA") if name in measures]
    if "TS seen" in ours:
        ours = [name for name in ours if name not in ("TS", "PI", "CF")]
    theirs = [f"{name} {bench}" for bench in ("ToolAlpaca", "RoTBench")
              for name in ("TS", "PI", "CF")] + ["DE", "CE", "VA"]
    body = []
    for row, values in PAPER.items():
        cells = [effects.value_cell(found, row, measures[name]) for name in ours]
        body.append([titles[row], *(f"{value:.2f}" for value in values), *cells])
    head = ["", *(f"paper: {name}" for name in theirs), *(f"ours: {name}" for name in ours)]
    return effects.markdown(head, body)


# ---------------------------------------------------------------------------------------- figures

def pictures(found, titles):
    """{file name: SVG} of what every row adds to none, and of the dose; where there are values."""
    made = {"rows.svg": rows_picture(found, titles)}
    for name, (measure, title, of) in DOSE_PICTURES.items():
        made[name] = dose_picture(found, measure, title, of)
    return {name: picture for name, picture in made.items() if picture}


def rows_picture(found, titles):
    """The SVG of what every row adds to none, with intervals; None without values."""
    measures = effects.measures_of(found)
    values = {}
    for row, title in titles.items():
        if row == "none" or "errors" in row:
            continue
        points = {}
        for name in PICTURED:
            if name not in measures:
                continue
            point = interval(found, {row: 1, "none": -1}, measures[name])
            if point:
                points[PICTURED[name]] = point
        if points:
            values[title] = points
    if not values:
        return None
    return plot.rows(values, "What each part adds to plain fine-tuning",
                     "percentage points, with 95% intervals")


def dose_picture(found, measure, title, of):
    """The SVG of a measure by dose, without and with MAE; None without values."""
    measures = effects.measures_of(found)
    if measure not in measures:
        return None
    series = {}
    for place, name in enumerate(("without MAE", "with MAE")):
        series[name] = [interval(found, {pair[place]: 1}, measures[measure])
                        for pair in DOSES.values()]
    if not any(series["without MAE"]):
        return None
    return plot.lines(series, [f"{dose}%" for dose in DOSES], title, of)


def interval(found, rows, measure):
    """(mean, low, high) of a sum of rows; None where it is not run, or has one seed alone."""
    effect = effects.contrast(found, rows, measure)
    return None if effect is None or effect.seeds < 2 else (effect.mean, effect.low, effect.high)

"""Tables of an ablation from the outcomes of its cells: means, differences, claims.

`found` is {row: {seed: {benchmark: {column: list of values}}}}; what the columns are is said in
evaluation/outcomes.py. A row's own value is a mean with the standard deviation over its seeds. A
difference is paired by item and by seed, its error and its 95% interval are over both
(evaluation/differences.py); `*` marks those that leave 0 out. Of a hundred differences of rows that
do not differ, five are marked.
"""

import math
import statistics
from typing import NamedTuple

import numpy as np

from evaluation.differences import estimate, ratio_values
from evaluation.outcomes import unpack
from plumbing.files import InputError, read_object
from reward import ErrorType


class Measure(NamedTuple):
    """What is measured of the items of a benchmark: a mean of columns, or a share of another."""

    title: str
    bench: str
    columns: tuple[str, ...] = ()  # which are added up
    whole: str = ""                # the column that they are a share of; "": of the items
    error: str = ""                # in place of columns: 1 where an item has this named error
    only: tuple = ()               # (column, values): the items with one of these values alone
    scale: float = 100             # of what is printed
    digits: int = 1


class Claim(NamedTuple):
    """A statement of a paper: a sum of rows is above 0 (sign 1) or below it (sign -1)."""

    text: str
    rows: dict      # row -> its factor
    measure: str    # title of a Measure
    sign: int


# --------------------------------------------------------------------------------------- outcomes

def read_outcomes(folders, inputs):
    """The outcomes in some folders that are about these inputs, the first folder's counting first.

    -> ({row: {seed: {benchmark: {column: list}}}}, list of what made each cell).
    """
    found = {}
    made = []
    columns = {}  # of the first outcome
    for folder in folders:
        for file in sorted(folder.glob("*.json")):
            outcome = read_object(file)
            try:
                seeds = found.setdefault(outcome["row"], {})
                if not fits(outcome["inputs"], inputs) or outcome["seed"] in seeds:
                    continue
                tables = {bench: _unpack_table(table, file)
                          for bench, table in outcome["outcomes"].items()}
                columns = columns or _columns(tables)
                if _columns(tables) != columns:
                    raise InputError(f"{file}: has other columns than the outcomes before it; "
                                     "remove it, and the same command makes it anew")
                seeds[outcome["seed"]] = tables
                made.append({"seed": outcome["seed"], **outcome["made"]})
            except (KeyError, TypeError, AttributeError):
                raise InputError(f"{file}: no file of outcomes") from None
    return {row: seeds for row, seeds in found.items() if seeds}, made


def fits(recorded, inputs):
    """Whether an outcome's inputs are these, but for presets of scripts that its row does not run.

    >>> fits({"model": "a"}, {"model": "a", "preset of dpo.py": "b"})
    True
    >>> fits({}, {"model": "a"}), fits({"model": "c"}, {"model": "a"})
    (False, False)
    """
    needed = {what for what in inputs if not what.startswith("preset")}
    same = all(inputs.get(what) == value for what, value in recorded.items())
    return same and needed <= recorded.keys()


def _columns(tables):
    """{benchmark: the names of its columns}."""
    return {bench: set(table) for bench, table in tables.items()}


def _unpack_table(table, file):
    return {name: unpack(column, f"{file}: {name}") for name, column in table.items()}


def measures_of(found):
    """The Measures that the benchmarks in the outcomes have, {title: Measure}, in order."""
    seeds = next(iter(found.values()))
    tables = next(iter(seeds.values()))
    several = sum("TS" in table and bench != "no_tool" for bench, table in tables.items()) > 1
    measures = []
    for bench, table in tables.items():
        if bench == "no_tool":
            measures.append(Measure("stops where no tool fits", bench, ("TS",)))
        elif "TS" in table:
            measures += _call_measures(bench, table, f" {bench}" if several else "")
        else:
            measures += _dialogue_measures(bench, table)
    return {measure.title: measure for measure in measures}


def _call_measures(bench, table, suffix):
    names = [name for name in ("TS", "PI", "CF", "reward") if name in table]
    groups = list(dict.fromkeys(table["group"]))
    kinds = {"": ()}
    if len(groups) == 2:  # more would be a table of its own
        kinds |= {f" {group}": ("group", (group,)) for group in groups}
    measures = []
    for title, only in kinds.items():
        for name in names:
            scale, digits = (1, 3) if name == "reward" else (100, 1)
            measures.append(Measure(f"{name}{title}{suffix}", bench, (name,), only=only,
                                    scale=scale, digits=digits))
    longest = max(table["prefix"])
    if longest:
        shared = ("prefix", tuple(range(1, longest + 1)))
        measures.append(Measure(f"TS, shared prefix{suffix}", bench, ("TS",), only=shared))
    return measures


def _dialogue_measures(bench, table):
    measures = [Measure(name, bench, tuple(name.split(" + ")), whole="calls")
                for name in ("DE", "CE", "DE + CE")]
    measures.append(Measure("errors of first calls", bench, ("first_error",)))
    measures.append(Measure("errors of retries", bench, ("failed_retries",), whole="retries"))
    answers = {"VA": "VA", "VA_paper": "VA, any answer"}
    measures += [Measure(title, bench, (name,)) for name, title in answers.items()
                 if name in table]
    return measures


def error_measures(found, bench):
    """A Measure for each named error of single calls, as a number of all items."""
    seeds = next(iter(found.values()))
    n = len(next(iter(seeds.values()))[bench]["errors"])
    return [Measure(error.value, bench, error=error.value, scale=n) for error in ErrorType]


# ----------------------------------------------------------------------------------------- numbers

def parts(outcomes, measure):
    """What is counted of each item, and of how much -> two arrays (S, I). outcomes: by seed."""
    part = []
    whole = []
    for tables in outcomes:
        table = tables[measure.bench]
        if measure.error:
            counted = [int(measure.error in names.split("; ")) for names in table["errors"]]
        else:
            counted = np.sum([table[name] for name in measure.columns], axis=0)
        of = table[measure.whole] if measure.whole else np.ones(len(counted))
        kept = range(len(counted))
        if measure.only:
            column, values = measure.only
            kept = [i for i, value in enumerate(table[column]) if value in values]
        part.append([counted[i] for i in kept])
        whole.append([of[i] for i in kept])
    return np.array(part, dtype=np.float64), np.array(whole, dtype=np.float64)


def contrast(found, rows, measure):
    """The Estimate of a sum of rows, {row: factor}, over the seeds that all have; None without.

    {"mae": 1, "none": -1} is what MAE adds to none.
    """
    if not all(row in found for row in rows):
        return None
    seeds = sorted(set.intersection(*(set(found[row]) for row in rows)))
    total = 0
    for row, factor in rows.items():
        outcomes = [found[row][seed] for seed in seeds]
        if not outcomes:
            return None
        part, whole = parts(outcomes, measure)
        total = total + factor * measure.scale * ratio_values(part, whole)
    return estimate(total)


def main_effect(pairs):
    """The sum of rows, {row: factor}, that is a part's effect as a mean over pairs of rows.

    pairs: (row without the part, the same row with it).

    >>> main_effect([("none", "mae"), ("pkt", "mae-pkt")])
    {'none': -0.5, 'mae': 0.5, 'pkt': -0.5, 'mae-pkt': 0.5}
    """
    rows = {}
    for before, after in pairs:
        rows[before] = -1 / len(pairs)
        rows[after] = 1 / len(pairs)
    return rows


def over_seeds(found, row, measure):
    """(mean, standard deviation) of the seeds' values of a row; the latter None of one seed."""
    values = []
    for tables in found[row].values():
        part, whole = parts([tables], measure)
        values.append(measure.scale * part.sum() / max(whole.sum(), 1))
    spread = statistics.stdev(values) if len(values) > 1 else None
    return statistics.mean(values), spread


def significant(found):
    """Whether the interval of an Estimate leaves 0 out; one seed alone cannot tell."""
    return found.seeds > 1 and (found.low > 0 or found.high < 0)


def verdict(found, sign):
    """What an Estimate says to a claim that it has this sign."""
    if found is None:
        return "not run"
    if not significant(found):
        return "undecided"
    return "confirmed" if sign * found.mean > 0 else "refuted"


# ------------------------------------------------------------------------------------------ tables

def markdown(head, body):
    """Lines of a table: its head, and a list of cells for each line."""
    yield "| " + " | ".join(head) + " |"
    yield "|---" * len(head) + "|"
    for cells in body:
        yield "| " + " | ".join(cells) + " |"


def difference_cell(found, measure):
    """An Estimate as "mean ± error", with * where its interval leaves 0 out."""
    if found is None:
        return "not run"
    if math.isnan(found.mean):
        return "nothing to count"  # a share of retries where there was none
    mark = " *" if significant(found) else ""
    return f"{found.mean:+.{measure.digits}f} ± {found.error:.{measure.digits}f}{mark}"


def value_cell(found, row, measure):
    """A row's mean over seeds with their standard deviation."""
    if row not in found:
        return "not run"
    mean, spread = over_seeds(found, row, measure)
    text = f"{mean:.{measure.digits}f}"
    return text if spread is None else f"{text} ± {spread:.{measure.digits}f}"


def item_count(found, measure):
    """Of how many items of a benchmark a measure is."""
    outcomes = next(iter(found.values()))
    part, _ = parts([next(iter(outcomes.values()))], measure)
    return part.shape[1]


def value_table(found, titles):
    """Lines: every measure of every row. titles: {row: title}, of the rows to be shown."""
    body = [["seeds", *(str(len(found.get(row, {}))) for row in titles)]]
    for measure in measures_of(found).values():
        head = f"{measure.title} (n {item_count(found, measure)})"
        body.append([head, *(value_cell(found, row, measure) for row in titles)])
    return markdown(["", *titles.values()], body)


def difference_table(found, titles, base):
    """Lines: what every other row adds to the row `base`, for every measure."""
    sums = {title: {row: 1, base: -1} for row, title in titles.items() if row != base}
    return effect_table(found, sums)


def effect_table(found, sums):
    """Lines: every measure of some sums of rows. sums: {title: {row: factor}}."""
    body = []
    for measure in measures_of(found).values():
        head = f"{measure.title} (n {item_count(found, measure)})"
        cells = [difference_cell(contrast(found, rows, measure), measure)
                 for rows in sums.values()]
        body.append([head, *cells])
    return markdown(["", *sums], body)


def claim_table(found, claims):
    """Lines: every claim with its difference, its interval, n, and whether it holds here."""
    measures = measures_of(found)
    body = []
    for claim in claims:
        measure = measures.get(claim.measure)
        effect = contrast(found, claim.rows, measure) if measure else None
        cells = ["", "", ""]
        if effect is not None:
            digits = measure.digits
            cells = [difference_cell(effect, measure),
                     f"{effect.low:+.{digits}f} to {effect.high:+.{digits}f}",
                     f"{effect.items} x {effect.seeds}"]
        body.append([claim.text, claim.measure, *cells, verdict(effect, claim.sign)])
    return markdown(["the papers' claim", "measure", "here", "95%", "items x seeds", "verdict"],
                    body)


def pair_table(found, pairs, measures, titles):
    """Lines: measures before and after, for pairs of rows (before, after)."""
    head = [""]
    for before, after in pairs:
        head += [titles[before], titles[after], "difference"]
    body = []
    for measure in measures:
        cells = [f"{measure.title} (n {item_count(found, measure)})"]
        for before, after in pairs:
            effect = contrast(found, {after: 1, before: -1}, measure)
            cells += [value_cell(found, before, measure), value_cell(found, after, measure),
                      difference_cell(effect, measure)]
        body.append(cells)
    return markdown(head, body)

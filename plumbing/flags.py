"""Flags: every field of a frozen dataclass is a command-line flag; wrong input ends in one line."""

import argparse
import sys
from argparse import BooleanOptionalAction
from dataclasses import asdict, field, fields

from plumbing.files import LARGEST, InputError


class Parser(argparse.ArgumentParser):
    """argparse, but a wrong flag is an InputError like any other wrong input (one line, status 2)."""

    def error(self, message):
        raise InputError(message)


def cli(main):
    """Run `main()`; an InputError ends it in one line on stderr, exit status 2. Bugs keep their traceback."""
    try:
        main()
    except InputError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)


def flag(default, help, least=None, choices=None, on_resume="run", most=LARGEST, needs="", group=""):
    """A dataclass field that is a command-line flag; numbers below `least` or above `most` are refused, and
    the flag itself where the one that it `needs` is off or empty.

    on_resume: what another value would do to a run that is continued: make another "run" of it, change "bits"
    by rounding, or "nothing"; "files" are compared by their contents.
    """
    return field(default=default, metadata={"help": help, "least": least, "choices": choices,
                                            "on_resume": on_resume, "most": most, "needs": needs})


def parse_flags(presets, description, argv=None):
    """A dataclass instance from the command line. presets: {name: instance}; the first one is the default.

    Every field is a flag. Raises InputError naming an unknown flag or a value out of range.
    """
    first = next(iter(presets))
    parser = Parser(description=description, allow_abbrev=False)
    if len(presets) > 1:
        parser.add_argument("--preset", choices=presets, default=first,
                            help=f"default values (default: {first})")
    for f in fields(presets[first]):
        name = "--" + f.name.replace("_", "-")
        if f.type is bool:
            parser.add_argument(name, action=BooleanOptionalAction, default=None, help=_help(f, presets))
        else:
            parser.add_argument(name, type=f.type, choices=f.metadata["choices"], help=_help(f, presets),
                                metavar=None if f.metadata["choices"] else f.type.__name__.upper())
    given = {key: value for key, value in vars(parser.parse_args(argv)).items() if value is not None}
    values = {**asdict(presets[given.pop("preset", first)]), **given}
    for f in fields(presets[first]):
        name, value = f"--{f.name.replace('_', '-')}", values[f.name]
        least, most, needs = (f.metadata[key] for key in ("least", "most", "needs"))
        if f.type in (int, float) and not (-most if least is None else least) <= value <= most:  # nan is not
            raise InputError(f"{name}: {value} must be a number from {least} to {most}")
        if f.type is str and f.default and not value:
            raise InputError(f"{name}: is empty")
        if needs and f.name in given and not values[needs]:
            raise InputError(f"{name}: does nothing without --{needs.replace('_', '-')}")
    return type(presets[first])(**values)


def _help(f, presets):
    """What a field means and its default; where presets differ, that of each. An empty text says nothing."""
    values = {name: getattr(preset, f.name) for name, preset in presets.items()}
    shown = ", ".join(f"{name} {value}" for name, value in values.items())
    if len(set(values.values())) == 1:
        shown = next(iter(values.values()))
    return f.metadata["help"] + (f" (default: {shown})".replace("%", "%%") if shown != "" else "")

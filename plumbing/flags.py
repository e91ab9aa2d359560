"""Flags: every field of a frozen dataclass is a command-line flag; wrong input ends in one line.

A script declares its flags as a dataclass, and its presets as instances of that dataclass:

    @dataclass(frozen=True)
    class Flags:
        lr: float = flag(1e-6, "peak learning rate", least=0, group="optimisation")

    flags = parse_flags({"tiny": Flags(lr=5e-5), "codellama-7b": Flags()}, "What the script does.")

The type of a field is the type of its flag (a bool is --name and --no-name, a tuple
takes several words). `asdict(flags)` goes to flags.json in the run's folder, see plumbing/runs.py.
"""

import argparse
import dataclasses
import sys

from plumbing.files import LARGEST, InputError
from plumbing.output import open_output, printable


class Parser(argparse.ArgumentParser):
    """argparse, but a wrong flag is an InputError like other wrong input: one line, status 2."""

    def parse_known_args(self, args=None, namespace=None):
        """Refuses words that are no UTF-8: no JSON file could hold them."""
        for word in sys.argv[1:] if args is None else args:
            try:
                word.encode()
            except UnicodeEncodeError:
                raise InputError(f"{word}: not UTF-8") from None
        return super().parse_known_args(args, namespace)

    def error(self, message):
        """What argparse calls for a wrong flag; its own would print the usage, too."""
        raise InputError(message)


def cli(main, lower=""):
    """Run `main()`; wrong input ends it in one line on stderr, exit status 2.

    So does a file that the system refuses, and missing memory. Any other exception is a bug and
    keeps its traceback. lower: the flags that lower the memory.
    """
    open_output()
    try:
        main()
    except InputError as error:
        fail(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        fail(f"{error.filename}: {error.strerror}")
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        reason = str(error).strip().partition("\n")[0][:300]
        fail(f"out of memory{lower and '; lower '}{lower} ({reason or type(error).__name__})")


def is_out_of_memory(error):
    """Whether an exception says that memory is missing, a GPU's or the CPU's.

    torch.OutOfMemoryError is told by its name: many commands need no torch.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def fail(message):
    """End the program with a line on stderr, exit status 2."""
    if getattr(sys.stderr, "in_line", False):  # a progress bar
        print(file=sys.stderr)
    print("error:", printable(" ".join(message.split())), file=sys.stderr)
    sys.exit(2)


# ---------------------------------------------------------------------------------- declaring flags

def flag(default, help, least=None, choices=None, on_resume="run", most=LARGEST, needs="",
         group=""):
    """A dataclass field that is a command-line flag.

    help: what the flag means, for --help, which adds the default.
    least, most: smaller and larger numbers are refused.
    choices: the only values allowed.
    on_resume: what another value would do to a run that is continued: make another "run" of it,
        change "bits" by rounding, or "nothing"; "files" are compared by their contents.
    needs: name of a field; giving this flag is refused where that field is off or empty.
    group: heading in --help under which the flag stands: files, method, optimisation, hardware or
        run in the training scripts; "" is argparse's own heading.
    """
    metadata = {
        "help": help,
        "least": least,
        "choices": choices,
        "on_resume": on_resume,
        "most": most,
        "needs": needs,
        "group": group,
    }
    return dataclasses.field(default=default, metadata=metadata)


def flag_name(name):
    """How the flag of a field is typed: save_every -> --save-every."""
    return "--" + name.replace("_", "-")


# ------------------------------------------------------------------------------------ reading flags

def parse_flags(presets, description, argv=None, defaults_with=None):
    """A dataclass instance from the command line.

    presets: {name: instance} of one dataclass; the first is the default, and with more than one
        there is a flag --preset.
    description: of the script, for --help.
    argv: the words of the command line, by default those with which Python was started.
    defaults_with: {field: {other field: its default where the field is on}}, over the preset's.

    Raises InputError naming an unknown flag or a value out of range.
    """
    typed = vars(make_parser(presets, description).parse_args(argv))
    preset = presets[typed.pop("preset", next(iter(presets)))]
    given = {name: value for name, value in typed.items() if value is not None}
    values = {**dataclasses.asdict(preset), **given}
    for name, defaults in (defaults_with or {}).items():
        if values[name]:
            values = {**values, **defaults, **given}
    for field in dataclasses.fields(preset):
        check_value(field, values[field.name])
        needed = field.metadata["needs"]
        if needed and field.name in given and not values[needed]:
            raise InputError(f"{flag_name(field.name)}: does nothing without {flag_name(needed)}")
    return type(preset)(**values)


def make_parser(presets, description):
    """The Parser with a flag for every field. A flag that is not typed is None: the preset decides.

    Abbreviated flags are refused: --max could be one flag today and another tomorrow.
    """
    default = next(iter(presets))
    parser = Parser(description=description, allow_abbrev=False)
    if len(presets) > 1:
        parser.add_argument("--preset", choices=presets, default=default,
                            help=f"default values (default: {default})")
    groups = {"": parser}
    for field in dataclasses.fields(presets[default]):
        title = field.metadata["group"]
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        add_flag(groups[title], field, help_text(field, presets))
    return parser


def add_flag(group, field, help):
    """Add the flag of a field to a parser, or to a group of one."""
    name = flag_name(field.name)
    choices = field.metadata["choices"]
    if field.type is bool:
        group.add_argument(name, action=argparse.BooleanOptionalAction, default=None, help=help)
    elif field.type is tuple:
        group.add_argument(name, nargs="+", metavar="PATH", help=help)
    elif choices:
        group.add_argument(name, type=field.type, choices=choices, help=help)
    else:
        group.add_argument(name, type=field.type, metavar=field.type.__name__.upper(), help=help)


def help_text(field, presets):
    """What a flag means and its default; where presets differ, the default of each.

    An empty default is not shown: the help says what an empty value means.
    """
    defaults = {name: getattr(preset, field.name) for name, preset in presets.items()}
    if len(set(defaults.values())) == 1:
        value = next(iter(defaults.values()))
        shown = "" if value == () else str(value)
    else:
        shown = ", ".join(f"{name} {value}" for name, value in defaults.items())
    text = field.metadata["help"]
    if shown:
        text += f" (default: {shown})"
    return text.replace("%", "%%")  # argparse formats the text with %


def check_value(field, value):
    """Raises InputError naming the flag if a number is out of range or a text is empty.

    A text may be empty if its default is.
    """
    name = flag_name(field.name)
    if field.type in (int, float):
        least = field.metadata["least"]
        most = field.metadata["most"]
        smallest = -most if least is None else least
        if not smallest <= value <= most:  # refuses nan, too: it compares with nothing
            raise InputError(f"{name}: {value} must be a number from {smallest} to {most}")
    if field.type is str and field.default and not value:
        raise InputError(f"{name}: is empty")

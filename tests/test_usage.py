"""docs/usage.md: its table of flags is that of the scripts."""

from dataclasses import fields

import dpo
import ppo
import preferences
import sft
from plumbing.flags import flag_name
from tests.conftest import ROOT

SCRIPTS = (sft, ppo, preferences, dpo)


def shown(value):
    """A default as the table says it.

    >>> shown(True), shown(""), shown(1e-4), shown(2)
    ('on', '-', '0.0001', '2')
    """
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value).replace(f"{ROOT}/", "") or "-"


def default(script, name):
    """The default of a flag in both presets; "" if the script has no such flag."""
    values = [shown(getattr(script.PRESETS[preset], name, ""))
              for preset in ("tiny", "codellama-7b")
              if name in script.Flags.__dataclass_fields__]
    return ", ".join(dict.fromkeys(values))


def rows():
    """{flag: (default in each script)} of all flags."""
    names = {field.name: None for script in SCRIPTS for field in fields(script.Flags)}
    return {flag_name(name): tuple(default(script, name) for script in SCRIPTS) for name in names}


def test_the_table_of_flags_is_that_of_the_scripts():
    text = (ROOT / "docs" / "usage.md").read_text()
    section = text.split("### Every flag of the training scripts")[1].split("\n#")[0]
    table = {}
    for line in section.splitlines():
        if line.startswith("| `--"):
            flag, *cells = [cell.strip() for cell in line.strip("|").split("|")]
            table[flag.strip("`")] = tuple(cells)
    assert table == rows()

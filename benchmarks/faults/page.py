"""Write docs/reliability.md: the promises, how they are tested, and the results."""

from __future__ import annotations

from typing import Any

from faults.outcomes import Part, Row
from faults.promises import FOOT, HEAD, PROMISES

_SHOWN = 10  # faults of a part


def page(results: dict[str, Any]) -> str:
    """Return the page as Markdown."""
    parts = {name: Part.from_json(values) for name, values in results["parts"].items()}
    sections = [HEAD.strip(), _made_with(results, list(parts.values()))]
    for name, (title, text) in PROMISES.items():
        sections.append(f"## {title}\n\n{text.strip()}")
        if name in parts:
            sections.append(_figures(parts[name]))
        elif name:
            sections.append("Not tested in this run.")
    return "\n\n".join([*sections, FOOT.strip()]) + "\n"


def _made_with(results: dict[str, Any], parts: list[Part]) -> str:
    machine = results["machine"]
    tried = sum(row.tried for part in parts for row in part.rows)
    held = sum(row.held for part in parts for row in part.rows)
    libraries = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    times = [part.processor_seconds for part in parts]
    processor = sum(times) / 60 if all(times) else 0.0
    commands = ", ".join(f"`python {line}`" for line in dict.fromkeys(results["commands"]))
    return (
        f"The figures are of {machine['date']}: {held:,} of {tried:,} trials passed, on "
        f"{machine['cores']} cores, Python {machine['python']}, {libraries}.{_all(processor)} "
        f"Made by {commands}. Loads are given where a part was tried: on two cores more than two "
        "means that other work shared them, or that the part itself does."
    )


def _all(minutes: float) -> str:
    return f" All of it took about {minutes:.0f} minutes of processor time." if minutes >= 1 else ""


def _figures(part: Part) -> str:
    lines = ["| tested | times | passed | |", "|---|---|---|---|"]
    lines += [_line(row) for row in part.rows]
    text = "\n".join(lines)
    if part.skipped:
        text += "\n\nNot tested here: " + "; ".join(part.skipped) + "."
    if part.faults:
        shown = [f"- {' '.join(fault.split())[:200]}" for fault in part.faults[:_SHOWN]]
        more = len(part.faults) - len(shown)
        text += (
            "\n\nDid not pass:\n\n" + "\n".join(shown) + (f"\n- and {more} more" if more else "")
        )
    return f"{text}\n\nThis took {_time(part)}."


def _time(part: Part) -> str:
    clock = f"{part.seconds:,.0f} s by the clock"
    if not part.processor_seconds:
        return clock
    return f"{clock} (load {part.load:.0f}), {part.processor_seconds:,.0f} s of processor time"


def _line(row: Row) -> str:
    return f"| {row.what} | {row.tried:,} | {row.held:,} | {row.note} |"

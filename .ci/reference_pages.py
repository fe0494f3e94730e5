"""Write the parts of docs/reference/ that come from code (`make docs`).

These are the commands, the errors, the manifest's keys, the metrics and the events of the log.

With --check: exit with 1 if a page differs from the code.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import string
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import click

from tests.support.exposed_metrics import report_families, volume_families
from warmup_job import errors
from warmup_job.cli.group import cli
from warmup_job.exposition.families import Metric
from warmup_job.market.rows import Gap
from warmup_job.proof.certificate import Certificate
from warmup_job.regime.detector import DetectorSettings
from warmup_job.snapshot import manifest

REPO = Path(__file__).parent.parent
REFERENCE = REPO / "docs/reference"
LOG_NAMES = ("DEBUG", "INFO", "WARNING", "ERROR")
LOG_LEVELS = {name.lower() for name in LOG_NAMES} | {"log", "exception"}
RESERVED = {"time", "level", "message", "event", "exception", "help"}
MARKED = re.compile(r"(<!-- (\w+) \(make docs\) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
NOTES = re.compile(r"\s*\[([^\[\]]*(?:env var|default|required)[^\[\]]*)\]$")
LISTED_LABELS = {"state", "wish", "source", "book", "regime", "reason"}
"""Labels with the same few values in every trader."""
PARTS = (
    manifest.Manifest, manifest.StreamEntry, Gap, DetectorSettings, Certificate,
    manifest.IndicatorEntry, manifest.InstrumentEntry, manifest.Versions, manifest.FileEntry,
)  # fmt: skip


def commands() -> Iterator[str]:
    """Every command with its help, its usage and its options."""
    context = click.Context(cli, info_name="warmup-job")
    yield from section(cli, context, "`warmup-job`")
    for name in sorted(cli.commands):
        command = cli.commands[name]
        inner = click.Context(command, info_name=name, parent=context)
        yield from section(command, inner, f"`{name}`")
        if isinstance(command, click.Group):
            for below in sorted(command.commands):
                sub = command.commands[below]
                yield from section(
                    sub, click.Context(sub, info_name=below, parent=inner), f"`{name} {below}`"
                )


def section(command: click.Command, context: click.Context, title: str) -> Iterator[str]:
    """One command."""
    yield f"## {title}\n\n"
    yield "```text\n" + " ".join(command.get_usage(context).split()[1:]) + "\n```\n\n"
    yield prose(command.help or "") + "\n\n"
    if command.epilog:
        yield "```text\n" + inspect.cleandoc(command.epilog).replace("\b", "").strip() + "\n```\n\n"
    params = command.get_params(context)
    options = [each for each in params if isinstance(each, click.Option) and not each.hidden]
    rows = [row(each, context) for each in options if "--help" not in each.opts]
    if rows:
        yield table(["option", "variable, default, limits", "meaning"], rows) + "\n"


def row(option: click.Option, context: click.Context) -> list[str]:
    """One option, as --help has it."""
    record = option.get_help_record(context)
    names, text = (" ".join(part.split()) for part in record or ("", ""))
    notes = ""
    if found := NOTES.search(text):
        text, notes = text[: found.start()], found[1].replace("env var: ", "")
        notes = re.sub(r"\bWARMUP_\w+", lambda name: f"`{name[0]}`", notes)
    return [f"`{names}`", notes or "–", text]


def prose(text: str) -> str:
    """A docstring as Markdown: its paragraphs, and blocks that click must not wrap."""
    parts = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        "```text\n" + part.removeprefix("\b\n") + "\n```"
        if part.startswith("\b")
        else " ".join(part.split())
        for part in parts
    )


def error_table() -> Iterator[str]:
    """The tree of errors: code, class, meaning, and whether proceed hides it."""
    rows = [
        [
            str(kind.exit_code),
            f"`{kind.__name__}`",
            re.sub(r" \(\d+\)\.?$", "", (kind.__doc__ or "").splitlines()[0]).rstrip("."),
            "exits 0" if kind.may_proceed else "–",
        ]
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.WarmupError)
    ]
    rows.sort(key=lambda each: int(each[0]))
    heads = ["code", "class in `warmup_job`", "meaning, and who must act", "`run`, `proceed`"]
    yield table(heads, rows)


def manifest_parts() -> Iterator[str]:
    """Every object of manifest.json with its keys."""
    for kind in PARTS:
        doc = inspect.cleandoc(kind.__doc__ or "")
        doc = re.sub(r"\bNone\b", "null", " ".join(doc.replace("``", "`").split()))
        if issubclass(kind, tuple):
            doc += " A list of these three values."
        yield f"## {kind.__name__}\n\n{doc}\n\n"
        texts = field_docs(kind)
        hints = get_type_hints(kind, include_extras=True)
        names = [name for name in hints if not isinstance(getattr(kind, name, None), property)]
        rows = [[f"`{name}`", form(hints[name]), texts.get(name, "")] for name in names]
        yield table(["key", "value", "meaning"], rows) + "\n"


def field_docs(kind: type) -> dict[str, str]:
    """The text below each field of a class."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    inside = body.body if isinstance(body, ast.ClassDef) else []
    found: dict[str, str] = {}
    for field, text in itertools.pairwise(inside):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match text:
                case ast.Expr(ast.Constant(str(words))):
                    words = re.sub(r"\bNone\b", "null", words.replace("``", "`"))
                    found[field.target.id] = " ".join(words.split())
    return found


def form(hint: Any) -> str:  # noqa: ANN401  # a type hint has no type of its own
    """What JSON has for a type hint."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return (
            "digest"
            if any(getattr(each, "pattern", None) for each in arguments[1:])
            else form(arguments[0])
        )
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in arguments)
    if origin in (Union, UnionType):
        return " or ".join("null" if each is type(None) else form(each) for each in arguments)
    if origin in (list, tuple):
        return f"list of {form(arguments[0])}"
    if hint in PARTS:
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    names = {int: "integer", float: "number", str: "text", bool: "true or false"}
    return names.get(hint) or ", ".join(f"`{each.value}`" for each in hint)


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    escaped = [[cell.replace("|", "\\|") for cell in each] for each in rows]
    lines = [heads, ["---"] * len(heads), *escaped]
    return "".join(f"| {' | '.join(line)} |\n".replace("|  |", "| |") for line in lines)


def volume_table() -> Iterator[str]:
    """The metrics that the job and the trader have."""
    with tempfile.TemporaryDirectory() as folder:
        yield from metric_table(volume_families(Path(folder)))


def report_table(prefix: str) -> Iterator[str]:
    """The metrics of the trader's report that begin like this."""
    yield from metric_table([each for each in report_families() if each.name.startswith(prefix)])


def metric_table(families: list[Metric]) -> Iterator[str]:
    """Every metric: its name with its labels, its type and its help."""
    rows = []
    for family in families:
        if not family.samples:
            sys.exit(f"{family.name} has no sample in tests/support/reports.py, so no labels")
        name, labels = family.samples[0].name, list(family.samples[0].labels)
        meaning = family.documentation
        for label in sorted(LISTED_LABELS.intersection(labels)):
            values = dict.fromkeys(each.labels[label] for each in family.samples)
            meaning += f" `{label}`: {', '.join(f'`{value}`' for value in values)}."
        shown = f"{name}{{{','.join(labels)}}}" if labels else name
        rows.append([f"`{shown}`", family.type, meaning])
    yield table(["metric", "type", "meaning"], rows)


def event_table() -> Iterator[str]:
    """Every event of the log: its level, its fields and its messages."""
    found: dict[str, list[LogCall]] = {}
    for each in log_calls():
        found.setdefault(each.event, []).append(each)
    rows = []
    for event, calls in sorted(found.items()):
        if len({each.fields for each in calls}) > 1:
            sys.exit(f"the event {event} has other fields in {calls[-1].place}: name it otherwise")
        levels = sorted({level for each in calls for level in each.levels}) or ["by case"]
        messages = dict.fromkeys(each.message for each in calls)
        fields = ", ".join(f"`{name}`" for name in calls[0].fields) or "–"
        texts = "<br>".join(f"`` {text} ``" if "`" in text else f"`{text}`" for text in messages)
        rows.append([f"`{event}`", ", ".join(levels), fields, texts])
    yield table(["event", "level", "fields", "message"], rows)


class LogCall(NamedTuple):
    """One line of code that logs."""

    place: str
    event: str
    levels: tuple[str, ...]
    fields: tuple[str, ...]
    message: str


def log_calls() -> Iterator[LogCall]:
    """Find every call that logs; exit if one lacks what a log line must have."""
    for path in sorted((REPO / "warmup_job").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                method, logger = node.func.attr, ast.unparse(node.func.value)
                if method in LOG_LEVELS and re.match(r"logger\b", logger):
                    yield log_call(f"{path.relative_to(REPO)}:{node.lineno}", node, method)


def log_call(place: str, node: ast.Call, method: str) -> LogCall:
    """One call, checked."""
    given = [*node.args]
    levels = (method.upper() if method != "exception" else "ERROR",)
    if method == "log":
        names = {
            each.value
            for each in ast.walk(given.pop(0))
            if isinstance(each, ast.Constant) and each.value in LOG_NAMES
        }
        levels = tuple(sorted(map(str, names)))
    values = {each.arg or "**": each.value for each in node.keywords}
    match given, values.pop("event", None):
        case [ast.Constant(str(message))], ast.Constant(str(event)):
            pass
        case _:
            sys.exit(
                f'{place} must log one text with names and an event: logger.info("{{bars}} bars", '
                'event="bars.fetched", bars=3)'
            )
    used = {name for _, name, _, _ in string.Formatter().parse(message) if name is not None}
    problem = (
        "an event is like bars.fetched" if not re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", event)
        else f"the message lacks {used - values.keys()}" if used - values.keys()
        else f"{RESERVED & values.keys()} mean something else" if RESERVED & values.keys()
        else ""
    )  # fmt: skip
    if problem:
        sys.exit(f"{place}: {problem}")
    fields = tuple(name for name in values if not name.startswith("_"))
    shown = re.sub(r"\{_?(\w+)[^}]*\}", r"{\1}", message)
    return LogCall(place, event, levels, fields, shown)


WRITERS: dict[str, dict[str, Callable[[], Iterator[str]]]] = {
    "cli.md": {"commands": commands},
    "exit-codes.md": {"errors": error_table},
    "manifest.md": {"manifest": manifest_parts},
    "metrics.md": {
        "trader_metrics": partial(report_table, "warmup_trader_"),
        "stream_metrics": partial(report_table, "warmup_stream_"),
        "grid_metrics": partial(report_table, "warmup_grid_"),
        "volume_metrics": volume_table,
    },
    "log-events.md": {"events": event_table},
}
"""Of each page, what writes its marked parts."""


def main() -> None:
    """Write the pages, or compare them."""
    for page, writers in WRITERS.items():
        path = REFERENCE / page
        before = path.read_text(encoding="utf-8")
        if [found[2] for found in MARKED.finditer(before)] != list(writers):
            marks = ", ".join(f"<!-- {name} (make docs) -->" for name in writers)
            sys.exit(f"{page} must mark these parts, in this order: {marks}")
        parts = {name: "".join(write()) for name, write in writers.items()}
        after = MARKED.sub(partial(filled, parts), before).replace("\n\n\n", "\n\n")
        if sys.argv[1:] != ["--check"]:
            path.write_text(after, encoding="utf-8")
        elif before != after:
            sys.exit(f"docs/reference/{page} differs from the code: run `make docs`")


def filled(parts: dict[str, str], marked: re.Match[str]) -> str:
    """A marked part with the text that the code says."""
    return f"{marked[1]}\n{parts[marked[2]]}\n{marked[4]}"


if __name__ == "__main__":
    main()

"""The judge of what a power cut could destroy, on handwritten traces."""

from __future__ import annotations

import pytest

from tests.support.power_cut import lost_by_a_power_cut
from tests.support.volume_trace import Call, Effect

EFFECTS: dict[str, Effect] = {
    "mkdir": "make", "create": "make", "symlink": "make", "write": "write", "chmod": "mode",
    "fsync": "settle", "rename": "move", "unlink": "remove", "stat": "look",
}  # fmt: skip

GOOD = """
mkdir .staging/a
mkdir .staging/a/catalog
create .staging/a/catalog/bars
write .staging/a/catalog/bars
write .staging/a/catalog/bars
chmod .staging/a/catalog/bars
fsync .staging/a/catalog/bars
create .staging/a/manifest.json
write .staging/a/manifest.json
fsync .staging/a/manifest.json
fsync .staging/a/catalog
fsync .staging/a
symlink .staging/current snapshots/a
rename .staging/a snapshots/a
fsync snapshots
rename .staging/current current
fsync .
create .staging/status
write .staging/status
fsync .staging/status
rename .staging/status status.json
fsync .
"""


def judge(trace: str) -> list[str]:
    calls = []
    for line in trace.strip().splitlines():
        name, path, to = [*line.split(), ""][:3]
        calls.append(Call(name, EFFECTS[name], path, to))
    return lost_by_a_power_cut(calls)


def without(line: str) -> str:
    """Return the good trace without the last occurrence of this line."""
    head, found, tail = GOOD.rpartition(f"\n{line}\n")
    assert found
    return f"{head}\n{tail}"


def later(line: str, after: str) -> str:
    """Return the good trace with this line moved after another one."""
    return without(line).replace(f"\n{after}\n", f"\n{after}\n{line}\n")


def test_power_cut_judge_accepts_a_publish_that_syncs_everything() -> None:
    assert judge(GOOD) == []


@pytest.mark.parametrize(
    ("trace", "lost"),
    [
        (without("fsync .staging/a/catalog/bars"), "snapshots/a: .staging/a/catalog/bars: chmod"),
        (without("fsync .staging/a/manifest.json"), "snapshots/a: .staging/a/manifest.json: write"),
        (without("fsync .staging/a/catalog"), "catalog: .staging/a/catalog/bars was made in it"),
        (without("fsync .staging/a"), ".staging/a: .staging/a/manifest.json was made in it"),
        (without("fsync snapshots"), "to current: snapshots: snapshots/a was moved into it"),
        (without("fsync .staging/status"), "status.json: .staging/status: write came after"),
        (without("fsync ."), "status.json was moved into the root, not synced before the end"),
        (
            GOOD.replace("\nfsync .\n", "\n", 1),
            "current was moved into the root, not synced before create .staging/status",
        ),
        (
            GOOD.replace(
                "\nfsync .staging/a\n", "\nfsync .staging/a\nwrite .staging/a/manifest.json\n"
            ),
            "manifest.json: write came after its last sync",
        ),
        (
            later("rename .staging/a snapshots/a", after="rename .staging/current current"),
            "current was moved into the root, not synced before rename .staging/a",
        ),
        (GOOD + "unlink current", "unlink current: changed where readers look"),
        (GOOD + "symlink current snapshots/a", "symlink current: changed where readers look"),
        (GOOD + "unlink snapshots/old/manifest.json", "changed where readers look"),
        (GOOD + "create status.json", "create status.json: changed where readers look"),
    ],
)  # fmt: skip
def test_power_cut_judge_names_what_would_be_lost(trace: str, lost: str) -> None:
    assert lost in "\n".join(judge(trace))


def test_power_cut_judge_finds_a_link_to_unsynced_files() -> None:
    found = judge(
        """
        mkdir .staging/a
        create .staging/a/manifest.json
        fsync .staging/a
        rename .staging/a snapshots/a
        fsync snapshots
        symlink .staging/current snapshots/a
        rename .staging/current current
        fsync .
        """
    )
    assert [line.split(": ")[:2] for line in found] == [
        ["rename .staging/a to snapshots/a", ".staging/a/manifest.json"],
        ["rename .staging/current to current", "snapshots/a/manifest.json"],
    ]


def test_power_cut_judge_ignores_removed_files() -> None:
    assert (
        judge(
            """
            mkdir .staging/probe
            rmdir .staging/probe
            rename snapshots/old .staging/old
            unlink .staging/old/manifest.json
            create .lease
            write .lease
            create .staging/half
            write .staging/half
            """.replace("rmdir", "unlink")
        )
        == []
    )

"""What the documents say of the code is so: generated lists, names, links, examples."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from events.catalogue import COMMANDS, FACTS
from gateway.cli import app
from gateway.sending.commands import BadCommandError, parse
from projections.order_status.statuses import STATUSES
from runtime.settings import Settings
from tests.docs.guide import missing, read_guide

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.ndjson"))
#: Lines of examples that are wrong on purpose.
WRONG = {("orders.ndjson", 4)}
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
#: Of a decision; figures only where something was measured.
HEADINGS = ["Context", "Decision", "Consequences"]
RECORDS = sorted((ROOT / "docs" / "decisions").glob("*.md"))


def test_the_list_of_commands_and_facts_is_up_to_date() -> None:
    program = [sys.executable, ROOT / "scripts" / "describe_contracts.py", "--check"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_list_of_views_is_up_to_date() -> None:
    program = [sys.executable, ROOT / "scripts" / "describe_tables.py", "--check"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_list_has_every_command_and_every_fact() -> None:
    headings = set(re.findall(r"^### (\w+)$", (ROOT / "docs" / "commands.md").read_text(), re.MULTILINE))
    assert headings == {*COMMANDS, *FACTS, "CommandRefused"}


def test_every_command_from_outside_has_an_example_on_the_page_that_publish_accepts() -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    examples = [parse(block.encode()) for block in re.findall(r"```json\n(.+?)```", text, re.DOTALL)]
    assert [one.type.name for one in examples] == [row.name for row in COMMANDS.values() if not row.internal]


def test_the_list_of_order_statuses_is_that_of_the_table() -> None:
    table = (ROOT / "projections" / "order_status" / "table.sql").read_text(encoding="utf-8")
    rule = re.search(r"status +text GENERATED ALWAYS AS \((.+?)\) STORED", table, re.DOTALL)
    assert rule is not None
    assert set(re.findall(r"(?:THEN|ELSE) '(\w+)'", rule[1])) == STATUSES.keys()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_line_is_a_command_unless_it_is_wrong_on_purpose(path: Path) -> None:
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if (path.name, number) in WRONG:
            with pytest.raises(BadCommandError):
                parse(line)
        else:
            parse(line)


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_a_command_stands_in_a_block_that_is_run(path: Path) -> None:
    """Seen: one of an SKU and a day that the documents' shop does not have, in a block by indentation."""
    assert re.findall(r"^(?: {4}|\t)order-ledger .*", path.read_text(encoding="utf-8"), re.MULTILINE) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_links_lead_to_files_and_headings_that_exist(path: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)]+)\)", prose):
        if target.startswith(("http://", "https://")):
            continue
        file, _, heading = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), target
        if heading:
            assert heading in _anchors(found), target


def _anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_files_that_are_named_in_code_style_exist(path: Path) -> None:
    rooms = "schemas|events|projections|processors|gateway|runtime|tests|scripts|docs"
    for name in re.findall(rf"`((?:{rooms})/[\w./-]+)`", path.read_text(encoding="utf-8")):
        if "NAME" not in name:  # stand for any
            assert (ROOT / name).exists(), name


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_settings_that_are_named_are_settings(path: Path) -> None:
    known = {f"ORDER_LEDGER_{field.upper()}" for field in Settings.model_fields} | {"ORDER_LEDGER_KAFFKA"}  # refused
    for name in re.findall(r"\bORDER_LEDGER_[A-Z_]*[A-Z]\b(?!\*)", path.read_text(encoding="utf-8")):
        assert name in known or any(one.startswith(name + "_") for one in known), name


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_commands_that_are_named_in_code_style_exist(path: Path) -> None:
    runner = CliRunner()
    command = r"`order-ledger ([a-z][a-z-]*(?: (?:list|show|retry|online-retail))?)"
    named = set(re.findall(command, path.read_text(encoding="utf-8")))
    for words in sorted(named):
        result = runner.invoke(app, [*words.split(), "--help"])
        assert result.exit_code == 0, f"order-ledger {words}: {result.output}"


def test_operating_lists_every_setting() -> None:
    text = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    for field in Settings.model_fields:
        assert f"`ORDER_LEDGER_{field.upper()}`" in text, field


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name)
def test_a_decision_has_its_headings_and_its_number(path: Path) -> None:
    found = re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert [heading for heading in found if heading != "Figures"] == HEADINGS
    assert path.read_text(encoding="utf-8").startswith(f"# {int(path.name[:4])}. ")


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in RECORDS] == list(range(1, len(RECORDS) + 1))


def test_a_guide_knows_its_programs_and_their_output(tmp_path: Path) -> None:
    guide = tmp_path / "guide.md"
    guide.write_text(
        "```sh\necho a  b\n```\nIt prints:\n```text\na b\n…\n```\n\n"
        "<!-- not run here: it takes long -->\n```sh\nsleep 9\n```\n```text\nnothing\n```\n"
    )
    (step,) = read_guide(guide)
    assert (step.language, step.code, step.number, step.shown) == ("sh", "echo a  b\n", 1, ["a b"])
    assert missing(["a b", "1 … 3", "z"], "x a   b y\n1 2 3\n") == ["z"]

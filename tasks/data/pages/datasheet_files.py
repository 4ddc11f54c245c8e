"""The datasheet as files that lie beside a snapshot; what quotes rows is a file of its own, to be removed."""

from collections.abc import Mapping
from pathlib import Path

from data_contracts.kept_tables import EXAMPLES_PAGE
from data_contracts.records.snapshot import ContractEvidence, Snapshot
from tasks.data.pages.datasheet_page import datasheet_markdown, datasheet_page, examples_page
from tasks.data.snapshot.datasheet import make_datasheet

DATASHEET_PAGE = "datasheet.html"
DATASHEET_MARKDOWN = "datasheet.md"


def write_datasheet(
    folder: Path, snapshot: Snapshot, evidence: ContractEvidence, stated: Mapping[str, str], *, version: str
) -> None:
    """Writes them into ``folder``, where the snapshot's files lie; ``stated`` is what people say of it."""
    sheet = make_datasheet(folder, snapshot, evidence, stated)
    (folder / DATASHEET_PAGE).write_text(datasheet_page(sheet, version=version), encoding="utf-8")
    (folder / EXAMPLES_PAGE).write_text(examples_page(sheet, version=version), encoding="utf-8")
    (folder / DATASHEET_MARKDOWN).write_text(datasheet_markdown(sheet), encoding="utf-8")

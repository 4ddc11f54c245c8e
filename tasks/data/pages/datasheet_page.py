"""A snapshot's datasheet as a page, and as Markdown for where a page cannot be shown."""

from collections.abc import Sequence

from data_contracts.records.snapshot import Split
from tasks.data.pages.charts import bars, histogram
from tasks.data.pages.contract_page import sources_section
from tasks.data.pages.markup import Html, facts, page, table, tag
from tasks.data.pages.text_bars import code_cell, text_bars
from tasks.data.rules.withholding import shown_values
from tasks.data.snapshot.datasheet import ASKED, Datasheet
from tasks.data.snapshot.summaries import MOST_LABELS

_USES = {
    Split.TRAIN: "to train on",
    Split.TUNE: "for every choice: rates, remedies, early stopping",
    Split.GATE: "looked at by gates only, and counted",
    Split.RESERVE: "sealed, for one second look",
}


def datasheet_page(sheet: Datasheet, *, version: str) -> str:
    """The datasheet as one self-contained HTML document, which quotes no row."""
    snapshot, evidence = sheet.snapshot, sheet.evidence
    total = sum(record.rows for record in snapshot.splits)
    body = [
        tag("p", "datasheet", class_="kind"),
        tag("h1", sheet.name),
        tag("p", "Snapshot ", tag("code", snapshot.digest()), class_="quiet"),
        facts(
            {
                "rows": f"{total:,}",
                "put aside": f"{snapshot.rejected_rows:,} of {evidence.rows_read:,}",
                "task": snapshot.task.value,
                **({"labels": f"{len(snapshot.labels):,}"} if snapshot.labels else {}),
            }
        ),
        tag("h2", "Motivation"),
        _answer(sheet, "purpose"),
        tag("h2", "Composition"),
        tag("h3", "Splits"),
        bars([(record.split.value, record.rows) for record in snapshot.splits], total=total),
        *_composition(sheet),
        *_labels_by_split(sheet),
        tag("h3", "What it may lack"),
        _answer(sheet, "limitations"),
        tag("h2", "Collection"),
        _answer(sheet, "usage"),
        *sources_section(evidence.sources),
        *_left_section(sheet),
        tag("h2", "Uses"),
        tag("ul", *(tag("li", tag("b", split.value), f" {use}") for split, use in _USES.items())),
        tag("p", "Some rows of train are shown in examples.html beside this page.", class_="quiet"),
    ]
    return page(f"{sheet.name}: datasheet", body, made_by=_made_by(sheet, version))


def examples_page(sheet: Datasheet, *, version: str) -> str:
    """Some rows of ``train`` as another one, so that it can be removed and the datasheet stay as it was."""
    note = " Rows with personal data or secrets are passed over." if sheet.withheld else ""
    body = [
        tag("p", "examples", class_="kind"),
        tag("h1", sheet.name),
        tag("p", f"From train; rows that are held out are never shown.{note}", class_="quiet"),
        *(_example(row) for row in sheet.examples),
    ]
    return page(f"{sheet.name}: examples", body, made_by=_made_by(sheet, version))


def datasheet_markdown(sheet: Datasheet) -> str:
    """The datasheet in Markdown: figures and bars of letters, without examples."""
    snapshot, evidence = sheet.snapshot, sheet.evidence
    total = sum(record.rows for record in snapshot.splits)
    lines = [
        f"# Datasheet: {code_cell(sheet.name)}",
        f"{total:,} rows of {evidence.rows_read:,} read; {snapshot.rejected_rows:,} put aside.",
        "",
        "## Splits",
        *text_bars([(record.split.value, record.rows) for record in snapshot.splits], total),
    ]
    for split in sheet.splits[:1]:
        for column in split.summary.columns:
            if column.name == "label" and column.values:
                lines += ["", f"## Labels in {split.split}"]
                lines += text_bars(shown_values(column.values), split.summary.rows)
            elif column.lengths is not None:
                ranges = [(f"{low:,} to {high - 1:,}", rows) for low, high, rows in column.lengths.bins]
                lines += ["", f"## Characters of {column.name} in {split.split}"]
                lines += text_bars(ranges, split.summary.rows)
    if sheet.left:
        lines += ["", "## Put aside by", *text_bars(sheet.left, evidence.rows_read)]
    lines += ["", "## Said by people"]
    lines += [
        f"- {question} {code_cell(sheet.stated.get(key, _unsaid(key)))}" for key, question in ASKED.items()
    ]
    lines += ["", f"Snapshot `{snapshot.digest()}`; the page is `snapshot/datasheet.html` in the dossier."]
    return "\n".join(lines)


def _composition(sheet: Datasheet) -> list[Html]:
    parts: list[Html] = []
    for split in sheet.splits[:1]:
        for column in split.summary.columns:
            if column.name == "label" and column.values:
                parts += [
                    tag("h3", f"Labels in {split.split}"),
                    bars(shown_values(column.values), total=split.summary.rows),
                ]
            elif column.lengths is not None:
                parts.append(
                    histogram(f"Length of {column.name} in {split.split}", column.lengths, "characters")
                )
    return parts


def _labels_by_split(sheet: Datasheet) -> list[Html]:
    """How many rows of each label lie in each split."""
    labels = sheet.snapshot.labels
    if not labels or len(labels) > MOST_LABELS:
        return []
    shown = [name for name, _ in shown_values((label, 0) for label in labels)]
    rows: list[list[str | Html]] = [
        [name, *(f"{record.label_counts.get(label, 0):,}" for record in sheet.snapshot.splits)]
        for label, name in zip(labels, shown, strict=True)
    ]
    header = ["label", *(record.split.value for record in sheet.snapshot.splits)]
    return [
        tag("h3", "Labels by split"),
        table(header, rows, numbers=frozenset(range(1, len(header)))),
    ]


def _example(row: Sequence[tuple[str, str]]) -> Html:
    return tag(
        "div",
        *(tag("div", tag("span", f"{name}  ", class_="kind"), text) for name, text in row),
        class_="row",
    )


def _left_section(sheet: Datasheet) -> list[Html]:
    if not sheet.left:
        return []
    return [
        tag("h2", "What was put aside, and why"),
        bars(sheet.left, total=sheet.evidence.rows_read, kinds=["warn"] * len(sheet.left)),
        tag("p", "The rows lie in rejected.parquet, each with its reasons.", class_="quiet"),
    ]


def _answer(sheet: Datasheet, key: str) -> Html:
    said = sheet.stated.get(key)
    return tag("p", said) if said else tag("p", _unsaid(key), class_="quiet")


def _unsaid(key: str) -> str:
    return f"Not said. {ASKED[key]} Write it under description.{key} in the contract."


def _made_by(sheet: Datasheet, version: str) -> str:
    return (
        f"lorafirst {version}. Contract {sheet.snapshot.contract}. "
        "The questions follow Datasheets for Datasets (Gebru et al., 2021)."
    )

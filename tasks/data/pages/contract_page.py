"""What a contract found, as a page: the verdict, every broken rule with its places, and the rows from afar.

Places and counts alone are shown of rows that break a rule, never a text: it may be the secret that was
found.
"""

from collections.abc import Sequence

from data_contracts.records.snapshot import ContractEvidence, ContractRule, RuleSeverity, SourceFile
from tasks.data.pages.charts import bars, histogram
from tasks.data.pages.markup import Html, facts, page, table, tag
from tasks.data.pages.places import told_places
from tasks.data.rules.withholding import shown_values
from tasks.data.snapshot.summaries import RowSummary

_ORDER = (RuleSeverity.BLOCKING, RuleSeverity.QUARANTINE, RuleSeverity.WARNING)
_COLOURS = {RuleSeverity.BLOCKING: "bad", RuleSeverity.QUARANTINE: "warn", RuleSeverity.WARNING: ""}


def contract_page(
    evidence: ContractEvidence, summary: RowSummary, *, notes: Sequence[str], version: str
) -> str:
    """The page for one check; ``summary`` is of the accepted rows, ``notes`` say how the data was read."""
    broken = sorted(
        (rule for rule in evidence.rules if not rule.passed), key=lambda rule: _ORDER.index(rule.severity)
    )
    held = [rule for rule in evidence.rules if rule.passed]
    body = [
        *_headline(evidence, broken),
        *(tag("p", note, class_="quiet") for note in notes),
        facts(
            {
                "rows read": f"{evidence.rows_read:,}",
                "accepted": f"{evidence.rows_accepted:,}",
                "put aside": f"{evidence.rows_quarantined:,}",
                "rules": f"{len(held)} of {len(evidence.rules)} hold",
            }
        ),
        *_broken_section(broken, evidence.rows_read),
        *rows_section(summary),
        *_held_section(held),
        *sources_section(evidence.sources),
    ]
    return page(
        f"{evidence.contract_name}: contract check",
        body,
        made_by=f"lorafirst {version}. Contract {evidence.contract}. This page holds no row's text.",
    )


def rows_section(summary: RowSummary) -> list[Html]:
    """Labels and lengths of the accepted rows."""
    parts: list[Html] = []
    for column in summary.columns:
        if column.name == "label" and column.values:
            parts += [tag("h3", "Labels"), bars(shown_values(column.values), total=summary.rows)]
        elif column.lengths is not None:
            parts.append(histogram(f"Length of {column.name}", column.lengths, "characters"))
    return [tag("h2", "The accepted rows"), *parts] if parts else []


def sources_section(sources: Sequence[SourceFile]) -> list[Html]:
    """The files with their digests."""
    rows: list[list[str | Html]] = [
        [
            Html.joined([tag("div", file.name), tag("code", file.sha256)]),
            f"{file.rows:,}",
            f"{file.size_bytes:,}",
        ]
        for file in sources
    ]
    return [
        tag("h2", "Read from"),
        table(["file and digest of its plain content", "rows", "bytes"], rows, numbers=frozenset({1, 2})),
    ]


def _headline(evidence: ContractEvidence, broken: Sequence[ContractRule]) -> list[Html]:
    blocking = [rule for rule in broken if rule.severity is RuleSeverity.BLOCKING]
    if blocking:
        count = "a blocking rule is" if len(blocking) == 1 else f"{len(blocking)} blocking rules are"
        mark, kind = f"✗ {count} broken", "bad"
    elif broken:
        mark, kind = "✓ every blocking rule holds, with remarks", "warn"
    else:
        mark, kind = "✓ every rule holds", "good"
    return [
        tag("p", "contract check", class_="kind"),
        tag("h1", evidence.contract_name),
        tag("p", mark, class_=f"verdict {kind}"),
    ]


def _broken_section(broken: Sequence[ContractRule], rows: int) -> list[Html]:
    if not broken:
        return []
    counted = [rule for rule in broken if rule.broken_rows]
    chart = bars(
        [(rule.name, rule.broken_rows) for rule in counted],
        total=rows,
        kinds=[_COLOURS[rule.severity] for rule in counted],
    )
    return [
        tag("h2", "Broken rules"),
        *([chart] if counted else []),
        *(_rule(rule) for rule in broken),
    ]


def _rule(rule: ContractRule) -> Html:
    where = told_places(rule.examples, rule.broken_rows) if rule.examples else "the whole data set"
    entries = {
        "expected": rule.expected,
        "found": rule.observed,
        "where": where,
        "to do": rule.remedy,
    }
    listed = [part for name, value in entries.items() for part in (tag("dt", name), tag("dd", value))]
    chip = tag("span", rule.severity.value, class_=f"chip {_COLOURS[rule.severity]}")
    return tag(
        "article",
        tag("h3", rule.name, chip),
        tag("p", rule.sentence),
        tag("dl", *listed),
        class_=f"rule {rule.severity.value}",
    )


def _held_section(held: Sequence[ContractRule]) -> list[Html]:
    if not held:
        return []
    rows: list[list[str | Html]] = [[rule.name, rule.severity.value, rule.expected] for rule in held]
    return [tag("h2", "Rules that hold"), table(["rule", "if broken", "asks for"], rows)]

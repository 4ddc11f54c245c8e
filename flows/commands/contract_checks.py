"""A contract and data by themselves: what the ``contract`` commands do, less reading their options."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from data_contracts.cache import cache_folder
from data_contracts.errors import InputError
from data_contracts.progress import Progress
from data_contracts.records.contract_reports import ContractComparison, ContractReport
from data_contracts.records.metrics import Task
from data_contracts.records.settings import DataSettings, SplitSettings
from data_contracts.records.snapshot import ContractEvidence
from tasks.data.authoring.contract_diff import compare_contracts, compare_rows
from tasks.data.authoring.drafting import DraftSource, draft_contract, own_rules
from tasks.data.authoring.standalone import ReadData, columns_of, load_for, read_for
from tasks.data.checking.contract import ACCEPTED, Contract, check_contract
from tasks.data.contracts.rule_catalogue import NEEDS_EARLIER
from tasks.data.likeness.earlier import EarlierSnapshots, find_earlier
from tasks.data.pages.contract_page import contract_page
from tasks.data.snapshot.summaries import summarise, summarise_file
from tasks.evidence.environment import package_versions
from tasks.evidence.files import write_where_asked

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NO_MODEL = "No model was named, so rules on tokens were not run; --model runs them."

NO_SNAPSHOT = (
    "No earlier snapshot was named, so rules on leaks from one and drift say nothing; --earlier runs them."
)

Check = Callable[[Contract, Path], ContractEvidence]


def draft(data: DataSettings, task: Task | None, *, command: str, progress: Progress) -> str:
    """A drafted contract as YAML.

    Raises:
        InputError: the data cannot be read.
    """
    read = read_for(data, tuple(Task) if task is None else (task,))
    summary = summarise(columns_of(read.rows), read.rows.form)
    with tempfile.TemporaryDirectory(prefix="lorafirst-contract-") as temporary:
        found = _checker(read, None, 256, progress)(own_rules(read.rows.form), Path(temporary))
    name = Path(data.source.rstrip("/")).name
    return draft_contract(summary, found, DraftSource(name=name, command=command, notes=read.notes))


def check_alone(
    data: DataSettings,
    contract: Path,
    task: Task | None,
    *,
    model: str | None,
    max_tokens: int,
    page: Path | None,
    progress: Progress,
) -> ContractReport:
    """What the data says to the contract; writes ``page`` where one is asked for.

    Raises:
        InputError: the contract, the data, an earlier snapshot, the model or the page's place cannot be
            used.
    """
    contracts, earlier = load_for(contract, task), find_earlier(data.earlier)
    read = read_for(data, tuple(contracts))
    chosen = contracts[read.task]
    with tempfile.TemporaryDirectory(prefix="lorafirst-contract-") as temporary:
        folder = Path(temporary)
        evidence = _checker(read, model, max_tokens, progress, earlier)(chosen, folder)
        asks = any(check.rule in NEEDS_EARLIER for check in chosen.checks)
        unsaid = (NO_SNAPSHOT,) if asks and not earlier.folders else ()
        report = ContractReport.of(evidence, (*_notes(read, model), *unsaid))
        if page is not None:
            _write_page(page, report, folder)
    return report


def compare(
    old: Path,
    new: Path,
    data: DataSettings | None,
    task: Task | None,
    *,
    model: str | None,
    max_tokens: int,
    progress: Progress,
) -> ContractComparison:
    """What changes from ``old`` to ``new``, and for which rows of ``data`` where it is named.

    Raises:
        InputError: a contract, the data or the model cannot be used, or the contracts are for two tasks.
    """
    before, after = load_for(old, task), load_for(new, task)
    both = tuple(each for each in before if each in after)
    if not both:
        raise InputError.single(
            f"{old} and {new}",
            expected="two contracts for one task",
            found=f"one for {', '.join(before)} and one for {', '.join(after)}",
            remedy="compare contracts that speak of the same columns",
        )
    read = None if data is None else read_for(data, both)
    chosen = both[0] if read is None else read.task
    rows = None
    if read is not None:
        with tempfile.TemporaryDirectory(prefix="lorafirst-contract-") as temporary:
            folders = Path(temporary, "old"), Path(temporary, "new")
            check = _checker(read, model, max_tokens, progress)
            for contract, folder in zip((before[chosen], after[chosen]), folders, strict=True):
                check(contract, folder)
            rows = compare_rows(*folders)
    return ContractComparison(
        old=before[chosen].name,
        new=after[chosen].name,
        rules=compare_contracts(before[chosen].checks, after[chosen].checks),
        rows=rows,
        notes=() if read is None else _notes(read, model),
    )


def _checker(
    read: ReadData,
    model: str | None,
    max_tokens: int,
    progress: Progress,
    earlier: EarlierSnapshots | None = None,
) -> Check:
    tokenizer = None if model is None else _tokenizer(model)

    def check(contract: Contract, folder: Path) -> ContractEvidence:
        return check_contract(
            read.rows,
            contract=contract,
            task=read.task,
            tokenizer=tokenizer,
            max_tokens=max_tokens,
            splits=SplitSettings(),
            folder=folder,
            earlier=earlier,
            progress=progress,
        )

    return check


def _tokenizer(model: str) -> "PreTrainedTokenizerBase":
    from tasks.data.tokens.tokenization import load_tokenizer
    from tasks.training.base_model import resolve_base_model

    return load_tokenizer(Path(resolve_base_model(model, cache_folder()).folder))


def _notes(read: ReadData, model: str | None) -> tuple[str, ...]:
    """What was understood without being said, and what was not checked."""
    return (*read.notes, *(() if model else (NO_MODEL,)))


def _write_page(page: Path, report: ContractReport, folder: Path) -> None:
    evidence = report.evidence
    summary = summarise_file(folder / ACCEPTED, evidence.task)
    version = package_versions(("lorafirst",))["lorafirst"]
    text = contract_page(evidence, summary, notes=report.notes, version=version)
    write_where_asked(page, text.encode("utf-8"), "--page")

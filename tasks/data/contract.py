"""The contract stage: an ODCS file, and what the rows say to every rule of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from data_contracts.errors import InputError, Problem
from data_contracts.records.base import digest_bytes
from data_contracts.records.metrics import Task
from data_contracts.records.settings import SplitSettings
from data_contracts.records.snapshot import ContractEvidence, Split
from tasks.data.checks import Check
from tasks.data.columns import CONTENT_COLUMNS, DERIVED_COLUMNS, Form, form_of, forms_of
from tasks.data.derived import places_of, with_derived_columns
from tasks.data.expectations import CheckResult, run_checks
from tasks.data.pipeline_rules import (
    SAME_QUESTION,
    row_checks,
    shared_questions,
    table_checks,
    with_table_columns,
)
from tasks.data.rules import contract_rule, rejections
from tasks.data.sources import SourceRows

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedTokenizerBase

SHIPPED = Path(__file__).resolve().parents[2] / "data_contracts" / "datasets"

ACCEPTED = "accepted.parquet"
REJECTED = "rejected.parquet"


@dataclass(frozen=True)
class Contract:
    """A contract that can be run."""

    name: str
    digest: str
    """Of the file's bytes."""
    checks: tuple[Check, ...]


def load_contract(path: Path | None, task: Task) -> Contract:
    """The contract in an ODCS 3 file, or the one shipped for the task.

    Raises:
        InputError: the file cannot be read, or holds anything that cannot be run; all of it at once.
    """
    path = path or SHIPPED / f"{task.value}.odcs.yaml"
    if not path.is_file():
        raise InputError.single(
            str(path),
            expected="an ODCS 3 contract",
            found="no such file",
            remedy="correct data.contract, or leave it unset to use the contract that is shipped",
        )
    content = path.read_bytes()
    return parse_contract(content, str(path), task)


def parse_contract(content: bytes, where: str, task: Task) -> Contract:
    """The contract in the bytes of an ODCS 3 file; raises as :func:`load_contract` does."""
    import pydantic
    from open_data_contract_standard.model import OpenDataContractStandard

    from tasks.data.odcs import translate

    raw = _yaml_mapping(content, where)
    try:
        document = OpenDataContractStandard.model_validate(raw)
    except pydantic.ValidationError as error:
        raise InputError(
            Problem(
                where=f"{where}, {'.'.join(str(part) for part in fault['loc'])}",
                expected="ODCS 3",
                found=fault["msg"],
                remedy="correct this key, see https://bitol-io.github.io/open-data-contract-standard",
            )
            for fault in error.errors()
        ) from error
    translation = translate(document, raw, _known_columns(task))
    problems = [*_kind_problems(document), *translation.problems]
    if problems:
        raise InputError(p.model_copy(update={"where": f"{where}, {p.where}"}) for p in problems)
    name = document.name or document.id or Path(where).name
    return Contract(name=name, digest=digest_bytes(content), checks=translation.checks)


def check_contract(
    rows: SourceRows,
    *,
    contract: Contract,
    task: Task,
    tokenizer: "PreTrainedTokenizerBase",
    max_tokens: int,
    splits: SplitSettings,
    folder: Path,
) -> ContractEvidence:
    """What the rows say to the contract and to the pipeline's own rules.

    Writes ``accepted.parquet`` and ``rejected.parquet`` into ``folder``. Rows that break a blocking or a
    quarantine rule are rejected with their reasons; whether the run ends there is for the gate to say.

    Raises:
        InputError: the contract speaks of a column these rows lack, or the model's chat template
            refuses a row.
    """
    frame = rows.frame.reset_index(drop=True)
    form = form_of(tuple(frame.columns), task)
    places = places_of(frame)
    user_split = "split" in frame
    own = _checks_for(contract, task, form, user_split)
    frame = _with_rule_columns(
        with_derived_columns(
            frame, form, tokenizer=tokenizer, max_tokens=max_tokens, shares=splits, places=places
        )
    )
    about_rows = [check for check in own if not check.whole_table]
    about_rows += row_checks(form, max_tokens=max_tokens, user_split=user_split)
    row_results = run_checks(frame, about_rows)
    rejected = rejections(row_results, frame, places)
    left = [index for index in range(len(frame)) if index not in rejected]
    accepted = with_table_columns(frame.iloc[left].reset_index(drop=True))
    named = any(value == Split.RESERVE for value in frame["split"])
    reserved = named if user_split else splits.reserve > 0
    about_table = [check for check in own if check.whole_table]
    about_table += table_checks(form, user_split=user_split, reserved=reserved)
    table_results = run_checks(accepted, about_table)
    left_places = [places[index] for index in left]
    examples = {SAME_QUESTION: _question_examples(frame, places)} if user_split else {}

    from tasks.data.checked_rows import write_accepted, write_rejected

    write_accepted(accepted, rows.kept.iloc[left], form, folder / ACCEPTED)
    write_rejected(frame, form, rejected, folder / REJECTED)
    return ContractEvidence(
        task=task,
        contract=contract.digest,
        contract_name=contract.name,
        sources=rows.files,
        rows_read=len(frame),
        rows_accepted=len(accepted),
        rows_quarantined=len(rejected),
        rules=(
            *(_rule(result, len(frame), places, examples) for result in row_results),
            *(_rule(result, len(accepted), left_places, examples) for result in table_results),
        ),
        labels=tuple(sorted(set(accepted["label"]))) if form is Form.CLASSIFICATION else (),
    )


def _rule(result: CheckResult, rows: int, places: list[str], examples: dict[str, tuple[str, ...]]) -> Any:
    return contract_rule(result, rows=rows, places=places, examples=examples.get(result.check.name))


def _question_examples(frame: "pd.DataFrame", places: list[str]) -> tuple[str, ...]:
    splits = list(frame["split"])
    return tuple(
        f"{places[pair.row]} ({splits[pair.row]}) and {places[pair.other]} ({splits[pair.other]})"
        for pair in shared_questions(frame)
        if pair.row < pair.other
    )


def _with_rule_columns(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Columns that only the pipeline's own rules look at."""
    import pandas as pd

    shared = {pair.row for pair in shared_questions(frame)}
    identities = [i if flag else None for i, flag in zip(frame["row_id"], frame["usable"], strict=True)]
    columns = {
        "usable_id": identities,
        "question_in_two_splits": [index in shared for index in range(len(frame))],
        # Set membership passes over nulls, and a missing split is as wrong as an unknown one.
        "split_or_blank": ["" if value is None else value for value in frame["split"]],
    }
    derived = {name: pd.Series(values, dtype=object) for name, values in columns.items()}
    return pd.concat([frame, pd.DataFrame(derived)], axis=1)


def _checks_for(contract: Contract, task: Task, form: Form, user_split: bool) -> list[Check]:
    """The contract's checks, less those of the other form; a column that is in neither is refused."""
    present = {*CONTENT_COLUMNS[form], *DERIVED_COLUMNS[form], *(("split",) if user_split else ())}
    others = {
        column for other in forms_of(task) for column in (*CONTENT_COLUMNS[other], *DERIVED_COLUMNS[other])
    } - present
    checks, absent = [], []
    for check in contract.checks:
        missing = [column for column in check.columns if column not in present]
        if not missing:
            checks.append(check)
        elif not set(missing) <= others:
            absent.append(
                Problem(
                    where=f"contract {contract.name}, rule {check.name}",
                    expected=f"a column among {', '.join(sorted(present))}",
                    found=f"{', '.join(missing)}, which these rows do not have",
                    remedy="set data.columns.split, or remove the rule",
                )
            )
    if absent:
        raise InputError(absent)
    return checks


def _known_columns(task: Task) -> tuple[str, ...]:
    columns = dict.fromkeys(
        column for form in forms_of(task) for column in (*CONTENT_COLUMNS[form], *DERIVED_COLUMNS[form])
    )
    return (*columns, "split")


def _yaml_mapping(content: bytes, where: str) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(content.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}, line {mark.line + 1}" if mark else where
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError.single(
            place, expected="YAML in UTF-8", found=str(problem), remedy="correct this line"
        ) from error
    if not isinstance(raw, dict):
        raise InputError.single(
            where,
            expected="an ODCS 3 contract",
            found=f"{type(raw).__name__} at the top",
            remedy="start from the contract that is shipped in data_contracts/datasets",
        )
    return raw


def _kind_problems(document: Any) -> list[Problem]:
    problems = []
    for key, fits, expected in (
        ("kind", document.kind == "DataContract", "DataContract"),
        ("apiVersion", str(document.apiVersion).startswith("v3."), "v3.1.0 or another version 3"),
    ):
        if not fits:
            problems.append(
                Problem(
                    where=key,
                    expected=expected,
                    found=repr(getattr(document, key)),
                    remedy=f"write {key}: {expected}",
                )
            )
    return problems

"""The rules that hold for any data, whatever its own contract says."""

import dataclasses
from collections.abc import Sequence

from data_contracts.records.snapshot import RuleSeverity, Split
from tasks.data.contracts.checks import Check, CheckKind, Comparison, Operator, Scope, View
from tasks.data.contracts.odcs_custom import catalogue_check
from tasks.data.contracts.rule_catalogue import CATALOGUE, GENERATIVE
from tasks.data.rows.columns import Form

MINIMUM_ROWS = {Split.TRAIN: 8, Split.TUNE: 4, Split.GATE: 30, Split.RESERVE: 30}
"""Below 30 rows to judge by no interval is of use: at 30, a share's 95 % interval is still up to 37 points
wide."""

DUPLICATES = "no_duplicates"
SAME_QUESTION = "no_question_in_two_splits"
SAME_GROUP = "no_group_in_two_splits"


ACROSS_SPLITS = frozenset({SAME_QUESTION, SAME_GROUP, "near_duplicates_across_splits"})
"""Rules whose examples say in which split each row lies."""

ALWAYS = ("max_tokens", "answer_cut_away", "template_renders")
"""Rules of the catalogue that are run though no contract asks for them; one that does sets the severity."""


def row_checks(
    form: Form, *, max_tokens: int, user_split: bool, asked: Sequence[Check] = ()
) -> tuple[Check, ...]:
    """Rules about single rows, less those that are ``asked`` for already."""
    wanted = {check.rule for check in asked if not check.columns}
    ours = [name for name in ALWAYS if name not in wanted and form in CATALOGUE[name].forms]
    severity = RuleSeverity.WARNING if form is Form.CLASSIFICATION else None
    checks = (_usable(form), *(catalogue_check(name, severity=severity) for name in ours))
    if form in GENERATIVE:
        checks = (*checks, *_token_minimums())
    if form is Form.TEXT:
        checks = (*checks, _something_to_predict())
    if user_split:
        checks = (*checks, _split_value())
    return tuple(with_limit(check, form, max_tokens) for check in checks)


def set_checks(*, user_split: bool, grouped: bool) -> tuple[Check, ...]:
    """Rules that point at rows by looking at all of them."""
    split = (_same_question(),) if user_split else ()
    return (_no_duplicates(), *split, *((_same_group(),) if user_split and grouped else ()))


def table_checks(form: Form, *, user_split: bool, reserved: bool) -> tuple[Check, ...]:
    """Rules about what is left, run on the accepted rows; ``reserved`` says whether there is a reserve."""
    labels = (_two_labels(), _labels_seen()) if form is Form.CLASSIFICATION else ()
    splits = [split for split in Split if reserved or split is not Split.RESERVE]
    return (*labels, *(_enough(split, user_split=user_split) for split in splits))


def rule_names() -> frozenset[str]:
    """The names of all these rules, whatever the form of the rows."""
    return frozenset(
        check.name
        for form in Form
        for check in (
            *row_checks(form, max_tokens=1, user_split=True),
            *set_checks(user_split=True, grouped=True),
            *table_checks(form, user_split=True, reserved=True),
        )
    )


def with_limit(check: Check, form: Form, max_tokens: int) -> Check:
    """``check`` with what it says about ``max_tokens`` filled in."""
    if check.rule != "max_tokens":
        return check
    loss = (
        "the end of a longer text would go unread."
        if form is Form.CLASSIFICATION
        else "a longer row's answer would be cut."
    )
    return dataclasses.replace(
        check,
        expected=check.expected.replace("{max_tokens}", str(max_tokens)),
        requirement=f"The model reads {max_tokens} tokens of a row; {loss}",
    )


def _usable(form: Form) -> Check:
    what = {
        Form.CLASSIFICATION: "a text and a label",
        Form.PROMPT_COMPLETION: "a prompt and a completion, both text",
        Form.MESSAGES: "a conversation that ends with the assistant",
        Form.TEXT: "a text",
    }[form]
    return Check(
        name="usable",
        kind=CheckKind.IN_SET,
        columns=("usable",),
        values=(True,),
        severity=RuleSeverity.QUARANTINE,
        expected=f"{what} in each row",
        requirement=f"A row can be learned from only if it holds {what}.",
        remedy="complete the rows named, or leave them out",
    )


def _token_minimums() -> tuple[Check, Check]:
    return (
        _at_least_one_token(
            "supervised_tokens",
            expected="at least 1 token to learn from in each row, after truncation",
            requirement="A row of whose tokens none belongs to an answer teaches nothing, and has no loss.",
            remedy="raise model.max_tokens, shorten the prompts of the rows named, or choose a model whose "
            "chat template marks the assistant's turns",
        ),
        _at_least_one_token(
            "prompt_tokens",
            expected="at least 1 token before the answer in each row",
            requirement="An answer is generated from the tokens before it, and cannot start from none.",
            remedy="write a prompt into the rows named, or leave them out",
        ),
    )


def _something_to_predict() -> Check:
    return _at_least_one_token(
        "supervised_tokens",
        expected="at least 1 token to predict in each text",
        requirement="Each token is predicted from those before it; a text without any has no loss.",
        remedy="leave the texts named out",
    )


def _at_least_one_token(column: str, *, expected: str, requirement: str, remedy: str) -> Check:
    return Check(
        name=column,
        kind=CheckKind.BETWEEN,
        columns=(column,),
        view=View.NUMBER,
        minimum=1,
        expected=expected,
        requirement=requirement,
        remedy=remedy,
    )


def _no_duplicates() -> Check:
    return Check(
        name=DUPLICATES,
        kind=CheckKind.UNIQUE,
        columns=("usable_id",),
        scope=Scope.ROWS,
        severity=RuleSeverity.QUARANTINE,
        expected="each row once",
        requirement="A row that stands in the data twice is kept once.",
        remedy="none is needed: the first of equal rows was kept",
    )


def _split_value() -> Check:
    names = ", ".join(Split)
    return Check(
        name="split_value",
        kind=CheckKind.IN_SET,
        columns=("split_known",),
        values=(True,),
        expected=f"a split among {names}",
        requirement=f"Every row of data with its own splits must say {names}.",
        remedy="correct the split in the rows named, or leave data.columns.split unset",
    )


def _same_question() -> Check:
    return Check(
        name=SAME_QUESTION,
        kind=CheckKind.RULE,
        rule=SAME_QUESTION,
        scope=Scope.ROWS,
        columns=(),
        expected="each question in one split only",
        requirement="A question that is both trained on and judged by would flatter the model.",
        remedy="remove one of each two rows named, or leave data.columns.split unset",
    )


def _same_group() -> Check:
    return Check(
        name=SAME_GROUP,
        kind=CheckKind.RULE,
        rule=SAME_GROUP,
        scope=Scope.ROWS,
        columns=(),
        expected="each group in one split only",
        requirement="Rows of one group (a customer, a thread) know of one another; judged by some of them, a "
        "model trained on others is flattered.",
        remedy="move each group named into one split, or leave data.columns.split unset",
    )


def _two_labels() -> Check:
    return Check(
        name="at_least_two_labels",
        kind=CheckKind.DISTINCT,
        columns=("label",),
        comparisons=(Comparison(Operator.MUST_BE_GREATER_OR_EQUAL_TO, (2.0,)),),
        expected="at least 2 distinct labels among the accepted rows",
        requirement="With fewer than two labels there is nothing to tell apart.",
        remedy="add rows with other labels, or check data.columns.label",
    )


def _labels_seen() -> Check:
    return Check(
        name="labels_seen_in_train",
        kind=CheckKind.IN_SET,
        columns=("label_in_train",),
        values=(True,),
        expected="every label of the other splits also in train",
        requirement="A label unseen in train cannot be learned; every row with it would count as an error.",
        remedy="add rows with the labels of the rows named, merge these labels, or leave them out",
    )


def _enough(split: Split, *, user_split: bool) -> Check:
    minimum = MINIMUM_ROWS[split]
    interval = "Fewer rows cannot carry an interval of any use: at 30 it is up to 37 points wide."
    why = {
        Split.TRAIN: "Fewer rows cannot fill a batch.",
        Split.TUNE: "Fewer rows give no learning curve.",
        Split.GATE: interval,
        Split.RESERVE: interval,
    }[split]
    remedy = (
        f"add rows, or mark more of them {split}"
        if user_split
        else "add rows, or change the shares under splits"
    )
    if split is Split.RESERVE:
        remedy += "; or go without a second look: " + ("mark none" if user_split else "splits.reserve: 0")
    return Check(
        name=f"enough_{split}_rows",
        kind=CheckKind.TOTAL,
        columns=(f"in_{split}",),
        comparisons=(Comparison(Operator.MUST_BE_GREATER_OR_EQUAL_TO, (float(minimum),)),),
        expected=f"at least {minimum} rows in {split}",
        requirement=f"The {split} split needs at least {minimum} accepted rows. {why}",
        remedy=remedy,
    )

"""The rules of our own that a contract may ask for: ``type: custom, engine: lorafirst``.

Each says what it asks, with which arguments, and what a broken one does unless the contract says otherwise.
What runs them is in ``row_rules``, ``row_set_rules`` and ``table_rules``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from data_contracts.records.snapshot import RuleSeverity
from tasks.data.contracts.checks import Scope
from tasks.data.rows.columns import Form

ALL_FORMS = frozenset(Form)
GENERATIVE = frozenset({Form.PROMPT_COMPLETION, Form.MESSAGES})
LABELLED = frozenset({Form.CLASSIFICATION})
CUT_SHORT = ALL_FORMS - {Form.TEXT}
"""Forms whose long rows are truncated; texts to go on with are cut into windows, of which none is lost."""


@dataclass(frozen=True)
class Argument:
    """A number that a contract may set."""

    default: float | None
    """``None``: it must be set."""
    low: float
    high: float


@dataclass(frozen=True)
class CatalogueRule:
    """One rule of our own."""

    scope: Scope
    expected: str
    """May name arguments, as ``{similarity}``."""
    requirement: str
    remedy: str
    severity: RuleSeverity = RuleSeverity.BLOCKING
    forms: frozenset[Form] = ALL_FORMS
    """Skipped for rows of another form."""
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    on_columns: bool = False
    """May stand below one content column and then looks at it alone."""
    needs_tokenizer: bool = False
    """Not run where no model is named."""
    withholds: bool = False
    """What it finds must not be written down, the content of a row that leaves by it included."""
    weakest: RuleSeverity = RuleSeverity.WARNING
    """A contract may not ask for less."""


_QUARANTINE, _WARNING = RuleSeverity.QUARANTINE, RuleSeverity.WARNING
_ALPHA = {"alpha": Argument(0.01, 0.0, 1.0)}
_SIMILARITY = {"similarity": Argument(0.8, 0.7, 1.0)}

CATALOGUE: dict[str, CatalogueRule] = {
    "replacement_characters": CatalogueRule(
        scope=Scope.ROW,
        expected="no U+FFFD in any text",
        requirement="Where U+FFFD stands, bytes were lost when somebody decoded the text.",
        remedy="read the source again in its own encoding, or leave the rows out",
        severity=_QUARANTINE,
        on_columns=True,
    ),
    "control_characters": CatalogueRule(
        scope=Scope.ROW,
        expected="no control characters but tabs and line breaks",
        requirement="Control characters are left over from terminals or binary files and teach nothing.",
        remedy="strip them from the rows named",
        severity=_QUARANTINE,
        on_columns=True,
    ),
    "mojibake": CatalogueRule(
        scope=Scope.ROW,
        expected="no text in a mixed-up encoding",
        requirement="UTF-8 read as another encoding turns accents and quotes into several wrong characters.",
        remedy="run ftfy.fix_text over the rows named, or read the source in its own encoding",
        severity=_QUARANTINE,
        on_columns=True,
    ),
    "email_addresses": CatalogueRule(
        scope=Scope.ROW,
        expected="no e-mail address in any text",
        requirement="What a model is trained on it may repeat, people's addresses included.",
        remedy="replace the addresses in the rows named",
        severity=_WARNING,
        on_columns=True,
        withholds=True,
    ),
    "phone_numbers": CatalogueRule(
        scope=Scope.ROW,
        expected="no telephone number in any text",
        requirement="What a model is trained on it may repeat, people's numbers included.",
        remedy="replace the numbers in the rows named",
        severity=_WARNING,
        on_columns=True,
        withholds=True,
    ),
    "card_numbers": CatalogueRule(
        scope=Scope.ROW,
        expected="no payment card number in any text",
        requirement="What a model is trained on it may repeat, card numbers included.",
        remedy="replace the numbers in the rows named, and tell whoever is responsible for them",
        severity=_QUARANTINE,
        on_columns=True,
        withholds=True,
    ),
    "secrets": CatalogueRule(
        scope=Scope.ROW,
        expected="no key, token or password in any text",
        requirement="What a model is trained on it may repeat, credentials included.",
        remedy="revoke what was found in the rows named, then replace it there",
        severity=_QUARANTINE,
        on_columns=True,
        withholds=True,
    ),
    "token_boundary": CatalogueRule(
        scope=Scope.ROW,
        expected="prompt and completion that part at a token",
        requirement="Prompt and completion are tokenised apart; where they would share a token when written "
        "together (a prompt that ends in a space, say), the model is asked in a way it has never read.",
        remedy="move white space from the prompt's end to the completion's start in the rows named",
        severity=_WARNING,
        forms=frozenset({Form.PROMPT_COMPLETION}),
        needs_tokenizer=True,
    ),
    "template_renders": CatalogueRule(
        scope=Scope.ROW,
        expected="conversations that the model's chat template takes, and whose answers alone it lets learn",
        requirement="A conversation that the chat template refuses, whose earlier turns it writes anew, or "
        "of which the loss would not be taken on the answers as they are given and on nothing else, cannot "
        "be trained on.",
        remedy="change the roles of the rows named, correct the template's generation marks, or choose a "
        "model whose template suits",
        forms=frozenset({Form.MESSAGES}),
        weakest=_QUARANTINE,
        needs_tokenizer=True,
    ),
    "max_tokens": CatalogueRule(
        scope=Scope.ROW,
        expected="at most {max_tokens} tokens in each row",
        requirement="The model reads {max_tokens} tokens of a row; what is longer would be cut.",
        remedy="raise model.max_tokens, or shorten the rows named",
        forms=CUT_SHORT,
        needs_tokenizer=True,
    ),
    "answer_cut_away": CatalogueRule(
        scope=Scope.ROW,
        expected="an answer left in each row after truncation",
        requirement="A row whose answer lies behind the last token that the model reads teaches nothing.",
        remedy="raise model.max_tokens, or shorten the prompts of the rows named",
        forms=GENERATIVE,
        weakest=_QUARANTINE,
        needs_tokenizer=True,
    ),
    "template_marks": CatalogueRule(
        scope=Scope.TABLE,
        expected="a chat template with {{% generation %}} marks",
        requirement="Without marks, the assistant's tokens are found by rendering each conversation's "
        "openings, which is slower and does not work with every template.",
        remedy="none is needed where template_renders holds; a template with marks is surer",
        severity=_WARNING,
        forms=frozenset({Form.MESSAGES}),
        needs_tokenizer=True,
    ),
    "near_duplicates": CatalogueRule(
        scope=Scope.ROWS,
        expected="no row of a split nearly like another of it (Jaccard similarity {similarity} or more)",
        requirement="Rows that nearly repeat one another weigh double in training and make a score look "
        "surer than it is.",
        remedy="keep one of the rows named, or lower nothing: a warning keeps them all",
        severity=_WARNING,
        arguments=_SIMILARITY,
    ),
    "near_duplicates_across_splits": CatalogueRule(
        scope=Scope.ROWS,
        expected="no row of a split nearly like one of another (Jaccard similarity {similarity} or more)",
        requirement="A row that is judged by and was nearly trained on flatters the model.",
        remedy="none is needed where they are put aside; the row known longer, else the one held out, stays",
        severity=_QUARANTINE,
        arguments=_SIMILARITY,
    ),
    "seen_in_earlier_gate": CatalogueRule(
        scope=Scope.ROWS,
        expected="no row to learn from nearly like a gate row of an earlier snapshot "
        "(Jaccard similarity {similarity} or more)",
        requirement="A model trained on rows by which earlier ones were judged cannot be compared with them.",
        remedy="none is needed where they are put aside",
        severity=_QUARANTINE,
        arguments=_SIMILARITY,
    ),
    "same_text_two_labels": CatalogueRule(
        scope=Scope.ROWS,
        expected="one label for each text",
        requirement="A text that stands there with two labels teaches neither.",
        remedy="decide on one label for the rows named",
        severity=_QUARANTINE,
        forms=LABELLED,
    ),
    "likely_label_errors": CatalogueRule(
        scope=Scope.ROWS,
        expected="labels that a simple classifier, trained on the other rows, does not contradict",
        requirement="Confident learning (Northcutt, Jiang and Chuang, 2021) finds rows whose label is "
        "probably another one; it is an estimate, and rare cases are among what it finds.",
        remedy="look at the rows named, and correct the labels that are wrong",
        severity=_WARNING,
        forms=LABELLED,
        arguments={
            "folds": Argument(5, 2, 20),
            "largest_sample": Argument(50_000, 1_000, 1_000_000),
            "largest_confidence": Argument(0.07, 0.0, 1.0),
        },
    ),
    "label_share": CatalogueRule(
        scope=Scope.TABLE,
        expected="each label in {minimum_percent} to {maximum_percent} % of the rows",
        requirement="A label that is very rare is not learned, and one that is nearly everywhere is guessed.",
        remedy="add rows with the labels named, or merge them with others",
        severity=_WARNING,
        forms=LABELLED,
        arguments={
            "minimum_percent": Argument(0.5, 0.0, 100.0),
            "maximum_percent": Argument(95.0, 0.0, 100.0),
        },
    ),
    "rows_per_label": CatalogueRule(
        scope=Scope.TABLE,
        expected="at least {train} rows of each label in train, {tune} in tune, {gate} in gate and {reserve} "
        "in reserve",
        requirement="With too few rows of a label nothing can be learned or said about it.",
        remedy="add rows with the labels named, or merge them with others",
        severity=_WARNING,
        forms=LABELLED,
        arguments={
            "train": Argument(8, 0, 1e9),
            "tune": Argument(1, 0, 1e9),
            "gate": Argument(5, 0, 1e9),
            "reserve": Argument(0, 0, 1e9),
        },
    ),
    "enough_rows": CatalogueRule(
        scope=Scope.TABLE,
        expected="at least {rows} rows to train on, and {rows_per_label} for each label",
        requirement="From fewer rows a model learns the form of an answer at best: published work reaches a "
        "task's form with about 100 rows and its quality with about 1,000 chosen ones (LIMA, 2023); a "
        "classifier needs tens of rows a label (SetFit, 2022).",
        remedy="collect more rows, or expect the form of the answers and not more",
        severity=_WARNING,
        arguments={"rows": Argument(100, 1, 1e9), "rows_per_label": Argument(20, 0, 1e9)},
    ),
    "label_drift": CatalogueRule(
        scope=Scope.TABLE,
        expected="labels as in the last accepted snapshot: population stability index at most {largest}, or "
        "no more than chance (p above {alpha})",
        requirement="A model trained on another mixture of labels is another model.",
        remedy="find out what changed at the source; accept it, or sample as before",
        severity=_WARNING,
        forms=LABELLED,
        arguments={"largest": Argument(0.2, 0.0, 100.0), **_ALPHA},
    ),
    "length_drift": CatalogueRule(
        scope=Scope.TABLE,
        expected="lengths as in the last accepted snapshot: Kolmogorov-Smirnov distance at most {largest}, "
        "or no more than chance (p above {alpha})",
        requirement="Rows of other lengths are often rows of another source.",
        remedy="find out what changed at the source",
        severity=_WARNING,
        arguments={"largest": Argument(0.1, 0.0, 1.0), **_ALPHA},
    ),
    "vocabulary_drift": CatalogueRule(
        scope=Scope.TABLE,
        expected="words as in the last accepted snapshot: Jensen-Shannon distance at most {largest} beyond "
        "chance, or no more than chance (p above {alpha})",
        requirement="Other words mean other subjects.",
        remedy="find out what changed at the source",
        severity=_WARNING,
        arguments={"largest": Argument(0.05, 0.0, 1.0), **_ALPHA},
    ),
    "two_sample_drift": CatalogueRule(
        scope=Scope.TABLE,
        expected="rows that a classifier cannot tell from the last accepted snapshot's: area under its ROC "
        "curve at most {largest}, or no more than chance (p above {alpha})",
        requirement="What a classifier can tell apart differs (Lopez-Paz and Oquab, 2017); 0.55 speaks for a "
        "tenth of the rows at least.",
        remedy="find out what changed at the source",
        severity=_WARNING,
        arguments={"largest": Argument(0.55, 0.5, 1.0), **_ALPHA},
    ),
}

NEEDS_EARLIER = frozenset(
    {"seen_in_earlier_gate", "label_drift", "length_drift", "vocabulary_drift", "two_sample_drift"}
)
"""Rules that hold new rows against earlier snapshots, and without one have nothing to say."""

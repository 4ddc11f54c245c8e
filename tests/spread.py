"""How the tests are spread over processes: by file, the longest first, so that all of them end together."""

from typing import Any

from xdist.scheduler.loadscope import LoadScopeScheduling

LONGEST_FIRST = (
    "tests/examples/test_syllables.py",
    "tests/flows/operating/test_in_the_browser.py",
    "tests/recovery/test_kills.py",
    "tests/flows/operating/test_up_and_down.py",
    "tests/recovery/test_server_lost.py",
    "tests/recovery/test_cancelling.py",
    "tests/evidence/test_tampering.py",
    "tests/tasks/training/test_survival.py",
    "tests/flows/test_decisions.py",
    "tests/tasks/stages/test_processes.py",
    "tests/flows/test_recovery.py",
    "tests/examples/test_trec6.py",
    "tests/tasks/training/methods/test_methods.py",
    "tests/flows/test_bad_input.py",
    "tests/flows/test_retrain.py",
    "tests/flows/test_registry.py",
    "tests/flows/test_on_drift.py",
    "tests/flows/test_permits.py",
    "tests/tasks/data/test_fuzz.py",
    "tests/flows/test_redact.py",
    "tests/flows/test_methods.py",
    "tests/flows/test_completion.py",
    "tests/tasks/training/test_fit.py",
    "tests/tasks/evidence/ledger/test_book.py",
    "tests/tasks/training/test_forecast_shapes.py",
    "tests/flows/test_one_run.py",
    "tests/tasks/data/test_contract.py",
)
"""Files of a quarter of a minute and more. One that is missing here costs some idle time in the end."""

TOGETHER = {
    "tests/evidence/test_redacted.py": "tests/evidence/test_tampering.py",
    "tests/flows/operating/test_served_runs.py": "tests/flows/operating/test_in_the_browser.py",
    "tests/flows/operating/test_nightly.py": "tests/flows/operating/test_up_and_down.py",
    "tests/recovery/test_died_runs.py": "tests/recovery/test_cancelling.py",
    "tests/flows/test_notifications.py": "tests/flows/test_registry.py",
    "tests/flows/test_export.py": "tests/flows/test_redact.py",
    "tests/flows/test_model_card.py": "tests/flows/test_redact.py",
}
"""Files that look at the same real run or server, which each process would otherwise make for itself."""


def rank(nodeid: str) -> int:
    """When the test's turn comes: lower is earlier."""
    file = _unit(nodeid)
    return LONGEST_FIRST.index(file) if file in LONGEST_FIRST else len(LONGEST_FIRST)


def _unit(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    return TOGETHER.get(file, file)


class ByFile(LoadScopeScheduling):
    """The tests of a file go to one process, and files in the order in which they were collected."""

    def __init__(self, config: Any, log: Any) -> None:
        super().__init__(config, log)
        # Otherwise files of many tests would come first, however short.
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return _unit(nodeid)

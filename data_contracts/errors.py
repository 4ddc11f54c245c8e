"""Every exception lorafirst raises on purpose, in one place.

Each class also inherits the standard-library exception a caller would expect, so that
``except ValueError`` around a settings file keeps working for somebody who has never read this page.
"""

from collections.abc import Iterable

from data_contracts.records.base import Record


class Problem(Record):
    """One thing that is wrong with what a user gave us, and what to do about it."""

    where: str
    """File and row, or file, line and key: enough to open the place in an editor."""
    expected: str
    """What would have been accepted there."""
    found: str
    """What stands there; texts of the user's data are shortened, never quoted whole."""
    remedy: str
    """The next step, in the imperative."""

    def __str__(self) -> str:
        return (
            f"{self.where}\n    expected: {self.expected}\n    found:    {self.found}\n"
            f"    to do:    {self.remedy}"
        )


class LorafirstError(Exception):
    """Base of all of them; the command line prints these without a traceback."""


def one_line(error: BaseException, most: int = 300) -> str:
    """What ``error`` says in one line, at most so many characters of it, or else what it is."""
    return " ".join(str(error).split())[:most] or type(error).__name__


class InputError(LorafirstError, ValueError):
    """What the user gave cannot be used. Carries every problem found, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @classmethod
    def single(cls, where: str, *, expected: str, found: str, remedy: str) -> "InputError":
        return cls([Problem(where=where, expected=expected, found=found, remedy=remedy)])


class TrainingDivergedError(LorafirstError, ArithmeticError):
    """The loss or a gradient became NaN or infinite, or the loss exploded. The message names the step."""


class TrainingMemoryError(LorafirstError, MemoryError):
    """Training does not fit into memory, one row at a time or because of its optimizer."""


class ArtifactUnwrittenError(LorafirstError, OSError):
    """A trained model could not be written, for example because the disk is full."""


class TrainingStopped(KeyboardInterrupt):
    """Somebody asked the process to end while it trained. The message says where it goes on.

    No ``LorafirstError``, because nothing went wrong, and no ``Exception``, so that neither a retry nor a
    remedy takes it for a failure of the training.
    """

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number

    @property
    def exit_code(self) -> int:
        """128 and the number of the signal, as shells have it: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.signal_number


class ServerLostError(LorafirstError, ConnectionError):
    """The Prefect server that a run reports to no longer answers. The message says where the run goes on."""


class PairingError(LorafirstError, ValueError):
    """Scores of different rows were about to be compared row by row."""


class PermitRefusedError(LorafirstError, PermissionError):
    """Something asked to update base weights without a permit that covers exactly that."""


class LookRefusedError(LorafirstError, PermissionError):
    """Rows that only gates may touch were to be scored without a registration of what will be decided."""


class PromotionRefusedError(LorafirstError, PermissionError):
    """Something that no run accepted, or whose dossier does not verify, was to be promoted. Carries every
    fault found, not only the first."""

    def __init__(self, what: str, faults: Iterable[str], *, remedy: str) -> None:
        self.faults = tuple(faults)
        told = "\n".join(f"  - {fault}" for fault in self.faults)
        super().__init__(f"{what} cannot be promoted:\n{told}\n  to do: {remedy}")


class RegistryError(LorafirstError, OSError):
    """The registry of models cannot be read or written."""

    def __init__(self, where: str, *, found: str, remedy: str) -> None:
        super().__init__(f"registry {where}\n    found:    {found}\n    to do:    {remedy}")


class ArtifactDamagedError(LorafirstError, OSError):
    """A stored artifact no longer has the content its evidence names."""


class ProcessesFailedError(LorafirstError, ChildProcessError):
    """One of several processes that train together ended without saying why."""


class BrokenOffError(LorafirstError, ChildProcessError):
    """A process that worked for the run was killed. Nothing that it did was at fault, so the run may go on by
    itself."""


class EnvelopeRefusedError(LorafirstError, PermissionError):
    """A signed statement does not hold. Carries every fault found, not only the first."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("The envelope was refused:\n" + "\n".join(f"  - {fault}" for fault in self.faults))


class LedgerError(LorafirstError, OSError):
    """The ledger cannot be read or written. Whoever was about to act on an entry must not."""

    def __init__(self, where: str, *, found: str, remedy: str) -> None:
        super().__init__(f"ledger {where}\n    found:    {found}\n    to do:    {remedy}")

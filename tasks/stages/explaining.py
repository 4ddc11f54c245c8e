"""The explanation of a run that has just ended: a page in its dossier, and Markdown in the UI."""

from data_contracts.records.decision import RunReport
from tasks.audit.explanation import explain_dossier
from tasks.audit.report_page import REPORT_PAGE, report_page
from tasks.evidence.dossier import Dossier
from tasks.evidence.environment import package_versions
from tasks.stages.artifacts import show_explanation


def explain_ended(dossier: Dossier, report: RunReport) -> None:
    """To be called before the manifest is written, which then covers the page too."""
    explanation = explain_dossier(dossier, report)
    version = package_versions(("lorafirst",))["lorafirst"]
    dossier.write_page(REPORT_PAGE, report_page(explanation, version=version))
    show_explanation(explanation)

"""What explains a run that has just ended: a page and a model card in its dossier, Markdown in the UI."""

from data_contracts.records.decision import RunReport
from tasks.audit.accepted import read_accepted
from tasks.audit.explanation import explain_dossier
from tasks.audit.model_card import MODEL_CARD, model_card
from tasks.audit.report_page import REPORT_PAGE, report_page
from tasks.evidence.dossier import Dossier
from tasks.evidence.environment import package_versions
from tasks.stages.artifacts import show_explanation


def explain_ended(dossier: Dossier, report: RunReport) -> None:
    """To be called before the manifest is written, which then covers page and card too."""
    explanation = explain_dossier(dossier, report)
    version = package_versions(("lorafirst",))["lorafirst"]
    dossier.write_page(REPORT_PAGE, report_page(explanation, version=version))
    accepted = read_accepted(dossier, report)
    if accepted is not None:
        dossier.write_page(MODEL_CARD, model_card(accepted))
    show_explanation(explanation)

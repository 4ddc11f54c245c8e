"""What was asked: settings, policy, run and base are the ones that the decisions name."""

from collections.abc import Iterator

from data_contracts.records.base import digest_file, digest_json
from data_contracts.records.verification import Check, FoundFault
from tasks.audit.verify.held import BASE, Held
from tasks.evidence.dossier import REPORT, REQUEST


def request_faults(held: Held) -> Iterator[FoundFault]:
    request, settings = held.request, held.settings
    if request is None:
        return
    if settings is not None and digest_json(settings.json_value()) != request.settings_digest:
        yield _fault(REQUEST, "its settings do not have the digest that stands beside them")
    told = digest_file(held.folder / REQUEST)
    for each in held.decisions:
        decision, inputs = each.decision, each.record.inputs
        if decision.run_id != request.run_id:
            yield _fault(each.file, f"it is of the run {decision.run_id}, and this is {request.run_id}")
        if held.policy is not None and decision.policy != held.policy.digest():
            yield _fault(
                each.file, f"it was made under another policy ({decision.policy}) than was asked for"
            )
        if inputs.request != told:
            yield _fault(each.file, f"it was made for a request with the digest {inputs.request}, not {told}")
        if each.record.requested_by != request.requested_by:
            yield _fault(
                each.file, f"it names {each.record.requested_by} as who asked, not {request.requested_by}"
            )
        if each.record.environment != request.environment:
            yield _fault(each.file, "it names other code, versions or another machine than the request")
        if held.base is not None and inputs.base_model != held.base.identity():
            yield _fault(each.file, f"it is about the base {inputs.base_model}, not that of {BASE}")
    if held.base is None and len(held.decisions) > 0:
        yield _fault(BASE, "it is not there, or cannot be read")
    if held.report is not None and held.report.run_id != request.run_id:
        yield _fault(REPORT, f"it is of the run {held.report.run_id}, and this is {request.run_id}")


def _fault(where: str, what: str) -> FoundFault:
    return FoundFault(check=Check.REQUEST, where=where, what=what)

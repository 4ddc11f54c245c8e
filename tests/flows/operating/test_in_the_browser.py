"""A person at Prefect's UI: fills in the form, watches, reads the decisions, answers, sees the outcome."""

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from flows.remind import REMINDER
from tests.flows.conftest import ESCALATES, REFERENCE
from tests.flows.operating.conftest import Served, form_settings
from tests.flows.planted import written

pytestmark = pytest.mark.slow
playwright = pytest.importorskip("playwright.sync_api")

_RUN_MILLISECONDS = 240_000


@dataclass(frozen=True)
class Browser:
    """A page of somebody who is logged in."""

    page: Any
    served: Served
    pictures: Path

    def go(self, place: str) -> None:
        self.page.goto(f"{self.served.url}/v2{place}")

    def picture(self, name: str) -> None:
        self.page.screenshot(path=self.pictures / f"{name}.png", full_page=True)

    def field(self, name: str, order: int = 0) -> Any:
        """The control that belongs to the ``order``-th label of this name."""
        label = self.page.locator("label").filter(has_text=re.compile(rf"^{re.escape(name)}$")).nth(order)
        # Whatever is filled in may give the others new ids.
        return self.page.locator(f'[id="{label.get_attribute("for")}"]')

    def write(self, name: str, value: object) -> None:
        """Fills in a whole part as JSON."""
        label = self.page.locator("label").filter(has_text=re.compile(rf"^{re.escape(name)}$")).first
        label.locator("xpath=../..").get_by_role("button", name="Open menu").first.click()
        self.page.get_by_role("menuitem", name="Use JSON Input").click()
        text = json.dumps(value)
        for _ in range(5):
            editor = self.field(name).locator(".cm-content")
            editor.click()
            # What was filled in before may still be on its way into the editor.
            self.page.keyboard.press("ControlOrMeta+a")
            self.page.keyboard.insert_text(text)
            self.page.wait_for_timeout(200)
            if editor.inner_text() == text:
                return
        raise AssertionError(f"the editor of {name} holds {editor.inner_text()!r}")

    def choose(self, name: str, option: str) -> None:
        self.field(name).click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def open_form(self, deployment: str) -> None:
        self.go("/deployments")
        self.page.get_by_role("link", name=deployment, exact=True).first.click()
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Custom run").click()
        self.page.get_by_role("button", name="Submit").wait_for()

    def submit(self) -> str:
        """Starts what is filled in, and shows it; the id of the flow run."""
        for _ in range(3):
            with self.page.expect_response("**/create_flow_run") as answer:
                self.page.get_by_role("button", name="Submit").click()
            if answer.value.status != HTTPStatus.SERVICE_UNAVAILABLE:
                break  # on a busy machine SQLite is sometimes locked; clients try again, and so do people
        assert answer.value.ok, answer.value.text()
        run = str(answer.value.json()["id"])
        self.go(f"/runs/flow-run/{run}")
        return run

    def see(self, text: str, *, within: float = 20_000) -> None:
        self.page.get_by_text(text, exact=True).first.wait_for(timeout=within)

    def open_artifact(self, run: str, key: str) -> None:
        """As a person finds it: the run, its artifacts, the one of this key, that of this run."""
        self.go(f"/runs/flow-run/{run}")
        self.page.get_by_role("tab", name="Artifacts").click()
        self.page.locator(f'a[href$="/artifacts/key/{key}"]').first.click()
        of_run = {"flow_run_id": {"any_": [run]}, "key": {"any_": [key]}}
        (mine, *_) = self.served.ask("/artifacts/filter", {"artifacts": of_run})
        self.page.locator(f'a[href$="/artifacts/artifact/{mine["id"]}"]').first.click()
        self.page.get_by_role("tab", name="Raw").wait_for()


@pytest.fixture(scope="module")
def browser(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        if os.environ.get("CI"):
            raise FileNotFoundError("no chromium to test with")
        pytest.skip("no chromium to test with")
    with playwright.sync_playwright() as driver:
        options = ["--headless", "--no-sandbox", "--disable-gpu"]
        chromium = driver.chromium.launch(executable_path=program, args=options)
        page = chromium.new_page(viewport={"width": 1400, "height": 1000})
        # Kept with pytest's other output, or where whoever runs the tests wants them.
        kept = os.environ.get("LORAFIRST_SCREENSHOTS")
        pictures = Path(kept) if kept else tmp_path_factory.mktemp("screenshots")
        shown = Browser(page, served, pictures)
        shown.go("/deployments")
        page.locator("input").first.fill(served.credentials)
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"/v2/(?!login)"))
        yield shown
        chromium.close()


@pytest.fixture(scope="module")
def waiting(browser: Browser, served: Served) -> str:
    """A flow run from the form, whose shortfall a person has to answer for."""
    browser.open_form("finetune")
    browser.field("name").fill("from-the-form")
    browser.choose("task", "classification")
    browser.field("source").fill("./minilm")
    browser.field("source", 1).fill("rows.jsonl")
    asks = {"margin": 0.0, "escalation": {"approval": "recorded"}}
    asked = form_settings(policy={**ESCALATES, **asks}, full=REFERENCE)
    browser.write("policy", asked["policy"])
    asked["compute"] = {"full_on": "train-full/train-full"}
    for part in ("splits", "pilot", "training", "full", "compute"):
        browser.write(f"{part} (Optional)", asked[part])
    browser.picture("1-form")
    run = browser.submit()
    browser.see("Running", within=_RUN_MILLISECONDS)
    browser.picture("2-running")
    browser.see("AwaitingApproval", within=_RUN_MILLISECONDS)
    browser.picture("3-awaiting-approval")
    return run


def dossier_of(browser: Browser, run: str) -> Path:
    """Where the decision table says that it is."""
    browser.open_artifact(run, "decisions")
    place = browser.page.locator("p").filter(has_text="Dossier:").locator("code")
    return Path(place.inner_text())


def test_what_a_person_sees_of_a_run_from_the_form(browser: Browser, served: Served, waiting: str) -> None:
    sent = served.ask(f"/flow_runs/{waiting}")["parameters"]["settings"]
    assert sent["name"] == "from-the-form" and sent["seed"] == 17

    dossier = dossier_of(browser, waiting)
    assert dossier.is_relative_to(served.folder / "runs")
    browser.see("escalation")
    browser.picture("4-decisions")
    browser.open_artifact(waiting, "curve-pilot-1-lora-r8")
    curve = browser.page.locator('img[src^="data:image/svg+xml"]')
    curve.wait_for()
    assert curve.evaluate("image => image.naturalWidth") > 100
    browser.picture("5-learning-curve")
    browser.open_artifact(waiting, "pilot-1-lora-r8-progress")
    browser.picture("6-progress")
    browser.page.goto((dossier / "report.html").as_uri())
    assert "from-the-form" in browser.page.locator("body").inner_text()
    browser.picture("7-report")


def test_who_waits_is_brought_to_mind(browser: Browser, served: Served, waiting: str) -> None:
    dossier = dossier_of(browser, waiting)
    assert served.run("remind/remind", {})["state"]["type"] == "COMPLETED"
    deadline = time.monotonic() + 30
    named: list[str] = []
    while not named and time.monotonic() < deadline:
        events = served.ask("/events/filter", {"filter": {"event": {"name": [REMINDER]}}})["events"]
        named = [event["resource"]["lorafirst.run"] for event in events]
        time.sleep(0.5)
    assert named == [dossier.name]
    assert gone_on(served, dossier) == []


def test_an_empty_answer_is_a_denial(browser: Browser, served: Served, waiting: str) -> None:
    dossier = dossier_of(browser, waiting)
    browser.open_form("approve")
    browser.field("run").fill(dossier.name)
    browser.choose("reply (Optional)", "approve")
    browser.submit()
    browser.see("Denied", within=_RUN_MILLISECONDS)
    assert outcome_after(served, dossier) == "EscalationDenied"


def test_a_person_approves_with_a_reason_and_sees_the_outcome(
    browser: Browser, served: Served, waiting: str
) -> None:
    """The last answer counts, and the run goes on to full fine-tuning, which turns out not to be worth it."""
    dossier = dossier_of(browser, waiting)
    browser.open_form("approve")
    browser.field("run").fill(dossier.name)
    browser.field("name (Optional)").fill("Ada")
    browser.field("reason (Optional)").fill("launch in May")
    browser.choose("reply (Optional)", "approve")
    browser.picture("8-answer")
    browser.submit()
    browser.see("Approved", within=_RUN_MILLISECONDS)
    assert outcome_after(served, dossier) == "FullUnjustified"
    asked = served.ask("/flow_runs/filter", {"flows": {"name": {"any_": ["train-full"]}}})
    trained = [run for run in asked if run["parameters"]["run"].startswith("from-the-form-")]
    assert [run["work_pool_name"] for run in trained] == ["lorafirst-full"]
    assert [run["state"]["type"] for run in trained] == ["COMPLETED"]
    went_on = gone_on(served, dossier)[-1]["id"]
    browser.open_artifact(went_on, "decisions")
    browser.see("Ada allowed it (recorded, not signed): launch in May")
    browser.picture("9-outcome")


def gone_on(served: Served, dossier: Path) -> list[dict[str, Any]]:
    """The flow runs that went on with the run, oldest first."""
    runs = served.ask("/flow_runs/filter", {"sort": "EXPECTED_START_TIME_ASC"})
    return [run for run in runs if str(run["idempotency_key"]).startswith(f"{dossier.name}:")]


def outcome_after(served: Served, dossier: Path) -> str:
    """How the newest of them ended."""
    deadline = time.monotonic() + _RUN_MILLISECONDS / 1000
    while time.monotonic() < deadline:
        run = gone_on(served, dossier)[-1]
        if run["state"]["type"] not in ("SCHEDULED", "PENDING", "RUNNING"):
            return str(run["state"]["name"])
        time.sleep(0.5)
    raise AssertionError(f"the run that went on has not ended: {run['state']}")


def test_no_secret_was_written_anywhere(served: Served, waiting: str) -> None:
    """Neither by the runs above nor by the server and its workers, their database included."""
    assert written([served.folder, served.state]) == []
    assert (served.state / "prefect.db").exists() and list(served.folder.glob("runs/*/report.html"))

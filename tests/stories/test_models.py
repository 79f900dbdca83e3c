"""Pages optimised by a model behind an endpoint: from the settings to what is paid, kept and told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from edge.workerd import needs_workerd
from kit import PROJECT, Site
from remote import made

sys.path.insert(0, str(Path(__file__).parents[1] / "processing/optimise"))

from chat import KEY, Chat, Question, changes, completion, error, served
from loopback import nobody

if TYPE_CHECKING:
    from collections.abc import Iterator

PRICES = "input_price = 1.0\noutput_price = 10.0\n"


def better(question: Question) -> dict[str, Any]:
    """Improve the page's first text; each answer costs a cent."""
    return completion(changes(("block-0", f"Better: {question.text('block-0')}")), usage=(2000, 800))


@pytest.fixture
def chat() -> Iterator[Chat]:
    with served(better) as chat:
        yield chat


def site_of(folder: Path, chat: Chat, *names: str, more: str = "", model: str = "m-1") -> Site:
    chosen = f'base_url = "{chat.url}"\nmodel = "{model}"\n{PRICES}{more}\n'
    return Site.with_pages(folder, *names, settings=f'[process]\noptimiser = "openai"\n[openai]\n{chosen}')


def cached(values: dict[str, Any]) -> list[str]:
    return [key for key in values if key.startswith("cache:")]


def test_a_site_is_optimised_by_a_model_and_no_content_is_paid_for_twice(tmp_path: Path, chat: Chat) -> None:
    site = site_of(tmp_path, chat, "a", "b", more='tone = "friendly"')
    site.publish()
    run = site.doit("nimbus:process", "--until-empty", "--json", NIMBUS_AI_KEY=KEY)
    assert run.status == 0, run.said
    assert (run.json["done"], run.json["changes"], run.json["spent"]) == (2, 2, 0.02)
    assert "Spent: $0.0200" in run.err
    assert {question.page["tone"] for question in chat.questions} == {"friendly"}
    assert site.store.page("dist/a.html")["optimization"]["model"] == "m-1"
    report = site.doit("nimbus:batch:report", "--json")
    assert all("Optimised by m-1" in str(page["log_entries"]) for page in report.json["pages"])
    assert len(cached(site.store.values)) == 2

    # All pages once more, and one that is new to the site but not to the model.
    site.page("b", "All about b.")
    site.publish("--force")
    again = site.doit("nimbus:process", "--until-empty", "--json", NIMBUS_AI_KEY=KEY)
    assert (again.status, again.json["done"], again.json["spent"], len(chat.asked)) == (0, 2, 0, 2)
    assert site.store.page("dist/a.html")["optimization"]["changes"] == 1
    written = b"".join(file.read_bytes() for file in (site / ".nimbus").rglob("*") if file.is_file())
    assert KEY.encode() not in written
    assert KEY not in run.said + report.said + again.said


def test_a_spent_cap_stops_the_run_and_the_next_one_goes_on(tmp_path: Path, chat: Chat) -> None:
    # An answer costs a cent, and could cost four beforehand.
    site = site_of(tmp_path, chat, *"abcde", more="spend_cap = 0.065\n")
    site.publish()
    queued = site.store.values[f"queue:{PROJECT}"]["items"]
    run = site.doit("nimbus:process", "--until-empty", NIMBUS_AI_KEY=KEY)
    assert run.status == 1, run.said
    (line,) = [line for line in run.out.splitlines() if "Stopped" in line]
    assert "Spent $0.0300 of $0.0650 for this run" in line
    assert "[openai] spend_cap" in line
    assert (run.out.count("✅ Optimised"), "Failed: 0" in run.out, len(chat.asked)) == (3, True, 3)
    waiting = site.store.values[f"queue:{PROJECT}"]["items"]
    assert waiting == [entry for entry in queued if entry in waiting], "as they were: that was no try"
    assert len(waiting) == 2

    rest = site.doit("nimbus:process", "--until-empty", NIMBUS_AI_KEY=KEY)
    assert (rest.status, len(chat.asked), site.store.queue) == (0, 5, []), rest.said
    (batch,) = site.store.batches.values()
    assert (batch["status"], batch["summary"]["completed"]) == ("completed", 5)


@pytest.mark.parametrize(
    ("key", "words", "asked"),
    [("sk-wr0ng-key", "does not accept the key", True), ("", "NIMBUS_AI_KEY is not set", False)],
)
def test_a_key_that_is_wrong_or_missing_is_one_line_and_no_pages_fault(
    tmp_path: Path, chat: Chat, key: str, words: str, asked: bool
) -> None:
    site = site_of(tmp_path, chat, *"abcdefgh")
    if not key:
        text = (site / ".nimbus/project.toml").read_text().replace(chat.url, "https://api.example.com/v1")
        site.write(".nimbus/project.toml", text)
    site.publish()
    before = site.store.values[f"queue:{PROJECT}"]
    run = site.doit("nimbus:process", "--once", NIMBUS_AI_KEY=key)
    assert run.status == 2, run.said
    assert [words in line for line in run.out.splitlines() if "❌" in line and "Failed: 0" not in line] == [True]
    assert "sk-wr0ng-key" not in run.said
    assert bool(chat.asked) is asked
    assert site.store.values[f"queue:{PROJECT}"] == before
    assert {site.store.status(path) for path in site.store.pages} <= {"uploaded", "queued"}
    assert all(entry["step"] != "optimise" for path in site.store.pages for entry in site.store.log(path))


def test_where_nobody_listens_no_page_loses_a_try(tmp_path: Path, chat: Chat) -> None:
    site = site_of(tmp_path, chat, *"ab", more="retry_wait = 0.01\n")
    site.publish()
    before = site.store.values[f"queue:{PROJECT}"]
    with nobody() as url:
        text = (site / ".nimbus/project.toml").read_text().replace(chat.url, f"{url}/v1")
        site.write(".nimbus/project.toml", text)
        run = site.doit("nimbus:process", "--once")
    assert run.status == 2, run.said
    assert "connection refused. Check [openai] base_url." in run.out
    assert "2 pages left in the queue" in run.out
    assert site.store.values[f"queue:{PROJECT}"] == before


def test_a_run_that_only_puts_pages_back_has_done_nothing(tmp_path: Path) -> None:
    with served(lambda _: error(500)) as chat:
        site = site_of(tmp_path, chat, "good", "bad", more="tries = 1\n")
        site.publish()
        run = site.doit("nimbus:process", "--once", NIMBUS_AI_KEY=KEY)
    assert (run.status, run.out.count("⏳ Failed, retry in")) == (2, 2), run.said
    assert "2 pages left in the queue" in run.out


def test_money_beyond_the_cap_is_said_and_the_run_stops(tmp_path: Path) -> None:
    said = completion(changes(), usage=(100_000, 0))
    with served(lambda _: said) as chat:
        site = site_of(tmp_path, chat, *"abcdefgh", more="spend_cap = 0.05\nmax_tokens = 500\n")
        site.publish()
        run = site.doit("nimbus:process", "--until-empty", "--json", NIMBUS_AI_KEY=KEY)
    assert run.status == 1, run.said
    assert (run.json["overspent"] > 0, run.json["done"] == 1, "could cost" in run.json["stopped"]) == (True,) * 3
    assert "more than [openai] spend_cap allows" in run.err


@needs_workerd
def test_behind_a_gateway_answers_are_kept_on_this_machine(tmp_path: Path, chat: Chat) -> None:
    for target in made("gateway", tmp_path / "target"):
        site = site_of(tmp_path / "site", chat, "a", "b")
        for _ in range(2):
            assert site.doit("upload", "--force", **target.environment).status == 0
            run = site.doit("nimbus:process", "--until-empty", NIMBUS_AI_KEY=KEY, **target.environment)
            assert run.status == 0, run.said
        assert len(chat.asked) == 2
        assert (cached(target.holds().values), len(cached(site.store.values))) == ([], 2)

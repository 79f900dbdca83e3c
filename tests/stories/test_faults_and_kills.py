"""Uploads over a network that meet every fault and are killed at random moments: nothing is lost, nothing doubled.

`make test` makes one trial of each fault, `make soak` 200. What the trials once found is told below as a story of
its own, without chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import faulty
import pytest
from edge.fake import Fake
from edge.faults import Faults
from edge.workerd import Workerd, needs_workerd
from fault_table import FAULTS
from kit import PROJECT, Site, page_id
from remote import QUICK, USER, Cloudflare
from soak import SEED, run_trials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Faults in which no request gets as far as the proxy, or none is to blame.
NOT_OF_THE_PROXY = {"none", "no such name", "disk full"}
AT_THE_GATEWAY = ("none", "reset before", "reset after", "time-out")
GONE = "dist/c.html"


# --- trials -------------------------------------------------------------------------------------------


def make_trials(work: Path, target: str, *options: str, seconds: float = 590) -> list[dict[str, Any]]:
    made = run_trials(faulty.__file__, work, target, f"--seed={SEED}", *options, seconds=seconds)
    assert not [trial for trial in made if trial["wrong"]]
    return made


def check_that_faults_were_met(trials: list[dict[str, Any]], *faults: str) -> None:
    """Assert that the trials were what they are taken for."""
    assert {trial["fault"] for trial in trials} == set(faults)
    for fault in faults:
        of_it = [trial for trial in trials if trial["fault"] == fault]
        met = sum(trial["met"] for trial in of_it)
        assert bool(met) == (fault not in NOT_OF_THE_PROXY), fault
        failed = any(status > 0 for trial in of_it for status in (trial["first"], *trial["again"]))
        assert failed or met or fault in ("none", "disk full"), fault
    assert any(trial["first"] == -9 for trial in trials), "nothing was killed"


@pytest.mark.parametrize("part", range(2))
def test_a_trial_of_each_fault(tmp_path: Path, part: int) -> None:
    faults = list(FAULTS)[part::2]
    check_that_faults_were_met(make_trials(tmp_path, "cloudflare", "--trials=1", *faults), *faults)


@needs_workerd
def test_a_trial_of_some_faults_through_the_worker(tmp_path: Path) -> None:
    check_that_faults_were_met(make_trials(tmp_path, "gateway", "--trials=1", *AT_THE_GATEWAY), *AT_THE_GATEWAY)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(2))
def test_two_hundred_trials_of_each_fault(tmp_path: Path, part: int) -> None:
    trials = make_trials(tmp_path, "cloudflare", "--trials=200", f"--part={part}/2", seconds=3000)
    check_that_faults_were_met(trials, *FAULTS)


@pytest.mark.soak
@needs_workerd
@pytest.mark.parametrize("part", range(2))
def test_two_hundred_trials_through_the_worker(tmp_path: Path, part: int) -> None:
    trials = make_trials(
        tmp_path, "gateway", "--trials=200", f"--part={part}/2", *AT_THE_GATEWAY, "wrong JSON", seconds=3000
    )
    check_that_faults_were_met(trials, *AT_THE_GATEWAY, "wrong JSON")


# --- what they found ----------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.with_pages(tmp_path / "site", "a", "b", "c", settings=QUICK)


class Apart:
    """Cloudflare's API behind a proxy, with a namespace for each kind of record that a fault is to find."""

    def __init__(self, site: Site, fake: Fake, proxy: Faults) -> None:
        self.proxy = proxy
        self.target = Cloudflare(fake, proxy.url)
        site.settings("[target.namespaces]\n" + "\n".join(f'{name} = "{id_}"' for name, id_ in IDS.items()))

    def fail(self, namespace: str, **rule: Any) -> None:
        self.proxy.set([{"fault": "status", "status": 503, "method": "PUT", "path": IDS[namespace], **rule}])


IDS = {"NIMBUS_STATUS": "1" * 32, "NIMBUS_QUEUE": "2" * 32, "NIMBUS_PROJECTS": "3" * 32, "NIMBUS_PAGES": "4" * 32}


@pytest.fixture
def apart(site: Site, tmp_path: Path) -> Iterator[Apart]:
    with (
        Fake(namespaces=("f" * 32, *IDS.values())) as fake,
        Faults(fake.url, journal=tmp_path / "journal") as proxy,
    ):
        yield Apart(site, fake, proxy)


def test_a_record_that_came_cut_short_is_not_stored_in_place_of_the_whole_one(site: Site, apart: Apart) -> None:
    """A page whose source is gone keeps its record: it is read, and stored again without its digest."""
    environment = apart.target.environment
    assert site.doit("upload", **environment).status == 0
    before = apart.target.holds().page(GONE)
    site.remove(GONE)
    apart.proxy.set([{"fault": "wrong_json", "method": "GET", "path": "values/page"}])
    run = site.doit("upload", **environment)
    assert run.status == 1, run.said
    assert apart.target.holds().page(GONE) == before
    apart.proxy.set([])
    assert site.doit("upload", **environment).status == 0
    after = apart.target.holds()
    assert after.page(GONE) == before
    assert (after.status(GONE), after.page_metadata(GONE)["digest"]) == ("inactive", "")
    assert GONE not in after.queue


def test_counters_that_could_not_be_stored_keep_the_site_from_counting_as_published(site: Site, apart: Apart) -> None:
    apart.fail("NIMBUS_PROJECTS")
    run = site.doit("upload", **apart.target.environment)
    assert run.status == 1, run.said
    assert f"project:{PROJECT} could not be stored" in run.said
    apart.proxy.set([])
    assert site.doit("upload", **apart.target.environment).status == 0
    assert apart.target.holds().project["usage"]["total_pages"] == 3


def test_a_status_that_is_known_to_be_stored_is_not_sent_again(site: Site, apart: Apart) -> None:
    """Else a page might stand in the queue and its batch have it as failed."""
    apart.fail("NIMBUS_QUEUE")
    assert site.doit("upload", **apart.target.environment).status == 1
    apart.fail("NIMBUS_STATUS")
    run = site.doit("upload", **apart.target.environment)
    assert run.status == 0, run.said
    store = apart.target.holds()
    (batch,) = store.batches.values()
    assert {id_: page["status"] for id_, page in batch["pages"].items()} == {
        page_id(f"dist/{name}.html"): "uploaded" for name in "abc"
    }
    assert len(store.queue) == 3


@needs_workerd
def test_a_worker_whose_first_words_are_cut_short_is_not_taken_for_a_classic_one(site: Site, tmp_path: Path) -> None:
    with Workerd(tmp_path / "workerd") as workerd, Faults(workerd.url, journal=tmp_path / "journal") as proxy:
        environment = {
            "NIMBUS_TARGET": "gateway",
            "NIMBUS_WORKER_URL": proxy.url,
            "NIMBUS_API_KEY": workerd.new_key(USER),
        }
        assert site.doit("upload", **environment).status == 0
        site.remove(GONE)
        proxy.set([{"fault": "wrong_json", "path": "^/$", "count": 1}])
        assert site.doit("upload", **environment).status == 0
        assert site.sent() == {GONE: "removed"}

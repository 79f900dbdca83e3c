"""`examples/ci`: nothing is sent twice, and with a cache the store is not asked either."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from edge.fake import Fake
from example import EXAMPLES, environment, published
from github_runner import GitHub
from gitlab_runner import GitLab
from remote import Cloudflare
from repository import Repository
from saved_files import SavedFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PUBLISH = ".github/workflows/publish.yml"
CHECK = ".github/workflows/check.yml"
WITHOUT_CACHE = "without-cache/publish.yml"
PAGES = {f"dist/{name}.html" for name in ("index", "valves", "restoring")}
INVALID = "<main><p>No title</p></main>\n"


class Edge:
    """A server with Cloudflare's API that outlives the runners and counts requests."""

    def __init__(self, fake: Fake) -> None:
        self.target = Cloudflare(fake)
        self.machine = {"CLOUDFLARE_API_BASE_URL": fake.url}
        self.secret = {"CLOUDFLARE_API_TOKEN": fake.token}
        self.variables = {"CLOUDFLARE_ACCOUNT_ID": fake.account, "KV_NAMESPACE_ID": fake.namespace}
        self._fake = fake

    @property
    def published(self) -> dict[str, str]:
        return published(self.target.holds())

    def asked(self) -> dict[str, Any]:
        """Return the requests and the writes of keys since the last call."""
        counts = self._fake.counts()
        self._fake.reset()
        return {"requests": sum(counts["requests"].values()), "writes": counts["writes"]}


@pytest.fixture
def edge() -> Iterator[Edge]:
    with Fake() as fake:
        yield Edge(fake)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository("ci", tmp_path)


@pytest.fixture
def github(repository: Repository, edge: Edge, tmp_path: Path) -> GitHub:
    known = {f"vars.{name}": value for name, value in edge.variables.items()}
    known |= {f"secrets.{name}": value for name, value in edge.secret.items()}
    return GitHub(repository, SavedFiles(tmp_path / "cache"), tmp_path / "runners", known)


def change(repository: Repository) -> None:
    repository.example.edit("pages/valves.html", "Four thousand", "Five thousand")
    repository.commit("More valves")


def test_github_with_a_cache_sends_what_changed_and_does_not_ask_the_store(
    github: GitHub, edge: Edge, repository: Repository
) -> None:
    first = github.run(PUBLISH, **edge.machine)
    assert first.status == 0, first.said
    assert edge.published.keys() == PAGES
    assert "`dist/valves.html`" in first.summary
    assert edge.asked()["writes"] > 0

    again = github.run(PUBLISH, **edge.machine)
    assert again.status == 0, again.said
    assert edge.asked() == {"requests": 0, "writes": 0}

    # The cache does not restore older settings.
    repository.example.edit(".nimbus/project.toml", "www.example.com", "radios.example.com")
    change(repository)
    changed = github.run(PUBLISH, **edge.machine)
    assert changed.status == 0, changed.said
    assert "(1 changed, 2 unchanged)" in changed.said["Publish"].out
    assert "Five thousand" in edge.published["dist/valves.html"]
    assert "radios.example.com" in (changed.checkout / ".nimbus/project.toml").read_text()


def test_github_without_a_cache_asks_the_store_and_sends_what_changed(
    github: GitHub, edge: Edge, repository: Repository
) -> None:
    assert github.run(WITHOUT_CACHE, **edge.machine).status == 0
    assert edge.published.keys() == PAGES
    edge.asked()

    again = github.run(WITHOUT_CACHE, **edge.machine)
    assert again.status == 0, again.said
    asked = edge.asked()
    assert asked["writes"] == 0
    assert asked["requests"] > 0

    change(repository)
    changed = github.run(WITHOUT_CACHE, **edge.machine)
    assert "(1 changed, 2 unchanged)" in changed.said["Publish"].out
    assert "Five thousand" in edge.published["dist/valves.html"]


def test_github_saves_the_cache_when_a_page_is_invalid(github: GitHub, edge: Edge, repository: Repository) -> None:
    (repository.example / "pages/new.html").write_text(INVALID)
    repository.commit("A page without a title")

    checked = github.run(CHECK)
    assert checked.status == 1
    assert "::error file=dist/new.html" in checked.said["doit validate"].said
    assert edge.asked()["requests"] == 0

    assert github.run(PUBLISH, **edge.machine).status == 1
    assert edge.published.keys() == PAGES
    edge.asked()
    assert github.run(PUBLISH, **edge.machine).status == 1
    assert edge.asked()["writes"] == 0


def test_gitlab_checks_and_publishes_with_and_without_a_cache(
    repository: Repository, edge: Edge, tmp_path: Path
) -> None:
    variables = edge.variables | edge.secret | edge.machine
    gitlab = GitLab(repository, SavedFiles(tmp_path / "cache"), tmp_path / "runners", variables)
    jobs = gitlab.run()
    assert [job.status for job in jobs.values()] == [0, 0], jobs["check"].said
    assert json.loads(jobs["check"].reports["codequality"].read_bytes()) == []
    assert ElementTree.parse(jobs["check"].reports["junit"]).getroot().tag == "testsuites"
    assert edge.published.keys() == PAGES
    edge.asked()

    assert gitlab.run()["publish"].status == 0
    assert edge.asked() == {"requests": 0, "writes": 0}

    assert gitlab.run(cached=False)["publish"].status == 0
    assert edge.asked()["writes"] == 0

    (repository.example / "pages/new.html").write_text(INVALID)
    repository.commit("A page without a title")
    jobs = gitlab.run()
    assert jobs["check"].status == 1
    assert "publish" not in jobs
    (issue, *_) = json.loads(jobs["check"].reports["codequality"].read_bytes())
    assert "new.html" in issue["location"]["path"]


def test_pip_takes_the_requirements(tmp_path: Path) -> None:
    """It finds nothing to install here; the runners of these tests have a program that only looks."""
    command = ["pip", "install", "-r", "requirements.txt"]
    offline = environment(tmp_path, PIP_NO_INDEX="1", PIP_DISABLE_PIP_VERSION_CHECK="1")
    done = subprocess.run(command, cwd=EXAMPLES / "ci", env=offline, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Requirement already satisfied: nimbus-tasks" in done.stdout


@pytest.mark.parametrize(
    ("schema", "files"),
    [("github-workflows", [PUBLISH, CHECK, WITHOUT_CACHE]), ("gitlab-ci", [".gitlab-ci.yml"])],
)
def test_the_files_match_their_schemas(schema: str, files: list[str], tmp_path: Path) -> None:
    command = ["check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files]
    done = subprocess.run(
        command, cwd=EXAMPLES / "ci", env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout

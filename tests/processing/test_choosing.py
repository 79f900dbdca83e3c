"""Which optimiser the settings name, and what is said of settings that cannot work before anything is touched."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from backends.kv.memory import MemoryStore

from nimbus_tasks.backends.kv import Limits
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.records import ProjectSettings
from nimbus_tasks.processing.optimise.factory import OptimiserFactory
from nimbus_tasks.processing.optimise.rules import RulesOptimiser
from nimbus_tasks.project import settings as nimbus_settings

if TYPE_CHECKING:
    from pathlib import Path

    from nimbus_tasks.project.settings import Settings

HERE = 'base_url = "http://127.0.0.1:1/v1"'


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIMBUS_AI_KEY", raising=False)


def chosen(openai: str = HERE, more: str = "") -> Settings:
    text = f'[project]\nid = "proj_0123456789ab"\n[process]\noptimiser = "openai"\n[openai]\n{openai}\n{more}'
    return nimbus_settings.parse(text, {})


def name_of(settings: Settings, project: ProjectSettings | None = None) -> str:
    async def make() -> str:
        optimiser = await OptimiserFactory(settings)(MemoryStore(Limits(10, 1000, 10)), project or ProjectSettings())
        await optimiser.close()
        return optimiser.name

    return asyncio.run(make())


def test_rules_are_the_default_and_cost_nothing() -> None:
    settings = nimbus_settings.parse('[project]\nid = "proj_0123456789ab"\n', {})
    choice = OptimiserFactory(settings)
    made = asyncio.run(choice(MemoryStore(Limits(10, 1000, 10)), ProjectSettings(ai_model="m-2")))
    assert isinstance(made, RulesOptimiser)
    assert (choice.spent, choice.overspent) == (0, 0)


def test_the_model_is_the_settings_else_the_projects() -> None:
    assert name_of(chosen(f'{HERE}\nmodel = "m-1"'), ProjectSettings(ai_model="m-2")) == "m-1"
    assert name_of(chosen(), ProjectSettings(ai_model="m-2")) == "m-2"
    with pytest.raises(SettingsError, match=r"\[openai\] model is not set"):
        name_of(chosen(), ProjectSettings())


@pytest.mark.parametrize(
    ("openai", "words"),
    [
        ("", "NIMBUS_AI_KEY is not set: https://api.openai.com/v1 needs a key. Set it in the environment"),
        ('base_url = "http://api.example.com/v1"', "[openai] base_url: http://api.example.com/v1 is not encrypted"),
        ('base_url = "nowhere"', "[openai] base_url: `nowhere` is not an address"),
        (f"{HERE}\nspend_cap = 1", "[openai] spend_cap needs prices. Set input_price and output_price"),
    ],
)
def test_what_cannot_work_is_said_before_the_target_is_asked(openai: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        OptimiserFactory(chosen(openai))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("store", "here"), [("gateway", True), ("sqlite", False), ("cloudflare", False)])
def test_only_behind_a_gateway_answers_are_kept_on_this_machine(tmp_path: Path, store: str, here: bool) -> None:
    name_of(chosen(f'{HERE}\nmodel = "m"', f'[target]\nstore = "{store}"\n'))
    assert (tmp_path / ".nimbus/kv.db").exists() is here

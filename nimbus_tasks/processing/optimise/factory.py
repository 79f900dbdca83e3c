"""The optimiser that the settings name, and how much a run may spend on it.

Paid answers are cached in the target as `cache:` records. Not behind a gateway: it separates users by project, and
these records name none, so one user could read or plant another's answers. There the embedded store holds them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.backends.kv.open import open_store
from nimbus_tasks.project.settings import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.model.records import ProjectSettings
    from nimbus_tasks.processing.optimise import Optimiser
    from nimbus_tasks.processing.optimise.openai import StoreCache
    from nimbus_tasks.project.settings import Settings


class OptimiserFactory:
    """Makes optimisers that share one budget: a run makes a new one when it reconnects to its store."""

    def __init__(
        self,
        settings: Settings,
        say: Callable[[float, str], None] = lambda _seconds, _why: None,
        record: Callable[[Recorded], None] = lambda _: None,
    ) -> None:
        """Check everything that needs no connection. `say` receives waits, `record` requests.

        Raises:
            SettingsError: a setting or the key is missing.
        """
        self._settings, self._say, self._record = settings, say, record
        self._with_model = settings.process.optimiser == "openai"
        if self._with_model:
            from nimbus_tasks.processing.optimise import openai
            from nimbus_tasks.project.secrets import find_secret

            self._key = find_secret(openai.KEY, Path())
            openai.check(settings.openai, self._key)
            self._budget = openai.open_budget(settings.openai)

    @property
    def spent(self) -> float:
        """Dollars this run has spent, including on pages that failed."""
        return self._budget.spent if self._with_model else 0.0

    @property
    def overspent(self) -> float:
        """Dollars billed beyond [openai] spend_cap."""
        return self._budget.overspent if self._with_model else 0.0

    async def __call__(self, store: Store, project: ProjectSettings) -> Optimiser:
        """Return an optimiser for this target and project.

        Raises:
            SettingsError: neither the settings nor the project's record names a model.
            StoreError: the cache of answers cannot be opened.
        """
        if not self._with_model:
            from nimbus_tasks.processing.optimise.rules import RulesOptimiser

            return RulesOptimiser()
        from nimbus_tasks.processing.optimise.openai import OpenAIOptimiser

        chosen = self._settings.openai
        # `rules` is the default in a project's record: it names no model.
        default = project.ai_model if project.ai_model != "rules" else ""
        chosen = msgspec.structs.replace(chosen, model=chosen.model or default)
        cache = self._cache(store)
        return OpenAIOptimiser(chosen, self._key, cache, budget=self._budget, say=self._say, record=self._record)

    def _cache(self, store: Store) -> StoreCache:
        from nimbus_tasks.processing.optimise.openai import StoreCache

        if self._settings.target.store == "gateway":
            return StoreCache(open_store(Path(), Target(store="sqlite")), own=True)
        return StoreCache(store)

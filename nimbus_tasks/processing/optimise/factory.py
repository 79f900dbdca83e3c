"""Which optimiser a run has, by its settings, and what it may spend.

Answers of a model that were paid for are kept in the target, as `cache:` records. Not behind a gateway: its Worker
keeps the projects of many users apart, and these records have no project; one user could read the answers of another,
or plant some. There they are kept on this machine, in the embedded store's file.
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
    from nimbus_tasks.processing.optimise.openai import KeptInStore
    from nimbus_tasks.project.settings import Settings


class Choice:
    """Makes the optimiser that the settings name. A run that loses its store makes another one, for the same money."""

    def __init__(
        self,
        settings: Settings,
        say: Callable[[float, str], None] = lambda _seconds, _why: None,
        record: Callable[[Recorded], None] = lambda _: None,
    ) -> None:
        """Check all that can be known before the target is asked. `say` is told of waits, `record` of requests.

        Raises:
            SettingsError: the settings or the key are not enough.
        """
        self._settings, self._say, self._record = settings, say, record
        self._with_model = settings.process.optimiser == "openai"
        if self._with_model:
            from nimbus_tasks.processing.optimise import openai
            from nimbus_tasks.project.secrets import find_secret

            self._key = find_secret(openai.KEY, Path())
            openai.check(settings.openai, self._key)
            self._purse = openai.open_purse(settings.openai)

    @property
    def spent(self) -> float:
        """Dollars that the run has paid so far, also for pages that failed."""
        return self._purse.spent if self._with_model else 0.0

    @property
    def overspent(self) -> float:
        """Dollars that were billed beyond [openai] spend_cap."""
        return self._purse.overspent if self._with_model else 0.0

    async def __call__(self, store: Store, project: ProjectSettings) -> Optimiser:
        """Return the optimiser for this target, and for the project as its record there has it.

        Raises:
            SettingsError: no model is set, here or there.
            StoreError: what answers are kept in cannot be opened.
        """
        if not self._with_model:
            from nimbus_tasks.processing.optimise.rules import RulesOptimiser

            return RulesOptimiser()
        from nimbus_tasks.processing.optimise.openai import OpenAIOptimiser

        chosen = self._settings.openai
        # `rules` is what the record of a project says whose model nobody chose.
        told = project.ai_model if project.ai_model != "rules" else ""
        chosen = msgspec.structs.replace(chosen, model=chosen.model or told)
        kept = self._kept(store)
        return OpenAIOptimiser(chosen, self._key, kept, purse=self._purse, say=self._say, record=self._record)

    def _kept(self, store: Store) -> KeptInStore:
        from nimbus_tasks.processing.optimise.openai import KeptInStore

        if self._settings.target.store == "gateway":
            return KeptInStore(open_store(Path(), Target(store="sqlite")), own=True)
        return KeptInStore(store)

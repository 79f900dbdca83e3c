"""What all tests share: property tests that give the same answer on a slow machine as on a fast one."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("nimbus", deadline=None)
settings.load_profile("nimbus")

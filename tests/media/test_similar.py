"""Nearest neighbours, exact and approximate."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from nimbus_tasks.media.errors import MediaError
from nimbus_tasks.media.similar import Approximate, Scan, Similar, open_similar
from nimbus_tasks.media.values import Vector
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.settings import Embeddings


@pytest.fixture(params=["scan", "usearch"])
def similar(request: pytest.FixtureRequest) -> Similar:
    return open_similar(Embeddings(index=request.param))


def vectors(count: int, seed: int = 1) -> list[Vector]:
    return [Vector("m", row.tobytes()) for row in np.random.default_rng(seed).normal(size=(count, 32)).astype("<f4")]


def test_neighbours_are_those_of_a_plain_comparison_after_adding_replacing_and_removing(similar: Similar) -> None:
    known = {f"a{number}": each for number, each in enumerate(vectors(300))}
    for key, vector in known.items():
        similar.add(key, vector)
    for number, vector in enumerate(vectors(50, seed=2)):
        known[f"a{number * 3}"] = vector
        similar.add(f"a{number * 3}", vector)
    for number in range(0, 300, 7):
        del known[f"a{number}"]
        similar.remove(f"a{number}")
        similar.remove(f"a{number}")
    assert len(similar) == len(known)
    for asked in vectors(5, seed=3):
        question = np.frombuffer(asked.values, "<f4")
        cosines = {
            key: float(row @ question / np.linalg.norm(row) / np.linalg.norm(question))
            for key, row in ((key, np.frombuffer(each.values, "<f4")) for key, each in known.items())
        }
        expected = sorted(cosines, key=cosines.__getitem__, reverse=True)[:10]
        found = similar.nearest(asked)
        assert len(set(expected) & {key for key, _ in found}) >= (10 if isinstance(similar, Scan) else 8)
        for key, cosine in found:
            assert cosine == pytest.approx(cosines[key], abs=0.01)


def test_an_empty_index_has_no_neighbours_and_a_small_one_has_all(similar: Similar) -> None:
    one, other, third = vectors(3)
    assert similar.nearest(one) == []
    similar.add("a", one)
    similar.add("b", other)
    assert {key for key, _ in similar.nearest(third, 10)} == {"a", "b"}
    assert similar.nearest(third, 0) == []
    similar.remove("a")
    similar.remove("b")
    assert similar.nearest(third) == []


def test_vectors_of_other_models_are_refused(similar: Similar) -> None:
    similar.add("a", Vector.of("m", [1.0, 2.0]))
    for other in (Vector.of("n", [1.0, 2.0]), Vector.of("m", [1.0, 2.0, 3.0])):
        with pytest.raises(MediaError, match="does not compare"):
            similar.nearest(other)
    for nothing in (Vector.of("m", [0.0, 0.0]), Vector.of("m", [float("nan"), 1.0])):
        with pytest.raises(MediaError, match="no direction"):
            similar.add("b", nothing)
    assert len(similar) == 1


def test_a_missing_usearch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(SettingsError, match=r"pip install 'nimbus-tasks\[usearch\]'"):
        Approximate()

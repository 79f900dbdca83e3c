"""Embedders. The servers are on loopback and answer as the documents of the real ones have it (see `Replicate`)."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from loopback import Asked, Loopback, answer
from pictures import encoded
from PIL import Image, ImageFilter

from nimbus_tasks.media.embeddings import open_embedder
from nimbus_tasks.media.embeddings.descriptor import DIMENSIONS, SIDE, describe
from nimbus_tasks.media.embeddings.openai import OpenAIEmbedder, text_of
from nimbus_tasks.media.embeddings.remote import resets_in
from nimbus_tasks.media.embeddings.replicate import ReplicateEmbedder
from nimbus_tasks.media.errors import MediaError
from nimbus_tasks.media.values import Context, Encoded, Vector
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.secrets import Secret
from nimbus_tasks.project.settings import Embeddings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench import Bench

PICTURE = Encoded(b"RIFF....WEBP", "image/webp", 1, 1)
CONTEXT = Context("red_car-2.jpg", ("A red car",), ("Cars", "A red car"))


def cosine(one: Vector, other: Vector) -> float:
    a, b = (np.frombuffer(each.values, "<f4") for each in (one, other))
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


# --- the descriptor -----------------------------------------------------------------------------------


def scene(seed: int) -> Image.Image:
    """Return a picture of some coloured shapes."""
    chance = np.random.default_rng(seed)
    picture = Image.new("RGB", (320, 240), tuple(int(each) for each in chance.integers(0, 255, 3)))
    for _ in range(8):
        left, top, wide, high = (int(each) for each in chance.integers(20, 200, 4))
        colour = tuple(int(each) for each in chance.integers(0, 255, 3))
        picture.paste(colour, (left, top, left + wide, top + high))  # type: ignore[arg-type]
    return picture


def test_a_changed_picture_is_nearer_to_its_original_than_to_all_others(bench: Bench) -> None:
    embedder = open_embedder(Embeddings(), bench.workers)

    def embed(picture: Image.Image, form: str = "PNG", **options: Any) -> Vector:
        found: Vector = bench.run(embedder.embed(Encoded(encoded(picture, form, **options), "", 0, 0), Context()))
        return found

    originals = [embed(scene(seed)) for seed in range(8)]
    for seed, original in enumerate(originals):
        picture = scene(seed)
        for changed in (
            embed(picture.resize((200, 150)), "JPEG", quality=40),
            embed(picture.crop((12, 9, 308, 231))),
            embed(picture.filter(ImageFilter.GaussianBlur(2)).point(lambda value: min(255, int(value * 1.1)))),
        ):
            nearest = max(range(8), key=lambda other, changed=changed: cosine(changed, originals[other]))  # type: ignore[misc]
            assert nearest == seed
            assert cosine(changed, original) > 0.8
    assert embed(scene(3)) == originals[3]
    assert (originals[0].model, originals[0].dimensions) == ("nimbus-descriptor-1", DIMENSIONS)
    assert np.linalg.norm(np.frombuffer(originals[0].values, "<f4")) == pytest.approx(1, abs=1e-5)


def test_a_picture_of_one_colour_has_a_direction_of_its_own() -> None:
    red, blue, grey = (describe(bytes(colour) * SIDE * SIDE) for colour in ((255, 0, 0), (0, 0, 255), (90, 90, 90)))
    assert max(cosine(red, blue), cosine(red, grey), cosine(blue, grey)) < 0.1


# --- onnx ---------------------------------------------------------------------------------------------


def field(number: int, value: int | bytes) -> bytes:
    """Return one field of a protocol buffer; all numbers here are below 128."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    size = len(value)
    return bytes([number << 3 | 2]) + (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])) + value


def tensor(name: bytes, sides: tuple[int | bytes, ...]) -> bytes:
    """Return a ValueInfoProto of floats (onnx.proto)."""
    shape = b"".join(field(1, field(1, each) if isinstance(each, int) else field(2, each)) for each in sides)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def model(sides: tuple[int | bytes, ...] = (1, 3, 8, 8)) -> bytes:
    """Return an ONNX model that gives the mean of each channel: GlobalAveragePool, Flatten."""
    pool = field(1, b"x") + field(2, b"y") + field(4, b"GlobalAveragePool")
    flat = field(1, b"y") + field(2, b"z") + field(4, b"Flatten")
    graph = field(1, pool) + field(1, flat) + field(2, b"means")
    graph += field(11, tensor(b"x", sides)) + field(12, tensor(b"z", (1, 3)))
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))


def test_a_model_file_of_the_users_makes_the_vectors(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "means.onnx").write_bytes(model())
    settings = Embeddings(provider="onnx", model="means.onnx", mean=(0.5, 0.5, 0.5), deviation=(0.5, 0.5, 0.5))
    embedder = open_embedder(settings, bench.workers, tmp_path)
    picture = Encoded(encoded(Image.new("RGB", (40, 30), (255, 0, 128)), "PNG"), "image/png", 40, 30)
    vector = bench.run(embedder.embed(picture, Context()))
    assert np.frombuffer(vector.values, "<f4") == pytest.approx([1, -1, 0.004], abs=0.01)
    assert embedder.model.startswith("means@")
    assert vector.model == embedder.model
    for name, content, said in (
        ("none.onnx", None, "cannot be read: no such file"),
        ("text.onnx", b"no model", "is no ONNX model"),
        ("text.onnx", model((1, 1, 8, 8)), "does not take one picture"),
        ("text.onnx", model((1, 3, 8, 9)), "no square pictures"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(SettingsError, match=said):
            open_embedder(Embeddings(provider="onnx", model=name), bench.workers, tmp_path)


def test_onnx_names_what_is_missing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="model is not set"):
        open_embedder(Embeddings(provider="onnx"), bench.workers)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(SettingsError, match=r"pip install 'nimbus-tasks\[onnx\]'"):
        open_embedder(Embeddings(provider="onnx", model="a.onnx"), bench.workers)


# --- openai -------------------------------------------------------------------------------------------


def embed_text(reply: Callable[[Asked], bytes] | bytes, **settings: Any) -> tuple[Vector | MediaError, list[Asked]]:
    async def run() -> tuple[Vector | MediaError, list[Asked]]:
        async with Loopback(reply) as server:
            chosen = Embeddings(provider="openai", base_url=f"{server.url}/v1", **settings)
            embedder = OpenAIEmbedder(chosen, Secret("sk-5ecre7-key"))
            try:
                return await embedder.embed(PICTURE, CONTEXT), server.asked
            except MediaError as error:
                return error, server.asked
            finally:
                await embedder.close()

    return asyncio.run(run())


def listed(*numbers: object) -> bytes:
    body = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": list(numbers)}]}
    return answer(200, json.dumps(body).encode())


def test_texts_about_a_picture_become_a_vector() -> None:
    vector, asked = embed_text(listed(0.25, -1, 2), model="m-3", dimensions=3)
    assert vector == Vector("m-3/3", struct.pack("<3f", 0.25, -1, 2))
    (request,) = asked
    assert (request.method, request.target, request.headers["authorization"]) == (
        *("POST", "/v1/embeddings"),
        "Bearer sk-5ecre7-key",
    )
    assert json.loads(request.body) == {
        **{"model": "m-3", "input": "A red car\nCars\nred car 2", "dimensions": 3, "encoding_format": "float"},
    }


def test_a_picture_without_words_is_a_permanent_error_and_a_missing_key_one_of_settings() -> None:
    assert text_of(Context()) == ""
    embedder = OpenAIEmbedder(Embeddings(), Secret("k" * 20))
    with pytest.raises(MediaError, match="Nothing is known") as raised:
        asyncio.run(embedder.embed(PICTURE, Context()))
    assert raised.value.permanent
    with pytest.raises(SettingsError, match="NIMBUS_AI_KEY is not set"):
        OpenAIEmbedder(Embeddings(), None)


THROTTLED = b'{"detail":"Request was throttled. Your rate limit resets in ~30s."}'


@pytest.mark.parametrize(
    ("reply", "kind", "permanent", "wait"),
    [
        (answer(429, THROTTLED), "rate_limit", False, 30),
        (answer(429, THROTTLED, retry_after="7"), "rate_limit", False, 7),
        (answer(429, b'{"error":{"message":"no credit","code":"insufficient_quota"}}'), "quota", False, None),
        (answer(402, b"{}"), "quota", False, None),
        (answer(401, b'{"error":{"message":"bad key sk-5ecre7-key"}}'), "auth", False, None),
        (answer(404, b""), "auth", False, None),
        (answer(503, b"<html>", retry_after="3"), "server", False, 3),
        (answer(400, b'{"error":"too long"}'), "invalid", True, None),
        (answer(418, b""), "unknown", False, None),
        (answer(200, b"<html>"), "server", False, None),
        (answer(200, b'{"data":[]}'), "server", False, None),
        (listed(), "server", False, None),
        (listed("a"), "server", False, None),
        (listed(True), "server", False, None),
        (b"", "network", False, None),
    ],
)
def test_each_failure_has_a_class(reply: bytes, kind: str, permanent: bool, wait: float | None) -> None:
    error, _ = embed_text(reply)
    assert isinstance(error, MediaError)
    assert (error.kind, error.permanent, error.wait) == (kind, permanent, wait)
    assert "5ecre7" not in str(error)


def test_durations_in_messages() -> None:
    assert [resets_in(f"limit resets in {said}.") for said in ("~30s", "500ms", "~2m", "soon")] == [30, 0.5, 120, None]


# --- replicate ----------------------------------------------------------------------------------------


class Replicate:
    """Predictions as https://replicate.com/docs/topics/predictions has them (read in November 2026).

    POST /v1/predictions (with a version) or /v1/models/OWNER/NAME/predictions (official models) answers 201 with a
    prediction that is `starting`; GET urls.get answers `processing`, and then how it ended. 429 is answered as
    documented: {"detail": "Request was throttled. Your rate limit resets in ~30s."}. Files are data URLs. Webhooks and
    `Prefer: wait` are not used.
    """

    def __init__(self, ends: dict[str, Any], looks: int = 2, trouble: dict[int, bytes] | None = None) -> None:
        self.ends, self.looks, self.trouble = ends, looks, trouble or {}
        self.asked: list[Asked] = []

    def __call__(self, asked: Asked) -> bytes:
        self.asked.append(asked)
        if asked.headers.get("authorization") != "Bearer r8_5ecre7token":
            return answer(401, b'{"title":"Unauthenticated","detail":"You did not pass a valid token"}')
        if failing := self.trouble.get(len(self.asked)):
            return failing
        urls = {"get": "https://elsewhere.example/v1/predictions/p1", "cancel": ""}
        if asked.method == "POST":
            if not json.loads(asked.body)["input"]["image"].startswith("data:image/webp;base64,"):
                return answer(422, b'{"detail":"input: image is required"}')
            body = {"id": "p1", "status": "starting", "output": None, "error": None, "urls": urls}
            return answer(201, json.dumps(body).encode())
        self.looks -= 1
        said = {"status": "processing"} if self.looks > 0 else self.ends
        return answer(200, json.dumps({"id": "p1", "urls": urls} | said).encode())


def embed_there(server: Replicate, name: str = "openai/clip:abc123", **settings: Any) -> Vector | MediaError:
    async def run() -> Vector | MediaError:
        async with Loopback(server) as loopback:
            chosen = Embeddings(provider="replicate", model=name, base_url=f"{loopback.url}/v1", **settings)
            embedder = ReplicateEmbedder(chosen, Secret("r8_5ecre7token"), first_look=0.01)
            try:
                return await embedder.embed(PICTURE, CONTEXT)
            except MediaError as error:
                return error
            finally:
                await embedder.close()

    return asyncio.run(run())


@pytest.mark.parametrize("output", [[1, 2], [[1, 2]], {"embedding": [1, 2]}, [{"embedding": [1, 2], "input": "x"}]])
def test_a_prediction_is_created_and_polled(output: object) -> None:
    server = Replicate({"status": "succeeded", "output": output})
    assert embed_there(server) == Vector("openai/clip:abc123", struct.pack("<2f", 1, 2))
    assert [(each.method, each.target) for each in server.asked] == [
        *(("POST", "/v1/predictions"), ("GET", "/v1/predictions/p1"), ("GET", "/v1/predictions/p1")),
    ]
    image = base64.b64encode(PICTURE.data).decode()
    assert json.loads(server.asked[0].body) == {
        **{"version": "abc123", "input": {"image": f"data:image/webp;base64,{image}"}},
    }


def test_an_official_model_has_its_own_address() -> None:
    server = Replicate({"status": "succeeded", "output": [1, 2]})
    assert isinstance(embed_there(server, "google/siglip"), Vector)
    assert server.asked[0].target == "/v1/models/google/siglip/predictions"
    assert "version" not in json.loads(server.asked[0].body)


def test_trouble_while_polling_is_waited_out() -> None:
    trouble = {2: answer(429, THROTTLED, retry_after="0"), 3: answer(502, b""), 4: b""}
    server = Replicate({"status": "succeeded", "output": [1, 2]}, trouble=trouble)
    # Loopback ends a connection where it is to answer nothing.
    assert isinstance(embed_there(server), Vector)


@pytest.mark.parametrize(
    ("server", "kind", "wait", "said"),
    [
        (Replicate({}, trouble={1: answer(429, THROTTLED)}), "rate_limit", 30, "rate limit resets"),
        (Replicate({"status": "failed", "error": "CUDA out of memory"}), "server", None, "failed .CUDA"),
        (Replicate({"status": "canceled"}), "server", None, "has canceled"),
        (Replicate({"status": "succeeded", "output": "https://x/out.json"}), "server", None, "no vector"),
        (Replicate({}, trouble={2: answer(401, b"")}), "auth", None, "does not accept the key"),
        (Replicate({}, trouble={1: answer(201, b'{"status":"starting"}')}), "server", None, "no vector"),
    ],
    ids=["throttled", "failed", "canceled", "no vector", "key withdrawn", "no id"],
)
def test_what_goes_wrong_there_is_temporary(server: Replicate, kind: str, wait: float | None, said: str) -> None:
    error = embed_there(server)
    assert isinstance(error, MediaError)
    assert (error.kind, error.permanent, error.wait) == (kind, False, wait)
    with pytest.raises(MediaError, match=said):
        raise error


def test_a_prediction_that_never_ends_is_given_up() -> None:
    error = embed_there(Replicate({}, looks=10**6), timeout=0.1)
    assert isinstance(error, MediaError)
    assert (error.code, error.permanent) == ("timeout", False)


@pytest.mark.parametrize("name", ["", "clip", "a/b/c", "/b"])
def test_a_model_needs_an_owner_and_a_name(name: str) -> None:
    with pytest.raises(SettingsError, match="owner/name"):
        ReplicateEmbedder(Embeddings(model=name), Secret("r8_5ecre7token"))


@pytest.mark.parametrize("provider", ["replicate", "openai"])
def test_addresses_that_are_not_safe_are_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch, provider: Any) -> None:
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_5ecre7token")
    settings = Embeddings(provider=provider, model="a/b", base_url="http://api.example.com")
    with pytest.raises(SettingsError, match=r"\[embeddings\] base_url: .* is not encrypted"):
        open_embedder(settings, bench.workers)

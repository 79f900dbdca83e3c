"""An embedder that runs a model file of the user's: one input with a picture, one output with a vector.

The input must be a batch of pictures with three channels (1 x 3 x height x width) of floats, as CLIP's, DINO's and
most others' are exported.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nimbus_tasks.media.errors import MediaError
from nimbus_tasks.media.values import Context, Encoded, Vector
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.settings import PROJECT_FILE

if TYPE_CHECKING:
    from nimbus_tasks.media.images import ImageWorkers
    from nimbus_tasks.project.settings import Embeddings

#: Where a model takes any size.
DEFAULT_SIDE = 224
MOST_SIDE = 1024


class OnnxEmbedder:
    """Runs the model on one core at a time, in a thread."""

    def __init__(self, settings: Embeddings, images: ImageWorkers, root: Path = Path()) -> None:
        """Load the model.

        Raises:
            SettingsError: onnxruntime is not installed, or the file is no such model.
        """
        where = f"{PROJECT_FILE}: [embeddings] model"
        if not settings.model:
            raise SettingsError(f"{where} is not set.", "Set the path of an ONNX file.")
        try:
            import onnxruntime
        except ImportError:
            raise SettingsError("onnxruntime is not installed.", "Run: pip install 'nimbus-tasks[onnx]'") from None
        try:
            file = (root / settings.model).read_bytes()
        except OSError as error:
            raise SettingsError(
                f"{where}: {settings.model} cannot be read: {(error.strerror or '').lower()}."
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library's errors have no base of their own
            raise SettingsError(f"{where}: {settings.model} is no ONNX model ({type(error).__name__}).") from None
        inputs = self._session.get_inputs()
        shape = inputs[0].shape if len(inputs) == 1 else []
        if len(shape) != 4 or shape[1] != 3 or inputs[0].type != "tensor(float)":
            raise SettingsError(
                f"{where}: {settings.model} does not take one picture.",
                "Its only input must be float, 1 x 3 x height x width.",
            )
        self._input = inputs[0].name
        sides = {each if isinstance(each, int) else DEFAULT_SIDE for each in shape[2:]}
        self._side = sides.pop()
        if sides or not 0 < self._side <= MOST_SIDE:
            raise SettingsError(f"{where}: {settings.model} takes no square pictures up to {MOST_SIDE} pixels.")
        self._images, self._settings = images, settings
        # Another file of the same name has other vectors.
        self.model = f"{Path(settings.model).stem}@{hashlib.sha256(file).hexdigest()[:12]}"

    async def embed(self, picture: Encoded, _context: Context) -> Vector:
        pixels = await self._images.pixels(picture.data, self._side)
        return await asyncio.to_thread(self._embed, pixels)

    async def close(self) -> None:
        """Nothing is open."""

    def _embed(self, pixels: bytes) -> Vector:
        import numpy as np

        rgb = np.frombuffer(pixels, np.uint8).reshape(self._side, self._side, 3).astype(np.float32) / 255
        mean, deviation = (np.array(each, np.float32) for each in (self._settings.mean, self._settings.deviation))
        batch = np.ascontiguousarray(((rgb - mean) / deviation).transpose(2, 0, 1)[None])
        try:
            outputs: list[Any] = self._session.run(None, {self._input: batch})
        except Exception as error:  # the library's errors have no base of their own
            raise MediaError("model", f"The model fails with {type(error).__name__}.", kind="unknown") from None
        vector = np.asarray(outputs[0], np.float32).ravel()
        if not vector.size or not np.isfinite(vector).all():
            raise MediaError("model", "The model gives no vector of finite numbers.", kind="unknown")
        return Vector(self.model, vector.astype("<f4").tobytes())

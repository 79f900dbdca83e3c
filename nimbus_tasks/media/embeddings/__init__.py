"""Embedders: what makes a vector of a picture, or of what is known about it. [embeddings] provider names one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.media.images import ImageWorkers
    from nimbus_tasks.media.values import Embedder
    from nimbus_tasks.project.settings import Embeddings

#: Providers whose requests are limited to [embeddings] rate.
REMOTE = frozenset({"replicate", "openai"})


def open_embedder(
    settings: Embeddings,
    images: ImageWorkers,
    root: Path = Path(),
    record: Callable[[Recorded], None] = lambda _: None,
) -> Embedder:
    """Return the embedder that the settings name.

    Args:
        settings: of `[embeddings]`.
        images: decodes pictures for it.
        root: the project's folder, for files and credentials.
        record: receives requests.

    Raises:
        SettingsError: a setting, a key, a file or a library is missing.
    """
    match settings.provider:
        case "descriptor":
            from nimbus_tasks.media.embeddings.descriptor import DescriptorEmbedder

            return DescriptorEmbedder(images)
        case "onnx":
            from nimbus_tasks.media.embeddings.onnx import OnnxEmbedder

            return OnnxEmbedder(settings, images, root)
        case "replicate":
            from nimbus_tasks.media.embeddings.replicate import KEY, ReplicateEmbedder
            from nimbus_tasks.project.secrets import read_secret

            return ReplicateEmbedder(settings, read_secret(KEY, root), record)
        case "openai":
            from nimbus_tasks.media.embeddings.openai import KEY as OPENAI_KEY
            from nimbus_tasks.media.embeddings.openai import OpenAIEmbedder
            from nimbus_tasks.project.secrets import find_secret

            return OpenAIEmbedder(settings, find_secret(OPENAI_KEY, root), record)

"""The configuration of uploads from programs: from the environment, all mistakes are reported at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from msgspec import Struct

from nimbus_tasks.assets.webhook import SECRET, key_of
from nimbus_tasks.backends.blobs.open import PINATA_API, PINATA_GATEWAY, PINATA_PLANS, PINATA_UPLOADS
from nimbus_tasks.backends.http.addresses import check_address
from nimbus_tasks.backends.kv.open import CLOUDFLARE_API
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.environment import Environment
from nimbus_tasks.project.secrets import Secret, find_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

_ID = re.compile(r"[0-9a-f]{32}")
_PROJECT = re.compile(r"proj_[0-9a-f]{12}")
_YES, _NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


class PinataConfig(Struct, frozen=True, kw_only=True):
    """An account of Pinata.

    jwt: its token. group_id: of the group that files join; empty: none. plan: `free`, `picnic` or `fiesta`.
    """

    jwt: Secret
    group_id: str = ""
    plan: str = "free"
    upload_url: str = PINATA_UPLOADS
    api_url: str = PINATA_API
    gateway_url: str = PINATA_GATEWAY

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read PINATA_JWT, PINATA_GROUP_ID, PINATA_PLAN and the addresses.

        Raises:
            SettingsError: something is missing or malformed; the message names everything.
        """
        return _checked(cls._read, environment)

    @classmethod
    def _read(cls, reader: _Reader) -> Self:
        return cls(
            jwt=reader.secret("PINATA_JWT"),
            group_id=reader.text("PINATA_GROUP_ID"),
            plan=reader.choice("PINATA_PLAN", tuple(PINATA_PLANS), "free"),
            upload_url=reader.address("PINATA_UPLOAD_URL", PINATA_UPLOADS),
            api_url=reader.address("PINATA_API_URL", PINATA_API),
            gateway_url=reader.address("PINATA_GATEWAY_URL", PINATA_GATEWAY),
        )


class CloudflareKVConfig(Struct, frozen=True, kw_only=True):
    """A namespace of Cloudflare KV. account_id, namespace_id: 32 hex digits."""

    api_token: Secret
    account_id: str
    namespace_id: str
    api_url: str = CLOUDFLARE_API

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read CLOUDFLARE_API_TOKEN, CLOUDFLARE_ACCOUNT_ID, KV_NAMESPACE_ID and CLOUDFLARE_API_BASE_URL.

        Raises:
            SettingsError: something is missing or malformed; the message names everything.
        """
        return _checked(cls._read, environment)

    @classmethod
    def _read(cls, reader: _Reader) -> Self:
        return cls(
            api_token=reader.secret("CLOUDFLARE_API_TOKEN"),
            account_id=reader.matching("CLOUDFLARE_ACCOUNT_ID", _ID, "32 hex digits"),
            namespace_id=reader.matching("KV_NAMESPACE_ID", _ID, "32 hex digits"),
            api_url=reader.address("CLOUDFLARE_API_BASE_URL", CLOUDFLARE_API),
        )


class WebhookConfig(Struct, frozen=True, kw_only=True):
    """An address that is notified of each upload. secret: signs the requests, at least 16 bytes."""

    url: str
    secret: Secret


class UploadConfig(Struct, frozen=True, kw_only=True):
    """Where files go, where pointers are, and whether local files are deleted once both are confirmed.

    project_id: the project whose `asset:` records name the files; empty: no such records are written.
    webhook: is notified of each upload.
    """

    pinata: PinataConfig | None = None
    kv: CloudflareKVConfig | None = None
    delete_local: bool = True
    project_id: str = ""
    webhook: WebhookConfig | None = None

    @property
    def enabled(self) -> bool:
        """Whether files can be uploaded."""
        return self.pinata is not None and self.kv is not None

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the environment. Without any of the needed variables uploads are off.

        Raises:
            SettingsError: some are set, and something is missing or malformed; the message names everything.
        """
        reader = _Reader(environment)
        delete_local = reader.flag("DELETE_LOCAL_FILES", default=True)
        project_id = reader.text("NIMBUS_PROJECT_ID")
        if project_id:
            reader.matching("NIMBUS_PROJECT_ID", _PROJECT, "proj_ and 12 hex digits")
        needed = ("PINATA_JWT", "CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID", "KV_NAMESPACE_ID")
        if not any(map(reader.is_set, needed)):
            reader.raise_mistakes()
            return cls(delete_local=delete_local, project_id=project_id)
        config = cls(
            pinata=PinataConfig._read(reader),
            kv=CloudflareKVConfig._read(reader),
            delete_local=delete_local,
            project_id=project_id,
            webhook=_webhook(reader),
        )
        reader.raise_mistakes()
        return config


def _webhook(reader: _Reader) -> WebhookConfig | None:
    """Read NIMBUS_WEBHOOK_URL and NIMBUS_WEBHOOK_SECRET."""
    if not reader.text("NIMBUS_WEBHOOK_URL"):
        return None
    url, secret = reader.address("NIMBUS_WEBHOOK_URL", ""), reader.secret(SECRET)
    if secret.reveal():
        try:
            key_of(secret)
        except SettingsError as error:
            reader.note(error.message)
    return WebhookConfig(url=url, secret=secret)


def _checked(read: Callable[[_Reader], T], environment: Mapping[str, str] | None) -> T:
    """Return what is read from the environment, or raise one error for all mistakes in it."""
    reader = _Reader(environment)
    config = read(reader)
    reader.raise_mistakes()
    return config


class _Reader(Environment):
    """Reads choices, flags and addresses too."""

    def is_set(self, name: str) -> bool:
        return bool(self.text(name)) or find_secret(name, Path(), self.given) is not None

    def choice(self, name: str, values: tuple[str, ...], default: str) -> str:
        text = self.text(name).lower() or default
        if text not in values:
            self.note(f"{name} must be one of: {', '.join(values)}.")
        return text

    def flag(self, name: str, *, default: bool) -> bool:
        text = self.text(name).lower()
        if text and text not in _YES | _NO:
            self.note(f"{name} must be true or false.")
        return text in _YES if text else default

    def address(self, name: str, default: str) -> str:
        text = self.text(name) or default
        try:
            return check_address(text, default)[0]
        except SettingsError as error:
            self.note(f"{name}: {error.message}")
            return default

"""The pipeline of this repository's example site. A project of your own needs no more than this line."""

from nimbus_tasks import *  # noqa: F403

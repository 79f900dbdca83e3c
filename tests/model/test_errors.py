"""What every error promises to who tells it to a user, and to another process."""

from __future__ import annotations

import pickle

import pytest

from nimbus_tasks.model import errors
from nimbus_tasks.model.errors import (
    NimbusError,
    NoProjectError,
    RefusedError,
    StoreError,
    TooMuchError,
    TooSlowError,
    TransientError,
    UnreadableRecordError,
)

#: Errors that make their own message.
SPECIAL = (NoProjectError, UnreadableRecordError)
PLAIN = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, NimbusError) and kind not in SPECIAL
]


@pytest.mark.parametrize("kind", PLAIN)
def test_an_error_can_be_pickled(kind: type[NimbusError]) -> None:
    sent = kind("What is wrong.", "What to do.")
    came = pickle.loads(pickle.dumps(sent))
    assert type(came) is kind
    assert (came.message, came.next_step, str(came)) == (sent.message, sent.next_step, "What is wrong. What to do.")


@pytest.mark.parametrize(
    "error", [NoProjectError(), NoProjectError("/site"), UnreadableRecordError("batch:p:b", "/status: 5")]
)
def test_an_error_that_makes_its_own_message_can_be_pickled(error: NimbusError) -> None:
    came = pickle.loads(pickle.dumps(error))
    assert (type(came), str(came)) == (type(error), str(error))


@pytest.mark.parametrize("wait", [None, 0.0, 17.5])
@pytest.mark.parametrize("kind", [TransientError, TooSlowError])
def test_the_retry_time_of_an_error_reaches_another_process(kind: type[TransientError], wait: float | None) -> None:
    error = kind.after(wait, "Busy.")
    came = pickle.loads(pickle.dumps(error))
    assert (type(came), came.wait, str(came)) == (kind, wait, "Busy.")


def test_an_error_without_a_retry_time_asks_for_no_wait() -> None:
    TransientError.after(5, "Busy.")
    assert TransientError("Busy.").wait is None, "one error's wait is not another's"


def test_errors_worth_a_retry_and_refusals_have_kinds_of_their_own() -> None:
    assert issubclass(TooSlowError, TransientError)
    assert issubclass(TooMuchError, RefusedError)
    assert not issubclass(RefusedError, TransientError)
    assert all(issubclass(kind, StoreError) for kind in (TransientError, RefusedError))


@pytest.mark.parametrize("kind", PLAIN)
def test_the_exit_status_is_2_unless_an_error_sets_another(kind: type[NimbusError]) -> None:
    assert kind("Wrong.").exit_status == 2
    assert str(kind("Wrong.")) == "Wrong."

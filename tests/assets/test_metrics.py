"""The numbers of uploads, and their text for Prometheus."""

from __future__ import annotations

import re

import pytest

from nimbus_tasks.assets import metrics as module
from nimbus_tasks.assets.metrics import Meter, UploadMetrics, failure_of, last_run, percentiles
from nimbus_tasks.model.errors import FileError, RefusedError, SettingsError, StoreError, TooMuchError, TransientError

#: A sample of the text format 0.0.4: name, labels, value.
SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? ([0-9.e+-]+)')


def samples(text: str) -> dict[str, float]:
    """Return the samples of a text, which must be valid: each name declared before, once."""
    found, declared = {}, list[str]()
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            declared.append(line.split()[2])
        elif not line.startswith("# HELP "):
            match = SAMPLE.fullmatch(line)
            assert match, line
            assert match[1] == declared[-1]
            found[f"{match[1]}{{{match[2]}}}"] = float(match[3])
    assert len(declared) == len(set(declared))
    return found


def test_numbers_are_those_of_all_uploads_and_percentiles_those_of_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LATEST", 100)
    meter = Meter()
    for number in range(300):
        meter.uploaded(10, number)
    meter.failed("refused")
    meter.failed("refused")
    read = meter.read()
    assert (read.uploaded, read.bytes, read.failed, read.failures) == (300, 3000, 2, {"refused": 2})
    assert read.latency == {"p50": 250, "p95": 295, "p99": 299}
    found = samples(read.prometheus(job='a "quoted"\nname'))
    assert found[r'nimbus_assets_files_total{job="a \"quoted\"\nname",result="uploaded"}'] == 300
    assert found[r'nimbus_assets_failures_total{job="a \"quoted\"\nname",class="refused"}'] == 2


def test_a_run_that_ended_is_gauges_in_base_units() -> None:
    metrics = UploadMetrics(uploaded=2, bytes=5_000_000_123, latency=percentiles([1500, 20]))
    found = samples(last_run(metrics, 2.5, {"store": "s3"}, complete=True))
    assert found['nimbus_assets_last_run_upload_seconds{store="s3",quantile="0.95"}'] == 1.5
    assert found['nimbus_assets_last_run_bytes{store="s3"}'] == 5_000_000_123
    assert found['nimbus_assets_last_run_complete{store="s3"}'] == 1
    assert found['nimbus_assets_last_run_duration_seconds{store="s3"}'] == 2.5
    assert samples(UploadMetrics().prometheus()) == {
        **{f'nimbus_assets_files_total{{result="{each}"}}': 0 for each in ("uploaded", "recorded", "failed")},
        "nimbus_assets_bytes_total{}": 0,
    }


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (FileError("x"), "unreadable"),
        (OSError(), "unreadable"),
        (TooMuchError("x"), "refused"),
        (RefusedError("x"), "refused"),
        (TransientError("x"), "unavailable"),
        (StoreError("x"), "store"),
        (SettingsError("x"), "request"),
        (ValueError(), "request"),
    ],
)
def test_errors_have_a_class(error: Exception, failure: str) -> None:
    assert failure_of(error) == failure

"""Which model is asked, where, and what it may cost."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Dollars = Annotated[float, Meta(ge=0)]


class OpenAISettings(Struct, frozen=True):
    """A chat endpoint.

    base_url: what `/chat/completions` is put behind, such as `https://api.openai.com/v1`.
    input_price, output_price: dollars a million tokens. spend_cap: dollars a run; 0: no cap.
    max_prompt_tokens, max_tokens: of one request and of one answer; longer pages are cut into parts.
    timeout: seconds that an answer may take. tries: of a request that the server could not answer.
    retry_wait: seconds before the second try, at most; then longer each time.
    slots: requests at a time. delay: least seconds between two of a slot. keep_days: how long answers are kept.
    """

    base_url: str
    model: str
    input_price: Dollars = 0.0
    output_price: Dollars = 0.0
    spend_cap: Dollars = 0.0
    max_prompt_tokens: Annotated[int, Meta(ge=2000)] = 8000
    max_tokens: Annotated[int, Meta(ge=500)] = 4000
    timeout: Annotated[float, Meta(gt=0, le=600)] = 120.0
    tries: Annotated[int, Meta(ge=1)] = 3
    retry_wait: Annotated[float, Meta(gt=0)] = 1.0
    slots: Annotated[int, Meta(ge=1, le=100)] = 4
    delay: Annotated[float, Meta(ge=0)] = 0.0
    keep_days: Annotated[int, Meta(ge=1)] = 90

"""What a request may hold, by the SDK's own parameter types: an unknown key is an error, at any depth."""

import sys
from typing import Any, is_typeddict

from openai.types import container_create_params
from openai.types.responses import response_create_params
from pydantic import TypeAdapter


def _strict(kind: Any) -> TypeAdapter[Any]:
    for name, module in list(sys.modules.items()):
        if name.startswith("openai.types"):
            for value in list(vars(module).values()):
                if is_typeddict(value):
                    value.__pydantic_config__ = {"extra": "forbid"}
    return TypeAdapter(kind)


QUESTION = _strict(response_create_params.ResponseCreateParamsStreaming)
CONTAINER = _strict(container_create_params.ContainerCreateParams)

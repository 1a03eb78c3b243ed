"""Hold JSON against what others say it has to be: the types of the `openai` package, OpenAI's OpenAPI document."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

Json = dict[str, Any]


@cache
def validator_of(declared: Any) -> Draft202012Validator:
    """A validator for one of the SDK's types for requests; a field that the type does not declare is an error."""
    schema = TypeAdapter(declared).json_schema()
    close(schema, "additionalProperties")
    return Draft202012Validator(schema)


class Description:
    """OpenAI's OpenAPI document (`openapi.json`, or `.yaml` with PyYAML), as a judge of single requests and answers."""

    def __init__(self, folder: Path) -> None:
        path = next(path for path in (folder / "openapi.json", folder / "openapi.yaml") if path.exists())
        if path.suffix == ".json":
            self.document = json.loads(path.read_text("utf-8"))
        else:
            import yaml

            self.document = yaml.safe_load(path.read_text("utf-8"))
        schemas = self.document["components"]["schemas"]
        parts = _named_parts(self.document)
        for name, schema in schemas.items():
            close(schema, "unevaluatedProperties", part_of_all=name in parts)
        close(self.document["paths"], "unevaluatedProperties")
        self._paths = {
            re.compile(re.sub(r"\{[^/]+\}", "[^/]+", path)): operations
            for path, operations in self.document["paths"].items()
        }

    def request(self, method: str, path: str) -> Draft202012Validator | None:
        """A validator for the JSON body of a request; None where the description knows no such request."""
        operation = self._operation(method, path)
        body = (operation or {}).get("requestBody", {}).get("content", {}).get("application/json")
        return self._of(body["schema"]) if body else None

    def answer(self, method: str, path: str, media_type: str = "application/json") -> Draft202012Validator | None:
        """A validator for the body of an answer with status 200, or for one of its events."""
        operation = self._operation(method, path)
        content = (operation or {}).get("responses", {}).get("200", {}).get("content", {})
        return self._of(content[media_type]["schema"]) if media_type in content else None

    def component(self, name: str) -> Draft202012Validator:
        """A validator for one of the description's named schemas."""
        return self._of({"$ref": f"#/components/schemas/{name}"})

    def _operation(self, method: str, path: str) -> Json | None:
        for pattern, operations in self._paths.items():
            if pattern.fullmatch(path) and method.lower() in operations:
                return operations[method.lower()]
        return None

    def _of(self, schema: Json) -> Draft202012Validator:
        return Draft202012Validator({**schema, "components": self.document["components"]})


def close(schema: Any, keyword: str, *, part_of_all: bool = False) -> None:
    """Make every object schema refuse properties it does not declare.
    The `keyword` is `additionalProperties`, or `unevaluatedProperties` for schemas that are put together with `allOf`:
    a `part_of_all` may not refuse what the others declare. The schema is changed in place."""
    if isinstance(schema, list):
        for part in schema:
            close(part, keyword)
    if not isinstance(schema, dict):
        return
    for name, part in schema.items():
        if name == "allOf" and isinstance(part, list):
            for one in part:
                close(one, keyword, part_of_all=True)
        else:
            close(part, keyword)
    declares = isinstance(schema.get("properties"), dict) and schema.get("type", "object") == "object"
    if keyword == "unevaluatedProperties":
        declares = declares or len(schema.get("allOf", [])) > 1
    if declares and not part_of_all and "additionalProperties" not in schema:
        schema[keyword] = False


def _named_parts(document: Any, *, within: bool = False) -> set[str]:
    """The names of the schemas that some `allOf` puts together with others."""
    if isinstance(document, list):
        return set().union(*(_named_parts(part, within=within) for part in document))
    if not isinstance(document, dict):
        return set()
    found = {document["$ref"].rpartition("/")[2]} if within and isinstance(document.get("$ref"), str) else set()
    return found.union(*(_named_parts(part, within=name == "allOf") for name, part in document.items()))

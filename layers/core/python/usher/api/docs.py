"""Generates docs/api.md from the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from usher.api.openapi import document, operations
from usher.api.problems import KINDS

_HEAD = """# The HTTP API

Generated from `layers/core/python/usher/api/openapi.json`, which also validates the requests; `make docs` updates it.

{description}

The stack's output `ApiUrl` is its address, on AWS and on the twin. `usher recommend`, `usher similar` and `usher
popular` sign their requests; any client that signs works:

```
curl --aws-sigv4 "aws:amz:$AWS_REGION:execute-api" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\
  "$API_URL/recommendations?user_id=42&limit=5"
```
"""
_FALLBACK_CHAIN = """## The fallback chain

The field `level` names the level that answered. A user whom the model knows gets the model's answer (`model`). A user
known only from recent feedback or the session, or with feedback newer than the model, is folded in (`fold_in`). Any
other user gets popular items (`popular`). When the assigned variant does not answer, the other one is asked if it has
traffic or holds the same model. When none answers, the popularity lists of the state table answer, and `variant` is
null. Items that a user has rated are never recommended to that user again.

While an experiment is open, the first recommendation enrols the user: the same variant answers until the attribution
window ends. Send the `recommendation_id` with feedback, so that the outcome counts.
"""


def markdown() -> str:
    """The whole page."""
    info, schemas = document()["info"], document()["components"]["schemas"]
    parts = [_HEAD.format(description=info["description"])]
    for operation in operations().values():
        fields = document()["paths"][operation.path][operation.method.lower()]
        text = f"{fields['summary']}. {fields.get('description', '')}"
        parts.append(f"## {operation.method} {operation.path}\n\n{text}")
        parts += _parameters(fields)
        if operation.body is not None:
            body = _one(operation.body)
            parts.append(_table("field of the body", body["properties"], body.get("required", ())))
        status, answer = next(iter(fields["responses"].items()))
        name = _one(answer["content"]["application/json"]["schema"])["$ref"].rsplit("/", 1)[1]
        parts.append(f"{status}: {answer['description']}")
        parts.append(_table("field of the response", schemas[name]["properties"], schemas[name].get("required", ())))
    parts.append(f"## An item\n\n{_table('field', schemas['Item']['properties'], schemas['Item']['required'])}")
    shown = schemas["Experiment"]["properties"]["experiment"]
    parts.append(f"## An experiment\n\n{_table('field', shown['properties'], shown['required'])}")
    parts += [_FALLBACK_CHAIN.rstrip(), _problems()]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _one(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first alternative of `oneOf`: of an object and a list of such objects, the object."""
    first: Mapping[str, Any] = schema["oneOf"][0] if "oneOf" in schema else schema
    return first


def _parameters(fields: Mapping[str, Any]) -> list[str]:
    known = document()["components"]["parameters"]
    listed = [known[p["$ref"].rsplit("/", 1)[1]] if "$ref" in p else p for p in fields.get("parameters", ())]
    if not listed:
        return []
    rows = {p["name"]: {**p["schema"], "description": p["description"]} for p in listed}
    return [_table("parameter", rows, [p["name"] for p in listed if p["required"]])]


def _table(head: str, properties: Mapping[str, Mapping[str, Any]], required: Any) -> str:
    rows = [
        f"| `{name}` | {_kind(schema)} | {'yes' if name in required else 'no'} | {schema.get('description', '')} |"
        for name, schema in properties.items()
    ]
    return "\n".join([f"| {head} | kind | always | meaning |", "|---|---|---|---|", *rows])


def _kind(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[1])
    if "oneOf" in schema:
        return " or ".join(map(_kind, schema["oneOf"]))
    kind = schema["type"]
    said = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if said == "array":
        return f"list of {_kind(schema['items'])}" + (f", at most {schema['maxItems']}" if "maxItems" in schema else "")
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"] if value is not None)
    if "minimum" in schema and "maximum" in schema:
        said += f" from {schema['minimum']} to {schema['maximum']}"
    if "format" in schema:
        said = {"usher-id": "id", "usher-date": "year or date", "usher-time": "time"}[schema["format"]]
    return said + (f", else {str(schema['default']).lower()}" if "default" in schema else "")


def _problems() -> str:
    rows = [f"| `urn:usher:problem:{kind}` | {status} | {title} |" for kind, (status, title) in KINDS.items()]
    head = (
        "## Problems\n\nErrors are `application/problem+json` (RFC 9457): type, title, status, detail, and the "
        "`parameter` at fault if there is one. For a wrong or missing signature API Gateway returns its own 403, "
        '`{"message": "Forbidden"}`.\n\n'
    )
    return head + "\n".join(["| type | status | title |", "|---|---|---|", *rows])

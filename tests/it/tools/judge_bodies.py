#!/usr/bin/env python3
"""Judges request bodies by scim2-models, an independent implementation of RFC 7643 and RFC 7644, in request context.

Reads JSON lines {"method", "collection", "body"} from stdin, writes one JSON line {"error"} for each: null where nothing is wrong.
Needs the PyPI package scim2-models==0.12.3. scim2-models is lenient by design, so a few rules are added here.
"""

import json
import sys

from scim2_models import Context, EnterpriseUser, Group, PatchOp, User

MODELS = {"Users": User[EnterpriseUser], "Groups": Group}
CORE = {"Users": "urn:ietf:params:scim:schemas:core:2.0:User", "Groups": "urn:ietf:params:scim:schemas:core:2.0:Group"}
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def judge(method, collection, body):
    """Raises where something is wrong."""
    model = MODELS[collection]
    if method == "DELETE":
        if body is not None:
            raise ValueError("a DELETE with a body")
        return
    if not isinstance(body, dict) or not body.get("schemas"):
        raise ValueError("no schemas")
    if method == "PATCH":
        judge_patch(model, body)
        return
    if CORE[collection] not in body["schemas"]:
        raise ValueError("the resource's schema is not in schemas")
    if (ENTERPRISE in body) != (ENTERPRISE in body["schemas"]):
        raise ValueError("the extension and schemas disagree")
    if not isinstance(body.get("active", True), bool):
        raise ValueError("active is not a boolean")
    if method == "POST" and ("id" in body or "meta" in body):
        raise ValueError("id and meta are the server's to give")
    context = Context.RESOURCE_CREATION_REQUEST if method == "POST" else Context.RESOURCE_REPLACEMENT_REQUEST
    model.model_validate(body, scim_ctx=context)


def judge_patch(model, body):
    if body["schemas"] != [PATCH] or set(body) != {"schemas", "Operations"} or not body["Operations"]:
        raise ValueError("not a PatchOp")
    for operation in body["Operations"]:
        if operation["op"] not in ("add", "remove", "replace"):
            raise ValueError(f"op {operation['op']!r}")
        if operation["op"] == "remove" and not operation.get("path"):
            raise ValueError("a removal without a path")
        if operation["op"] != "remove" and "value" not in operation:
            raise ValueError(f"{operation['op']} without a value")
        if operation.get("path") == "active" and not isinstance(operation["value"], bool):
            raise ValueError("active is not a boolean")
    message = PatchOp[model].model_validate(body, scim_ctx=Context.RESOURCE_PATCH_REQUEST)
    # Applied to a resource that has an element of everything that is addressed: paths and types must fit.
    message.patch(sample(model))


def sample(model):
    if model is Group:
        members = [{"value": "anybody"}]
        return Group.model_validate({"schemas": [CORE["Groups"]], "id": "x", "displayName": "g", "members": members})
    work = {"type": "work"}
    return model.model_validate(
        {
            "schemas": [CORE["Users"], ENTERPRISE],
            "id": "x",
            "userName": "u",
            "emails": [work | {"value": "a@example.org"}],
            "phoneNumbers": [work | {"value": "tel:+45-1"}],
            "addresses": [work | {"locality": "x"}],
            "roles": [{"value": "r", "primary": True}],
            ENTERPRISE: {"department": "d"},
        }
    )


def main():
    for line in sys.stdin:
        request = json.loads(line)
        error = None
        try:
            judge(request["method"], request["collection"], request["body"])
        except Exception as e:
            error = f"{type(e).__name__}: {e}"
        print(json.dumps({"error": error}), flush=True)


if __name__ == "__main__":
    main()

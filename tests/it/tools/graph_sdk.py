"""Microsoft's own SDK reads a tenant: graph_sdk.py URL SECRET. Prints what it found, as JSON."""

import asyncio
import json
import sys
import urllib.parse
import urllib.request

import httpx
from kiota_abstractions.api_error import APIError
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.authentication import AccessTokenProvider, AllowedHostsValidator, BaseBearerTokenAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.groups.delta.delta_request_builder import DeltaRequestBuilder as GroupsDelta
from msgraph.generated.users.delta.delta_request_builder import DeltaRequestBuilder as UsersDelta
from msgraph.generated.users.users_request_builder import UsersRequestBuilder

url, secret = sys.argv[1:]


class Token(AccessTokenProvider):
    async def get_authorization_token(self, uri, additional_authentication_context={}):
        form = {"grant_type": "client_credentials", "client_id": "client-1", "client_secret": secret, "scope": url + "/.default"}
        body = urllib.parse.urlencode(form).encode()
        with urllib.request.urlopen(url + "/contoso.example/oauth2/v2.0/token", body) as answer:
            return json.load(answer)["access_token"]

    def get_allowed_hosts_validator(self):
        return AllowedHostsValidator([])


async def rounds(first, builder):
    """All pages of a round, and its delta link."""
    items, page = [], first
    while True:
        items += page.value or []
        if page.odata_next_link is None:
            return items, page.odata_delta_link
        page = await builder.with_url(page.odata_next_link).get()


def groups_of(items):
    groups = {}
    for g in items:
        if "@removed" in g.additional_data:
            groups.pop(g.id, None)
            continue
        members = groups.setdefault(g.id, {"name": g.display_name, "members": []})["members"]
        for m in g.additional_data.get("members@delta", []):
            if "@removed" in m:
                if m["id"] in members:
                    members.remove(m["id"])
            elif m["id"] not in members:
                members.append(m["id"])
    return {i: {"name": g["name"], "members": sorted(map(str, g["members"]))} for i, g in groups.items()}


async def main():
    adapter = GraphRequestAdapter(BaseBearerTokenAuthenticationProvider(Token()), client=httpx.AsyncClient(timeout=30))
    adapter.base_url = url + "/v1.0"
    client = GraphServiceClient(request_adapter=adapter)
    select = ["id", "displayName", "accountEnabled"]
    query = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(select=select, top=7)
    page = await client.users.get(request_configuration=RequestConfiguration(query_parameters=query))
    users = list(page.value)
    while page.odata_next_link:
        page = await client.users.with_url(page.odata_next_link).get()
        users += page.value
    query = UsersDelta.DeltaRequestBuilderGetQueryParameters(select=select)
    first = await client.users.delta.get(request_configuration=RequestConfiguration(query_parameters=query))
    delta, link = await rounds(first, client.users.delta)
    query = GroupsDelta.DeltaRequestBuilderGetQueryParameters(select=["id", "displayName", "members"])
    first = await client.groups.delta.get(request_configuration=RequestConfiguration(query_parameters=query))
    groups, _ = await rounds(first, client.groups.delta)
    again, _ = await rounds(await client.users.delta.with_url(link).get(), client.users.delta)
    refused = None
    try:
        await client.users.by_user_id("nobody").get()
    except APIError as e:
        refused = [e.response_status_code, e.error.code]
    print(json.dumps({
        "users": {u.id: [u.display_name, u.account_enabled] for u in users},
        "delta": {u.id: [u.display_name, u.account_enabled] for u in delta if "@removed" not in u.additional_data},
        "groups": groups_of(groups),
        "again": len(again),
        "refused": refused,
    }, default=str))


asyncio.run(main())

"""Okta's own SDK reads an organisation: okta_sdk.py UPSTREAM PORT CERT KEY PRIVATE_KEY APP. It insists on https, so PORT is made
a TLS front of UPSTREAM by CERT and KEY. Prints what it found, as JSON."""

import asyncio
import json
import os
import socket
import ssl
import sys
import threading
import urllib.parse

upstream, port, cert, key, private_key, app = sys.argv[1:]
os.environ["SSL_CERT_FILE"] = cert


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    finally:
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def front():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    listener = socket.create_server(("127.0.0.1", int(port)))

    def serve():
        while True:
            client, _ = listener.accept()
            try:
                client = context.wrap_socket(client, server_side=True)
                server = socket.create_connection(("127.0.0.1", int(upstream)))
            except OSError:
                continue
            threading.Thread(target=pump, args=(client, server), daemon=True).start()
            threading.Thread(target=pump, args=(server, client), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()


front()
from okta.client import Client  # noqa: E402 (the CA is in place now)


def cursor(response):
    """Where the next page is. The SDK's own helper looks at one Link header only, and Okta sends several."""
    headers = response.headers
    links = headers.getall("Link", []) if hasattr(headers, "getall") else [headers.get("Link", "")]
    for link in links:
        if 'rel="next"' in link:
            address = link.split(">")[0].strip(" <")
            return urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)["after"][0]
    return None


async def pages(call, **arguments):
    after = None
    while True:
        items, response, error = await call(after=after, **arguments)
        if error:
            raise SystemExit(f"{error}")
        yield items
        after = cursor(response)
        if after is None:
            return


async def main():
    client = Client({
        "orgUrl": f"https://localhost:{port}", "authorizationMode": "PrivateKey", "clientId": "0oaService", "kid": "kid-1",
        "scopes": ["okta.users.read", "okta.groups.read", "okta.apps.read"], "privateKey": open(private_key).read(),
        "dpopEnabled": True,
    })
    users, groups = {}, {}
    async for page in pages(client.list_users, filter='lastUpdated gt "1970-01-01T00:00:00.000Z"', limit=200):
        users |= {u.id: [getattr(u.status, "value", u.status), u.profile.login] for u in page}
    async for page in pages(client.list_groups, limit=200):
        for g in page:
            name = getattr(g.profile.actual_instance, "name", None) if hasattr(g.profile, "actual_instance") else g.profile.name
            members = []
            async for some in pages(client.list_group_users, group_id=g.id, limit=200):
                members += [u.id for u in some]
            groups[g.id] = [name, sorted(members)]
    assigned = []
    async for page in pages(client.list_application_users, app_id=app, limit=500):
        assigned += [u.id for u in page]
    print(json.dumps({"users": users, "groups": groups, "assigned": sorted(assigned)}))


asyncio.run(main())

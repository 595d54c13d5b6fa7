#!/usr/bin/env python3
"""Runs scim2-tester, an independent judge of SCIM servers, against a server.

    scim2_tester.py BASE_URL TOKEN

Needs the PyPI packages scim2-tester==0.5.2 and scim2-client[httpx2]. Exits 1 if a check reports an error, 2 if it was called wrongly.
"""

import sys
from collections import Counter

sys.path.pop(0)  # this file's folder: the file has the name of the package that it needs

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    base_url, token = sys.argv[1:]
    with Client(base_url=base_url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as http:
        results = check_server(SyncSCIMClient(http))

    bad = (Status.ERROR, Status.CRITICAL, Status.DEVIATION)
    for result in results:
        if result.status in bad:
            print(f"{result.status.name} {result.resource_type or ''} {result.title}: {result.reason}\n  {result.data}")
        elif result.status == Status.SKIPPED:
            print(f"SKIPPED {result.resource_type or ''} {result.title}: {result.reason}")
    counts = Counter(result.status for result in results)
    failed = sum(counts[status] for status in bad)
    skipped = counts[Status.SKIPPED]
    passed = len(results) - failed - skipped
    print(f"passed {passed}, failed {failed}, skipped {skipped}")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())

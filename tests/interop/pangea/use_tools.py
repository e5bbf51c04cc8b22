"""Uses the command lines of Pangea's SDK for Python on a Fieldledger.

    use_tools.py <url> <token> <private key file>

The tools only take a domain, and speak HTTPS to a name below it. So each is run by `run_tool`, which
gives the SDK the address instead and changes nothing else. Fails with an assertion where a tool does
not find what it should.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

RUN_TOOL = """
import runpy, sys
url, module = sys.argv[1:3]
import pangea.config, pangea.tools, pangea.services.audit.util
config = pangea.config.PangeaConfig(base_url_template=url + "/{SERVICE_NAME}")
pangea.config.PangeaConfig = pangea.tools.PangeaConfig = lambda domain: config
pangea.services.audit.util.ARWEAVE_BASE_URL = url + "/arweave"
sys.argv = [module] + sys.argv[3:]
runpy.run_module(module, run_name="__main__")
"""


def run_tool(url: str, token: str, module: str, *arguments: str) -> str:
    environment = {**os.environ, "PANGEA_TOKEN": token, "PANGEA_DOMAIN": "example.invalid"}
    done = subprocess.run(
        [sys.executable, "-c", RUN_TOOL, url, f"pangea.{module}", *arguments],
        env=environment, capture_output=True, text=True, timeout=600)
    said = done.stdout + done.stderr
    assert done.returncode == 0, f"{module} failed:\n{said}"
    return said


def main(url: str, token: str, key_file: str):
    from use_sdk import client, until

    audit = client(url, token, key_file)
    count = 1234
    for begin in range(0, count, 100):
        events = [{"message": f"tool {number}"} for number in range(begin, min(begin + 100, count))]
        audit.log_bulk(events, sign_local=True)

    def published():
        found = audit.search("", order="asc", limit=1000, max_results=count).result
        pages = [found] + [audit.results(found.id, limit=1000, offset=1000).result]
        events = [event for page in pages for event in page.events]
        return len(events) == count and all(event.published for event in events)

    until("all events are published", published)

    deep(url, token)
    verify(url, token, audit)


def deep(url: str, token: str):
    """dump_audit writes the whole log to a file, and deep_verify builds all trees from it again."""

    def dumped(path: Path) -> list[dict]:
        run_tool(url, token, "dump_audit", "-o", str(path), "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z")
        return [json.loads(line) for line in path.read_text().splitlines()]

    def verdict(path: Path, lines: list[dict]) -> dict[str, int]:
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        said = run_tool(url, token, "deep_verify", "-f", str(path))
        return {name.lower(): int(number) for name, number in re.findall(r"^\t(\w+): (\d+)$", said, re.M)}

    path = Path("dump.jsonl")
    lines = dumped(path)
    assert len(lines) >= 1234 and len({line["hash"] for line in lines}) == len(lines)
    clean = verdict(path, lines)
    unpublished = sum("leaf_index" not in line for line in lines)
    assert clean.pop("not_persisted") == unpublished
    assert unpublished < 10, "all but the newest root's entry is published"
    assert set(clean) == {"hash", "membership_proof", "missing", "wrong_buffer", "buffer_missing"}
    assert not any(clean.values()), clean

    def with_change(change) -> dict[str, int]:
        changed = json.loads(json.dumps(lines))
        change(changed)
        return verdict(path, changed)

    def forge(changed):
        changed[100]["envelope"]["event"]["message"] = "forged"

    assert with_change(forge)["hash"] == 1

    def exchange(changed):
        changed[100]["envelope"], changed[101]["envelope"] = changed[101]["envelope"], changed[100]["envelope"]
        changed[100]["hash"], changed[101]["hash"] = changed[101]["hash"], changed[100]["hash"]

    assert with_change(exchange)["membership_proof"] == 2

    def leave_one_out(changed):
        del changed[100]

    assert with_change(leave_one_out)["missing"] >= 1

    def leave_a_buffer_out(changed):
        changed[:] = [line for line in changed if line.get("leaf_index") != 1]

    assert with_change(leave_a_buffer_out)["buffer_missing"] == 1

    def move(changed):
        for line in changed:
            if line.get("leaf_index") == 1:
                line["leaf_index"] = 2

    assert with_change(move)["wrong_buffer"] > 0


def verify(url: str, token: str, audit):
    """verify_audit checks the answer to a search, and a single event of it."""
    import requests

    # More than one root covers, so that the last one has an earlier root to be consistent with.
    body = {"query": "", "order": "asc", "limit": 150}
    found = requests.post(f"{url}/audit/v1/search", json=body, headers={"Authorization": f"Bearer {token}"})
    result = found.json()

    def said(document: dict) -> str:
        path = Path("found.json")
        path.write_text(json.dumps(document))
        return run_tool(url, token, "verify_audit", "-f", str(path))

    assert "Verification succeeded" in said(result)
    single = {**result["result"]["events"][-1], "root": result["result"]["root"]}
    alone = said(single)
    assert "Verification succeeded" in alone and "Data signature verification succeeded" in alone
    assert "Consistency proof verification succeeded" in alone
    assert "fetched from Pangea" not in alone, "the roots are where they are published"

    def failed(change) -> str:
        changed = json.loads(json.dumps(single))
        change(changed)
        text = said(changed)
        assert "Verification failed" in text, text
        return text

    def forge(changed):
        changed["envelope"]["event"]["message"] = "forged"

    text = failed(forge)
    assert "Data hash verification failed" in text and "Data signature verification failed" in text

    def other_proof(changed):
        changed["membership_proof"] = result["result"]["events"][0]["membership_proof"]

    assert "Membership proof verification failed" in failed(other_proof)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        main(*sys.argv[1:])
    print("tools: all as it should be")

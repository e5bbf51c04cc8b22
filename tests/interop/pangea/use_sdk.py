"""Uses a Fieldledger through Pangea's own SDK for Python, which knows nothing of Fieldledger.

    use_sdk.py <part> <url> <token> <private key file>

Fails with an assertion where the SDK does not find what it should.
"""

import csv
import io
import json
import os
import sys
import time

import pangea.services.audit.util as audit_util
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from pangea.config import PangeaConfig
from pangea.exceptions import (
    BadOffsetException,
    NotFound,
    TreeNotFoundException,
    UnauthorizedException,
    ValidationException,
)
from pangea.response import PangeaResponseResult
from pangea.services import Audit
from pangea.services.audit.exceptions import EventCorruption
from pangea.services.audit.models import DownloadFormat, EventVerification, LogBulkResult, RootSource
from requests.adapters import HTTPAdapter

PASS, FAIL, NONE = EventVerification.PASS, EventVerification.FAIL, EventVerification.NONE
PATIENCE_S = 120


def client(url: str, token: str, key_file: str = "") -> Audit:
    """The SDK as its users set it up."""
    if key_file and not os.path.exists(key_file):
        make_key(key_file)
    # The place of published roots is fixed in the SDK; nothing else is changed.
    audit_util.ARWEAVE_BASE_URL = f"{url}/arweave"
    config = PangeaConfig(base_url_template=f"{url}/{{SERVICE_NAME}}", poll_result_timeout=PATIENCE_S)
    return Audit(token, config=config, private_key_file=key_file)


def make_key(path: str):
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with open(path, "wb") as file:
        file.write(pem)


def until(what: str, found):
    """Asks until there is an answer."""
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := found()):
        assert time.monotonic() < deadline, f"waited {PATIENCE_S} s for this: {what}"
        time.sleep(0.1)
    return answer


def refused(kind, call, *codes: str):
    """The call fails as the SDK's documentation says."""
    try:
        call()
    except kind as error:
        found = [field.code for field in error.response.errors]
        assert found == list(codes), f"{found} instead of {list(codes)}"
        return
    raise AssertionError(f"not refused with {kind.__name__}")


class Tampering(HTTPAdapter):
    """A network on which somebody changes an answer to the SDK's requests."""

    def __init__(self, path: str, change):
        super().__init__()
        self.path = path
        self.change = change

    def send(self, request, **options):
        response = super().send(request, **options)
        if request.path_url.endswith(self.path):
            body = json.loads(response.content)
            self.change(body)
            response._content = json.dumps(body).encode()
        return response


def log(url: str, token: str, key_file: str):
    """Events that are not published yet: nothing publishes while this runs."""
    audit = client(url, token, key_file)

    first = audit.log(message="the door was opened", actor="Zoë \"Z\" <z@example.org>", verify=True).result
    assert first.envelope.event["actor"] == "Zoë \"Z\" <z@example.org>"
    assert first.membership_verification == PASS and first.signature_verification == NONE
    assert first.membership_proof == "", "a lone event is the root of its tree"
    assert first.consistency_verification == NONE, "there was no earlier root"

    for number in range(2, 12):
        event = {
            "message": {"b": number, "a": ["nested", None]}, "action": "count", "actor": "sdk",
            "new": str(number), "old": "n", "source": "s", "status": "ok", "target": "t", "tenant_id": "tenant",
        }
        result = audit.log_event(event, verify=True).result
        assert result.membership_verification == PASS
        assert result.consistency_verification == PASS, number

    signed = audit.log(message="signed", actor="ada", sign_local=True, verify=True).result
    assert signed.signature_verification == PASS and signed.membership_verification == PASS
    assert json.loads(signed.envelope.public_key)["algorithm"] == "ED25519"

    quiet = audit.log(message="quiet").result
    assert quiet.envelope is None and quiet.membership_proof is None and len(quiet.hash) == 64

    bulk = audit.log_bulk([{"message": f"bulk {number}"} for number in range(1000)], verbose=True).result
    assert len({result.hash for result in bulk.results}) == 1000
    assert all(result.membership_verification == PASS for result in bulk.results)

    accepted = audit.log_bulk_async([{"message": f"async {number}"} for number in range(3)], verbose=True)
    assert accepted.status == "Accepted" and accepted.http_status == 202
    again = audit.request.poll_result_by_id(accepted.request_id, LogBulkResult)
    assert again.request_id == accepted.request_id
    messages = [result.envelope.event["message"] for result in again.result.results]
    assert messages == ["async 0", "async 1", "async 2"]

    # An answer that somebody changed on its way.
    def other_event(body):
        body["result"]["envelope"]["event"]["message"] = "the door was closed"

    def other_signature(body):
        body["result"]["envelope"]["signature"] = signed.envelope.signature
        # The hash covers the signature, so that must go for the signature itself to be looked at.
        del body["result"]["hash"]
        del body["result"]["membership_proof"]

    audit.request.session.mount("http://", Tampering("/v1/log", other_event))
    try:
        audit.log(message="the door was opened", verify=True)
        raise AssertionError("a changed event was not noticed")
    except EventCorruption:
        pass
    audit.request.session.mount("http://", Tampering("/v1/log", other_signature))
    forged = audit.log(message="not what was signed", sign_local=True, verify=True).result
    assert forged.signature_verification == FAIL


def search(url: str, token: str, key_file: str):
    """Events that are published."""
    audit = client(url, token, key_file)
    count = 57
    events = [
        {"message": f"number {number}", "actor": "odd" if number % 2 else "even", "target": "sdk search"}
        for number in range(count)
    ]
    for begin in range(0, count, 10):
        audit.log_bulk(events[begin:begin + 10], sign_local=True)
    restriction = {"target": ["sdk search"], "actor": []}

    def all_published():
        found = audit.search("", search_restriction=restriction, limit=1000).result
        return found.count == count and all(event.published for event in found.events)

    until("all events are published", all_published)

    found = audit.search("", search_restriction=restriction, order="asc", limit=20, verify_consistency=True).result
    assert found.count == count and len(found.events) == 20
    assert found.root.size >= 6 and found.root.tree_name
    verified = list(found.events)
    for offset in (20, 40):
        page = audit.results(found.id, limit=20, offset=offset, verify_consistency=True).result
        assert page.root.size == found.root.size, "a result keeps to its root"
        verified += page.events
    assert [event.envelope.event["message"] for event in verified] == [event["message"] for event in events]
    for event in verified:
        assert event.membership_verification == PASS
        assert event.consistency_verification == PASS
        assert event.signature_verification == PASS
    assert len({event.leaf_index for event in verified}) > 1
    assert all(root.source == RootSource.ARWEAVE for root in audit.pub_roots.values())

    # All of the log, with the entries of the roots themselves, the newest of which is not published.
    whole = audit.search("", limit=1000, verify_consistency=True).result
    assert not whole.events[0].published and whole.events[0].leaf_index is None
    assert all(event.membership_verification == PASS for event in whole.events)
    terse = audit.search("", limit=5, verbose=False).result
    assert terse.root is None and all(event.membership_proof is None for event in terse.events)

    # The language.
    by_text = until("the index has the events", lambda: audit.search('actor:odd "number 5"').result.count)
    assert by_text == 1
    assert audit.search("actor:odd", max_results=7, limit=3).result.count == 7
    asserted = {"target": ["sdk search"]}
    assert audit.results(found.id, assert_search_restriction=asserted).result.count == count
    other = {"target": ["something else"]}
    refused(ValidationException, lambda: audit.results(found.id, assert_search_restriction=other), "UnexpectedProperty")

    # Roots.
    newest = audit.root().result.data
    for size in range(1, newest.size + 1):
        root = audit.root(tree_size=size).result.data
        assert root.size == size and root.url == f"{url}/arweave/{size}/"
    refused(TreeNotFoundException, lambda: audit.root(tree_size=newest.size + 1000))

    # Export and download.
    exported = audit.export(format=DownloadFormat.JSON)
    assert exported.status == "Accepted"
    ready = audit.request.poll_result_by_id(exported.request_id, PangeaResponseResult)
    assert ready.success
    offered = audit.download_results(request_id=exported.request_id, format=DownloadFormat.JSON).result
    records = json.loads(audit.download_file(offered.dest_url).file)
    mine = [record for record in records if record["envelope"]["event"].get("target") == "sdk search"]
    assert [record["envelope"]["event"]["message"] for record in mine] == [event["message"] for event in events]
    assert all("membership_proof" in record for record in records)
    by_result = audit.download_results(result_id=found.id).result
    rows = list(csv.DictReader(io.StringIO(audit.download_file(by_result.dest_url).file.decode())))
    assert [row["message"] for row in rows] == [event["message"] for event in events]
    assert rows[0]["hash"] == found.events[0].hash

    # Somebody changes what comes back.
    def tampered(path, change, **options):
        other = client(url, token, key_file)
        other.request.session.mount("http://", Tampering(path, change))
        return other.search("", search_restriction=restriction, order="asc", limit=20, **options).result

    def event(body):
        body["result"]["events"][3]["envelope"]["event"]["message"] = "forged"

    try:
        tampered("/v1/search", event)
        raise AssertionError("a changed event was not noticed")
    except EventCorruption:
        pass

    def exchange_proofs(body):
        events = body["result"]["events"]
        events[0]["membership_proof"], events[19]["membership_proof"] = (
            events[19]["membership_proof"], events[0]["membership_proof"])

    verdicts = [event.membership_verification for event in tampered("/v1/search", exchange_proofs, verify_consistency=True).events]
    assert verdicts[0] == FAIL and verdicts[19] == FAIL and verdicts[1] == PASS

    def another_tree(body):
        body["result"]["root"]["root_hash"] = "00" * 32

    verdicts = [event.membership_verification for event in tampered("/v1/search", another_tree, verify_consistency=True).events]
    assert set(verdicts) == {FAIL}

    # A published root that is not the one that the proofs lead to.
    forged_size = found.events[-1].leaf_index + 1
    published = audit_util.get_arweave_published_roots

    def forged_roots(tree_name, sizes):
        roots = published(tree_name, sizes)
        if forged_size in roots:
            roots[forged_size].root_hash = "00" * 32
        return roots

    import pangea.services.audit.audit as audit_module
    audit_module.get_arweave_published_roots = forged_roots
    try:
        events = client(url, token, key_file).search(
            "", search_restriction=restriction, order="asc", limit=20, verify_consistency=True).result.events
    finally:
        audit_module.get_arweave_published_roots = published
    for event in events:
        if event.leaf_index + 1 == forged_size:
            assert event.consistency_verification == FAIL
    assert events[-1].consistency_verification == FAIL


def errors(url: str, token: str, key_file: str):
    """What is refused changes nothing, and is refused in the SDK's own terms."""
    audit = client(url, token)
    before = audit.search("", verbose=False).result.count

    refused(ValidationException, lambda: audit.log(message=""), "FieldRequired")
    refused(ValidationException, lambda: audit.log(message="m", status="s" * 33), "AboveMaxLength")
    refused(ValidationException, lambda: audit.log_event({"message": "m", "colour": "red"}), "UnexpectedProperty")
    refused(ValidationException, lambda: audit.log_event({"message": "m", "timestamp": "noon"}), "BadFormatDateTime")
    refused(ValidationException, lambda: audit.log_bulk([]), "BelowMinItems")
    refused(ValidationException, lambda: audit.log_bulk([{"message": "m"}] * 1001), "AboveMaxItems")
    mixed = [{"message": "good"}, {"message": "m" * 32_767}]
    refused(ValidationException, lambda: audit.log_bulk(mixed), "AboveMaxLength")
    refused(ValidationException, lambda: audit.search('"'), "BadFormat")
    refused(ValidationException, lambda: audit.search("", start="noon"), "BadFormatDateTime")
    refused(ValidationException, lambda: audit.search("", limit=1001), "NotWithinRange")
    refused(ValidationException, lambda: audit.search("", max_results=0), "NotWithinRange")
    refused(ValidationException, lambda: audit.search("", order_by="colour"), "NotEnumMember")
    refused(ValidationException, lambda: audit.search("", search_restriction={"colour": ["red"]}), "UnexpectedProperty")
    refused(ValidationException, lambda: audit.results("pas_nothing"), "BadFormat")
    result_id = audit.search("").result.id
    refused(BadOffsetException, lambda: audit.results(result_id, offset=before + 1_000))
    refused(ValidationException, lambda: audit.download_results(result_id="pas_nothing"), "BadFormat")
    refused(NotFound, lambda: audit.download_results(request_id="prq_" + "a" * 32))
    refused(NotFound, lambda: audit.request.poll_result_by_id("prq_" + "a" * 32, PangeaResponseResult))

    refused(UnauthorizedException, lambda: client(url, "pts_guessed").search(""))
    refused(UnauthorizedException, lambda: client(url, "pts_guessed").log(message="m"))

    assert audit.search("", verbose=False).result.count == before


if __name__ == "__main__":
    part, *arguments = sys.argv[1:]
    {"log": log, "search": search, "errors": errors}[part](*arguments)
    print(f"{part}: all as it should be")

"""Checks a COSE receipt of inclusion (RFC 9942) with pycose.

    check_receipt.py <receipt> <leaf> <verifier key>

Both files are binary; the leaf is what the tree hashes for the entry. Prints the index and the size
of the tree, or ends with an error.
"""

import base64
import hashlib
import sys

import cbor2
from pycose.headers import KID, Algorithm, CoseHeaderAttribute
from pycose.algorithms import EdDSA
from pycose.keys import OKPKey
from pycose.keys.curves import Ed25519
from pycose.keys.keyops import VerifyOp
from pycose.messages import CoseMessage, Sign1Message

STRUCTURE, RFC9162_SHA256, PROOFS, INCLUSION = 395, 1, 396, -1


@CoseHeaderAttribute.register_attribute()
class Structure(CoseHeaderAttribute):
    identifier = STRUCTURE
    fullname = "VDS"


@CoseHeaderAttribute.register_attribute()
class Proofs(CoseHeaderAttribute):
    identifier = PROOFS
    fullname = "VDP"


def root_of(leaf, index, size, path):
    """The root that the path leads to: RFC 9162, section 2.1.3.2."""
    if index >= size:
        raise ValueError(f"leaf {index} is outside a tree of {size}")
    node, last = index, size - 1
    reached = hashlib.sha256(b"\0" + leaf).digest()
    for sibling in path:
        if last == 0:
            raise ValueError("the path is too long")
        if node & 1 or node == last:
            reached = hashlib.sha256(b"\1" + sibling + reached).digest()
            while node and not node & 1:
                node >>= 1
                last >>= 1
        else:
            reached = hashlib.sha256(b"\1" + reached + sibling).digest()
        node >>= 1
        last >>= 1
    if last:
        raise ValueError("the path is too short")
    return reached


def main():
    receipt, leaf = (open(path, "rb").read() for path in sys.argv[1:3])
    _, key_id, key = sys.argv[3].split("+", 2)
    kind, public = base64.b64decode(key)[:1], base64.b64decode(key)[1:]
    assert kind == b"\1", "only Ed25519 keys are known"

    message = CoseMessage.decode(receipt)
    assert isinstance(message, Sign1Message), "no COSE_Sign1"
    assert message.payload is None, "the payload is not detached"
    assert message.phdr[Algorithm] is EdDSA, "the algorithm is not EdDSA"
    assert message.phdr[KID] == bytes.fromhex(key_id), "another key signed it"
    assert message.phdr[Structure] == RFC9162_SHA256, "the structure is not RFC9162_SHA256"
    (proof,) = message.uhdr[Proofs][INCLUSION]
    size, index, path = cbor2.loads(proof)

    message.key = OKPKey(crv=Ed25519, x=public, optional_params={"KEY_OPS": [VerifyOp]})
    if not message.verify_signature(detached_payload=root_of(leaf, index, size, path)):
        raise ValueError("the signature is not over the root that the path leads to")
    print(index, size)


main()

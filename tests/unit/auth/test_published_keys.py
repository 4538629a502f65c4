"""Which published key may verify which token: the key's own word decides, never its place in the set or the
token's word alone.
"""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from postmill.auth import jwks, keys
from postmill.auth.credentials import Denied, Granted, Reason, Trusted, authenticate

NOW = 1_800_000_000.0
KEYS = keys.make(NOW)
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
P256 = ec.generate_private_key(ec.SECP256R1())
OTHER_P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
P521 = ec.generate_private_key(ec.SECP521R1())
K256 = ec.generate_private_key(ec.SECP256K1())
FIRST = {"P-384": P384, "P-521": P521, "secp256k1": K256, "P-256": OTHER_P256, "RSA": RSA_KEY}


def published(key: Any, **fields: Any) -> dict[str, Any]:
    """The public half of ``key`` as an entry of a set."""
    kind = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**kind.to_jwk(key.public_key(), as_dict=True), **fields}


def verdict(entries: list[Any], key: Any, algorithm: str, **header: Any) -> Granted | Denied:
    """What a token that ``key`` has signed proves where ``entries`` are published."""
    token = jwt.encode({"role": "ada", "exp": NOW + 60}, key, algorithm, headers=header or None)
    return ask(entries, token)


def ask(entries: list[Any], token: str) -> Granted | Denied:
    trusted = Trusted(KEYS, jwks.parse(json.dumps({"keys": entries}).encode()))
    return authenticate([(b"authorization", f"Bearer {token}".encode())], trusted, NOW)


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST.keys())
@pytest.mark.parametrize("kid", [None, "k"])
def test_a_token_finds_its_key_wherever_that_stands(first: Any, kid: str | None) -> None:
    """Another curve's key before it was an error, and the token was refused; with a kid twice likewise."""
    named = {"kid": kid} if kid else {}
    entries = [published(first, **named), published(P256, **named)]
    for order in (entries, entries[::-1]):
        assert isinstance(verdict(order, P256, "ES256", **named), Granted)
    assert isinstance(verdict([published(first), published(P256)], P256, "ES256"), Granted)


def test_of_keys_with_one_name_each_is_tried() -> None:
    entries = [published(OTHER_RSA_KEY, kid="k"), published(P256, kid="k"), published(RSA_KEY, kid="k")]
    assert isinstance(verdict(entries, RSA_KEY, "RS256", kid="k"), Granted)
    assert isinstance(verdict(entries, P256, "ES256", kid="k"), Granted)
    assert verdict(entries, OTHER_P256, "ES256", kid="k") == Denied(Reason.LEGACY_JWT)


@pytest.mark.parametrize(
    "fields",
    [
        {"use": "enc"},
        {"use": ["sig"]},
        {"key_ops": ["encrypt", "wrapKey"]},
        {"key_ops": ["sign"]},
        {"key_ops": []},
        {"key_ops": "verify"},
        {"use": "enc", "key_ops": ["verify"]},
        {"use": "sig", "key_ops": ["decrypt"]},
        {"alg": "RSA-OAEP-256"},
        {"alg": "PS256"},
        {"alg": "RS512"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": 5},
    ],
    ids=str,
)
def test_a_key_for_something_else_verifies_nothing(fields: dict[str, Any]) -> None:
    """It may be known to people who may not sign."""
    entries = [published(RSA_KEY, kid="k", **fields), published(P256, kid="other")]
    for header in ({}, {"kid": "k"}):
        assert isinstance(verdict(entries, RSA_KEY, "RS256", **header), Denied)


@pytest.mark.parametrize(
    "fields", [{}, {"use": "sig"}, {"key_ops": ["verify"]}, {"alg": "RS256", "use": "sig"}]
)
def test_a_key_for_signatures_verifies(fields: dict[str, Any]) -> None:
    assert isinstance(verdict([published(RSA_KEY, **fields)], RSA_KEY, "RS256"), Granted)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (RSA_KEY, "RS384"),
        (RSA_KEY, "RS512"),
        (RSA_KEY, "PS256"),
        (P384, "ES384"),
        (P521, "ES512"),
        (K256, "ES256K"),
    ],
    ids=["RS384", "RS512", "PS256", "ES384", "ES512", "ES256K"],
)
def test_other_algorithms_are_not_verified(key: Any, algorithm: str) -> None:
    entries = [published(RSA_KEY), published(P256), published(P384), published(P521), published(K256)]
    assert verdict(entries, key, algorithm) == Denied(Reason.UNSUPPORTED_ALGORITHM)


def test_a_published_key_is_no_secret() -> None:
    """Signed with HS256 and the text of a public key, in every form that it has."""
    public = RSA_KEY.public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    entry = published(RSA_KEY, kid="k")
    for secret in (pem, der, entry["n"].encode(), json.dumps(entry).encode()):
        token = hs256(secret, kid="k")
        assert ask([entry, {"kty": "oct", "k": entry["n"], "kid": "k"}], token) == Denied(Reason.LEGACY_JWT)


def hs256(secret: bytes, **header: Any) -> str:
    """A token that PyJWT refuses to make: with a key that is none for it."""
    import hmac
    from base64 import urlsafe_b64encode as encoded

    parts = [{"alg": "HS256", "typ": "JWT", **header}, {"role": "service_role", "exp": NOW + 60}]
    text = b".".join(encoded(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    return (text + b"." + encoded(hmac.digest(secret, text, "sha256")).rstrip(b"=")).decode()


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": ["x"], "x": 1},
        {"crit": []},
        {"crit": None},
        {"crit": ["b64"], "b64": False},
        {"crit": ["b64"], "b64": True},
    ],
    ids=str,
)
def test_what_must_be_understood_is_refused(header: dict[str, Any]) -> None:
    """We understand no extension (RFC 7515, 4.1.11)."""
    token = hs256(KEYS.jwt_secret.encode(), **header)
    assert ask([published(RSA_KEY)], token) == Denied(Reason.INVALID_JWT_FORMAT)
    assert isinstance(ask([published(RSA_KEY)], hs256(KEYS.jwt_secret.encode())), Granted)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", "hs256", "RS256 "])
def test_a_token_without_an_algorithm_proves_nothing(algorithm: str) -> None:
    token = hs256(KEYS.jwt_secret.encode(), alg=algorithm)
    for given in (token, token.rpartition(".")[0] + "."):
        assert isinstance(ask([published(RSA_KEY)], given), Denied)


@pytest.mark.parametrize(
    "bad",
    [
        {"kty": "RSA", "n": "?", "e": "AQAB"},
        {"kty": "RSA"},
        {"kty": "RSA", "n": 5, "e": None},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": ["P-256"]},
        {"kty": ["RSA"]},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        "text",
        None,
    ],
    ids=str,
)
def test_one_bad_entry_spoils_no_other(bad: Any) -> None:
    assert isinstance(verdict([bad, published(P256)], P256, "ES256"), Granted)

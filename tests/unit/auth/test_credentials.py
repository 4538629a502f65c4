"""What headers prove: every row of the table, and generated text that never gets in."""

from __future__ import annotations

import base64
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import example, given
from hypothesis import strategies as st

from postmill.auth import jwks, keys
from postmill.auth.credentials import Denied, Granted, Reason, Trusted, authenticate
from postmill.model.errors import InvalidOption

NOW = 1_800_000_000.0
KEYS = keys.make(NOW)
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def key_set() -> bytes:
    """Both public keys, beside a symmetric one and one of a kind we don't take."""
    published = [
        {
            **jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True),
            "kid": "r",
            "alg": "RS256",
        },
        {**jwt.algorithms.ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True), "kid": "e", "alg": "ES256"},
        {"kty": "oct", "k": base64.urlsafe_b64encode(b"x" * 32).decode(), "kid": "o"},
        {"kty": "RSA", "n": "?", "e": "AQAB"},
    ]
    return json.dumps({"keys": published}).encode()


TRUSTED = Trusted(KEYS, jwks.parse(key_set()))


def token(
    algorithm: str = "HS256", key: object = KEYS.jwt_secret, kid: str | None = None, **claims: object
) -> str:
    """A token for a user, valid for a minute unless ``claims`` say otherwise."""
    content = {"role": "authenticated", "sub": "ada", "exp": NOW + 60} | claims
    return jwt.encode(content, key, algorithm, headers={"kid": kid} if kid else None)  # type: ignore[arg-type]


def verdict(authorization: str | None = None, apikey: str | None = None) -> Granted | Denied:
    headers = [(b"host", b"x")]
    headers += [(b"authorization", authorization.encode())] if authorization is not None else []
    headers += [(b"apikey", apikey.encode())] if apikey is not None else []
    return authenticate(headers, TRUSTED, NOW)


@pytest.mark.parametrize(
    ("algorithm", "kid"),
    [("HS256", None), ("HS256", "anything"), ("RS256", "r"), ("RS256", None), ("ES256", "e")],
)
def test_a_token_that_we_can_verify_gets_in_with_its_claims(algorithm: str, kid: str | None) -> None:
    key = {"HS256": KEYS.jwt_secret, "RS256": RSA_KEY, "ES256": EC_KEY}[algorithm]
    allowed = verdict("Bearer " + token(algorithm, key, kid))
    assert isinstance(allowed, Granted)
    assert (allowed.role, allowed.claims["sub"]) == ("authenticated", "ada")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
@pytest.mark.parametrize(("name", "role"), [("anon", "anon"), ("service_role", "service_role")])
def test_the_tokens_of_the_project_get_in(scheme: str, name: str, role: str) -> None:
    allowed = verdict(f"{scheme} {getattr(KEYS, name)}")
    assert isinstance(allowed, Granted)
    assert allowed.role == role


@pytest.mark.parametrize("number", range(4))
def test_every_key_gets_in_as_apikey(number: int) -> None:
    key, role = KEYS.roles()[number]
    assert verdict(apikey=key) == Granted(role)


@pytest.mark.parametrize(("name", "role"), [("publishable", "anon"), ("secret", "service_role")])
def test_the_new_keys_get_in_as_bearer(name: str, role: str) -> None:
    assert verdict(f"Bearer {getattr(KEYS, name)}") == Granted(role)


OTHER = keys.make(NOW)
UNSIGNED = "eyJhbGciOiJub25lIn0.e30."


CASES: dict[str, tuple[str | None, str | None, Reason]] = {
    "nothing": (None, None, Reason.NO_AUTH_HEADER),
    "empty": ("", "", Reason.NO_AUTH_HEADER),
    "no token": ("Bearer", None, Reason.INVALID_JWT_FORMAT),
    "no JWT": ("Bearer x", None, Reason.INVALID_JWT_FORMAT),
    "no base64": ("Bearer a.b.c", None, Reason.INVALID_JWT_FORMAT),
    "two words": ("Bearer " + token() + "x y", None, Reason.INVALID_JWT_FORMAT),
    "another scheme": ("Basic YTpi", None, Reason.INVALID_JWT_FORMAT),
    "no scheme": (token(), None, Reason.INVALID_JWT_FORMAT),
    "no key": (None, "x", Reason.INVALID_JWT_FORMAT),
    "a JWT as a key": (None, token(), Reason.INVALID_JWT_FORMAT),
    "another project's key": (None, OTHER.secret, Reason.INVALID_JWT_FORMAT),
    "the secret itself": (None, KEYS.jwt_secret, Reason.INVALID_JWT_FORMAT),
    "another project's key as bearer": ("Bearer " + OTHER.secret, None, Reason.INVALID_JWT_FORMAT),
    "a key cut short": ("Bearer " + KEYS.secret[:-1], None, Reason.INVALID_JWT_FORMAT),
    "another project's token": ("Bearer " + OTHER.anon, None, Reason.LEGACY_JWT),
    "expired just now": ("Bearer " + token(exp=NOW), None, Reason.LEGACY_JWT),
    "no number": ("Bearer " + token(exp="never"), None, Reason.LEGACY_JWT),
    "true": ("Bearer " + token(exp=True), None, Reason.LEGACY_JWT),
    "not a number": ("Bearer " + token(exp=float("nan")), None, Reason.LEGACY_JWT),
    "not yet": ("Bearer " + token(nbf=NOW + 60), None, Reason.LEGACY_JWT),
    "another key's id": ("Bearer " + token("RS256", RSA_KEY, "e"), None, Reason.LEGACY_JWT),
    "a key that is gone": ("Bearer " + token("RS256", RSA_KEY, "gone"), None, Reason.LEGACY_JWT),
    "another hash": ("Bearer " + token("HS512"), None, Reason.UNSUPPORTED_ALGORITHM),
    "another hash of RSA": ("Bearer " + token("RS512", RSA_KEY), None, Reason.UNSUPPORTED_ALGORITHM),
    "unsigned": ("Bearer " + UNSIGNED, None, Reason.INVALID_JWT_FORMAT),
    "unsigned with a signature": ("Bearer " + UNSIGNED + "eHg", None, Reason.UNSUPPORTED_ALGORITHM),
    "expired beside a good key": ("Bearer " + token(exp=NOW - 1), KEYS.anon, Reason.LEGACY_JWT),
}


@pytest.mark.parametrize("case", CASES)
def test_everything_else_stays_out(case: str) -> None:
    authorization, apikey, reason = CASES[case]
    unknown_key = case in {"another key's id", "a key that is gone"}
    assert verdict(authorization, apikey) == Denied(reason, unknown_key=unknown_key)


def test_a_verdict_that_is_remembered_still_ends() -> None:
    headers = [(b"authorization", b"Bearer " + token(exp=NOW + 1).encode())]
    for now, kind in ((NOW, Granted), (NOW + 2, Denied), (NOW, Granted)):
        assert isinstance(authenticate(headers, TRUSTED, now), kind)
    assert isinstance(authenticate(headers, Trusted(OTHER), NOW), Denied)


def test_a_token_too_long_to_be_remembered_gets_in() -> None:
    assert isinstance(verdict("Bearer " + token(note="x" * 5000)), Granted)


def test_another_scheme_leaves_the_word_to_the_apikey() -> None:
    assert verdict("Basic YTpi", KEYS.anon) == Granted("anon")


def test_without_published_keys_their_algorithms_are_unsupported() -> None:
    headers = [(b"authorization", b"Bearer " + token("RS256", RSA_KEY, "r").encode())]
    assert authenticate(headers, Trusted(KEYS), NOW) == Denied(Reason.UNSUPPORTED_ALGORITHM)


def test_two_values_of_one_header_prove_nothing() -> None:
    good = (b"apikey", KEYS.anon.encode())
    assert authenticate([good, (b"apikey", b"x")], TRUSTED, NOW) == Denied(Reason.INVALID_JWT_FORMAT)
    assert authenticate([good, good], TRUSTED, NOW) == Granted("anon")


def test_a_token_signed_with_a_published_key_as_if_it_were_the_secret_stays_out() -> None:
    """Algorithm confusion: a public key is no secret, whatever the header calls it."""
    published = RSA_KEY.public_key().public_numbers().n.to_bytes(256)
    assert verdict("Bearer " + token("HS256", published, "r")) == Denied(Reason.LEGACY_JWT)


def test_a_token_nested_beyond_any_parser_is_refused() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 40_000).rstrip(b"=").decode()
    assert verdict(f"Bearer {deep}.{deep}.{deep}") == Denied(Reason.INVALID_JWT_FORMAT)


SEGMENT = st.one_of(
    st.binary(max_size=40),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ).map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {"alg": st.sampled_from(["HS256", "RS256", "ES256", "none", "HS512", 1, None])},
        optional={
            "kid": st.sampled_from(["r", "e", "o", 1, None, []]),
            "crit": st.just(["exp"]),
            "b64": st.booleans(),
        },
    ).map(lambda value: json.dumps(value).encode()),
)
FORGED = st.lists(SEGMENT, min_size=2, max_size=4).map(
    lambda parts: b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
)
VALUE = st.one_of(
    st.binary(max_size=60),
    st.tuples(
        st.sampled_from([b"", b"Bearer ", b"bearer  ", b"Basic "]), st.binary(max_size=60) | FORGED
    ).map(b"".join),
)


@given(st.lists(st.tuples(st.sampled_from([b"authorization", b"apikey"]), VALUE), max_size=3))
@example([(b"authorization", b"Bearer sb_secret_")])
@example([(b"authorization", b"Bearer \xff\xfe.a.b")])
def test_generated_headers_never_get_in_and_never_raise(headers: list[tuple[bytes, bytes]]) -> None:
    assert isinstance(authenticate(headers, TRUSTED, NOW), Denied)


@given(st.integers(0, len(KEYS.anon) - 1), st.characters(codec="ascii"))
def test_a_key_with_one_other_character_never_gets_in(position: int, other: str) -> None:
    changed = KEYS.anon[:position] + other + KEYS.anon[position + 1 :]
    if changed.strip() != KEYS.anon:
        assert isinstance(verdict(apikey=changed), Denied)
        assert isinstance(verdict(f"Bearer {changed}"), Denied) or _same_bits(changed)


def _same_bits(changed: str) -> bool:
    """The last character of base64 carries bits that nobody reads: such a token is the same token."""
    return changed[:-1] == KEYS.anon[:-1]


def test_no_key_is_shown_by_repr() -> None:
    shown = repr(TRUSTED) + str(KEYS)
    assert not any(key in shown for key in (KEYS.jwt_secret, *(key for key, _ in KEYS.roles())))


def test_the_tokens_say_who_made_them_and_hold_for_years() -> None:
    claims = jwt.decode(
        KEYS.anon, KEYS.jwt_secret, ["HS256"], options={"verify_exp": False, "verify_iat": False}
    )
    assert claims["role"] == "anon"
    assert claims["exp"] - time.time() > 365 * 24 * 3600


def test_a_secret_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(InvalidOption, match="too short"):
        keys.make(NOW, "short")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"keys": 1}', b"\xff"])
def test_what_is_no_key_set_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the reader of JSON says
        jwks.parse(content)

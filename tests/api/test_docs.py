"""The documentation in a browser: it is whole, it is kept, and it asks no other host."""

from __future__ import annotations

import re

import pytest

ASSET = re.compile(r"(?:src|href)=\"([^\"]+)\"")


async def page(api):
    reply = await api.anonymous.request("GET", "/docs")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    return reply


async def assets(api):
    text = (await page(api)).json.decode()
    return [place for place in ASSET.findall(text) if place.startswith("/docs/")]


async def test_the_page_names_no_other_host(api):
    reply = await page(api)
    assert b"://" not in reply.json
    places = set(ASSET.findall(reply.json.decode()))
    assert places == {*await assets(api), "data:,", "/openapi.json"}


async def test_every_asset_is_served(api):
    found = await assets(api)
    assert len(found) >= 3
    for place in found:
        reply = await api.anonymous.request("GET", place)
        assert reply.status == 200, place
        assert len(reply.json) > 100
        kind = "text/css" if place.endswith(".css") else "text/javascript"
        assert reply.headers["Content-Type"] == f"{kind}; charset=utf-8"
        assert "immutable" in reply.headers["Cache-Control"]


async def test_the_script_shows_the_document_and_asks_nobody_whether_it_is_valid(api):
    text = (await page(api)).json.decode()
    scripts = re.findall(r'<script src="([^"]+)"', text)
    started = (await api.anonymous.request("GET", scripts[-1])).json.decode()
    assert 'url: "/openapi.json"' in started
    assert "validatorUrl: null" in started
    assert "://" not in started
    bundle = (await api.anonymous.request("GET", scripts[0])).json.decode()
    assert "SwaggerUIBundle" in bundle


async def test_the_browser_is_told_to_ask_no_other_host(api):
    for place in ("/docs", *await assets(api)):
        headers = (await api.anonymous.request("GET", place)).headers
        policy = dict(
            directive.strip().split(" ", 1)
            for directive in headers["Content-Security-Policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert "://" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Request-Id"]


@pytest.mark.parametrize("place", ["/docs", "/openapi.json"])
async def test_what_may_change_is_asked_for_each_time_and_sent_once(api, place):
    reply = await api.anonymous.request("GET", place)
    assert reply.headers["Cache-Control"] == "no-cache"
    for known in (
        reply.headers["ETag"],
        f"W/{reply.headers['ETag']}",
        f'"x", {reply.headers["ETag"]}',
    ):
        again = await api.anonymous.request("GET", place, headers={"If-None-Match": known})
        assert (again.status, again.json) == (304, b"")
    other = await api.anonymous.request("GET", place, headers={"If-None-Match": '"x"'})
    assert other.status == 200


async def test_pages_are_compressed_for_those_who_take_it(api):
    for place in ("/openapi.json", *(await assets(api))):
        plain = await api.anonymous.request("GET", place, headers={"Accept-Encoding": "identity"})
        assert "Content-Encoding" not in plain.headers
        packed = await api.anonymous.request("GET", place, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert packed.headers["Vary"] == "Accept-Encoding"
        assert int(packed.headers["Content-Length"]) <= int(plain.headers["Content-Length"])


@pytest.mark.parametrize("place", ["/docs/", "/docs/x.js", "/docs/..%2Fserve.py", "/docs/%00"])
async def test_nothing_else_is_served(api, place):
    reply = await api.anonymous.request("GET", place)
    assert (reply.status, reply.code) == (404, "not_found")

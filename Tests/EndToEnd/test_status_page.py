"""The status page, in a real browser: what it shows, who may see it, and that it stays live."""

import base64
import json
import os
import pathlib
import shutil
import tempfile
import urllib.error
import urllib.request

import pytest
from browser import CHROMIUM, Browser
from faults import wait_confirmed
from holdfast import ACCESS_KEY, SECRET_KEY, s3_client, wait_until

SCRIPT = "<script>document.title='owned'</script>"
needs_browser = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")


def ask(server, path="/status", key=ACCESS_KEY, secret=SECRET_KEY, header=None):
    """Status, headers and body."""
    request = urllib.request.Request(server.admin + path)
    if key is not None or header is not None:
        credential = base64.b64encode(f"{key}:{secret}".encode()).decode()
        request.add_header("Authorization", header or f"Basic {credential}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def address(server, path="/status"):
    return server.admin.replace("http://", f"http://{ACCESS_KEY}:{SECRET_KEY}@") + path


@pytest.fixture
def tmp_path(tmp_path):
    """On a disk that has room: the page says so of one that has little."""
    usage = shutil.disk_usage(tmp_path)
    if usage.free > 0.12 * usage.total:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="holdfast-page-", dir="/dev/shm") as directory:
        yield pathlib.Path(directory)


@pytest.fixture
def browser(tmp_path):
    with Browser(tmp_path / "chromium") as browser:
        yield browser


def take_volume_away(server, number):
    server.volume(number).rename(server.volume(number).with_name("away"))
    wait_until(lambda: server.standings()[number]["standing"] == "set aside", what="the volume set aside")


def bring_volume_back(server, number):
    if server.volume(number).exists():
        shutil.rmtree(server.volume(number))
    server.volume(number).with_name("away").rename(server.volume(number))


# Who may see it.

def test_the_page_is_for_the_administrator_alone(server):
    status, headers, body = ask(server, key=None)
    assert status == 401 and headers["WWW-Authenticate"].startswith("Basic ") and "volume" not in body
    assert ask(server, path="/status/content", key=None)[0] == 401
    assert ask(server, path="/", key=None)[0] == 401
    _, key, secret = server.user("ann")
    assert ask(server, key=key, secret=secret)[0] == 401
    assert ask(server, secret="wrong-secret")[0] == 401
    assert ask(server)[0] == 200
    assert ask(server, path="/")[0] == 200
    # Probes and Prometheus have no key.
    assert ask(server, path="/health/live", key=None)[0] == 200


def test_who_guesses_is_not_listened_to_for_a_while(server):
    codes = [ask(server, secret=f"guess-{n}")[0] for n in range(8)]
    assert codes == [401] * 5 + [429] * 3
    status, headers, _ = ask(server)
    assert status == 429 and 1 <= int(headers["Retry-After"]) <= 60
    for header in ("Basic", "Basic !!", "Bearer x", "Basic " + "QUJD" * 5000, "Basic /////w=="):
        assert ask(server, header=header)[0] == 429
    assert ask(server, path="/metrics", key=None)[0] == 200


def test_nothing_else_may_run_in_the_page_or_keep_it(server):
    _, headers, body = ask(server)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert body.count("<script") == 1 and " style=" not in body and " onload" not in body
    assert SECRET_KEY not in body and ACCESS_KEY not in body


def test_the_page_is_only_read(server):
    request = urllib.request.Request(server.admin + "/status", method="POST", data=b"")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 405


# What it shows.

@needs_browser
@pytest.mark.parametrize("scripts", [True, False], ids=["live", "without-scripts"])
def test_it_shows_how_the_store_stands(server, browser, scripts):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    for n in range(30):
        s3.put_object(Bucket="photos", Key=f"cat-{n}", Body=b"x" * 1000)
    wait_confirmed(server)
    browser.scripts(scripts)
    browser.open(address(server))
    browser.wait(lambda: browser.text("h1").endswith("Green"), "green")
    assert "within 30 days" in browser.text("#verdict")
    assert browser.text("#volumes").count("in service") == 3 and "free of" in browser.text("#volumes")
    assert "There was none" in browser.text("#incidents")
    for job in ("confirm", "repair", "reclaim", "scrub"):
        assert job in browser.text("#jobs")
    browser.wait(lambda: "cat-29" in browser.text("#events"), "the newest event")
    assert browser.evaluate("document.querySelectorAll('#events tbody tr').length") == 20
    assert "No repository" in browser.text("#repositories")
    # Headings in order, a caption for each table.
    assert browser.evaluate("document.querySelectorAll('h1').length") == 1
    assert browser.evaluate("[...document.querySelectorAll('table')].every(t => t.caption)")
    assert browser.evaluate("document.title") == "Green – Holdfast"
    assert not [text for text in browser.complaints if "favicon" not in text]


@needs_browser
@pytest.mark.parametrize("scripts", [True, False], ids=["live", "without-scripts"])
def test_a_volume_that_leaves_and_comes_back_is_seen_without_a_hand(server, browser, scripts):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    s3.put_object(Bucket="photos", Key="before", Body=os.urandom(100_000))
    wait_confirmed(server)
    browser.scripts(scripts)
    browser.open(address(server))
    browser.wait(lambda: "Green" in browser.text("h1"), "green")
    # What stands in the page's memory is gone when it is loaded anew.
    browser.evaluate("window.mark = 1")
    take_volume_away(server, 2)
    browser.wait(lambda: "Needs a look" in browser.text("h1"), "the volume's leaving")
    told = browser.text("#concerns")
    assert "Volume 2 is set aside" in told and "The other 2 volumes serve" in told
    assert f"holdfast volume replace {server.directory} 2" in told
    assert browser.evaluate("document.title") == "Needs a look – Holdfast"
    assert "set aside" in browser.text("#volumes")
    browser.wait(lambda: "volume 2 set aside" in browser.text("#notable"), "the event")
    browser.wait(lambda: "volume 2" in browser.text("#incidents"), "the incident")
    s3.put_object(Bucket="photos", Key="meanwhile", Body=os.urandom(100_000))
    bring_volume_back(server, 2)
    browser.wait(lambda: "Green" in browser.text("h1"), "green again", seconds=120)
    assert browser.text("#volumes").count("in service") == 3
    browser.wait(lambda: "volume 2 healed" in browser.text("#notable"), "the healing")
    assert browser.evaluate("window.mark ?? 0") == (1 if scripts else 0)


@needs_browser
def test_a_server_that_is_gone_is_not_shown_as_green(server, browser):
    browser.open(address(server))
    browser.wait(lambda: "Green" in browser.text("h1"), "green")
    browser.wait(lambda: browser.text("#live") == "live", "the page being live")
    server.stop()
    browser.wait(lambda: "no answer" in browser.text("#live"), "the page telling so")
    assert browser.evaluate("document.title") == "No answer – Holdfast"
    server.start()


@needs_browser
def test_names_that_are_markup_are_text(server, browser):
    identity, key, secret = server.user("ann", "--display-name", SCRIPT + "'\"&")
    name = f"{SCRIPT}'\"&\u202egpj.<b>"
    mine = s3_client(server.endpoint, key, secret)
    mine.create_bucket(Bucket="anns")
    mine.put_object(Bucket="anns", Key=name, Body=os.urandom(100_000))
    wait_confirmed(server)
    server.command("incident", "open", f"{SCRIPT} & more", check=0)
    take_volume_away(server, 3)
    shown = lambda: [json.loads(line) for line in server.command("incident", "list", "--json", check=0).stdout.splitlines()]
    wait_until(lambda: len([line for line in shown() if line["incident"]]) == 2, what="the volume's incident")
    browser.open(address(server))
    browser.wait(lambda: SCRIPT in browser.text("#incidents table"), "the owner's progress")
    browser.wait(lambda: f"{SCRIPT} & more" in browser.text("#incidents"), "the reason")
    browser.wait(lambda: SCRIPT in browser.text("#events"), "the key")
    assert "\\u{202e}" in browser.text("#events") and "\u202e" not in browser.text("#events")
    assert browser.evaluate("document.querySelectorAll('script').length") == 1
    assert browser.evaluate("document.querySelectorAll('#events b').length") == 0
    assert "owned" not in browser.evaluate("document.title")
    bring_volume_back(server, 3)


@needs_browser
def test_what_somebody_folded_stays_folded(server, browser):
    server.command("incident", "open", "a drill of our own", check=0)
    browser.open(address(server))
    browser.wait(lambda: browser.evaluate("document.querySelector('#incidents details')?.open"), "the incident")
    browser.evaluate("document.querySelector('#incidents details').open = false")
    made = browser.evaluate("document.querySelector('#verdict time').dateTime")
    browser.wait(lambda: browser.evaluate("document.querySelector('#verdict time').dateTime") != made, "news")
    assert browser.evaluate("document.querySelector('#incidents details').open") is False


@needs_browser
def test_it_is_readable_on_a_phone_and_in_the_dark(server, browser):
    browser.size(360, 740, phone=True)
    browser.dark(True)
    browser.open(address(server))
    browser.wait(lambda: "Green" in browser.text("h1"), "green")
    # Nothing but tables is wider than the screen, and those scroll by themselves.
    assert browser.evaluate("document.documentElement.scrollWidth") <= 360
    light = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    browser.dark(False)
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_many_who_look_cost_no_more_than_one(server):
    """The page is made twice a second at most, and is small."""
    bodies = {ask(server, path="/status/content")[2] for _ in range(50)}
    assert len(bodies) <= 10 and all(len(body) < 200_000 for body in bodies)

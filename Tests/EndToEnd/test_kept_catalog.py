"""The catalog that a check computed is kept, and the next quick check begins with it. It is never believed against the log."""

import sqlite3

import pytest


def change(path, statement, *values):
    with sqlite3.connect(path) as catalog:
        changed = catalog.execute(statement, values).rowcount
    catalog.close()
    assert changed == 1


def value(path, statement, *values):
    catalog = sqlite3.connect(path)
    try:
        return catalog.execute(statement, values).fetchone()[0]
    finally:
        catalog.close()


def alter(path, key):
    change(path, "UPDATE current SET time = time + 1 WHERE key = ?", key.encode())


@pytest.fixture
def store(server):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    for number in range(50):
        s3.put_object(Bucket="photos", Key=f"k{number}", Body=b"x" * number)
    assert server.fsck()[::2] == ([], 0)
    return server


def kept(store):
    return store.directory / "state/checked.sqlite"


def in_use(store):
    return store.directory / "state/catalog.sqlite"


def test_a_clean_check_keeps_what_it_computed_and_nothing_else(store):
    before = value(kept(store), "SELECT sequence FROM meta")
    assert before >= 51
    store.client().put_object(Bucket="photos", Key="more", Body=b"more")
    assert store.fsck()[::2] == ([], 0)
    assert value(kept(store), "SELECT sequence FROM meta") > before
    assert value(kept(store), "SELECT count(*) FROM current") == 51
    assert not list((store.directory / "state").glob("check-*"))


def test_a_row_changed_since_is_found_and_mended_from_the_log(store):
    alter(in_use(store), "k7")
    found, _, status = store.fsck()
    assert [f["class"] for f in found] == ["catalog.row-differs"] and status == 4
    assert not kept(store).exists(), "what may be at fault is computed again"
    found, _, status = store.fsck("--repair")
    assert [f["repaired"] for f in found] == [True] and status == 1
    assert store.fsck()[::2] == ([], 0)


def test_damage_to_the_kept_catalog_is_no_finding(store):
    right = value(kept(store), "SELECT time FROM current WHERE key = ?", b"k7")
    alter(kept(store), "k7")
    assert store.fsck()[::2] == ([], 0)
    assert value(kept(store), "SELECT time FROM current WHERE key = ?", b"k7") == right
    kept(store).write_bytes(b"no database" * 1000)
    assert store.fsck()[::2] == ([], 0)
    assert value(kept(store), "SELECT count(*) FROM current") == 50
    content = bytearray(kept(store).read_bytes())
    content[len(content) // 2:] = bytes(len(content) - len(content) // 2)
    kept(store).write_bytes(content)
    assert store.fsck()[::2] == ([], 0)


def test_one_of_another_log_is_not_begun_with(store):
    change(kept(store), "UPDATE meta SET chain = zeroblob(32)")
    alter(kept(store), "k7")
    assert store.fsck()[::2] == ([], 0)
    assert value(kept(store), "SELECT chain FROM meta") != bytes(32)


def test_a_deep_check_computes_from_the_first_event(store):
    for path in (in_use(store), kept(store)):
        alter(path, "k7")
    assert store.fsck()[::2] == ([], 0), "a quick check believes what was computed before"
    found, _, status = store.fsck("--deep")
    assert [f["class"] for f in found] == ["catalog.row-differs"] and status == 4


def test_a_stopped_store_is_checked_with_it_and_left_as_it_is(store):
    store.stop()
    before = kept(store).read_bytes()
    assert store.fsck()[::2] == ([], 0)
    assert kept(store).read_bytes() == before
    alter(in_use(store), "k7")
    found, _, status = store.fsck()
    assert [f["class"] for f in found] == ["catalog.row-differs"] and status == 4


def test_what_a_killed_check_leaves_goes_when_the_store_opens(store):
    store.stop()
    left = store.directory / "state" / "check-0123456789abcdef.sqlite"
    left.write_bytes(b"half")
    store.start()
    assert not left.exists()
    assert store.fsck()[::2] == ([], 0)

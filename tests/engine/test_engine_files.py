"""Bytes in and out: uploads to disk, downloads from disk, and what must not be served."""

import openai
import psutil
import pytest
from engines import annotations, scratch_of, until

MB = 1024 * 1024
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n1\r\n'


def test_a_large_upload_and_its_download_do_not_grow_the_engine(engine, client, container, tmp_path):
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(150 * MB)
    process = psutil.Process(engine.pid)
    client.containers.files.create(container, file=("small.bin", b"1"))
    before = process.memory_info().rss
    with large.open("rb") as content:
        made = client.containers.files.create(container, file=("large.bin", content))
    after_upload = process.memory_info().rss
    with client.containers.files.content.with_streaming_response.retrieve(made.id, container_id=container) as answer:
        size = sum(len(chunk) for chunk in answer.iter_bytes())
    assert made.bytes == size == 150 * MB
    assert after_upload - before < 20 * MB
    assert process.memory_info().rss - before < 20 * MB


@pytest.mark.parametrize(("given", "path"), [
    ("../../escape.txt", "/mnt/data/escape.txt"), ("/etc/passwd", "/mnt/data/passwd"),
    ("C:\\data\\x.csv", "/mnt/data/x.csv"), ('quo"te.txt', '/mnt/data/quo"te.txt'),
    ("new\nline.txt", "/mnt/data/newline.txt"), (".hidden.csv", "/mnt/data/.hidden.csv"),
])  # fmt: skip
def test_an_uploaded_name_stays_in_the_container(engine, container, given, path):
    files = engine.client().containers.files
    made = files.create(container, file=(given, b"content"))
    assert made.path == path
    assert files.content.retrieve(made.id, container_id=container).read() == b"content"
    assert made.id in {row.id for row in files.list(container, limit=100)}


@pytest.mark.parametrize("given", ["..", ".", "a/..", "x" * 300])
def test_a_name_that_cannot_be_used_is_refused(engine, container, given):
    with pytest.raises(openai.BadRequestError, match="file name"):
        engine.client().containers.files.create(container, file=(given, b"content"))


def test_a_form_that_is_none_is_refused(engine, container):
    path = f"/v1/containers/{container}/files"
    form = "multipart/form-data; boundary=b"
    for content_type, body in (
        ("text/plain", b"x"), ("multipart/form-data", b"x"), ("application/json", b"{}"), ("application/json", b"{"),
        (form, b"--b\r\nbroken"), (form, b"--b--\r\n"), (form, FILE * 2 + b"--b--\r\n"),
        (form, b"--b\r\nContent-Type: text/plain\r\n\r\nno name\r\n--b--\r\n"),
        (form, b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n--b--'),
    ):  # fmt: skip
        status, _, answer = engine.request("POST", path, body, {"Content-Type": content_type})
        assert (status, b'"type":"invalid_request_error"' in answer) == (400, True)


def test_an_upload_that_breaks_off_leaves_nothing_behind(engine, client):
    staging = scratch_of(engine.pid) / "files"
    before = set(staging.iterdir())
    head = f"Authorization: Bearer {engine.token}", "Content-Type: multipart/form-data; boundary=b"
    with engine.begin_request("POST /v1/files", *head, "Content-Length: 9000000") as connection:
        connection.sendall(FILE.partition(b"1\r\n")[0] + b"x" * MB)
        until(lambda: set(staging.iterdir()) != before, "the upload is being written")
    until(lambda: set(staging.iterdir()) == before, "the broken upload is deleted")


def test_links_hidden_files_and_pipes_are_not_files_of_the_container(engine, client, container, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    code = f"""
import os, pathlib
os.symlink({str(secret)!r}, 'link.txt')
os.symlink({str(tmp_path)!r}, 'linked')
os.mkfifo('pipe')
pathlib.Path('.hidden').write_text('x')
pathlib.Path('__pycache__').mkdir()
pathlib.Path('__pycache__/x.pyc').write_text('x')
for name in (b'real.txt', b'\\xfe.csv', b'\\xff.csv'): open(name, 'w').close()
"""
    response = engine.ask(code, container=container)
    assert [mark.filename for mark in annotations(response)] == ["%FE.csv", "%FF.csv", "real.txt"]
    paths = {row.path for row in client.containers.files.list(container, limit=100)}
    assert not paths & {f"/mnt/data/{name}" for name in ("link.txt", "linked/secret.txt", "pipe", ".hidden")}


def test_a_file_that_becomes_a_link_is_not_served(engine, container, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    made = engine.ask("import os\nos.makedirs('d')\nopen('d/f.txt', 'w').write('mine')", container=container)
    [mark] = annotations(made)
    path = f"/v1/containers/{container}/files/{mark.file_id}/content"
    assert engine.request("GET", path)[2] == b"mine"
    (tmp_path / "f.txt").write_text("not mine")
    swapped = f"os.remove('d/f.txt'); os.rmdir('d'); os.symlink({str(tmp_path)!r}, 'd')"
    engine.ask(swapped, container=container)
    status, _, body = engine.request("GET", path)
    assert (status, b"not found on container" in body) == (404, True)
    assert engine.request("DELETE", path.removesuffix("/content"))[0] == 404
    assert (tmp_path / "f.txt").read_text() == "not mine"


def test_a_version_that_code_has_overwritten_is_not_served_under_the_old_id(engine, container):
    [old] = annotations(engine.ask("open('v.txt', 'w').write('old')", container=container))
    [new] = annotations(engine.ask("open('v.txt', 'w').write('new')", container=container))
    path = f"/v1/containers/{container}/files"
    assert engine.request("GET", f"{path}/{old.file_id}/content")[0] == 404
    assert engine.request("GET", f"{path}/{new.file_id}/content")[2] == b"new"

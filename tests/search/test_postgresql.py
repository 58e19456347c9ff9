"""Two workers on a PostgreSQL server that the test starts itself, where Debian's package is installed."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from tests_searching import trials_in, two_workers

pytestmark = pytest.mark.postgresql

PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda path: float(path.parent.name))


def by_user(*command: str) -> list[str]:
    """The server refuses to run as root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.getuid() == 0 else list(command)


@pytest.fixture
def server():
    if PROGRAMS is None or not (PROGRAMS / "initdb").exists():
        pytest.skip("no PostgreSQL is installed")
    pytest.importorskip("psycopg")
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # sockets have short names
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
    start = ["-o", f"-k {folder} -c listen_addresses=''", "-l", f"{folder}/log", "-w", "start"]
    try:
        subprocess.run(by_user(f"{PROGRAMS}/initdb", "-D", f"{folder}/data", "-A", "trust", "-U", "im2im"), check=True, capture_output=True)
        subprocess.run(by_user(f"{PROGRAMS}/pg_ctl", "-D", f"{folder}/data", *start), check=True, capture_output=True)
        yield f"postgresql://im2im@/postgres?host={folder}"
    finally:
        subprocess.run(by_user(f"{PROGRAMS}/pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "stop"), check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def test_two_workers_share_a_search_on_a_server(server):
    trials_in(server, 12, {"x": "interval(-5,5)"})
    two_workers(server)

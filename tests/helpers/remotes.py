"""DVC remotes that really are some: a folder, an SSH server and an S3 server, both on loopback.

`remote` is a fixture that comes once for each of the three. The servers are started once a session; every
test has a folder or a bucket of its own. Clients reach a server over a `Line`, so that a test can cut it.
"""

import getpass
import importlib.util
import json
import logging
import os
import shutil
import socket
import subprocess
import threading
import uuid
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import pytest
from dvc.config import Config

from helpers.repository import run

BOTH = (os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")
SSHD = shutil.which("sshd", path=os.pathsep.join(BOTH))
KEYS = {"access_key_id": "graft", "secret_access_key": "secret"}
SSHD_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
Subsystem sftp internal-sftp
"""


class Line:
    """A TCP line to a port of loopback, from a port of its own that stays the same."""

    def __init__(self, target):
        self.target = target
        self.port = 0
        self.start()

    def start(self):
        """Let clients connect."""
        self.left = None
        self.ends = set()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=[self.listener], daemon=True).start()

    def stop(self):
        """Cut every connection and refuse new ones."""
        for end in [self.listener, *self.ends]:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def stop_after(self, n_bytes):
        """Cut the line as soon as clients have sent so many bytes more."""
        self.left = n_bytes

    def _accept(self, listener):
        with suppress(OSError):
            while True:
                client = listener.accept()[0]
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            self.ends |= {client, server}
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else 40 ms a packet
            back = threading.Thread(target=self._pump, args=[server, client], daemon=True)
            back.start()
            self._pump(client, server, counted=True)
            back.join()
            self.ends -= {client, server}

    def _pump(self, source, sink, counted=False):
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if counted and self._used_up(len(data)):
                    self.stop()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def _used_up(self, n_bytes):
        if self.left is None:
            return False
        self.left -= n_bytes
        return self.left < 0


class Remote:
    """What the three kinds share. An object is named by its md5, `.dir` included."""

    name = "team"
    settings = MappingProxyType({})  # of .dvc/config
    credentials = MappingProxyType({})  # of .dvc/config.local
    as_person = ()  # what a command needs before it where root may do what it is tested not to

    def configure(self, repo):
        """Make it the default remote of a repository, and commit that."""
        run(repo, "dvc", "remote", "add", "--quiet", "--default", self.name, self.url)
        self._set(repo, "repo", self.settings)
        run(repo, "git", "commit", "--quiet", "--message", "remote", ".dvc/config")
        self.configure_credentials(repo)

    def configure_credentials(self, clone):
        """Give a clone what Git does not carry."""
        self._set(clone, "local", self.credentials)

    def _set(self, repo, level, settings):
        if settings:
            with Config(str(repo / ".dvc")).edit(level) as config:
                config["remote"].setdefault(self.name, {}).update(settings)

    def objects(self):
        """{md5: size in bytes}, without the run-cache."""
        place = "files/md5/"
        found = self.files().items()
        return {n.removeprefix(place).replace("/", ""): size for n, size in found if n.startswith(place)}

    def read_object(self, md5):
        return self.read(_path(md5))

    def write_object(self, md5, data):
        """Store bytes under an md5 that may be another's."""
        self.write(_path(md5), data)

    def remove_object(self, md5):
        self.remove(_path(md5))


def _path(md5):
    return f"files/md5/{md5[:2]}/{md5[2:]}"


class Local(Remote):
    """A folder. The outage takes it away, as where a disk is not mounted."""

    as_person = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.getuid() == 0 else ()

    def __init__(self, folder):
        self.folder = folder
        self.url = str(folder)
        self.mounted = False
        folder.mkdir(parents=True)

    def files(self):
        """{path: size in bytes} of everything on the remote."""
        found = (f for f in self.folder.rglob("*") if f.is_file())
        return {f.relative_to(self.folder).as_posix(): f.stat().st_size for f in found}

    def read(self, path):
        return (self.folder / path).read_bytes()

    def write(self, path, data):
        self.remove(path)
        (self.folder / path).write_bytes(data)
        (self.folder / path).chmod(0o444)  # as DVC leaves it: it then takes it for intact

    def remove(self, path):
        (self.folder / path).unlink(missing_ok=True)

    def stop(self):
        self.folder.rename(self.folder.with_name("away"))
        self.folder.write_text("no folder: the disk is not mounted")

    def start(self):
        self.folder.unlink()
        self.folder.with_name("away").rename(self.folder)

    def deny_writing(self):
        """To what `as_person` runs."""
        self._chmod(0o555)

    def allow_writing(self):
        self._chmod(0o755)

    def _chmod(self, mode):
        for folder in (self.folder, *(f for f in self.folder.rglob("*") if f.is_dir())):
            folder.chmod(mode)

    def limit(self, n_bytes):
        """Give it the room of a small disk, still empty; a second time, a larger or smaller one."""
        how = f"remount,size={n_bytes}" if self.mounted else f"size={n_bytes},mode=1777"
        command = ["mount", "-t", "tmpfs", "-o", how, "tmpfs", self.folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a small disk wants a mount, which only root may do: {done.stderr.strip()}")
        self.mounted = True

    def close(self):
        if self.mounted:
            subprocess.run(["umount", self.folder], check=True)


class SSH(Local):
    """A folder behind an SSH server. The outage cuts the line."""

    as_person = ()

    def __init__(self, folder, server):
        super().__init__(folder)
        self.server = server
        self.url = f"ssh://127.0.0.1:{server.line.port}{folder}"
        self.credentials = {"user": getpass.getuser(), "keyfile": str(server.folder / "client")}
        self.start, self.stop, self.stop_after = server.line.start, server.line.stop, server.line.stop_after

    def deny_writing(self):
        self.server.authorize('command="internal-sftp -R" ')

    def allow_writing(self):
        self.server.authorize("")


class S3(Remote):
    """A bucket. The outage cuts the line."""

    def __init__(self, server):
        self.bucket = server.s3.create_bucket(Bucket=uuid.uuid4().hex)
        self.url = f"s3://{self.bucket.name}/dvc"
        self.settings = {"endpointurl": f"http://127.0.0.1:{server.line.port}", "region": "us-east-1"}
        self.credentials = KEYS
        self.start, self.stop, self.stop_after = server.line.start, server.line.stop, server.line.stop_after

    def files(self):
        """{path: size in bytes} of everything on the remote."""
        return {each.key.removeprefix("dvc/"): each.size for each in self.bucket.objects.all()}

    def read(self, path):
        return self.bucket.Object(f"dvc/{path}").get()["Body"].read()

    def write(self, path, data):
        self.bucket.put_object(Key=f"dvc/{path}", Body=data)

    def remove(self, path):
        self.bucket.Object(f"dvc/{path}").delete()

    def deny_writing(self):
        resource = f"arn:aws:s3:::{self.bucket.name}/*"
        statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": resource}
        self.bucket.Policy().put(Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    def allow_writing(self):
        self.bucket.Policy().delete()

    def limit(self, _):
        pytest.skip("a bucket has no end")

    def close(self):
        pass


class SSHServer:
    """Debian's sshd as an ordinary process, with keys and a configuration of its own."""

    def __init__(self, folder):
        self.folder = folder
        for key in ("host", "client"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
        self.authorize("")
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # without it sshd of root does not start
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        (folder / "config").write_text(SSHD_CONFIG.format(port=port, folder=folder))
        command = [SSHD, "-D", "-f", folder / "config", "-E", folder / "log"]
        self.process = subprocess.Popen(command)
        while not _answers(port):
            assert self.process.poll() is None, (folder / "log").read_text()
        self.line = Line(port)

    def authorize(self, options):
        """Let the client's key in, with options such as a forced command."""
        key = (self.folder / "client.pub").read_text()
        (self.folder / "authorized_keys").write_text(options + key)

    def close(self):
        self.line.stop()
        self.process.terminate()
        self.process.wait()


class S3Server:
    """moto's server in a thread: it holds everything in memory."""

    def __init__(self):
        import boto3
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        self.server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self.server.start()
        port = self.server.get_host_and_port()[1]
        keys = {"aws_access_key_id": "graft", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
        self.s3 = boto3.resource("s3", endpoint_url=f"http://127.0.0.1:{port}", **keys)
        self.line = Line(port)

    def close(self):
        self.line.stop()
        self.s3.meta.client.close()
        self.server.stop()


def _answers(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def _require(*modules):
    missing = [module for module in modules if not importlib.util.find_spec(module)]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: `make remotes`")


@pytest.fixture(scope="session")
def loopback():
    """No proxy between here and loopback, and no waiting for a server that was stopped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, f"127.0.0.1,{os.environ.get(name, '')}")
        yield


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory):
    _require("dvc_ssh")
    if not (SSHD and shutil.which("ssh-keygen")):
        pytest.skip("no sshd: `apt-get install openssh-server`")
    server = SSHServer(tmp_path_factory.mktemp("ssh"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def s3_server(loopback):  # noqa: ARG001
    _require("dvc_s3", "moto", "flask", "boto3")
    server = S3Server()
    yield server
    server.close()


def make_remote(request, folder):
    """An empty remote of the kind that is the fixture's parameter, of each only where it can be had."""
    if request.param == "local":
        return Local(folder)
    if request.param == "ssh":
        return SSH(folder, request.getfixturevalue("ssh_server"))
    return S3(request.getfixturevalue("s3_server"))


LONG = pytest.mark.long


@pytest.fixture(params=["local", pytest.param("ssh", marks=LONG), pytest.param("s3", marks=LONG)])
def remote(request, tmp_path):
    made = make_remote(request, tmp_path / "remote")
    yield made
    made.close()

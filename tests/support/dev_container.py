"""The dev container, opened by its own command line as an editor opens it: in a clone that an ordinary user owns."""

import json
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.compose import DEV_CONTAINER, Stack
from tests.support.dap import Command
from tests.support.project import ROOT

HERE = ROOT / "tests/dev_container"
DOCKER_SOCKET = Path("/var/run/docker.sock")


@dataclass(frozen=True)
class User:
    """Owner of the clone: the user who runs the tests or, if that is root, a user who is made for them."""

    uid: int
    gid: int
    prefix: tuple[str, ...] = ()

    def command(self, *arguments: object) -> list[str]:
        """Return a command that runs as this user."""
        return [*self.prefix, *map(str, arguments)]


@contextmanager
def ordinary_user(home: Path) -> Iterator[User]:
    """Return a user with this home: for a clone of root's, the user in the container would not get the owner's id."""
    if os.getuid() != 0:
        yield User(os.getuid(), os.getgid())
        return
    name = f"lakelet-{uuid.uuid4().hex[:8]}"
    subprocess.run(["useradd", "--no-create-home", "--home-dir", home, name], check=True)
    try:
        found = pwd.getpwnam(name)
        groups = f"{found.pw_gid},{DOCKER_SOCKET.stat().st_gid}"
        ids = ("--reuid", str(found.pw_uid), "--regid", str(found.pw_gid), "--groups", groups)
        yield User(found.pw_uid, found.pw_gid, ("setpriv", *ids))
    finally:
        subprocess.run(["userdel", name], check=True)


def copy_clone(target: Path) -> None:
    """Clone this repository as it is on the disk: changes that are not committed are, in the clone."""
    subprocess.run(["git", "clone", "--quiet", ROOT, target], check=True)
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        (target / name).unlink(missing_ok=True)
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    git = ["git", "-C", target, "-c", "user.name=Tests", "-c", "user.email=tests@example.org"]
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "As it is on the disk"], check=True)


def install_cli(target: Path) -> Path:
    """Install the command line at the locked version; give its path."""
    target.mkdir()
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy2(HERE / name, target)
    subprocess.run(["npm", "ci", "--silent"], cwd=target, check=True)
    return target / "node_modules/.bin/devcontainer"


def copy_compose(home: Path) -> None:
    """Return another user's Docker client the plugins that root has in its own home, Compose among them."""
    plugins = Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker")) / "cli-plugins"
    if plugins.exists():
        shutil.copytree(plugins, home / ".docker/cli-plugins")


@dataclass(frozen=True)
class DevContainer:
    """Clone and the dev container that is opened in it, as a compose project of its own."""

    cli: Path
    clone: Path
    user: User
    stack: Stack
    environ: dict[str, str]

    def command(self, verb: str, *arguments: object) -> list[str]:
        """Return a command of the dev container's command line."""
        return self.user.command(self.cli, verb, "--workspace-folder", self.clone, *arguments)

    def inside(self, *arguments: str, **variables: str | None) -> Command:
        """Return a command that runs in the container, with variables of its own."""
        told = [f"--remote-env={name}={value or ''}" for name, value in variables.items()]
        return Command(self.command("exec", *told, *arguments), self.environ)

    def run(self, *arguments: object, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command as the user, in the clone."""
        told = {**os.environ, **self.environ}
        return subprocess.run(arguments, cwd=self.clone, env=told, capture_output=True, text=True, timeout=seconds)

    def up(self, *arguments: str) -> dict[str, Any]:
        """Open it, and give what the command line says of it."""
        done = self.run(*self.command("up", *arguments), seconds=600)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result

    def shell(self, script: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a script in the container, in the workspace."""
        done = self.run(*self.command("exec", "bash", "-c", script))
        assert not check or done.returncode == 0, f"{script}: {done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done

    def compose(self, *arguments: str) -> None:
        """Run a compose command in the clone, as its user would."""
        done = self.run(*self.user.command("docker", "compose", *arguments))
        assert done.returncode == 0, done.stderr[-4000:]

    def remove(self) -> None:
        """Take it away: containers, data and images, the one of the command line's own too."""
        made = self.stack.compose("images", "--quiet", "dev", check=False).stdout.split()
        self.stack.remove()
        for image in made:
            subprocess.run(["docker", "image", "rm", "--force", image], capture_output=True)


@contextmanager
def new_dev_container() -> Iterator[DevContainer]:
    """Return a dev container that is not open yet; nothing of it is left after the block."""
    # Not below pytest's own folder, into which no other user may look.
    with tempfile.TemporaryDirectory(prefix="lakelet-") as folder, ordinary_user(home := Path(folder)) as user:
        cli = install_cli(home / "cli")
        copy_clone(home / "clone")
        stack = Stack.new(DEV_CONTAINER)
        environ = {**stack.compose_environ, "COMPOSE_PROJECT_NAME": stack.project, "TMPDIR": folder}
        if user.prefix:
            environ["HOME"] = folder
            copy_compose(home)
            subprocess.run(["chown", "--recursive", f"{user.uid}:{user.gid}", home], check=True)
        container = DevContainer(cli, home / "clone", user, stack, environ)
        try:
            yield container
        finally:
            container.remove()

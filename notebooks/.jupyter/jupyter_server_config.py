"""Settings of JupyterLab, in its container and for `make notebook`; the image has a copy of this file."""

import os
import sys
from pathlib import Path

c = get_config()  # type: ignore[name-defined]  # noqa: F821

token = os.environ.get("NOTEBOOK_TOKEN", "")
if not token:
    sys.exit("error: NOTEBOOK_TOKEN is not set: without a token anybody could run code here. .env has a default")

folder = Path.cwd()
if not os.access(folder, os.W_OK):
    found, me = folder.stat(), f"{os.getuid()}:{os.getgid()}"
    owner = f"{found.st_uid}:{found.st_gid}"
    way_out = f"Run chown -R {me} notebooks" if found.st_uid == 0 else f"Set NOTEBOOK_USER={owner} in .env"
    sys.exit(f"error: nothing could be saved: ./notebooks belongs to {owner}, and JupyterLab runs as {me}. {way_out}")

c.ServerApp.ip = os.environ.get("NOTEBOOK_HOST") or "127.0.0.1"
c.ServerApp.port = int(os.environ.get("NOTEBOOK_PORT") or 8888)
c.ServerApp.custom_display_url = os.environ.get("NOTEBOOK_URL") or ""
c.ServerApp.port_retries = 0  # another port would not be the one that is told and published
c.ServerApp.open_browser = False
c.ServerApp.allow_remote_access = False  # under another name than localhost, a page of elsewhere could lead here
c.ServerApp.allow_root = True  # an engine without root calls its own user root
c.ServerApp.answer_yes = True  # Ctrl-C ends it without a question
c.IdentityProvider.token = token
c.KernelManager.transport_encryption = "auto"  # or any user of this machine could listen to a kernel's words

# Nothing is asked of, or told to, another machine.
c.LabApp.app_settings_dir = str(Path(__file__).parent)  # for overrides.json
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
c.LanguageServerManager.autodetect = False

"""Makes docs/images/live-page.png: the live page, looking at the demo's drawn scene.

    python scripts/live_page_picture.py [FILE]

Needs the test dependencies and Chromium. It takes about two minutes, and two idle cores: with less
than these readings come late.
"""

from __future__ import annotations

import io
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

DEFAULT = Path(__file__).resolve().parents[1] / "docs" / "images" / "live-page.png"
TEXT = "A drawn figure, to show what the page looks like"
SECONDS = 56
"""Of readings; the scene is a little longer, so that all its four parts are in the timeline."""
COLOURS = 200


def _settings(folder: Path, port: int) -> list[str]:
    """What the demo's configuration is overridden with."""
    rule = '[{ name = "downcast", labels = ["sad"], above = 0.6, for_s = 1.0 }]'
    values = {
        "runtime.directory": folder,
        "events.endpoint": f"ipc://{folder}/events",
        "events.health_endpoint": f"ipc://{folder}/health",
        "journal.path": folder / "events.sqlite",
        "metrics.address": "off",
        "view.address": f"127.0.0.1:{port}",
        "purpose.use": "other",
        "purpose.text": TEXT,
        "streams.0.name": "gallery",
        "streams.0.scene.seconds": SECONDS + 8,
        "rules": rule,
    }
    return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]


def _shoot(port: int) -> bytes:
    """The page when it has shown as many seconds."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1240, "height": 700}, color_scheme="light")
        page.goto(f"http://localhost:{port}", wait_until="load")
        page.locator(".people li b").first.wait_for(timeout=400_000)
        page.wait_for_timeout(SECONDS * 1000)
        picture = page.screenshot()
        browser.close()
    return picture


def main() -> None:
    """Run the demo with its page, and keep a picture of it."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="jack-") as folder:
        command = [sys.executable, "-m", "jack_stream", "run", "--config", "demo", "--view"]
        run = subprocess.Popen([*command, *_settings(Path(folder), port)])
        try:
            _wait_for(port, run)
            picture = _shoot(port)
        finally:
            run.terminate()
            run.wait(20)
    out.parent.mkdir(parents=True, exist_ok=True)
    small = Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS)
    small.save(out, optimize=True)
    print(f"{out}: {out.stat().st_size // 1000} kB")


def _wait_for(port: int, run: subprocess.Popen[bytes]) -> None:
    while run.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise SystemExit("the system ended; see above why")


if __name__ == "__main__":
    main()

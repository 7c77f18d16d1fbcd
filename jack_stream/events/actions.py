"""Does what rules want done about alerts: runs commands and posts to webhooks, a few at a time."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus

import msgspec
import structlog
import urllib3

import jack_stream
from jack_stream.closing import Closing
from jack_stream.config.rules import RuleSettings
from jack_stream.events.memory import Job
from jack_stream.events.schema import Alert
from jack_stream.wire.tally import labelled

__all__ = ["Actions"]

_AT_ONCE = 4
_WAITING = 100
_TRIES_AFTER_S = (0.0, 1.0, 4.0)
_SLICE_S = 0.1
_GRACE_S = 1.0
_REFUSED_FOR_NOW = {408, 425, 429}
_log = structlog.get_logger()


class Actions(Closing):
    """Runs actions in threads, four at a time; a hundred more may wait.

    Args:
        rules: say what is to be done.

    Attributes:
        counters: ``actions.<rule>``, ``actions_failed.<rule>``, ``actions_dropped``.
    """

    def __init__(self, rules: Iterable[RuleSettings]) -> None:
        self.counters: Counter[str] = Counter()
        self._rules = {rule.name: rule for rule in rules}
        self._jobs: dict[Future[str | None], Job] = {}
        self._trouble: dict[tuple[str, str], str] = {}
        self._stop = threading.Event()
        self._give_up_s = math.inf
        self._threads = ThreadPoolExecutor(_AT_ONCE, "actions")
        self._http = urllib3.PoolManager(maxsize=_AT_ONCE)

    @property
    def unfinished(self) -> list[Job]:
        """What is being done or waits."""
        return list(self._jobs.values())

    @property
    def trouble(self) -> str:
        """What failed when it was done last; empty if nothing did."""
        return "; ".join(self._trouble.values())

    def act(self, alert: Alert) -> None:
        """Do what the alert's rule wants done about it."""
        rule = self._rules.get(alert.rule)
        if rule is not None and alert.state in rule.act_on:
            if rule.command:
                self.begin(Job(alert=alert, action="command"))
            if rule.webhook is not None:
                self.begin(Job(alert=alert, action="webhook"))

    def begin(self, job: Job) -> None:
        """Do one thing, now or when it is its turn; nothing if its rule is not there."""
        rule = self._rules.get(job.alert.rule)
        if rule is None:
            return
        if len(self._jobs) >= _AT_ONCE + _WAITING:
            self.counters["actions_dropped"] += 1
            _log.error("an action was dropped: too many wait", rule=rule.name, action=job.action)
            return
        do = self._run if job.action == "command" else self._post
        payload = msgspec.json.encode(job.alert) + b"\n"
        self._jobs[self._threads.submit(do, rule, payload)] = job

    def tend(self) -> bool:
        """Note what is done; True if anything is."""
        done = [one for one in self._jobs if one.done() and not one.cancelled()]
        for future in done:
            if (cause := future.result()) is not None:
                self._note(self._jobs.pop(future), cause)
        return bool(done)

    def close(self) -> None:
        """Give up what can't be finished within a second; it stays in :attr:`unfinished`."""
        self._give_up_s = time.monotonic() + _GRACE_S
        self._stop.set()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self.tend()
        self._http.clear()

    def _note(self, job: Job, cause: str) -> None:
        rule, action = job.alert.rule, job.action
        self.counters[labelled("actions", rule)] += 1
        if not cause:
            self._trouble.pop((rule, action), None)
            return
        self.counters[labelled("actions_failed", rule)] += 1
        self._trouble[rule, action] = f"the {action} of rule {rule} failed: {cause}"
        _log.error("an action failed", rule=rule, action=action, cause=cause)

    def _run(self, rule: RuleSettings, payload: bytes) -> str | None:
        """Run a command; why it failed, an empty text if it did not, None if it was given up."""
        try:
            process = subprocess.Popen(  # noqa: S603 - what the configuration says, without a shell
                rule.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            return f"{rule.command[0]} can't be run: {error.strerror}"
        until_s = time.monotonic() + rule.timeout_s
        given: bytes | None = payload
        while True:
            try:
                process.communicate(given, _SLICE_S)
            except subprocess.TimeoutExpired:
                given = None  # the rest of it is still being written
            else:
                code = process.returncode
                return f"{rule.command[0]} ended with exit code {code}" if code else ""
            now_s = time.monotonic()
            if now_s > min(until_s, self._give_up_s):
                _kill(process)
                took = f"{rule.command[0]} took longer than {rule.timeout_s:g} s and was killed"
                return took if now_s > until_s else None

    def _post(self, rule: RuleSettings, payload: bytes) -> str | None:
        """Post to a webhook, three times at most; what comes back as for a command.

        What is said of it does not have its address, which may be as good as a password.
        """
        cause = ""
        for after_s in _TRIES_AFTER_S:
            if self._stop.wait(after_s):
                return None
            try:
                response = self._http.request(
                    "POST",
                    rule.webhook or "",
                    body=payload,
                    headers={
                        "Content-Type": "application/json",
                        "User-Agent": f"jack-stream/{jack_stream.__version__}",
                    },
                    timeout=rule.timeout_s,
                    retries=False,
                    redirect=False,
                    preload_content=False,  # what is answered besides the status is not read
                )
            except urllib3.exceptions.HTTPError as error:
                cause = str(error)[:200]
                continue
            response.close()
            if HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                return ""
            cause = f"it answered {response.status}"
            if response.status in range(300, 400):
                return f"{cause}; give the address that this leads to, redirects are not followed"
            if response.status < HTTPStatus.INTERNAL_SERVER_ERROR and (
                response.status not in _REFUSED_FOR_NOW
            ):
                return cause
        return cause


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()

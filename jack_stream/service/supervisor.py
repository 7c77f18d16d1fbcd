"""Starts the processes of a configuration, keeps them alive, and ends them together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog
import zmq

from jack_stream.clock import Clock
from jack_stream.config import Config
from jack_stream.errors import JackError, WireError
from jack_stream.service.child import Child
from jack_stream.service.cores import take_part
from jack_stream.service.lock import sole_owner
from jack_stream.service.notify import Notifier
from jack_stream.service.plan import WorkerPlan, plan
from jack_stream.service.recycling import due
from jack_stream.service.status import SUPERVISOR
from jack_stream.service.succession import SUCCESSOR, Succession, merged
from jack_stream.service.traces import collected
from jack_stream.wire.codec import decode, encode
from jack_stream.wire.endpoint import bind
from jack_stream.wire.messages import Health, Stamp, State
from jack_stream.wire.policy import Policy
from jack_stream.wire.tally import labelled

__all__ = ["Supervisor"]

STOP_WITHIN_S = 4.0
LAST_STOP_WITHIN_S = {"rules": 3.5, "journal": 1.0}
"""They end after all others, one after the other: the others' last events go through them."""
_TURN_MS = 100
_PROGRESS_WITHIN_S = 60.0
_SAY_EVERY_S = 1.0
_REST_S = 600.0
"""Between two recyclings, in case a new process is beyond the limit from the start, or fails."""
_log = structlog.get_logger()


class Supervisor:
    """Runs a configuration until it is stopped or all its sources are over.

    Args:
        config: what to run.
        notifier: whom to tell (systemd), by default the one of the environment.
        on_health: called with every report of every process.
        reload: reads the configuration again, for :attr:`reloading`.

    Attributes:
        reloading: set it to let a new inference process with newly read weights take over.
    """

    def __init__(
        self,
        config: Config,
        *,
        notifier: Notifier | None = None,
        on_health: Callable[[Health], None] | None = None,
        reload: Callable[[], Config] | None = None,
    ) -> None:
        patient = config.runtime.policy is Policy.LOSSLESS
        self.children = {one.name: Child(one, may_wait=patient) for one in plan(config)}
        remote = any(stream.remote is not None for stream in config.streams)
        roles = {"pose", "inference", "rules", "journal", "metrics", "view"} | (
            set() if remote else {"gate"}
        )
        self._sources = [c for c in self.children.values() if c.plan.role not in roles]
        self._config = config
        self._config_json = config.model_dump_json()
        self._notifier = notifier or Notifier.from_environment()
        self._on_health = on_health
        self.reloading = threading.Event()
        self._reload = reload
        self._succession: Succession | None = None
        self._inference_json = self._next_json = self._config_json
        self._clock = Clock()
        self._session = f"{self._clock.now_ns():x}"[-8:]
        self._seq = 0
        self._cores = ""
        self._ready = False
        self._petted_s = 0.0
        self._progress = (0, 0)
        self._progress_s = time.monotonic()
        self._began_s = time.monotonic()
        self._said_s = 0.0
        self._recycled_s = -_REST_S

    def run(self, stop: threading.Event) -> int:
        """Run until ``stop`` is set or everything is over.

        Returns:
            0, or the exit code of the process whose failure ended the run.

        Raises:
            ConfigError: another run has its sockets in the same folder, or an address is taken.
        """
        with sole_owner(self._config.directory), collected(self._config):
            return self._run(stop)

    def _run(self, stop: threading.Event) -> int:
        _warn_of_gaps(self._config)
        if (parts := take_part(self._config)) is not None:
            self._cores = str(parts)
            _log.info("cores are divided", cores=self._cores)
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        inbox, outlet = context.socket(zmq.PULL), context.socket(zmq.PUB)
        try:
            bind(outlet, self._config.events.health_endpoint)
            bind(inbox, self._config.health_inbox)
            for child in self.children.values():
                child.start(self._config_json)
            try:
                while not stop.is_set() and not self._is_over():
                    self._collect(inbox, outlet)
                    self._succeed()
                    self._tend(outlet)
                    self._tell_what_is_over()
                    self._say(outlet)
                    self._pet()
            finally:
                self._end(inbox, outlet)
        finally:
            inbox.close(linger=0)
            outlet.close(linger=500)
        return self._exit_code()

    def _is_over(self) -> bool:
        if any(child.finished or child.failed for child in self._vital()):
            return True
        return all(child.failed for child in self._sources)

    def _vital(self) -> list[Child]:
        """The processes without which no event is published."""
        return [c for c in self.children.values() if c.plan.role in {"inference", "journal"}]

    def _exit_code(self) -> int:
        for child in self._vital():
            if child.failed:
                return child.exit_code or 1
        failed = [c.exit_code or 1 for c in self.children.values() if c.failed]
        return failed[0] if failed and all(c.failed for c in self._sources) else 0

    def _collect(self, inbox: zmq.Socket[bytes], outlet: zmq.Socket[bytes]) -> None:
        """Take in the reports that have come and pass them on."""
        timeout = _TURN_MS
        while inbox.poll(timeout):
            timeout = 0
            parts = inbox.recv_multipart()
            try:
                health = decode(parts)
            except WireError as error:
                _log.warning("dropped a malformed report", cause=str(error))
                continue
            if isinstance(health, Health) and health.process == SUCCESSOR:
                if self._succession is not None:
                    self._succession.hear(health, self._clock)
            elif isinstance(health, Health) and health.process in self.children:
                self._hear(health)
                outlet.send_multipart(parts)

    def _hear(self, health: Health) -> None:
        child = self.children[health.process]
        before = child.health.state if child.health is not None else None
        child.hear(health)
        if before != health.state:
            detail = {"detail": health.detail} if health.detail else {}
            _log.info(health.state, process=health.process, **detail)
        if health.process == "inference" and health.state in {"running", "degraded"}:
            if not self._ready:
                self._ready = True
                self._notifier.ready()
            counters = health.counters
            progress = (counters.get("messages_received", 0), counters.get("windows", 0))
            if progress[1] != self._progress[1] or progress[0] == self._progress[0]:
                self._progress_s = time.monotonic()
            self._progress = progress
        if self._on_health is not None:
            self._on_health(health)

    def _tend(self, outlet: zmq.Socket[bytes]) -> None:
        """Restart what died, and say so."""
        for name, child in self.children.items():
            if self._succession is not None and child is self._succession.old:
                continue  # is looked after there
            was_there = child.pid is not None
            outcome = child.look()
            if was_there and outcome in {"died", "hung", "failed"}:
                wait = f"; again in {child.restart_in_s():.1f} s" if outcome != "failed" else ""
                detail = f"{outcome} (exit code {child.exit_code}){wait}"
                _log.warning(detail, process=name)
                self._notifier.status(f"{name} {detail}; {self._restarts()} restarts in all")
                self._report(outlet, name, child, detail)
            if child.may_restart():
                child.restarts += 1
                is_inference = child.plan.role == "inference"
                child.start(self._inference_json if is_inference else self._config_json)

    def _succeed(self) -> None:
        """Begin to take over if that is wanted, and go on with it."""
        if self.reloading.is_set() and self._succession is None and self._ready:
            self.reloading.clear()
            self._notifier.reloading()
            self._begin_succession(self._reload)
            self._notifier.ready()
        if self._succession is not None and (stays := self._succession.look()) is not None:
            if stays is self._succession.successor:
                stays.plan = self._succession.old.plan
                self._inference_json = self._next_json
                self.children["inference"] = stays
            self._succession = None

    def _recycle(self) -> None:
        """Let a new process with the same weights take over from one that is old or large."""
        rested = time.monotonic() - self._recycled_s >= _REST_S
        if self._succession is not None or not self._ready or not rested:
            return
        if reason := due(self.children["inference"], self._config.recycle):
            _log.info("inference is recycled", reason=reason)
            self._recycled_s = time.monotonic()
            self._begin_succession(None)

    def _begin_succession(self, reread: Callable[[], Config] | None) -> None:
        if self._config.runtime.policy is Policy.LOSSLESS:
            _log.error("not reloaded: under the lossless policy two can't listen to one source")
            return
        if not self._config.journal.enabled:
            _log.error("not reloaded: without the journal two processes can not publish at once")
            return
        if reread is not None:
            try:
                config, keys = merged(self._config, reread())
                plan(config)
            except JackError as error:
                _log.error("not reloaded; all goes on as before", cause=str(error))
                return
            if keys:
                _log.warning("these keys need a restart to take effect", keys=", ".join(keys))
            self._next_json = config.model_dump_json()
        _log.info("a new inference process is started beside the old one")
        successor = Child(WorkerPlan("inference", "next"))
        successor.start(self._next_json)
        self._succession = Succession(self.children["inference"], successor)

    def _tell_what_is_over(self) -> None:
        """Tell those who wait for a source that it is gone for good, in case it can't itself."""
        for stream in self._config.streams:
            of_stream = [c for c in self.children.values() if c.plan.stream == stream.name]
            gone = {c.plan.role for c in of_stream if c.finished or c.failed}
            if stream.remote is None and of_stream and all(c.plan.role in gone for c in of_stream):
                self.children["inference"].tell_over(stream.name)
            pose = self.children.get(f"pose.{stream.name}")
            if pose is not None and stream.picture_source in gone:
                pose.tell_over(stream.name)

    def _restarts(self) -> int:
        return sum(child.restarts for child in self.children.values())

    def _say(self, outlet: zmq.Socket[bytes]) -> None:
        """Say once a second how the processes fare, in full, for those who come late."""
        now_s = time.monotonic()
        if now_s - self._said_s < _SAY_EVERY_S:
            return
        self._said_s = now_s
        self._recycle()
        counters, gauges = {}, {"uptime_s": now_s - self._began_s}
        for name, child in self.children.items():
            counters[labelled("restarts", name)] = child.restarts
            gauges[labelled("uptime_s", name)] = child.uptime_s()
            if child.pid is None:
                detail = "it is over" if child.finished else f"ended with code {child.exit_code}"
                self._report(outlet, name, child, detail)
        stamp = Stamp("", self._seq, self._clock.now_ns(), self._session)
        self._seq += 1
        health = Health(stamp, SUPERVISOR, "running", counters, gauges, self._cores)
        outlet.send_multipart(encode(health))

    def _report(self, outlet: zmq.Socket[bytes], name: str, child: Child, detail: str) -> None:
        stamp = Stamp(child.plan.stream, self._seq, self._clock.now_ns(), self._session)
        self._seq += 1
        state: State = "stopped" if child.failed or child.finished else "reconnecting"
        health = Health(stamp, name, state, {"restarts": child.restarts}, {}, detail)
        outlet.send_multipart(encode(health))
        if self._on_health is not None:
            self._on_health(health)

    def _pet(self) -> None:
        """Tell systemd's watchdog that results leave, unless they do not.

        Data that comes in for a minute without a window being finished is a hang. A source that
        is away is none: starting the service again would not bring it back.
        """
        interval_s = self._notifier.watchdog_interval_s
        now_s = time.monotonic()
        if interval_s is None or now_s - self._petted_s < interval_s:
            return
        if not self._ready or now_s - self._progress_s < _PROGRESS_WITHIN_S:
            self._petted_s = now_s
            self._notifier.watchdog()
            counts = (len(self._config.streams), self._progress[1], self._restarts())
            self._notifier.status("{} streams, {} windows, {} restarts".format(*counts))

    def _end(self, inbox: zmq.Socket[bytes], outlet: zmq.Socket[bytes]) -> None:
        """End all processes within :data:`STOP_WITHIN_S`; what they published is sent."""
        self._notifier.stopping()
        if self._succession is not None:
            self._succession.successor.terminate()
            self._succession.successor.wait(time.monotonic() + 1)
        for child in self.children.values():
            if child.plan.role not in LAST_STOP_WITHIN_S:
                child.terminate()
        until_s = time.monotonic() + STOP_WITHIN_S
        for name, child in self.children.items():
            if child.plan.role in LAST_STOP_WITHIN_S:
                child.terminate()
                within_s = LAST_STOP_WITHIN_S[child.plan.role]
                until_s = max(until_s, time.monotonic() + within_s)
            if not child.wait(until_s):
                _log.warning("did not end in time and was killed", process=name)
        self._collect(inbox, outlet)


def _warn_of_gaps(config: Config) -> None:
    if config.observes_people and config.purpose.gaps:
        _log.warning(
            "it is not stated what people are observed for or who answers for it; they must be"
            " told (docs/purpose.md)",
            missing=", ".join(f"purpose.{key}" for key in config.purpose.gaps),
        )

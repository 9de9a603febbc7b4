"""What the queue does, shown and verified: ``make demo``.

A story in an empty directory of its own: requests are made while no service runs, the service is
started, more requests come while it works, it is stopped. The programs in it write themselves when
they start and end; what the queue says is compared with that. Exit status 0: all was true.
"""

from __future__ import annotations

import io
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from botsproject.demo.stage import DUPLICATE, PATIENCE, PROGRAMS, Demo, processes_of, wait

FORGIVEN = 6  # seconds after the signal in which a last run may still start, and one to spare
EXPECTED_ORDER = [
    "invoices",
    "bots-engine",
    "orders",
    "urgent",
    "broken",
    "no-such-program",
    "backup",
    "orders",
]
EXPECTED_STATES = {
    "bots-engine": ("warned", 2),
    "broken": ("failed", 7),
    "no-such-program": ("failed", None),
}


def main() -> int:
    """Tell the story; 0 if all of it was true."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    with tempfile.TemporaryDirectory(prefix="jobqueue-demo-") as directory:
        demo = Demo(Path(directory))
        result = demo.manage("migrate", "--verbosity", "0")
        demo.verify("an empty database is made", result.returncode, 0)
        if result.returncode:
            print(result.stderr)
            return 1
        requests_without_service(demo)
        try:
            with demo.service() as cluster:
                requests_during_a_run(demo)
                record_and_journal(demo)
                waiting_command(demo)
                schedule(demo)
                stop(demo, cluster)
        except TimeoutError as error:
            demo.verify("it comes to its end", str(error), "")
        print(f"\n{demo.untrue} of it was not true." if demo.untrue else "\nAll of it was true.")
    return 1 if demo.untrue else 0


def title(text: str) -> None:
    """A heading."""
    print(f"\n== {text}\n", flush=True)


def requests_without_service(demo: Demo) -> None:
    """Priorities, a duplicate, a promotion, a program that isn't there."""
    title("No service runs: requests are accepted, and kept in the database")
    demo.queue("-p9", "backup")
    demo.queue("orders")
    print("The same again, while the first one waits, is a duplicate:")
    demo.queue("orders", expect=DUPLICATE)
    demo.queue("broken")
    demo.queue("no-such-program")
    demo.queue("-p6", "invoices")
    print("The same with a better priority moves the one that waits forward:")
    demo.queue("-p2", "invoices")
    demo.queue("-p4", "bots-engine", "--new")
    demo.verify("nothing has run yet", demo.lines(), [])


def requests_during_a_run(demo: Demo) -> None:
    """An urgent one goes before all that waits; one like the running one is new."""
    title("The service starts: manage.py qcluster")
    demo.wait_for_line("orders started")
    print("'orders' is running now. Meanwhile somebody is in a hurry:")
    demo.queue("-p1", "urgent")
    print("And 'orders' is asked for again: that is new, for the running one may have begun before")
    print("what this is about was there:")
    demo.queue("-p9", "orders")
    demo.open_gate("orders-gate")
    demo.wait_for_line("orders ended 0", times=2)


def record_and_journal(demo: Demo) -> None:
    """The order and the codes: what the queue has on record, what the programs wrote."""
    title("In which order they ran")
    wait("the last end", lambda: all(row["ended_at"] for row in demo.executions()))
    rows = sorted(demo.executions(), key=lambda row: row["started_at"])
    print(f"  {'started':<15}{'ended':<15}{'p':<3}{'command':<20}{'state':<11}{'code':<6}reason")
    for row in rows:
        code = "" if row["return_code"] is None else row["return_code"]
        print(
            f"  {clock(row['started_at']):<15}{clock(row['ended_at']):<15}{row['priority']:<3}"
            f"{shlex.join(row['argv']):<20}{row['state']:<11}{code:<6}{row['reason']}"
        )
    demo.verify(
        "best priority first, then first come", [row["argv"][0] for row in rows], EXPECTED_ORDER
    )
    started = [name for name in EXPECTED_ORDER if name != "no-such-program"]
    written = [f"{name} {rest}" for name in started for rest in ("started", ended(name))]
    demo.verify("the programs wrote the same order, and never two at once", demo.lines(), written)
    for row in rows:
        name = row["argv"][0]
        state = EXPECTED_STATES.get(name, ("succeeded", 0))
        demo.verify(f"{name}: {state[0]}", (row["state"], row["return_code"]), state)


def waiting_command(demo: Demo) -> None:
    """``job2queue --wait``."""
    title("A command can wait: it shows the output and ends with the program's exit status")
    demo.queue("--wait", "broken", expect=7)


def schedule(demo: Demo) -> None:
    """A schedule of every second, while something runs for long."""
    title("A schedule fires at its times, also while something runs for long")
    demo.queue("-p1", "long")
    demo.wait_for_line("long started")
    demo.run("jobs", "create", "Poll", "--", "poll")
    demo.run("schedules", "create", "Each second", "--job", "Poll", "--cron", "* * * * * *")
    wait("three fire times", lambda: len(demo.fires("Each second")) >= 3)
    demo.run("schedules", "disable", "Each second")
    fires = demo.fires("Each second")
    demo.open_gate("long-gate")
    demo.wait_for_line("poll ended 0")
    print("'long' went on all the time. What became of the fire times meanwhile:")
    for fire in fires:
        print(f"  {clock(fire['fire_at'])}  {fire['outcome']}")
    demo.verify("the first one was queued", fires[0]["outcome"], "added")
    demo.verify(
        "the others found it waiting", {fire["outcome"] for fire in fires[1:]}, {"duplicate"}
    )
    demo.verify("one run came of them", demo.lines().count("poll started"), 1)


def stop(demo: Demo, cluster: subprocess.Popen[str]) -> None:
    """SIGTERM: the running one ends in its own time, the waiting one stays."""
    title("The service is stopped: SIGTERM")
    demo.queue("slow")
    demo.queue("later")
    demo.wait_for_line("slow started")
    cluster.send_signal(signal.SIGTERM)
    print("'slow' is running, 'later' waits. The signal is sent; 'slow' takes some seconds more.")
    time.sleep(FORGIVEN)
    demo.verify("the service waits for it", cluster.poll(), None)
    demo.open_gate("slow-gate")
    demo.verify("qcluster ends with 0", cluster.wait(PATIENCE), 0)
    wait("the end of all its processes", lambda: not processes_of(demo.directory))
    demo.verify("no process is left behind", processes_of(demo.directory), [])
    demo.verify("the running one came to its end", demo.lines()[-1], "slow ended 0")
    states = {row["argv"][0]: row["state"] for row in demo.executions()}
    demo.verify("and is recorded", states["slow"], "succeeded")
    demo.verify("the other one waits for the next start", states["later"], "waiting")


def ended(name: str) -> str:
    """What a program writes last."""
    return f"ended {PROGRAMS[name][0]}"


def clock(moment: str) -> str:
    """The time of day, in milliseconds."""
    return datetime.fromisoformat(moment).strftime("%H:%M:%S.%f")[:-3]


if __name__ == "__main__":
    sys.exit(main())

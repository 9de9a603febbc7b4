"""One more way to the queue: the admin, as a browser sees it."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable
from http.cookies import SimpleCookie
from urllib.parse import urlencode

from tests.chaos.asking import QUEUES, Asker, Channel, Killed, Situation
from tests.chaos.ledger import ADDED, DUPLICATE, PROMOTED, REFUSED, UNKNOWN, Ledger, Spec

#: The user of the admin.
NAME, PASSWORD = "chaos", "made for one database only"

_MESSAGES = {
    "is queued as": ADDED,
    "is waiting already as": DUPLICATE,
    "was waiting and moved forward": PROMOTED,
    "wasn&#x27;t queued": REFUSED,
    "wasn't queued": REFUSED,
}
_LINK = re.compile(r"/jobqueue/execution/(\d+)/change/")


class Admin(Channel):
    """A browser that is logged in and runs Jobs: by the action of the list, or by the button."""

    rate = 2.0

    def __init__(
        self,
        ledger: Ledger,
        seed: str,
        asker: Asker,
        situation: Situation,
        port: int,
        kill_web: Callable[[], None],
    ) -> None:
        super().__init__(ledger, seed, asker, situation)
        self._port = port
        self._kill_web = kill_web
        self._doom: float | None = None
        self._cookies: dict[str, str] = {}
        self._jobs: dict[str, int] = {}

    def prepare(self) -> None:
        """Make the user and the Jobs, and log in."""
        self.asker.ask("make_user", {"name": NAME, "password": PASSWORD})
        specs = [self.ledger.add_spec(self._spec_of_job(number)) for number in range(40)]
        jobs = [
            {
                "name": spec.label,
                "argv": spec.argv(self.ledger.file.parent),
                "queue": spec.queue,
                "rerun_if_lost": spec.rerun_if_lost,
                "kill_after": spec.kill_after,
            }
            for spec in specs
        ]
        ids = self.asker.ask("make_jobs", jobs)["ids"]
        self._jobs = {spec.label: pk for spec, pk in zip(specs, ids, strict=True)}
        self._get("/admin/login/")
        self._post("/admin/login/", username=NAME, password=PASSWORD, next="/admin/")
        if "sessionid" not in self._cookies:
            raise AssertionError("The admin let nobody in.")

    def doom(self, seconds: float) -> None:
        """Have the web process killed so many seconds after the next request to it."""
        self._doom = seconds

    def _spec_of_job(self, number: int) -> Spec:
        """Every tenth is never run again when it's lost, and as many have a time limit."""
        limited = number % 10 == 1
        return Spec(
            label=f"admin-{number}",
            queue=self.random.choice(QUEUES),
            seconds=3 if limited else self.seconds(),
            code=self.random.choice((0, 0, 0, 5)),
            rerun_if_lost=number % 10 != 0,
            kill_after=0.5 if limited else None,
        )

    def new_spec(self) -> Spec:
        return self.ledger.specs[self.random.choice(sorted(self._jobs))]

    def enqueue(self, spec: Spec, priority: int) -> tuple[str, int | None, str]:
        pk = self._jobs[spec.label]
        page = f"/admin/jobqueue/job/{pk}/change/"
        if self.random.random() < 0.5:
            form = {"action": "run", "_selected_action": str(pk), "index": "0"}
            status = self._post(f"/admin/jobqueue/job/?q={spec.label}", **form)
        else:
            status = self._post(f"/admin/jobqueue/job/{pk}/run/", next=page)
        if status not in (200, 302):
            return REFUSED, None, f"status {status}"
        return self._message(page)

    def _message(self, page: str) -> tuple[str, int | None, str]:
        """What the next page tells of the request."""
        text = self._get_at_last(page)
        told = re.search(r'<ul class="messagelist">(.*?)</ul>', text, re.DOTALL)
        words = told[1] if told else ""
        for part, outcome in _MESSAGES.items():
            if part in words:
                found = _LINK.search(words, words.index(part))
                pk = int(found[1]) if found else None
                return outcome, pk, "" if outcome == ADDED else words
        return UNKNOWN, None, words or text[:2000]

    def _get_at_last(self, page: str) -> str:
        """A page, asked for again when the web process was killed meanwhile."""
        end = time.monotonic() + 60
        while True:
            try:
                return self._get(page)
            except Killed:
                if time.monotonic() > end:
                    raise AssertionError("The web site doesn't come back.") from None

    def _get(self, path: str) -> str:
        return self._exchange("GET", path)[1]

    def _post(self, path: str, **form: str) -> int:
        form["csrfmiddlewaretoken"] = self._cookies.get("csrftoken", "")
        doom, self._doom = self._doom, None
        return self._exchange("POST", path, urlencode(form), doom)[0]

    def _exchange(
        self, method: str, path: str, body: str | None = None, doom: float | None = None
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self._cookies.items())}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, body, headers)
            if doom is not None:
                time.sleep(doom)
                self._kill_web()
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException):
            raise Killed from None
        finally:
            connection.close()
        for line in answer.headers.get_all("Set-Cookie", []):
            self._keep(SimpleCookie(line))
        return answer.status, text

    def _keep(self, cookies: SimpleCookie) -> None:
        for name, cookie in cookies.items():
            if cookie["max-age"] == "0" or not cookie.value:
                self._cookies.pop(name, None)
            else:
                self._cookies[name] = cookie.coded_value

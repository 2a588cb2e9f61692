"""The connection to the broker is lost and comes back: what is promised for events, results and availability."""
import itertools
import time
from datetime import datetime

from service import changing, want


def broker_away(service, away_s=20):
    """The broker is stopped and started again, as `systemctl restart mosquitto` does, with a pause."""
    def lose():
        service.broker.stop()

    def regain():
        service.broker.start()

    return _away(service, away_s, lose, regain, False)


def network_away(service, away_s=20):
    """The cable is pulled and put in again: the broker publishes the will, since it hears no ping."""
    def lose():
        service.must("ip link set eth0 down")

    def regain():
        service.must("ip link set eth0 up && ip route replace default via 10.0.2.2")

    return _away(service, away_s, lose, regain, True)


def _away(service, away_s, lose, regain, seen_by_the_broker):
    service.configure(changing())
    service.restart()
    # What the process before it said has been heard.
    begun = service.broker.now()
    pid, cursor = service.show("MainPID")["MainPID"], service.cursor()
    service.message("changing/event", begun, 60, lambda event: event["type"] == "end")
    mark, lost_at = service.broker.now(), _clock(service)
    lose()
    # The outage is the check's matter: events have to happen while nobody listens.
    time.sleep(away_s)
    active, said = service.show("ActiveState")["ActiveState"], service.broker.since(mark, "leptond/vm/state")
    back_at, started = _clock(service), time.monotonic()
    regain()
    service.message("leptond/vm/state", mark, 60, lambda value: value["state"] == "online")
    service.message("changing/result", mark)
    resumed_s = time.monotonic() - started
    # An event that was made after the return ends the row that is judged.
    service.message("changing/event", mark, 60, lambda event: event["type"] == "end" and _time(event["end_time"]) > back_at + 2)
    health = service.message("leptond/vm/health", service.broker.now(), 60, lambda value: value["mqtt"]["connected"])["mqtt"]
    # QoS 1 may say the same twice.
    states = [state for state, _ in itertools.groupby(value["state"] for value in service.broker.since(mark, "leptond/vm/state"))]
    # A broker that is stopped may queue the will for a subscriber that comes back, or not; the last word is the same.
    expected = (["offline", "online"],) if seen_by_the_broker else (["offline", "online"], ["online"])
    retained = service.broker.retained("leptond/vm/state")
    meanwhile, wrong = judge(service.broker.since(begun, "changing/event"), lost_at, back_at)
    results = [result["seq"] for result in service.broker.since(begun, "changing/result")]
    if results != sorted(set(results)):
        wrong.append("results twice or out of order")
    if (seen_by_the_broker and [value["state"] for value in said] != ["offline"]) or states not in expected or retained != {"state": "online"}:
        wrong.append(f"availability said {states}, retained {retained}")
    if meanwhile < away_s / 2:
        wrong.append(f"only {meanwhile} events of the outage")
    if active != "active" or service.show("MainPID")["MainPID"] != pid:
        wrong.append("not the same process")
    if "trying again" not in service.journal(since=cursor):
        wrong.append("the journal does not say that it tries again")
    seen = (f"away {back_at - lost_at:.0f} s, online and results {resumed_s:.1f} s after the return; {meanwhile} events of the outage came, "
            f"none missing, none twice, in order, with the times they were made; state {states}; {health['dropped']} results dropped and counted")
    return want(not wrong, "; ".join(wrong) + f" (away {back_at - lost_at:.0f} s, {meanwhile} events of the outage)" if wrong else seen)


def judge(events, lost_at, back_at):
    """How many events were made in the outage, and what is wrong with the whole row.

    Each label begins (`new`) and ends (`end`) with the same id, the ids of a process are numbered, and the pictures change each
    second: so what was lost, came twice or out of order, or bears the time of its sending shows."""
    wrong, row = [], [(int(event["id"].rsplit("-", 1)[1]), event["type"]) for event in events]
    for before, after in zip(row, row[1:]):
        number, kind = before
        if after != ((number, "end") if kind == "new" else (number + 1, "new")):
            wrong.append(f"{kind} {number} is followed by {after[1]} {after[0]}")
    made = [_time(event["end_time"] if event["type"] == "end" else event["start_time"]) for event in events]
    steps = [after - before for before, after in zip(made, made[1:]) if after != before]
    if not all(0.2 < step < 5 for step in steps):
        wrong.append(f"times of making {min(steps, default=0):.1f} s to {max(steps, default=0):.1f} s apart")
    return sum(lost_at < moment < back_at for moment in made), wrong[:3]


def _clock(service):
    return float(service.must("date +%s.%N"))


def _time(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()

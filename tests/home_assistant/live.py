"""Home Assistant's core with its MQTT integration, set up as a person does in the dialogue, without a browser.

    python live.py DIRECTORY PORT SECONDS [COMMAND...]

Starts Home Assistant in DIRECTORY (made on the first run; a second run is a restart), adds the MQTT integration for the broker on
127.0.0.1:PORT, waits SECONDS for entities and prints one JSON object: every entity of the registry with name, state, unit and
attributes, the devices, the complaints in the log, and what the energy panel says of its meters. A COMMAND is
`select:ENTITY:OPTION`, `switch:ENTITY:on|off`, `wait:SECONDS`, `state:ENTITY`, `image:ENTITY` (its bytes' number) or `energy`. With a file
`automations.yaml` in DIRECTORY these run, and their notifications are told. `READY` on standard error says that the commands begin.
"""

import asyncio
import json
import logging
import os
import pathlib
import socket
import sys
import time
import traceback

from homeassistant import bootstrap, runner
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er


class Complaints(logging.Handler):
    """Warnings and errors about MQTT and templates."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        text = record.getMessage()
        if "mqtt" in record.name or "template" in record.name or "mqtt" in text.lower():
            self.lines.append(f"{record.name}: {text}"[:500])


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


async def energy(hass):
    """The energy panel's own check of every meter that it can take."""
    from homeassistant.components.energy.data import async_get_manager
    from homeassistant.components.energy.validate import async_validate
    from homeassistant.components.recorder import get_instance
    from homeassistant.components.recorder.tasks import StatisticsTask
    from homeassistant.util import dt as dt_util

    sources = []
    for state in hass.states.async_all("sensor"):
        kind = state.attributes.get("device_class")
        if state.attributes.get("state_class") != "total_increasing" or kind not in ("water", "gas", "energy"):
            continue
        one = {"stat_energy_from": state.entity_id, "stat_cost": None, "entity_energy_price": None, "number_energy_price": None}
        if kind == "energy":
            flow = {**one, "cost_adjustment_day": 0, "flow_from": [{**one}], "flow_to": []}
            sources.append({k: flow[k] for k in ("flow_from", "flow_to", "cost_adjustment_day")} | {"type": "grid"})
        else:
            sources.append({"type": kind, **one})
    manager = await async_get_manager(hass)
    await manager.async_update({"energy_sources": sources})
    # Statistics are made every five minutes; those of the present ones will do.
    now = dt_util.utcnow()
    start = now.replace(minute=now.minute - now.minute % 5, second=0, microsecond=0)
    get_instance(hass).queue_task(StatisticsTask(start, False))
    for _ in range(60):
        issues = (await async_validate(hass)).as_dict()["energy_sources"]
        if not any(issue["type"] == "statistics_not_defined" for one in issues for issue in one):
            break
        await asyncio.sleep(0.5)
    return {"sources": sources, "issues": issues}


async def main():
    directory, port, seconds, *commands = sys.argv[1:]
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    web = free_port()
    extra = "recorder:\nenergy:\n" if "energy" in commands else ""
    if (directory / "automations.yaml").exists():
        extra += "automation: !include automations.yaml\n"
    (directory / "configuration.yaml").write_text(f"{extra}http:\n  server_host: 127.0.0.1\n  server_port: {web}\n")
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    started = time.monotonic()
    hass = await bootstrap.async_setup_hass(runner.RuntimeConfig(config_dir=str(directory), skip_pip=True))
    await hass.async_start()
    result = {"version": __import__("homeassistant.const").const.__version__, "started_s": round(time.monotonic() - started, 1)}
    if not hass.config_entries.async_entries("mqtt"):
        flow = await hass.config_entries.flow.async_init("mqtt", context={"source": "user"})
        answer = {"broker": "127.0.0.1", "port": int(port)}
        result["dialogue"] = (await hass.config_entries.flow.async_configure(flow["flow_id"], answer))["type"]
    await asyncio.sleep(float(seconds))
    print("READY", file=sys.stderr, flush=True)
    notified = []

    async def notify(call):
        notified.append(dict(call.data))

    # The name that a blueprint makes of a phone that is not there.
    hass.services.async_register("notify", "mobile_app_none", notify)
    done = []
    for command in commands:
        verb, _, rest = command.partition(":")
        entity, _, value = rest.partition(":")
        match verb:
            case "select":
                await hass.services.async_call("select", "select_option", {"entity_id": entity, "option": value}, blocking=True)
            case "switch":
                await hass.services.async_call("switch", f"turn_{value}", {"entity_id": entity}, blocking=True)
            case "wait":
                await asyncio.sleep(float(rest))
            case "state":
                state = hass.states.get(entity)
                done.append([command, state and state.state])
            case "image":
                image = hass.data["image"].get_entity(rest)
                data = await image.async_image()
                done.append([command, len(data or b""), (data or b"")[:2].hex()])
            case "energy":
                result["energy"] = await energy(hass)
    registry, devices = er.async_get(hass), dr.async_get(hass)
    entities = []
    for entry in sorted(registry.entities.values(), key=lambda entry: entry.entity_id):
        if entry.platform != "mqtt":
            continue
        state = hass.states.get(entry.entity_id)
        entities.append(
            {
                "entity_id": entry.entity_id,
                "unique_id": entry.unique_id,
                "category": entry.entity_category,
                "disabled": entry.disabled_by,
                "state": state and state.state,
                "name": state and state.name,
                "unit": state and state.attributes.get("unit_of_measurement"),
                "device_class": state and state.attributes.get("device_class"),
                "state_class": state and state.attributes.get("state_class"),
                "attributes": state and json.loads(json.dumps(dict(state.attributes), default=str)),
            }
        )
    result |= {
        "entities": entities,
        "devices": [
            {"name": d.name, "model": d.model, "sw_version": d.sw_version, "identifiers": sorted(map(list, d.identifiers))}
            for d in devices.devices.values()
            if any(domain == "mqtt" for domain, _ in d.identifiers)
        ],
        "automations": {state.entity_id: state.state for state in hass.states.async_all("automation")},
        "notified": notified,
        "commands": done,
        "complaints": complaints.lines,
    }
    print(json.dumps(result, default=lambda value: sorted(value) if isinstance(value, (set, frozenset)) else str(value)))
    sys.stdout.flush()
    await hass.async_stop()


try:
    asyncio.run(main())
except BaseException:
    # Threads of the core keep a process whose main one has failed.
    traceback.print_exc()
    os._exit(1)

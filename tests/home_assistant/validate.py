"""Checks a discovery message by Home Assistant's own schemas and its templates by Home Assistant's own engine.

    python validate.py MESSAGE.json PAYLOADS.json

PAYLOADS maps topics to payloads. Prints a JSON object: `errors` (one line each) and `states`, what each component's value template
makes of the payload on its topic.
"""

import asyncio
import copy
import importlib
import json
import logging
import sys
import tempfile

import voluptuous as vol
from homeassistant.components.mqtt.discovery import _merge_common_device_options
from homeassistant.components.mqtt.models import MqttCommandTemplate, MqttValueTemplate
from homeassistant.components.mqtt.schemas import DEVICE_DISCOVERY_SCHEMA
from homeassistant.core import HomeAssistant

# Topics of a component, and the templates that read them.
READERS = [
    ("state_topic", "value_template"),
    ("json_attributes_topic", "json_attributes_template"),
    ("latest_version_topic", "latest_version_template"),
]
ODD = ["", "null", "{}", "[]", "5", '"text"', "text", "{"]


class Complaints(logging.Handler):
    """Log lines of templates: a variable that is not there is no exception."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def pruned(payload):
    """The payload with each single key, at any depth, left out or null."""
    if isinstance(payload, dict):
        for key in payload:
            yield {k: v for k, v in payload.items() if k != key}
            yield {**payload, key: None}
            for inner in pruned(payload[key]):
                yield {**payload, key: inner}
    elif isinstance(payload, list):
        for index, item in enumerate(payload):
            for inner in pruned(item):
                yield payload[:index] + [inner] + payload[index + 1 :]


async def main():
    message = json.load(open(sys.argv[1]))
    payloads = json.load(open(sys.argv[2]))
    hass = HomeAssistant(tempfile.mkdtemp())
    complaints = Complaints()
    logging.getLogger("homeassistant").addHandler(complaints)
    errors, states = [], {}
    try:
        DEVICE_DISCOVERY_SCHEMA(copy.deepcopy(message))
    except vol.Invalid as error:
        errors.append(f"message: {error}")
    for name, component in message["components"].items():
        config = copy.deepcopy(component)
        platform = config.pop("platform")
        if not config:
            continue
        config["device"], config["origin"] = message["device"], message["origin"]
        _merge_common_device_options(config, message)
        module = importlib.import_module(f"homeassistant.components.mqtt.{platform}")
        try:
            # The schema of YAML refuses unknown keys, which that of discovery silently leaves out.
            checked = module.PLATFORM_SCHEMA_MODERN(copy.deepcopy(config))
            module.DISCOVERY_SCHEMA(copy.deepcopy(config))
        except vol.Invalid as error:
            errors.append(f"{name}: {error}")
            continue
        if "command_template" in checked:
            options = checked.get("options", ["ON"])
            states[f"{name} command"] = [MqttCommandTemplate(checked["command_template"]).async_render(o) for o in options]
        availability = [(one["topic"], one["value_template"], "") for one in checked.get("availability", [])]
        readers = [(checked[t], checked[v], t) for t, v in READERS if t in checked and v in checked]
        for topic, template, kind in availability + readers:
            template.hass = hass
            render = MqttValueTemplate(template).async_render_with_possible_json_value
            if topic not in payloads:
                errors.append(f"{name}: no sample of a payload on {topic}")
                continue
            odd = ODD + [json.dumps(p) for p in pruned(payloads[topic])]
            for text in [*odd, json.dumps(payloads[topic])]:
                complaints.lines.clear()
                try:
                    state = render(text)
                except Exception as error:  # noqa: BLE001 - each is a finding
                    errors.append(f"{name}: {text[:200]}: {error}")
                    break
                if complaints.lines:
                    errors.append(f"{name}: {text[:200]}: {complaints.lines[0]}")
                    break
            if kind == "state_topic":
                states[name] = state
            elif kind == "":
                states[f"{name} availability"] = [*states.get(f"{name} availability", []), state]
            elif kind == "json_attributes_topic" and not isinstance(json.loads(state), dict):
                errors.append(f"{name}: attributes are no object: {state}")
            elif kind == "json_attributes_topic":
                states[f"{name} attributes"] = state
    json.dump({"errors": errors, "states": states}, sys.stdout)
    await hass.async_stop(force=True)


asyncio.run(main())

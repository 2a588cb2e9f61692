"""Prints the keys of Home Assistant's schemas that the table tests/data/home_assistant.json holds.

    python keys.py > ../data/home_assistant.json
"""

import importlib
import json
import sys

import voluptuous as vol
from homeassistant.components.binary_sensor import BinarySensorDeviceClass
from homeassistant.components.event import EventDeviceClass
from homeassistant.components.mqtt import schemas
from homeassistant.components.sensor import DEVICE_CLASS_UNITS, SensorDeviceClass, SensorStateClass
from homeassistant.const import EntityCategory, __version__


def keys(schema):
    """Keys of a schema, `true` where one is required."""
    if isinstance(schema, vol.All):
        return {key: required for inner in schema.validators if isinstance(inner, (vol.Schema, vol.All)) for key, required in keys(inner).items()}
    return {str(key): isinstance(key, vol.Required) for key in schema.schema} if isinstance(schema.schema, dict) else {}


platforms = {}
for name in ["binary_sensor", "event", "image", "select", "sensor", "switch", "update"]:
    module = importlib.import_module(f"homeassistant.components.mqtt.{name}")
    schema = module.PLATFORM_SCHEMA_MODERN
    if name == "image":
        schema = module.PLATFORM_SCHEMA_BASE
    platforms[name] = keys(schema)
json.dump(
    {
        "source": f"homeassistant {__version__}: components/mqtt, by tests/home_assistant/keys.py",
        "message": keys(schemas.DEVICE_DISCOVERY_SCHEMA),
        "device": keys(schemas.MQTT_ENTITY_DEVICE_INFO_SCHEMA),
        "origin": keys(schemas.MQTT_ORIGIN_INFO_SCHEMA),
        "platforms": platforms,
        "entity_categories": [str(one) for one in EntityCategory],
        "state_classes": [str(one) for one in SensorStateClass],
        "device_classes": {
            "binary_sensor": sorted(map(str, BinarySensorDeviceClass)),
            "event": sorted(map(str, EventDeviceClass)),
            "sensor": sorted(map(str, SensorDeviceClass)),
        },
        "units": {str(c): sorted(str(u) for u in units if u) for c, units in sorted(DEVICE_CLASS_UNITS.items())},
    },
    sys.stdout,
    indent=1,
    ensure_ascii=False,
    sort_keys=True,
)
print()

# mypy: ignore-errors
"""``make_rows.py DIR``: the database of the Bots in DIR and its routes, by Bots' own models.

Runs in Bots' Python, which may be 3.7.
"""

import os
import shutil
import sys

import bots
from bots import botsglobal, botsinit

RAW = {"fromeditype": "raw", "frommessagetype": "raw", "translateind": 2}
CSV = {"fromeditype": "csv", "toeditype": "csv", "translateind": 1}
ROUTES = {
    "copy": RAW,
    "pieces": RAW,
    "slow": RAW,
    "translate": dict(CSV, frommessagetype="orders", tomessagetype="picklist"),
    # No translation starts at a picklist: each file is an error in the run.
    "faulty": dict(CSV, frommessagetype="picklist", tomessagetype="orders"),
}


def main(directory):
    botsinit.generalinit(os.path.join(directory, "conf"))
    database = botsglobal.settings.DATABASES["default"]["NAME"]
    if not os.path.exists(database):
        empty = os.path.join(os.path.dirname(bots.__file__), "install", "botsdb")
        shutil.copyfile(empty, database)
    for name, fields in ROUTES.items():
        put_route(directory, name, fields)
    put_translation()


def put_route(directory, name, fields):
    # Bots' models can be imported only after its initialisation.
    from bots.models import routes

    # What is still written has another name.
    mask = "*.edi" if name == "copy" else "*"
    incoming = put_channel(name, "in", os.path.join(directory, "in", name), mask, remove=True)
    outgoing = put_channel(name, "out", os.path.join(directory, "out", name), "{infile}")
    fields = dict(fields, active=True, fromchannel=incoming, tochannel=outgoing)
    routes.objects.update_or_create(idroute=name, seq=1, defaults=fields)


def put_channel(route, way, path, filename, remove=False):
    from bots.models import channel

    fields = {"inorout": way, "type": "file", "path": path, "filename": filename, "remove": remove}
    name = route + "-" + way
    return channel.objects.update_or_create(idchannel=name, defaults=fields)[0]


def put_translation():
    from bots.models import translate

    translate.objects.update_or_create(
        fromeditype="csv",
        frommessagetype="orders",
        defaults={
            "active": True,
            "tscript": "orders_to_picklist",
            "toeditype": "csv",
            "tomessagetype": "picklist",
        },
    )


if __name__ == "__main__":
    main(sys.argv[1])

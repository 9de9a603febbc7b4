# mypy: ignore-errors
from bots.botsconfig import ID, MAX, MIN

syntax = {"charset": "utf-8", "field_sep": ",", "noBOTSID": True, "quote_char": ""}
structure = [{ID: "LINE", MIN: 1, MAX: 1000}]
recorddefs = {
    "LINE": [
        ["BOTSID", "C", 4, "A"],
        ["order", "M", 20, "AN"],
        ["part", "M", 20, "AN"],
        ["pieces", "M", 20, "AN"],
    ],
}

# mypy: ignore-errors
def main(inn, out):
    for order in inn.getloop({"BOTSID": "LINE"}):
        line = out.putloop({"BOTSID": "LINE"})
        for name in ("order", "part", "pieces"):
            line.put({"BOTSID": "LINE", name: order.get({"BOTSID": "LINE", name: None})})

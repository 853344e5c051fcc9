"""The datasets: `<name>.json` is a dataset's contract, `<name>.py` beside it its transform, if it has one."""

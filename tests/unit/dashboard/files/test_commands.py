from dashboard.files import commands
from tests.support.launch import configurations


def test_a_command_is_for_where_the_pipeline_runs() -> None:
    assert commands.replay("--stale", remote=False) == ".venv/bin/python -m pipeline replay --stale"
    in_stack = "docker compose exec pipeline python -m pipeline replay 'raw/a b.csv'"
    assert commands.replay("raw/a b.csv", remote=True) == in_stack


def test_a_file_is_read_under_the_debugger_by_a_launch_entry_or_by_hand() -> None:
    entry = configurations()[commands.LAUNCH_ONE_FILE]
    assert (entry["module"], entry["args"]) == ("pipeline", ["dry-run", "${input:key}"])
    assert commands.debug("raw/a b.csv") == "make debug KEY='raw/a b.csv'"

"""The generated table of the alerts in docs/runbook.md."""

from stacks.alerts import LOG_ENTRIES, THRESHOLDS, UPTIME


def table() -> str:
    """Returns the table of alerts: what raises an incident, and what to do then."""
    rows = [
        *(
            (alert.title, f"`{alert.metric}`".format(connections="connections of the engine"), alert.todo)
            for alert in THRESHOLDS.values()
        ),
        *((alert.title, "an entry of the log", alert.todo) for alert in LOG_ENTRIES.values()),
        (UPTIME.title, f"`{UPTIME.metric}`", UPTIME.todo),
    ]
    return "\n".join(
        ("| alert | seen in | what to do |", "| --- | --- | --- |", *(f"| {' | '.join(row)} |" for row in rows))
    )

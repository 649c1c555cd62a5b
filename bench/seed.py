"""Runs as MLflow's clients make them, written to the database by its superuser: through the API it would take hours."""

from containers.container import Container
from localcloud.machine.dialects import PostgreSQL

DATABASE = "mlflow"
CONTENT = "12 values of 3 metrics, 3 parameters and 4 tags"
"""What each run has."""
STATEMENTS = """
CREATE TEMPORARY TABLE new AS
  SELECT md5('seed' || n) AS run, 1700000000000 + 60000 * n::bigint AS started, n
  FROM generate_series({first}, {last}) AS n;
INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time,
                  source_version, lifecycle_stage, artifact_uri, experiment_id)
  SELECT run, 'seed-' || n, 'UNKNOWN', '', '', 'writer', 'FINISHED', started, started + 50000, '', 'active',
         (SELECT artifact_location FROM experiments WHERE experiment_id = 0) || '/' || run || '/artifacts', 0
  FROM new;
INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan)
  SELECT 'metric-' || m, random(), started + 1000 * step, run, step, false
  FROM new, generate_series(1, 3) AS m, generate_series(1, 4) AS step;
INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)
  SELECT key, value, timestamp, step, is_nan, run_uuid FROM metrics JOIN new ON run = run_uuid WHERE step = 4;
INSERT INTO params (key, value, run_uuid)
  SELECT 'param-' || p, n * p, run FROM new, generate_series(1, 3) AS p;
INSERT INTO tags (key, value, run_uuid)
  SELECT 'mlflow.' || key, 'value of ' || key, run
  FROM new, unnest(ARRAY['runName', 'user', 'source.type', 'source.name']) AS key;
VACUUM ANALYZE runs, metrics, latest_metrics, params, tags;
CHECKPOINT;
SELECT count(*) FROM runs;
"""


def seed(server: Container, first: int, last: int) -> int:
    """Writes the runs of these numbers; returns how many there are then, those of clients among them.

    The server's statistics are made again, as it does by itself after a while.
    """
    command = [*PostgreSQL.client, f"--dbname={DATABASE}", "--tuples-only"]
    return int(server.execute(*command, stdin=STATEMENTS.format(first=first, last=last)))

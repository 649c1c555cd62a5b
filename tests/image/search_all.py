"""Finds all runs with MLflow's own client, page by page; prints how many. Run by test_answers.py."""

import sys

import mlflow

runs = mlflow.search_runs(["0"], output_format="list")
versions = mlflow.MlflowClient().search_model_versions("name = 'prompt'", max_results=1000)
while versions.token:
    more = mlflow.MlflowClient().search_model_versions("name = 'prompt'", max_results=1000, page_token=versions.token)
    versions.token = more.token
    versions.extend(more)
found, wanted = [len({run.info.run_id for run in runs}), len({version.version for version in versions})], sys.argv[1:]
assert [str(number) for number in found] == wanted, found

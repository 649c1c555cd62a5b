"""Content that somebody prepared to take over whoever looks at it, beside harmless content: `show.py`.

Prints a line of JSON: the experiment, two runs, a trace and a logged model.
"""

import json

import mlflow
import numpy as np

SCRIPT = "<img src=x onerror='window.taken=1'><script>window.taken=2</script>"
# It says what it could do; the last line is what Plotly's charts do.
HTML = """<!doctype html><p id=told>not run</p><script>
told.textContent = 'run in ' + self.origin;
try { parent.document.title = 'taken'; } catch { told.append(', apart from the page'); }
try { document.cookie; } catch { told.append(', without cookies'); }
fetch('/api/2.0/mlflow/experiments/search?max_results=1').then(
  () => told.append(', with the API'), () => told.append(', without the API'));
</script><script src="https://cdn.plot.ly/plotly-3.0.0.min.js"></script>"""
SVG = "<svg xmlns='http://www.w3.org/2000/svg'><circle r='9'/><script>window.taken=3;parent.taken=3</script></svg>"


def log(name: str) -> str:
    """Logs a run with an artifact of each kind that the page shows in a way of its own."""
    with mlflow.start_run(run_name=f"{name} {SCRIPT}") as run:
        mlflow.log_params({"rate": len(name), "depth": 3})
        mlflow.log_metrics({"loss": len(name), "accuracy": 0.5})
        mlflow.set_tag("mlflow.note.content", f"note {SCRIPT} [link](javascript:window.taken=4)")
        for path, content in {
            "report.html": HTML,
            "table.csv": "a,b\n1,in a cell\n",
            "read.md": f"# Heading\n\n{SCRIPT}",
            "code.py": "print('code')\n",
            "picture.svg": SVG,
        }.items():
            mlflow.log_text(content, path)
        mlflow.log_dict({"key": ["value"]}, "data.json")
        mlflow.log_image(np.zeros((8, 8, 3), dtype=np.uint8), "picture.png")
    return run.info.run_id


@mlflow.trace
def ask(question: str) -> str:
    """Leaves a trace."""
    return f"{question} {SCRIPT}"


def main() -> None:
    """Logs two runs, a trace, a prompt, a registered and a logged model."""
    experiment = mlflow.set_experiment("shown")
    runs = [log("first"), log("second")]
    ask("why?")
    trace = mlflow.get_last_active_trace_id()
    mlflow.flush_trace_async_logging()
    client = mlflow.MlflowClient()
    client.create_registered_model("shown", description=SCRIPT)
    client.create_model_version("shown", mlflow.get_run(runs[0]).info.artifact_uri, runs[0])
    mlflow.genai.register_prompt("greeting", f"Hello {{{{name}}}} {SCRIPT}")
    model = mlflow.initialize_logged_model("shown").model_id
    print(json.dumps({"experiment": experiment.experiment_id, "runs": runs, "trace": trace, "model": model}))


if __name__ == "__main__":
    main()

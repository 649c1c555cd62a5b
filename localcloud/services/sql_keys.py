"""Cloud SQL: by what an instance is kept."""

from localcloud.terraform.model import Object, text


def instance_key(instance: Object) -> str:
    """Returns the key of an instance: its name is unique in its project only."""
    return f"{text(instance, 'project')}:{text(instance, 'name')}"

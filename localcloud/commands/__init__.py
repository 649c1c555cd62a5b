"""`gcloud` against the local cloud: the commands that bring something back, in Google's words."""
